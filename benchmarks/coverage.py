"""How often does an interval of the report hold the truth? Simulated, for every metric and gap.

    python benchmarks/coverage.py run --output benchmarks/results/coverage.csv
    python benchmarks/coverage.py table benchmarks/results/coverage.csv

Scores are normal, with the AUROC that a setting names, and the probabilities are right; the truth is
that of 200,000 examples of each group. Where there are patients, 30 % of a score's variance is
theirs, and each has ten images. A row of the CSV is one number in one setting: how many data sets
had it, how many had an interval, and in how many of these it held the truth. Settings that the CSV
holds are not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from over_seeds import append_rows, read_rows
from scipy.stats import norm

from fairlora_cls.evaluation.class_sample import ClassSample
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.measuring import (
    Measured,
    equity_results,
    gap_results,
    group_estimates,
)
from fairlora_cls.statistics.draws import bootstrap

RESAMPLES = 200
IMAGES, SHARED = 10, 0.3  # of a patient; and how much of a score's variance is the patient's
OF_TRUTH = 200_000
LEAST = 50  # data sets with an interval, for a coverage to be told
AIM = (0.93, 0.975)
COLUMNS = (
    "setting", "number", "truth", "data_sets", "with_interval", "covered", "method", "width",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """Groups of examples, or of patients, that differ in nothing but their AUROC."""

    sizes: tuple[int, ...]
    prevalence: float
    areas: tuple[float, ...]
    of_patients: bool = False
    classes: int = 2

    @property
    def name(self) -> str:
        counted = f"patients of {IMAGES} images" if self.of_patients else "examples"
        sizes, areas = (" + ".join(map(str, each)) for each in (self.sizes, self.areas))
        of_classes = "" if self.classes == 2 else f", {self.classes} classes"
        return f"{sizes} {counted}, prevalence {self.prevalence}, AUROC {areas}{of_classes}"


ALONE = [
    Setting((size,), prevalence, (area,))
    for size, prevalence, area in product((20, 50, 200, 2000), (0.1, 0.5), (0.7, 0.9, 0.99))
]
PATIENTS = [
    Setting((size,), 0.3, (area,), of_patients=True)
    for size, area in product((3, 6, 12, 50, 300), (0.8, 0.97))
]
CLASSES = [
    Setting((size,), 0.33, (area,), classes=3) for size, area in product((60, 600), (0.8, 0.97))
]
GAPS = [
    Setting(sizes, prevalence, (round(area - lag, 2), *(area,) * (len(sizes) - 1)))
    for sizes, (prevalence, area), lag in product(
        ((50, 50), (60, 1000), (500, 500), (76, 108, 1816), (200,) * 6),
        ((0.5, 0.8), (0.2, 0.95)),
        (0.0, 0.1),
    )
]
PATIENT_GAPS = [
    Setting(sizes, 0.4, (round(0.85 - lag, 2), 0.85), of_patients=True)
    for sizes, lag in product(((6, 30), (20, 20), (100, 100)), (0.0, 0.1))
]
SETTINGS = {each.name: each for each in (*ALONE, *PATIENTS, *CLASSES, *GAPS, *PATIENT_GAPS)}


def draw(setting: Setting, sizes: tuple[int, ...], generator: np.random.Generator):
    """A sample of the setting, and the group of each example."""
    parts = [
        _group(setting, size, area, generator)
        for size, area in zip(sizes, setting.areas, strict=True)
    ]
    labels, scores, probabilities = map(np.concatenate, zip(*parts, strict=True))
    is_binary = setting.classes == 2
    answers = (scores > 0).astype(int) if is_binary else probabilities.argmax(axis=1)
    images = IMAGES if setting.of_patients else 1
    codes = np.repeat(np.arange(len(sizes)), np.array(sizes) * images)
    units = np.arange(len(codes)) // images if setting.of_patients else None
    sample = ClassSample(
        labels,
        answers,
        probabilities,
        setting.classes - 1,
        None if units is None else units.astype(str),
        probabilities,
        by_class=True,
    )
    return sample, codes


def _group(setting: Setting, size: int, area: float, generator: np.random.Generator):
    """Labels, scores and right probabilities."""
    count = size * IMAGES if setting.of_patients else size
    apart = np.sqrt(2) * norm.ppf(area)
    if setting.classes > 2:
        labels = generator.integers(0, setting.classes, count)
        scores = generator.normal(size=(count, setting.classes))
        scores[np.arange(count), labels] += apart
        chances = np.exp(apart * scores)
        return labels, labels, chances / chances.sum(axis=1, keepdims=True)
    labels = (generator.random(count) < setting.prevalence).astype(int)
    noise = generator.normal(size=count)
    if setting.of_patients:
        of_patient = np.repeat(generator.normal(size=size), IMAGES)
        noise = np.sqrt(SHARED) * of_patient + np.sqrt(1 - SHARED) * noise
    scores = noise + apart * (labels - 0.5)
    odds = np.log(setting.prevalence / (1 - setting.prevalence)) + apart * scores
    positive = 1 / (1 + np.exp(-odds))
    return labels, scores, np.column_stack([1 - positive, positive])


def measured(
    sample: ClassSample, codes: np.ndarray, resamples: int, generator: np.random.Generator
) -> Measured:
    """As `measure_groups`, without chance, which no interval needs."""
    groups = int(codes.max()) + 1
    members = [sample.rows(np.flatnonzero(codes == code)) for code in range(groups)]
    each = [part.weighted(np.ones((1, len(part)), dtype=np.int32)) for part in members]
    return Measured(
        sample,
        Grouping(tuple(f"g{code}" for code in range(groups)), codes),
        np.zeros(groups, dtype=bool),
        sample.sizes(codes, groups),
        None,
        {key: np.array([of_group[key][0] for of_group in each]) for key in each[0]},
        sample.counts(codes, groups),
        sample.independent(codes, groups),
        bootstrap(sample, codes, groups, resamples, generator),
        None,
        {},
    )


def numbers(setting: Setting, sample: ClassSample, codes: np.ndarray, resamples, generator):
    """Every number of the setting with its interval, by name: of one group its metrics, of several
    the gaps and equity-scaled scores."""
    own = measured(sample, codes, resamples, generator)
    if len(setting.sizes) == 1:
        return group_estimates(own, 0)
    everyone = measured(sample, np.zeros_like(codes), resamples, generator)
    return gap_results(own) | equity_results(own, everyone)


def truths(setting: Setting) -> Mapping[str, float]:
    """What all numbers would be of very many examples: the groups' shares of the whole as they are."""
    generator = np.random.default_rng(0)
    setting = replace(setting, of_patients=False)  # the patients' share changes no mean
    sizes = np.array(setting.sizes)
    sample, codes = draw(setting, (OF_TRUTH,) * len(sizes), generator)
    by_group = measured(sample, codes, 0, generator).values
    if len(sizes) == 1:
        return {name: float(by_group[name][0]) for name in sample.metrics}
    shares = (OF_TRUTH * sizes / sizes.max()).astype(int)
    whole, own = draw(setting, tuple(shares.tolist()), generator)
    overall = measured(whole, np.zeros_like(own), 0, generator).values
    found = {name: float(gap.values(by_group)) for name, gap in sample.gaps.items()}
    for name, score in sample.equity_scaled.items():
        found[name] = float(score.function(overall[score.metric][0], by_group[score.metric]))
    if len(set(setting.areas)) == 1:  # exactly equal, whatever the draws
        for name, gap in sample.gaps.items():
            found[name] = 1.0 if gap.kind == "ratio" else 0.0
        for name, score in sample.equity_scaled.items():
            found[name] = float(overall[score.metric][0])
    return found


