"""Is the power that a report states real? Studies with the gap that it calls findable, simulated.

    python benchmarks/power.py run --output benchmarks/results/power.csv
    python benchmarks/power.py table benchmarks/results/power.csv

Of each setting a test set without any gap is measured, which gives the smallest gap that the report
says would be found in 80 % of studies. Then studies are drawn in which the smallest group lags by
that much, and each is tested as a report tests it: group names dealt out anew, p up to 5 %. Areas
come from normal scores of positives and negatives. Some minutes of one core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from over_seeds import append_rows, read_rows
from scipy.stats import norm

from fairlora_cls.evaluation.class_sample import ClassSample, class_sample
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.measuring import gap_result, gap_results, measure_groups
from fairlora_cls.evaluation.metrics import GAPS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import Power
from fairlora_cls.statistics import draws as drawing
from fairlora_cls.statistics.intervals import SIGNIFICANCE
from fairlora_cls.statistics.sample import Measures, stacked

DRAWS = 1000  # as many as a report makes by default
COLUMNS = ("setting", "stated_gap", "needed_per_group", "studies", "found")


@dataclass(frozen=True)
class Setting:
    """A test set in which every group is equally good; the last one will lag."""

    metric: str
    level: float
    positives: tuple[int, ...]  # of each group
    negatives: tuple[int, ...]

    @property
    def codes(self) -> np.ndarray:
        sizes = np.add(self.positives, self.negatives)
        return np.repeat(np.arange(len(sizes)), sizes)

    @property
    def grouping(self) -> Grouping:
        return Grouping(tuple(f"group {code}" for code in range(len(self.positives))), self.codes)

    @property
    def labels(self) -> np.ndarray:
        counts = zip(self.negatives, self.positives, strict=True)
        return np.concatenate([np.repeat([0, 1], each) for each in counts])


def _sensitivity(level: float, *positives: int) -> Setting:
    return Setting("sensitivity", level, positives, (0,) * len(positives))


SETTINGS = {
    "sensitivity .97, 1000 + 60": _sensitivity(0.97, 1000, 60),
    "sensitivity .90, 500 + 40": _sensitivity(0.90, 500, 40),
    "sensitivity .85, 2000 + 200 + 50": _sensitivity(0.85, 2000, 200, 50),
    "sensitivity .80, 1000 + 1000": _sensitivity(0.80, 1000, 1000),
    "AUROC .85, 300 + 40 of either kind": Setting("auroc", 0.85, (300, 40), (300, 40)),
}


def stated_power(setting: Setting) -> Power:
    """What a report says of the power of a test set whose groups are all at the level."""
    sizes = [
        count for group in zip(setting.negatives, setting.positives, strict=True) for count in group
    ]
    evenly = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    sample = _sample(setting, np.full(len(setting.positives), setting.level), evenly)
    everyone = Grouping(("everyone",), np.zeros_like(setting.codes))
    generator = np.random.default_rng(0)
    pooled = measure_groups(sample, everyone, DRAWS, generator)
    measured = measure_groups(sample, setting.grouping, DRAWS, generator)
    return gap_results(measured, pooled)[f"{setting.metric}_gap"].power


def studies_found(setting: Setting, gap: float, studies: int) -> int:
    """In how many of the studies the report's test finds the smallest group's lag."""
    generator, grouping = np.random.default_rng(1), setting.grouping
    levels = np.full(len(grouping.names), setting.level)
    levels[-1] -= gap
    nulls: dict[
        int, Measures
    ] = {}  # of shares: by the number of hits, which decides what chance gives
    found = 0
    for _ in range(studies):
        sample = _sample(setting, levels, generator.random(len(grouping.codes)))
        if setting.metric == "sensitivity":
            sample, hits = sample.quick(), int(sample.predictions.sum())
            null = nulls.get(hits) or _null(sample, grouping, generator)
            nulls[hits] = null
        else:
            sample = replace(sample, counted=False)  # only what needs the probabilities
            null = _null(sample, grouping, generator)
        members = [
            sample.rows(np.flatnonzero(grouping.codes == code)) for code in range(len(levels))
        ]
        ones = [np.ones((1, len(part)), dtype=np.int32) for part in members]
        values = stacked([part.weighted(own) for part, own in zip(members, ones, strict=True)])
        tested = gap_result(
            GAPS[f"{setting.metric}_gap"],
            grouping.names,
            {setting.metric: values[setting.metric][0]},
            {setting.metric: np.empty((0, len(levels)))},
            null,
            {setting.metric: "higher"},
        )
        found += tested.p_value <= SIGNIFICANCE
    return found


def _null(sample: ClassSample, grouping: Grouping, generator: np.random.Generator) -> Measures:
    codes, groups = grouping.codes, len(grouping.names)
    return drawing.null(sample, codes, groups, DRAWS, generator, exact=True)


def _sample(setting: Setting, levels: np.ndarray, places: np.ndarray) -> ClassSample:
    """Groups at these levels. places: (N,) in 0 .. 1, where an example stands among its like."""
    level, labels = levels[setting.codes], setting.labels
    if setting.metric == "sensitivity":
        scores = np.where(places < level, 0.9, 0.1)
    else:  # two normal scores so far apart have that area between them
        scores = norm.cdf(norm.ppf(places) + np.sqrt(2) * norm.ppf(level) * (labels - 0.5))
    return class_sample(
        Predictions(
            ids=tuple(map(str, range(len(scores)))),
            labels=labels,
            predictions=(scores > 0.5).astype(int),
            probabilities=np.column_stack([1 - scores, scores]),
            classes=("no", "yes"),
            attributes={},
        )
    )


def run_all(path: Path, studies: int) -> None:
    """Each setting as a row of COLUMNS; those that the CSV holds are not run again."""
    known = {row["setting"] for row in read_rows(path)}
    for name, setting in SETTINGS.items():
        if name in known:
            continue
        started, power = time.perf_counter(), stated_power(setting)
        row = {
            "setting": name,
            "stated_gap": f"{power.detectable:.4f}",
            "needed_per_group": power.needed_per_group,
            "studies": studies,
            "found": studies_found(setting, power.detectable, studies),
        }
        append_rows(path, COLUMNS, [row])
        print(f"{name}: {row['found']} of {studies} in {time.perf_counter() - started:.0f} s")


def table(path: Path) -> str:
    """The rows as Markdown, with the Monte-Carlo standard error of each share."""
    lines = [
        "| test set | smallest gap that would be found | found in | needed per group for 5 points |",
        "| --- | --- | --- | --- |",
    ]
    for row in read_rows(path):
        share, studies = int(row["found"]) / int(row["studies"]), int(row["studies"])
        error = np.sqrt(share * (1 - share) / studies)
        lines.append(
            f"| {row['setting']} | {100 * float(row['stated_gap']):.1f} points | {100 * share:.1f} ± "
            f"{100 * error:.1f} % | {int(row['needed_per_group']):,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--output", type=Path, required=True)
    running.add_argument("--studies", type=int, default=2000, help="of each setting")
    commands.add_parser("table").add_argument("rows", type=Path)
    asked = parser.parse_args()
    if asked.command == "run":
        run_all(asked.output, asked.studies)
    else:
        print(table(asked.rows))


if __name__ == "__main__":
    main()
