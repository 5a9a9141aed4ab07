"""Finished runs → everything that an ablation's report says, and its form in report.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.against_reference import compare_with_reference
from fairlora_cls.ablations.plan import Plan
from fairlora_cls.ablations.runs import FollowedQuantity, RunResult, headline_quantities
from fairlora_cls.ablations.selection import Selections, select_settings
from fairlora_cls.ablations.statistics import (
    Contrast,
    OverSeeds,
    SettingResult,
    contrast_settings,
    pareto_front,
    summarise_settings,
)
from fairlora_cls.ablations.verdicts import EndpointOverSeeds, gather_verdicts
from fairlora_cls.errors import RunError
from fairlora_cls.evaluation.comparison_results import Comparison, Pair
from fairlora_cls.evaluation.comparison_wording import is_levelling_down, verdict_on

SCHEMA = 1


@dataclass(frozen=True)
class AblationReport:
    """Everything that the files of an ablation say. Rates are fractions in [0, 1]."""

    name: str
    reference: str
    n: int | None  # test examples of a run
    quantities: tuple[FollowedQuantity, ...]
    settings: tuple[SettingResult, ...]
    contrasts: tuple[Contrast, ...]
    selections: Selections | None
    runs: tuple[RunResult, ...]
    draws: int
    notes: tuple[str, ...]
    # Setting → what its runs' reports say of each declared endpoint.
    verdicts: Mapping[str, Sequence[EndpointOverSeeds]] = field(default_factory=dict)
    # Who gains, who loses: a pair per setting, means over the seeds; None: nothing in common.
    comparison: Comparison | None = None

    @property
    def metric(self) -> FollowedQuantity:
        """The metric that gaps are shown against."""
        return self.quantities[0]

    def gaps(self) -> list[FollowedQuantity]:
        """The first gap of every attribute."""
        first: dict[str, FollowedQuantity] = {}
        for quantity in self.quantities:
            if quantity.attribute:
                first.setdefault(quantity.attribute, quantity)
        return list(first.values())

    def plane(self, gap: FollowedQuantity) -> dict[str, tuple[float, float]]:
        """Setting → (metric, gap), where both are defined."""
        pairs = {
            setting.name: (setting.numbers[self.metric].mean, setting.numbers[gap].mean)
            for setting in self.settings
        }
        return {name: pair for name, pair in pairs.items() if None not in pair}

    def fronts(self) -> dict[FollowedQuantity, list[str]]:
        """Gap → the settings on its Pareto front."""
        return {gap: pareto_front(self.plane(gap)) for gap in self.gaps()}

    def leading(self) -> list[FollowedQuantity]:
        """What a short table shows: two metrics, and the first gap of each protected attribute."""
        protected = self.selections.attributes if self.selections else ()
        gaps = [gap for gap in self.gaps() if gap.attribute in protected] or self.gaps()
        return [q for q in self.quantities if not q.attribute][:2] + gaps

    def pair(self, setting: str) -> Pair | None:
        """A setting beside the reference on the same test images."""
        pairs = () if self.comparison is None else self.comparison.pairs
        return next((pair for pair in pairs if pair.other == setting), None)

    def to_dict(self, folder: Path) -> dict[str, Any]:
        """The contents of report.json: schema 1, null where a value is undefined."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "reference": self.reference,
            "n": self.n,
            "settings": [
                {
                    "name": setting.name,
                    "values": dict(setting.values),
                    "seeds": list(setting.seeds),
                    **_by_attribute(setting.numbers),
                    "verdicts": [
                        {
                            "attribute": each.attribute,
                            "endpoint": each.endpoint,
                            "verdicts": list(each.verdicts),
                            "worse": list(each.worse),
                        }
                        for each in self.verdicts.get(setting.name, ())
                    ],
                    "changes": self._changes(setting.name),
                }
                for setting in self.settings
            ],
            "comparisons": [
                {
                    "setting": contrast.setting,
                    "attribute": contrast.quantity.attribute or None,
                    "quantity": contrast.quantity.name,
                    "seeds": list(contrast.seeds),
                    "difference": contrast.mean,
                    "interval": contrast.interval,
                    "p_seeds": contrast.p_seeds,
                    "p_images": contrast.p_images,
                    "p_value": contrast.p_value,
                    "p_holm": contrast.p_holm,
                    "evidence": contrast.is_evidence,
                }
                for contrast in self.contrasts
            ],
            "pareto": {gap.attribute: front for gap, front in self.fronts().items()},
            "selection": None if self.selections is None else asdict(self.selections),
            "runs": [
                {
                    "setting": run.job.setting,
                    "seed": run.job.seed,
                    "status": run.status,
                    "folder": str(run.job.folder.relative_to(folder)),
                    "error": run.error or None,
                }
                for run in self.runs
            ],
            "notes": list(self.notes),
        }

    def _changes(self, setting: str) -> dict[str, Any]:
        """Attribute → every group's change against the reference, and what they say together."""
        pair = self.pair(setting)
        return {
            attribute: {
                "verdict": verdict_on(self.comparison, result)[0],
                "in_words": verdict_on(self.comparison, result)[1],
                "levelling_down": is_levelling_down(self.comparison, result),
                "groups": {
                    group: {"n": result.groups[group]}
                    | {name: asdict(change) for name, change in changes.items()}
                    for group, changes in result.changes.items()
                },
            }
            for attribute, result in (pair.attributes.items() if pair else ())
        }


