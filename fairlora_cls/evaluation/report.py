"""Is the model equally good for every group, and how sure can this test set make us?

`fairness_report` computes, `write_report` writes: report.json, report.md, report.html and figures,
with every number taken from the `FairnessReport`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.groupings import Grouping, grouping_of, held_attributes
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions
from fairlora_cls.evaluation.results import AttributeResult, FairnessReport
from fairlora_cls.evaluation.side_by_side import side_by_side
from fairlora_cls.presentation.document import Document

if TYPE_CHECKING:
    from fairlora_cls.evaluation.attribute_results import Measured
    from fairlora_cls.evaluation.text_results import TextReport


def fairness_report(
    predictions: Predictions,
    attributes: str | Iterable[str] | None = None,
    *,
    bootstrap: int = 1000,
    minimum_group_size: int = 20,
    minimum_stratum_size: int = 30,
    suppress_below: int | None = None,
    seed: int = 42,
    notes: str | Iterable[str] = (),
    seen: Mapping[str, Collection[str]] | None = None,
) -> FairnessReport:
    """Measures a model's predictions overall and between groups, with the uncertainty of each.

    attributes: columns of `predictions`, or intersections such as "sex×race"; None takes every
        column. Blank values form the group 'missing'.
    bootstrap: resamples per interval and null; 0 leaves both out
    minimum_group_size: smaller groups are named in the warnings; they stay in every number
    minimum_stratum_size: examples that a stratum of the other attributes needs, to enter the
        controlled gaps
    suppress_below: for publishing: every number from which a cell of fewer examples could be
        recovered is left out; None leaves nothing out
    notes: what the training run wants repeated among the warnings
    seen: ids and units of other splits, by the split's name; shared ones are a warning
    Raises InputError for unlabelled examples, an unknown attribute, or an attribute of
    more than 500 groups.
    """
    from fairlora_cls.evaluation.attribute_results import group_results
    from fairlora_cls.evaluation.cautions import describe_warnings
    from fairlora_cls.evaluation.class_views import class_results
    from fairlora_cls.evaluation.larger_groups import accuracy_gap_of_larger_groups
    from fairlora_cls.evaluation.many_tests import correct_for_many
    from fairlora_cls.evaluation.metrics import HEADLINE_GAP
    from fairlora_cls.evaluation.uncertainty import affordable_draws
    from fairlora_cls.evaluation.views import describe_decision

    if bootstrap < 0:
        raise ValueError(f"bootstrap is {bootstrap}; it must be 0 or more resamples")
    names = listed_names(predictions.attributes if attributes is None else attributes)
    _require_labels(predictions)
    everyone = Grouping(("everyone",), np.zeros(len(predictions.ids), dtype=int))
    groupings = [everyone, *(grouping_of(predictions, name) for name in names)]
    pooled, *measured = _measure(predictions, groupings, bootstrap, suppress_below, seed)
    codes = {name: grouping.codes for name, grouping in zip(names, groupings[1:], strict=True)}

    def result(place: int) -> AttributeResult:
        held = {other: codes[other] for other in held_attributes(names[place], names)}
        generators = [np.random.default_rng([seed, place + 1, view]) for view in (1, 2)]
        attribute = _attribute_result(
            predictions, measured[place], pooled, held, minimum_stratum_size, bootstrap, generators
        )
        if suppress_below is not None:
            return attribute
        larger = accuracy_gap_of_larger_groups(
            predictions,
            measured[place].grouping.names,
            measured[place].grouping.codes,
            minimum_group_size,
            bootstrap,
            np.random.default_rng([seed, place + 1, 3]),
        )
        return replace(attribute, larger_groups=larger)

    found = side_by_side(result, range(len(names)))
    results, tested = correct_for_many(dict(zip(names, found, strict=True)), HEADLINE_GAP)
    whole = group_results(pooled, predictions.positive)["everyone"]
    classes = class_results(pooled, predictions.classes)
    decision = describe_decision(predictions)
    report = FairnessReport(
        n=whole.n,
        classes=predictions.classes,
        positive=predictions.classes[predictions.positive],
        overall=whole.metrics,
        attributes=results,
        warnings=(),
        bootstrap=bootstrap,
        minimum_group_size=minimum_group_size,
        seed=seed,
        decision=decision if suppress_below is None else replace(decision, threshold=None),
        **({"overall_classes": classes["everyone"]} if classes else {}),
        units=None if predictions.units is None else len(set(predictions.units)),
        score_draws=affordable_draws(bootstrap, len(predictions.ids)),
        gaps_tested=tested,
        suppressed_below=suppress_below,
    )
    warnings = describe_warnings(report, predictions, seen or {})
    return replace(report, warnings=(*warnings, *map(str, listed_names(notes))))


def write_report(report: "FairnessReport | TextReport", folder: str | Path) -> None:
    """Writes report.json, report.md, report.html and figures/ into `folder`, as `write_document`."""
    from fairlora_cls.presentation.writing import write_document

    write_document(_document(report), report.to_dict(), folder, "report")


def _document(report: "FairnessReport | TextReport") -> "Document":
    if isinstance(report, FairnessReport):
        from fairlora_cls.evaluation.document import classification_document
        from fairlora_cls.evaluation.figures import draw_figures

        return classification_document(report, draw_figures(report))
    from fairlora_cls.evaluation.text_document import text_document
    from fairlora_cls.evaluation.text_figures import draw_text_figures

    return text_document(report, draw_text_figures(report))


def _require_labels(predictions: Predictions) -> None:
    unlabelled = int((predictions.labels == UNLABELLED).sum())
    if unlabelled:
        raise InputError(
            f"{unlabelled} of {len(predictions.labels)} examples have no label; a report needs the "
            "true class of each in the column 'label'"
        )


def _measure(
    predictions: Predictions,
    groupings: list[Grouping],
    bootstrap: int,
    suppress_below: int | None,
    seed: int,
) -> list["Measured"]:
    """Measures every grouping. Each has a generator of its own, so that its numbers do not depend
    on the other groupings, nor on the number of cores."""
    from fairlora_cls.evaluation.attribute_results import measure_grouping
    from fairlora_cls.evaluation.counted_draws import confusion_by_group
    from fairlora_cls.evaluation.suppression import Hidden, hide_small_cells
    from fairlora_cls.evaluation.uncertainty import bootstrap_metrics, null_draws

    def measure_one(
        grouping: Grouping, hidden: Hidden, generator: np.random.Generator
    ) -> "Measured":
        groups = len(grouping.names)
        arguments = (predictions, grouping.codes, groups, bootstrap, generator)
        resamples = bootstrap_metrics(*arguments)
        null = null_draws(*arguments) if bootstrap and groups > 1 else None
        everything = suppress_below is None
        return measure_grouping(predictions, grouping, hidden, resamples, null, everything)

    confusions = [confusion_by_group(predictions, g.codes, len(g.names)) for g in groupings]
    hidden = hide_small_cells([g.codes for g in groupings], confusions, suppress_below)
    generators = [np.random.default_rng([seed, index]) for index in range(len(groupings))]
    return side_by_side(measure_one, groupings, hidden, generators)


def _attribute_result(
    predictions: Predictions,
    measured: "Measured",
    pooled: "Measured",
    held: dict[str, np.ndarray],
    minimum_stratum_size: int,
    bootstrap: int,
    generators: list[np.random.Generator],
) -> AttributeResult:
    """held: the codes of the other attributes, whose crossing makes the strata"""
    from fairlora_cls.evaluation.attribute_results import (
        equity_results,
        gap_results,
        group_results,
    )
    from fairlora_cls.evaluation.class_views import class_gap_results, class_results
    from fairlora_cls.evaluation.metrics import EQUITY_SCALED
    from fairlora_cls.evaluation.views import controlled_gaps, curves, prevalence

    names, codes = measured.grouping.names, measured.grouping.codes
    published = measured.publishes_everything
    controlled = None
    if held and published:
        strata = np.unique(np.column_stack(list(held.values())), axis=0, return_inverse=True)[1]
        controlled = controlled_gaps(
            predictions,
            codes,
            strata.ravel(),
            tuple(held),
            minimum_stratum_size,
            bootstrap,
            generators[0],
        )
    return AttributeResult(
        groups=group_results(measured, predictions.positive),
        gaps=gap_results(measured, pooled),
        equity_scaled=equity_results(
            EQUITY_SCALED,
            measured.overall,
            measured.values,
            measured.bootstrap.overall,
            measured.bootstrap.by_group,
        ),
        group_classes=class_results(measured, predictions.classes),
        class_gaps=class_gap_results(measured, predictions.classes),
        prevalence=prevalence(predictions, measured, generators[1]),
        controlled=controlled,
        curves={
            name: curves(predictions, np.flatnonzero(codes == code), measured.confusion[code])
            for code, name in enumerate(names)
        }
        if published
        else {},
        suppressed_groups=tuple(np.array(names)[measured.hidden.tables].tolist()),
    )
