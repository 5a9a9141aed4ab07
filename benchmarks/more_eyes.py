"""The runs of an ablation on the simulated cohort, asked about more eyes: 1,000 of each ethnicity.

    python benchmarks/more_eyes.py run runs/glaucoma-table1 --output more-eyes.csv --thresholds vanilla
    python benchmarks/more_eyes.py table more-eyes.csv --reference vanilla

A test split of 2,000 eyes drawn as in the population has some 85 Hispanic eyes: one of them is more
than a point of the gap. The same models, on new eyes of the same mechanism in equal numbers, show
how large their gap is. `--thresholds SETTING` adds that setting's models with thresholds by group,
which fairlearn's ThresholdOptimizer chooses on the run's validation predictions (equalized odds):
what needs no training. Runs that the CSV holds are not evaluated again.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from objectives import EQUAL_GROUPS, POPULATION, TEST, mean_and_interval, plus_minus, read_rows

from fairlora_cls.data.simulation import write_fundus_cohort
from fairlora_cls.files import cache_folder

SEED = 1000  # no run's cohort
COLUMNS = (
    "setting",
    "seed",
    "accuracy",
    "auroc",
    "hispanic_accuracy",
    "max_acc_gap",
    "equalized_odds_difference",
    "hispanic_sensitivity",
    "non_hispanic_sensitivity",
)


def evaluate_ablation(ablation: Path, output: Path, by_thresholds: Sequence[str]) -> None:
    """A row of `output` for every finished run that it does not hold yet, and another with
    thresholds by group for the settings named."""
    from fairlora_cls.evaluation.postprocessing import postprocess_predictions
    from fairlora_cls.evaluation.prediction_table import read_predictions
    from fairlora_cls.evaluation.report import fairness_report
    from fairlora_cls.run_folder import split_predictions
    from fairlora_cls.saved_run import evaluate

    eyes = cache_folder() / "cohorts" / f"benchmark-more-eyes-{SEED}"
    if not eyes.is_dir():
        write_fundus_cohort(
            eyes, train=0, validation=0, test=TEST, seed=SEED, mechanism=EQUAL_GROUPS
        )
    data = {
        "source": "table",
        "path": str(eyes),
        "options": {"attributes": ["ethnicity", "race", "sex"], "classes": ["no", "yes"]},
    }
    known = {(row["setting"], row["seed"]) for row in read_rows(output)}
    for run in read_rows(ablation / "ablation.csv"):
        if run["status"] != "complete" or (run["setting"], run["seed"]) in known:
            continue
        folder = ablation / run["folder"]
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch) / "evaluation"
            report = evaluate(folder, data=data, output=place).report
            answers = read_predictions(place / "predictions.csv")
        rows = [summarise(run["setting"], run["seed"], report.to_dict())]
        if run["setting"] in by_thresholds:
            fitted_on = read_predictions(split_predictions(folder, "validation"))
            moved = postprocess_predictions(answers, fitted_on, "ethnicity")
            report = fairness_report(moved, ["ethnicity"], bootstrap=0)
            name = f"{run['setting']}, thresholds by group"
            rows.append(summarise(name, run["seed"], report.to_dict()))
        new = not output.is_file()
        with output.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)


def summarise(setting: str, seed: str, report: Mapping) -> dict[str, str]:
    """`accuracy` weights the groups as in the population; `auroc` is of the equal groups."""
    found = report["attributes"]["ethnicity"]
    groups, gaps = found["groups"], found["gaps"]
    numbers = {
        "accuracy": sum(p * groups[g]["accuracy"]["value"] for g, p in POPULATION.items()),
        "auroc": report["overall"]["auroc"]["value"],
        "hispanic_accuracy": groups["Hispanic"]["accuracy"]["value"],
        "max_acc_gap": gaps["max_acc_gap"]["value"],
        "equalized_odds_difference": gaps["equalized_odds_difference"]["value"],
        "hispanic_sensitivity": groups["Hispanic"]["sensitivity"]["value"],
        "non_hispanic_sensitivity": groups["Non-Hispanic"]["sensitivity"]["value"],
    }
    values = {name: f"{value:.6g}" for name, value in numbers.items()}
    return {"setting": setting, "seed": seed, **values}


def table(path: Path, reference: str) -> str:
    """Markdown: mean ± half of the 95 % t-interval over seeds; two quantities paired with the
    reference, with the p-value of a paired t-test."""
    from scipy.stats import ttest_rel

    rows: dict[str, dict[str, dict[str, str]]] = {}
    for row in read_rows(path):
        rows.setdefault(row["setting"], {})[row["seed"]] = row
    paired = ("max_acc_gap", "equalized_odds_difference")
    head = ["setting", "seeds", *COLUMNS[2:], *(f"{name} − {reference}'s" for name in paired)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for setting, found in rows.items():
        cells = [setting, str(len(found))]
        for name in COLUMNS[2:]:
            cells.append(plus_minus(*mean_and_interval([float(r[name]) for r in found.values()])))
        both = [seed for seed in found if seed in rows[reference]]
        for name in paired:
            own, other = ([float(r[seed][name]) for seed in both] for r in (found, rows[reference]))
            difference = mean_and_interval([x - y for x, y in zip(own, other, strict=True)])
            p = f" (p {ttest_rel(own, other).pvalue:.2g})" if len(both) > 1 else ""
            cells.append("" if setting == reference else plus_minus(*difference, "+") + p)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    runner = verbs.add_parser("run")
    runner.add_argument("ablation", type=Path, help="folder of a finished ablation")
    runner.add_argument("--output", type=Path, required=True, help="CSV")
    runner.add_argument("--thresholds", nargs="*", default=[], help="settings to post-process too")
    teller = verbs.add_parser("table")
    teller.add_argument("results", type=Path)
    teller.add_argument("--reference", required=True)
    arguments = parser.parse_args()
    if arguments.verb == "table":
        print(table(arguments.results, arguments.reference))
    else:
        evaluate_ablation(arguments.ablation, arguments.output, arguments.thresholds)


if __name__ == "__main__":
    main()
