"""Which way does soft MaxAccGap push a rare group, batch by batch?

    python benchmarks/penalty_direction.py runs/glaucoma-table1/vanilla/seed-42 --attribute ethnicity --group Hispanic

The penalty raises the probability of the true class in the group where its mean is lowest and
lowers it where it is highest (glaucoma paper, eq. 7). In a batch of 8 a rare group is one example
or none, and its mean is as uncertain as one answer: this draws batches from a run's test
predictions and counts how often the group would be pushed up, and how often down.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fairlora_cls.evaluation.prediction_table import read_predictions
from fairlora_cls.runs.folder import split_predictions

BATCHES = (8, 16, 64, 256)  # examples
DRAWS = 20_000


def directions(
    true_probability: np.ndarray, codes: np.ndarray, group: int, size: int, draws: int
) -> tuple[float, float, float]:
    """Shares of batches in which `group` is there with another one, is lowest, is highest.

    true_probability: (N,) of the true class; codes: (N,) group of each example
    """
    chance = np.random.default_rng(0)
    there = lowest = highest = 0
    for _ in range(draws):
        drawn = chance.integers(0, len(codes), size)
        present = np.unique(codes[drawn])
        if len(present) < 2 or group not in present:
            continue
        means = {g: true_probability[drawn[codes[drawn] == g]].mean() for g in present}
        there += 1
        lowest += min(means, key=means.__getitem__) == group
        highest += max(means, key=means.__getitem__) == group
    return there / draws, lowest / draws, highest / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--attribute", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--draws", type=int, default=DRAWS, help="batches of each size")
    arguments = parser.parse_args()
    table = read_predictions(split_predictions(arguments.run, "test"))
    names, codes = np.unique(table.group_names(arguments.attribute), return_inverse=True)
    group = list(names).index(arguments.group)
    right = table.probabilities[np.arange(len(codes)), table.labels]
    for code, name in enumerate(names):
        own = right[codes == code]
        print(
            f"{name}: {len(own)} examples, true class {own.mean():.3f}, sd of one {own.std():.3f}"
        )
    print(
        "\n| batch | with the group | of these: lowest | highest | up less down |\n|" + "---|" * 5
    )
    for size in BATCHES:
        there, lowest, highest = directions(right, codes, group, size, arguments.draws)
        print(
            f"| {size} | {there:.2f} | {lowest / there:.2f} | {highest / there:.2f} "
            f"| {(lowest - highest) / there:+.2f} |"
        )


if __name__ == "__main__":
    main()