def run_one(setting: Setting, data_sets: int) -> list[dict[str, Any]]:
    """Rows of COLUMNS."""
    true = truths(setting)
    defined, covered, widths, methods = ({name: [] for name in true} for _ in range(4))
    for seed in range(1, data_sets + 1):
        generator = np.random.default_rng([seed, *setting.sizes])
        sample, codes = draw(setting, setting.sizes, generator)
        for name, found in numbers(setting, sample, codes, RESAMPLES, generator).items():
            if found.value is None:
                continue
            defined[name].append(found.interval is not None)
            if found.interval is None:
                methods[name].append(found.interval_method)
                continue
            low, high = found.interval
            methods[name].append(found.interval_method)
            covered[name].append(low - 1e-9 <= true[name] <= high + 1e-9)
            widths[name].append(high - low)
    return [
        {
            "setting": setting.name,
            "number": name,
            "truth": f"{true[name]:.4f}",
            "data_sets": len(defined[name]),
            "with_interval": sum(defined[name]),
            "covered": sum(covered[name]),
            "method": " / ".join(sorted(set(methods[name]))),
            "width": f"{np.mean(widths[name]):.4f}" if widths[name] else "",
        }
        for name in true
    ]


FAMILIES: Mapping[str, tuple[tuple[str, list[Setting]], ...]] = {
    "metric": (
        ("20 to 50 examples", [s for s in ALONE if s.sizes[0] <= 50]),
        ("200 to 2,000", [s for s in ALONE if s.sizes[0] > 50]),
        ("3 to 12 patients", [s for s in PATIENTS if s.sizes[0] <= 12]),
        ("50 to 300 patients", [s for s in PATIENTS if s.sizes[0] > 12]),
        ("3 classes", CLASSES),
    ),
    "gap or score": (
        ("equal groups", [s for s in GAPS if len(set(s.areas)) == 1]),
        ("one lags", [s for s in GAPS if len(set(s.areas)) > 1]),
        ("patients, equal", [s for s in PATIENT_GAPS if len(set(s.areas)) == 1]),
        ("patients, one lags", [s for s in PATIENT_GAPS if len(set(s.areas)) > 1]),
    ),
}


