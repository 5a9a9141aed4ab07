"""Every method on the simulated fundus cohort, over seeds: does it help, and how sure is that?

    python benchmarks/objectives.py run --output benchmarks/results/objectives.csv --seeds 5
    python benchmarks/objectives.py table benchmarks/results/objectives.csv

A seed draws its own cohort and decides all of training, so that an interval over seeds covers
both; methods are compared within seeds. Training and validation (2,000 and 500 eyes) are the
default cohort's. The test split has 1,000 eyes of each group of ethnicity: of 2,000 eyes drawn as
in the population some 85 are Hispanic, and the chance in who they are is larger than any effect
here. Rows that the CSV holds are not run again; `--share 0/2` and `--share 1/2` divide the work
between two processes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equal_eyes import ATTRIBUTE, EQUAL_GROUPS, TEST, group_numbers
from over_seeds import append_rows, known_runs, read_rows, seeds_table

from fairlora_cls.data.simulated.cohorts import write_cohort, write_table
from fairlora_cls.data.simulated.fundus import DEFAULT_FUNDUS_MECHANISM, FUNDUS
from fairlora_cls.files import cache_folder, whole_folder

MICRO = ["objective.statistics=micro_batch", "training.micro_batch_size=2"]
MUTUAL = f"objective.mutual_information.weights={{{ATTRIBUTE}: 0.6}}"
RELEASED = "objective.mutual_information.variant=released"

# Label → recipe keys. Every method at its default λ; the papers' values where they give one.
METHODS: Mapping[str, Sequence[str]] = {
    "vanilla": ["objective.method=vanilla"],
    "fr": ["objective.method=fr"],
    "gr": ["objective.method=gr"],
    "hybrid": ["objective.method=hybrid"],
    "reweighting": ["objective.method=reweighting"],
    "resampling": ["objective.method=resampling"],
    "group-dro": ["objective.method=group-dro"],
    "loss-variance": ["objective.method=loss-variance"],
    "smooth-range": ["objective.method=smooth-range"],
    "worst-group": ["objective.method=worst-group"],
    "score-distance": ["objective.method=score-distance"],
    "adversarial": ["objective.method=adversarial"],
    "adversarial, pretrained": [
        "objective.method=adversarial",
        "objective.adversary.training=pretrained",
    ],
    "mutual information, paper": ["objective.method=vanilla", MUTUAL],
    "mutual information, released": ["objective.method=vanilla", MUTUAL, RELEASED],
}
COUPLED = [  # those whose loss depends on what shares a batch
    "fr",
    "gr",
    "hybrid",
    "mutual information, paper",
    "mutual information, released",
    "group-dro",
    "loss-variance",
    "smooth-range",
    "worst-group",
    "score-distance",
]
WHY = {  # what would have to change for `fr` to work
    "fr, λ 2": ["objective.method=fr", "objective.gap_weight=2"],
    "fr, λ 5": ["objective.method=fr", "objective.gap_weight=5"],
    "fr, λ 20": ["objective.method=fr", "objective.gap_weight=20"],
    "fr, λ 2, learning rate × 3": [
        "objective.method=fr",
        "objective.gap_weight=2",
        "training.learning_rate=1e-3",
        "training.head_learning_rate=3e-3",
    ],
    "fr, running": ["objective.method=fr", "objective.statistics=running"],
    "fr, λ 5, running": [
        "objective.method=fr",
        "objective.gap_weight=5",
        "objective.statistics=running",
    ],
    "fr, stratified": ["objective.method=fr", "training.sampler=stratified"],
    "fr, λ 2, batch of 64": [
        "objective.method=fr",
        "objective.gap_weight=2",
        "training.batch_size=64",
        "training.learning_rate=1e-3",
        "training.head_learning_rate=3e-3",
        "training.warmup_steps=12",
    ],
    "fr, λ 2, balanced": [
        "objective.method=fr",
        "objective.gap_weight=2",
        "training.sampler=balanced",
    ],
}
# The same number of training eyes, a third of each group: what the images allow, were all groups
# as common. A method that only shifts weight between the eyes it has cannot be expected beyond it.
EQUAL = {"vanilla, groups equal in training": ["objective.method=vanilla"]}
SETTINGS: Mapping[str, Sequence[str]] = {
    **METHODS,
    **{f"{name} | micro-batch": [*METHODS[name], *MICRO] for name in COUPLED},
    **WHY,
    **EQUAL,
}
TRAIN, VALIDATION = 2000, 500  # eyes
OF_GROUPS = (
    "accuracy",
    "auroc",
    "max_acc_gap",
    "equalized_odds_difference",
    "worst_group_accuracy",
    "hispanic_auroc",
    "hispanic_sensitivity",
    "hispanic_specificity",
)
COLUMNS = (
    "setting",
    "seed",
    *OF_GROUPS,
    "gap_by_chance",
    "penalty_active",
    "best_epoch",
    "probe_before",
    "probe_after",
    "training_seconds",
)
COMPARED = ("max_acc_gap", "equalized_odds_difference", "hispanic_auroc")
SHOWN = ("accuracy", "auroc", *COMPARED, "penalty_active")


def cohort_folder(seed: int, *, equal_training: bool) -> Path:
    """A cohort with as many test eyes of every group, drawn into the cache if new; a table."""
    kind = "equal" if equal_training else "population"
    folder = cache_folder() / "cohorts" / f"benchmark-objectives-{kind}-{seed}"
    learning = EQUAL_GROUPS if equal_training else DEFAULT_FUNDUS_MECHANISM
    if folder.is_dir():
        return folder
    with whole_folder(folder) as draft:
        rows: list[dict[str, str]] = []
        for name, mechanism, counts in (
            ("learning", learning, {"train": TRAIN, "validation": VALIDATION, "test": 0}),
            ("test", EQUAL_GROUPS, {"train": 0, "validation": 0, "test": TEST}),
        ):
            write_cohort(FUNDUS, draft / name, **counts, seed=seed, mechanism=mechanism)
            for row in read_rows(draft / name / "table.csv"):
                rows.append(row | {"image": f"{name}/{row['image']}"})
        write_table(draft / "table.csv", rows)
    return folder


def run_one(setting: str, seed: int, folder: Path) -> dict[str, Any]:
    """One whole run through the package's own `train`, as a row of COLUMNS."""
    from fairlora_cls.recipe import build_recipe
    from fairlora_cls.runs import train as run

    probed = setting.split(" |")[0] in ("vanilla", *(m for m in METHODS if "," in m), "adversarial")
    keys = [
        f"seed={seed}",
        "data.source=table",
        f"data.path={cohort_folder(seed, equal_training=setting in EQUAL)}",
        f"data.options={{attributes: [{ATTRIBUTE}], classes: ['no', 'yes']}}",
        f"data.sensitive=[{ATTRIBUTE}]",
        "report.bootstrap=100",
        f"report.probes={str(probed).lower()}",
        *SETTINGS[setting],
    ]
    outcome = run.train(build_recipe({}, keys), folder)
    report, training = outcome.report.to_dict(), outcome.state["training"]
    numbers = group_numbers(report)
    gap = report["attributes"][ATTRIBUTE]["gaps"]["max_acc_gap"]
    probe = outcome.state.get("probes", {}).get(ATTRIBUTE, {}).get("head_input")
    active = training["penalty_active"].values()
    return {
        "setting": setting,
        "seed": seed,
        **{name: numbers[name] for name in OF_GROUPS},
        "gap_by_chance": gap["null_mean"],
        "penalty_active": max(active) if active else "",
        "best_epoch": training["best_epoch"],
        "probe_before": probe["before"]["auroc"] if probe else "",
        "probe_after": probe["after"]["auroc"] if probe else "",
        "training_seconds": outcome.state["timings"]["seconds"]["training"],
    }


