"""How long do a report's intervals and nulls take, beside the intervals alone by fairlearn?

Both in this process, on the same simulated predictions: (a) `MetricFrame(n_boot=…)` with
scikit-learn's functions, one frame for what reads predictions and one for what reads scores;
(b) `fairness_report`: the same intervals, and nulls, p-values, power and controlled gaps besides.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, selection_rate
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report
from fairlora_cls.statistics.draws import bootstrap
from fairlora_cls.statistics.intervals import interval

OF_PREDICTIONS: dict[str, Callable] = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "sensitivity": recall_score,
    "specificity": lambda y, p: recall_score(y, p, pos_label=0),
    "fpr": lambda y, p: 1 - recall_score(y, p, pos_label=0),
    "ppv": precision_score,
    "npv": lambda y, p: precision_score(y, p, pos_label=0),
    "f1": f1_score,
    "selection_rate": selection_rate,
}
OF_SCORES: dict[str, Callable] = {
    "auroc": roc_auc_score,
    "average_precision": average_precision_score,
    "brier": brier_score_loss,
}
Intervals = dict[tuple[str, str, str], tuple[float, float]]  # attribute, group, metric


def simulated_predictions(rows: int, attributes: int, seed: int) -> Predictions:
    """A binary task with scores that overlap, and attributes of 2 to 5 groups."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(2.4 * (labels - 0.5) + generator.normal(0, 1.2, rows))))
    groups = {
        f"attribute{place}": generator.choice(list("ABCDE")[: 2 + place % 4], rows)
        for place in range(attributes)
    }
    predicted = (score > 0.5).astype(int)
    probabilities = np.column_stack([1 - score, score])
    return Predictions(range(rows), labels, predicted, probabilities, ("no", "yes"), groups)


def fairlearn_intervals(predictions: Predictions, resamples: int) -> Intervals:
    """(a): 95 % intervals of every metric of every group."""
    found: Intervals = {}
    score = predictions.probabilities[:, 1]
    for attribute, groups in predictions.attributes.items():
        for metrics, values in ((OF_PREDICTIONS, predictions.predictions), (OF_SCORES, score)):
            frame = MetricFrame(
                metrics=metrics,
                y_true=predictions.labels,
                y_pred=values,
                sensitive_features=pd.Series(groups, name=attribute),
                n_boot=resamples,
                ci_quantiles=[0.025, 0.975],
                random_state=0,
            )
            low, high = frame.by_group_ci
            for metric in metrics:
                for group in low.index:
                    found[attribute, group, metric] = low[metric][group], high[metric][group]
    return found


def resampled_intervals(predictions: Predictions, resamples: int) -> Intervals:
    """(b): the middle of the resamples that a report's intervals and tests rest on."""
    sample = class_sample(predictions)
    found: Intervals = {}
    for attribute in predictions.attributes:
        grouping = grouping_of(predictions, attribute)
        groups, generator = len(grouping.names), np.random.default_rng(1)
        drawn = bootstrap(sample, grouping.codes, groups, resamples, generator).by_group
        for metric in (*OF_PREDICTIONS, *OF_SCORES):
            for code, group in enumerate(grouping.names):
                limits = interval(drawn[metric][:, code])
                if limits is not None:
                    found[attribute, group, metric] = limits
    return found


def disagreement(first: Intervals, second: Intervals, first_draws: int, second_draws: int) -> list:
    """How far the ends lie apart, in standard errors of the difference of two Monte-Carlo ends.

    An end, the 2.5 % quantile of a normal sample of R, has standard error
    s * sqrt(0.025 * 0.975 / R) / phi(1.96), with s the interval's width / 3.92.
    """
    found = []
    for place in first.keys() & second.keys():
        deviation = (second[place][1] - second[place][0]) / 3.92
        if deviation <= 0:
            continue
        unit = np.sqrt(0.025 * 0.975 * (1 / first_draws + 1 / second_draws)) / 0.0584
        ends = zip(first[place], second[place], strict=True)
        found += [abs(mine - theirs) / (unit * deviation) for mine, theirs in ends]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--attributes", type=int, default=4)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument(
        "--fairlearn-resamples",
        type=int,
        help="fewer than --resamples: the time of (a) is then scaled up, and the print says so",
    )
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    predictions = simulated_predictions(chosen.rows, chosen.attributes, chosen.seed)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{chosen.rows:,} predictions × {chosen.attributes} attributes × {chosen.resamples:,}")
    print(f"{os.cpu_count()} cores, load {load}")
    fairness_report(predictions, bootstrap=2)  # imports
    started, processor = time.perf_counter(), time.process_time()
    fairness_report(predictions, bootstrap=chosen.resamples)
    ours, ours_processor = time.perf_counter() - started, time.process_time() - processor
    print(f"(b) fairness_report  {ours:8.1f} s ({ours_processor:.1f} s of processors)", flush=True)
    resamples = chosen.fairlearn_resamples or chosen.resamples
    started, processor = time.perf_counter(), time.process_time()
    theirs = fairlearn_intervals(predictions, resamples)
    scale = chosen.resamples / resamples
    taken = scale * (time.perf_counter() - started)
    taken_processor = scale * (time.process_time() - processor)
    said = f", scaled from {resamples:,} resamples" if scale != 1 else ""
    print(f"(a) MetricFrame      {taken:8.1f} s ({taken_processor:.1f} s of processors){said}")
    print(
        f"ratio {taken / ours:.0f} in wall time, {taken_processor / ours_processor:.0f} in processors"
    )
    own = resampled_intervals(predictions, chosen.resamples)
    apart = disagreement(own, theirs, chosen.resamples, resamples)
    print(
        f"{len(apart)} interval ends differ by {np.sqrt(np.mean(np.square(apart))):.2f} Monte-Carlo "
        f"standard errors (root mean square; 1 if both are right), at most {max(apart):.1f}"
    )


if __name__ == "__main__":
    main()