def run_all(path: Path, data_sets: int, only: str) -> None:
    """Setting by setting, so that what a stopped benchmark has is whole."""
    known = {row["setting"] for row in read_rows(path)}
    for name, setting in SETTINGS.items():
        if name not in known and only in name:
            append_rows(path, COLUMNS, run_one(setting, data_sets))
            print(name, flush=True)


def table(path: Path) -> str:
    """Percent of the intervals that hold the truth, over the settings of each family: the median, the
    least and the most, and in how many of the settings hardly a data set has an interval."""
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for row in read_rows(path):
        rows.setdefault(row["number"], {})[row["setting"]] = row
    blocks = []
    for kind, families in FAMILIES.items():
        lines = [[kind, *(title for title, _ in families)]]
        lines.append(["---"] * len(lines[0]))
        names = {s.name for _, settings in families for s in settings}
        for number, of_number in rows.items():
            if names & set(of_number):
                cells = (
                    _cell([of_number[s.name] for s in settings if s.name in of_number])
                    for _, settings in families
                )
                lines.append([number, *cells])
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(blocks)


def _cell(rows: list[dict[str, str]]) -> str:
    """'95.0 (93.2 to 97.1); none in 2 of 12'."""
    told = [row for row in rows if int(row["with_interval"]) >= LEAST]
    text = ""
    if told:
        shares = [100 * int(row["covered"]) / int(row["with_interval"]) for row in told]
        text = f"{np.median(shares):.1f} ({min(shares):.1f} to {max(shares):.1f})"
    if len(told) < len(rows):
        text += f"{'; ' if text else ''}none in {len(rows) - len(told)} of {len(rows)}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    runner = verbs.add_parser("run")
    runner.add_argument("--output", type=Path, required=True)
    runner.add_argument("--data-sets", type=int, default=400, help="of each setting")
    runner.add_argument("--only", default="", help="settings whose name has this text")
    teller = verbs.add_parser("table")
    teller.add_argument("results", type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "table":
        print(table(arguments.results))
    else:
        run_all(arguments.output, arguments.data_sets, arguments.only)


if __name__ == "__main__":
    main()