def build_report(plan: Plan, results: Sequence[RunResult]) -> AblationReport:
    """All numbers of the report. Raises RunError where no run has finished."""
    quantities = headline_quantities(results)
    if not quantities:
        failed = next((result.error for result in results if result.error), "none was run")
        raise RunError(f"No run of the ablation '{plan.name}' has finished. The first: {failed}")
    settings = summarise_settings(plan, results, quantities)
    draws = plan.settings[0].recipe.report.bootstrap
    beside = compare_with_reference(results, plan.reference, quantities, draws)
    counts = {result.n for result in results if result.n is not None}
    return AblationReport(
        name=plan.name,
        reference=plan.reference,
        n=counts.pop() if len(counts) == 1 else None,
        quantities=tuple(quantities),
        settings=tuple(settings),
        contrasts=tuple(contrast_settings(settings, plan.reference, quantities, beside.p_images)),
        selections=select_settings(plan, results),
        runs=tuple(results),
        draws=draws,
        notes=(*_notes(plan, results), *beside.notes),
        verdicts={
            setting.name: gather_verdicts(
                [r for r in results if r.job.setting == setting.name and r.numbers]
            )
            for setting in settings
        },
        comparison=beside.comparison,
    )


def _notes(plan: Plan, results: Sequence[RunResult]) -> list[str]:
    notes = [
        f"The run {result.job.setting}, seed {result.job.seed}, failed: {result.error}"
        for result in results
        if result.status == "failed"
    ]
    waiting = sum(result.status == "waiting" for result in results)
    if waiting:
        notes.append(f"{waiting} of {len(results)} runs are not done yet.")
    notes += _said_by_runs([result for result in results if result.numbers])
    if len(plan.seeds) == 1:
        notes.append(
            "Every setting was run with one seed: intervals are over test images, and what training "
            "anew would change is not known."
        )
    if not any(r.numbers for r in results if r.job.setting == plan.reference):
        notes.append(
            f"The reference setting, {plan.reference}, has no finished run to compare with."
        )
    return notes


def _said_by_runs(finished: Sequence[RunResult]) -> list[str]:
    """What runs had to say, each sentence once: of all of them, or of those it names."""
    said: dict[str, list[RunResult]] = {}
    for result in finished:
        for note in result.notes:
            said.setdefault(note, []).append(result)
    notes = []
    for note, runs in said.items():
        names = "; ".join(f"{run.job.setting}, seed {run.job.seed}" for run in runs)
        notes.append(note if len(runs) == len(finished) else f"{names}: {note}")
    return notes


def _by_attribute(numbers: Mapping[FollowedQuantity, OverSeeds]) -> dict[str, Any]:
    attributes: dict[str, dict[str, Any]] = {"": {}}
    for quantity, values in numbers.items():
        attributes.setdefault(quantity.attribute, {})[quantity.name] = asdict(values)
    return {"overall": attributes.pop(""), "attributes": attributes}