def run_all(
    path: Path, seeds: int, share: int, shares: int, only: Sequence[str], runs: Path | None
) -> None:
    """Seed by seed, so that a stopped benchmark has every setting the same number of times.

    The run folders are kept below `runs`, as SETTING/seed-N, or deleted.
    """
    jobs = [(name, seed) for seed in range(1, seeds + 1) for name in only or SETTINGS]
    for name, seed in jobs[share::shares]:
        if (name, str(seed)) in known_runs(path):
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            folder = (runs or Path(scratch)) / name.replace(" |", ",") / f"seed-{seed}"
            append_rows(path, COLUMNS, [run_one(name, seed, folder)])
        print(f"{name}, seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)


def table(path: Path, columns: Sequence[str]) -> str:
    """Every setting beside `vanilla` of the same seeds, in the order of SETTINGS."""
    order = list(SETTINGS)
    rows = sorted(read_rows(path), key=lambda row: (order.index(row["setting"]), int(row["seed"])))
    return seeds_table(rows, "vanilla", columns, COMPARED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    runner = verbs.add_parser("run")
    runner.add_argument("--output", type=Path, required=True)
    runner.add_argument("--seeds", type=int, default=5)
    runner.add_argument("--share", default="0/1", help="this process's part, such as 0/2")
    runner.add_argument("--only", nargs="*", default=[], choices=list(SETTINGS))
    runner.add_argument("--runs", type=Path, help="keep the run folders here")
    teller = verbs.add_parser("table")
    teller.add_argument("results", type=Path)
    teller.add_argument("--columns", nargs="+", default=SHOWN, choices=COLUMNS[2:])
    arguments = parser.parse_args()
    if arguments.verb == "table":
        print(table(arguments.results, arguments.columns))
        return
    share, shares = map(int, arguments.share.split("/"))
    run_all(arguments.output, arguments.seeds, share, shares, arguments.only, arguments.runs)


if __name__ == "__main__":
    main()
