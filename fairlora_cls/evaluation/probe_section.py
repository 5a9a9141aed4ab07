"""What fresh probes read of each attribute, as a part of the fairness report."""

from collections.abc import Mapping
from typing import Any

from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import SCORE, show_count

Probes = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
# attribute → state → before or after → auroc, interval, n

STATES = {
    "head_input": "what the head reads",
    "mutual_information": "the tap of the mutual information",
    "adversary": "the tap of the adversary",
}


def probe_section(probes: Probes) -> Section:
    """The report's part on probes; `probes` as run.json has them."""
    rows = [
        (
            Cell(attribute),
            Cell(STATES[state]),
            _auroc(moments["before"]),
            _auroc(moments["after"]),
            Cell(_reading(moments["before"], moments["after"])),
        )
        for attribute, states in probes.items()
        for state, moments in states.items()
    ]
    header = ("Attribute", "Hidden state", "AUROC before training", "after", "Reading")
    return Section(
        key="probes",
        title="What the hidden states still tell of each attribute",
        sentences=(
            "A fresh probe (logistic regression, cross-fitted over patients of validation and test) "
            "reads each attribute from hidden states that training never saw. 0.5 is nothing. A "
            "probe that still reads the attribute after a run with mutual information or an "
            "adversary says that only the run's own classifier was fooled. A probe that reads "
            "nothing does not prove that nothing is there: another kind of probe might find it.",
        ),
        tables=(Table("AUROC of fresh probes, with 95% intervals", header, tuple(rows)),),
        values={name: dict(states) for name, states in probes.items()},
    )


def _auroc(probe: Mapping[str, Any]) -> Cell:
    if probe["auroc"] is None:
        return Cell("undefined", f"{show_count(probe['n'])} images")
    return Cell(SCORE.show(probe["auroc"]), SCORE.show_range(probe["interval"]))


def _reading(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if before["interval"] is None or after["interval"] is None:
        return "too few images, or no intervals asked for"
    if after["interval"][0] <= 0.5:
        return "not readable by this probe"
    if after["interval"][1] < before["interval"][0]:
        return "less readable than before"
    if after["interval"][0] > before["interval"][1]:
        return "more readable than before"
    return "as readable as before, within the intervals"
