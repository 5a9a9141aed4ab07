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
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equal_eyes import ATTRIBUTE, EQUAL_GROUPS, TEST, group_numbers
from over_seeds import append_rows, known_runs, read_rows, seeds_table

from fairlora_cls.data.simulated.cohorts import write_cohort
from fairlora_cls.data.simulated.fundus import FUNDUS
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
COMPARED = ("max_acc_gap", "equalized_odds_difference")


def evaluate_ablation(ablation: Path, output: Path, by_thresholds: Sequence[str]) -> None:
    """A row of `output` for every finished run that it does not hold yet, and another with
    thresholds by group for the settings named."""
    from fairlora_cls.evaluation.postprocessing import postprocess_predictions
    from fairlora_cls.evaluation.prediction_table import read_predictions
    from fairlora_cls.evaluation.report import fairness_report
    from fairlora_cls.runs.folder import split_predictions
    from fairlora_cls.runs.saved import evaluate

    eyes = cache_folder() / "cohorts" / f"benchmark-more-eyes-{SEED}"
    if not eyes.is_dir():
        write_cohort(
            FUNDUS, eyes, train=0, validation=0, test=TEST, seed=SEED, mechanism=EQUAL_GROUPS
        )
    data = {
        "source": "table",
        "path": str(eyes),
        "options": {"attributes": ["ethnicity", "race", "sex"], "classes": ["no", "yes"]},
    }
    known = known_runs(output)
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
            moved = postprocess_predictions(answers, fitted_on, ATTRIBUTE)
            report = fairness_report(moved, [ATTRIBUTE], bootstrap=0)
            name = f"{run['setting']}, thresholds by group"
            rows.append(summarise(name, run["seed"], report.to_dict()))
        append_rows(output, COLUMNS, rows)


def summarise(setting: str, seed: str, report: Mapping[str, Any]) -> dict[str, str]:
    numbers = group_numbers(report)
    values = {name: f"{numbers[name]:.6g}" for name in COLUMNS[2:]}
    return {"setting": setting, "seed": seed, **values}


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
        rows = read_rows(arguments.results)
        print(seeds_table(rows, arguments.reference, COLUMNS[2:], COMPARED))
    else:
        evaluate_ablation(arguments.ablation, arguments.output, arguments.thresholds)


if __name__ == "__main__":
    main()
