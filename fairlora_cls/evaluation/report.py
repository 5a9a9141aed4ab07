"""Is the model equally good for every group, and how sure can this test set make us?

`fairness_report` computes, `write_report` writes: report.json, report.md, report.html and figures,
with every number taken from the `FairnessReport`.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairlora_cls.evaluation.prediction_table import (
    INTERSECTION,
    MISSING,
    UNLABELLED,
    Predictions,
    PredictionTableError,
)
from fairlora_cls.evaluation.results import (
    AttributeResult,
    Estimate,
    FairnessReport,
    GapResult,
    GroupResult,
)
from fairlora_cls.files import temporary_sibling

if TYPE_CHECKING:
    from fairlora_cls.evaluation.metrics import Gap, Values
    from fairlora_cls.evaluation.uncertainty import Resamples

MOST_GROUPS = 500  # more groups than this are an identifier or a number by mistake


def fairness_report(
    predictions: Predictions,
    attributes: Iterable[str] | None = None,
    *,
    bootstrap: int = 1000,
    minimum_group_size: int = 20,
    seed: int = 42,
    notes: Iterable[str] = (),
) -> FairnessReport:
    """Measures a model's predictions overall and between groups, with the uncertainty of each.

    attributes: columns of `predictions`, or intersections such as "sex×race"; None takes every
        column. Blank values form the group 'missing'.
    bootstrap: resamples per interval and null; 0 leaves both out
    minimum_group_size: smaller groups are named in the warnings; they stay in every number
    notes: what the training run wants repeated among the warnings
    Raises `PredictionTableError` for unlabelled examples, an unknown attribute, or an attribute of
    more than 500 groups.
    """
    from fairlora_cls.evaluation.metrics import METRICS, measure
    from fairlora_cls.evaluation.uncertainty import interval
    from fairlora_cls.evaluation.wording import describe_warnings

    if bootstrap < 0:
        raise ValueError(f"bootstrap is {bootstrap}; it must be 0 or more resamples")
    names = tuple(predictions.attributes if attributes is None else dict.fromkeys(attributes))
    _require_labels(predictions)
    groupings = [_grouping(predictions, name) for name in names]
    everyone = Grouping(("everyone",), np.zeros(len(predictions.ids), dtype=int))
    draws, *attribute_draws = _resample([everyone, *groupings], predictions, bootstrap, seed)
    values, _ = measure(predictions, everyone.codes)
    overall = {
        name: _estimate(values[name], draws.bootstrap.overall[name], interval) for name in METRICS
    }
    results = {
        name: _attribute_result(predictions, grouping, attribute_draw)
        for name, grouping, attribute_draw in zip(names, groupings, attribute_draws, strict=True)
    }
    return FairnessReport(
        n=len(predictions.ids),
        classes=predictions.classes,
        positive=predictions.classes[predictions.positive],
        overall=overall,
        attributes=results,
        warnings=(
            *describe_warnings(predictions, overall, results, minimum_group_size),
            *map(str, notes),
        ),
        bootstrap=bootstrap,
        minimum_group_size=minimum_group_size,
        seed=seed,
    )


def write_report(report: FairnessReport, folder: str | Path) -> None:
    """Writes report.json, report.md, report.html and figures/ into `folder`.

    All files are made in a temporary folder beside it first, so that a failure leaves no
    half-written report; of a folder that exists, only the report's own files are replaced.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_sibling(folder)
    partial.mkdir()
    try:
        _write_files(report, partial)
        _move_files(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_files(report: FairnessReport, folder: Path) -> None:
    from fairlora_cls.evaluation.figures import draw_figures, write_figures
    from fairlora_cls.evaluation.markdown import render_markdown
    from fairlora_cls.evaluation.page import render_page

    figures = draw_figures(report)
    write_figures(figures, folder / "figures")
    (folder / "report.html").write_text(render_page(report, figures), encoding="utf-8")
    (folder / "report.md").write_text(render_markdown(report, figures), encoding="utf-8")
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")


def _move_files(partial: Path, folder: Path) -> None:
    targets = set()
    for source in sorted(path for path in partial.rglob("*") if path.is_file()):
        target = folder / source.relative_to(partial)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        targets.add(target)
    for figure in (folder / "figures").glob("*.png"):
        if figure not in targets:  # drawn for an earlier report
            figure.unlink()


def _require_labels(predictions: Predictions) -> None:
    unlabelled = int((predictions.labels == UNLABELLED).sum())
    if unlabelled:
        raise PredictionTableError(
            f"{unlabelled} of {len(predictions.labels)} examples have no label; a report needs the "
            "true class of each in the column 'label'"
        )


@dataclass(frozen=True)
class Grouping:
    """The groups of one attribute: their names in report order, and each example's, (N,) codes."""

    names: tuple[str, ...]
    codes: np.ndarray


@dataclass(frozen=True)
class Draws:
    """The bootstrap resamples and the null gaps of one grouping."""

    bootstrap: "Resamples"
    null: dict[str, np.ndarray]  # gap -> (R,); empty where there is nothing to compare


def _grouping(predictions: Predictions, attribute: str) -> Grouping:
    """Groups in the order of their names, 5-9 before 10-14, and the missing ones last."""
    names, codes = np.unique(predictions.group_names(attribute), return_inverse=True)
    if len(names) > MOST_GROUPS:
        raise PredictionTableError(
            f"attribute '{attribute}' has {len(names)} different values among {len(codes)} "
            "examples; it looks like a number or an identifier: put it into bins, or name other "
            "attributes"
        )
    order = sorted(range(len(names)), key=lambda code: _reading_order(names[code]))
    return Grouping(tuple(str(names[i]) for i in order), np.argsort(order)[codes])


def _reading_order(name: str) -> tuple:
    parts = re.split(r"(\d+)", name)
    numbered = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return MISSING in name.split(INTERSECTION), numbered


def _resample(
    groupings: list[Grouping], predictions: Predictions, bootstrap: int, seed: int
) -> list[Draws]:
    """The draws of every grouping, side by side on all cores. Each has a generator of its own, so
    that its numbers do not depend on the other groupings, nor on the number of cores."""
    from threadpoolctl import threadpool_limits

    from fairlora_cls.evaluation.uncertainty import bootstrap_metrics, null_gaps

    def draw(grouping: Grouping, generator: np.random.Generator) -> Draws:
        groups = len(grouping.names)
        arguments = (predictions, grouping.codes, groups, bootstrap, generator)
        resamples = bootstrap_metrics(*arguments)
        return Draws(resamples, null_gaps(*arguments) if bootstrap and groups > 1 else {})

    generators = [np.random.default_rng([seed, index]) for index in range(len(groupings))]
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(draw, groupings, generators))


def _attribute_result(
    predictions: Predictions, grouping: Grouping, draws: Draws
) -> AttributeResult:
    from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS, measure
    from fairlora_cls.evaluation.uncertainty import interval

    names, codes = grouping.names, grouping.codes
    overall, by_code = measure(predictions, codes)
    values = {
        metric: np.array([by_code[code][metric] for code in range(len(names))])
        for metric in METRICS
    }
    counts = np.bincount(codes)
    positives = np.bincount(codes[predictions.labels == predictions.positive], minlength=len(names))
    bootstrap = draws.bootstrap
    return AttributeResult(
        groups={
            name: GroupResult(
                n=int(counts[code]),
                positives=int(positives[code]),
                metrics={
                    metric: _estimate(
                        values[metric][code], bootstrap.by_group[metric][:, code], interval
                    )
                    for metric in METRICS
                },
            )
            for code, name in enumerate(names)
        },
        gaps={
            name: _gap_result(gap, names, values, bootstrap.by_group, draws.null.get(name))
            for name, gap in GAPS.items()
        },
        equity_scaled={
            name: _estimate(
                float(score.function(overall[score.metric], values[score.metric])),
                score.function(bootstrap.overall[score.metric], bootstrap.by_group[score.metric]),
                interval,
            )
            for name, score in EQUITY_SCALED.items()
        },
    )


def _gap_result(
    gap: "Gap",
    names: tuple[str, ...],
    values: "Values",
    resampled: "Values",
    null: np.ndarray | None,
) -> GapResult:
    from fairlora_cls.evaluation.metrics import extreme_groups
    from fairlora_cls.evaluation.uncertainty import interval, p_value

    estimate = _estimate(float(gap.values(values)), gap.values(resampled), interval)
    undefined = np.any([np.isnan(values[metric]) for metric in gap.metrics], axis=0)
    left_out = tuple(name for name, out in zip(names, undefined, strict=True) if out)
    if estimate.value is None:
        return GapResult(None, None, None, None, None, None, None, left_out)
    best, worst = extreme_groups(gap, values)
    null = np.empty(0) if null is None else null[~np.isnan(null)]
    tested = len(null) > 0
    return GapResult(
        value=estimate.value,
        interval=estimate.interval,
        null_mean=float(null.mean()) if tested else None,
        null_interval=interval(null) if tested else None,
        p_value=p_value(estimate.value, null, gap.kind == "ratio") if tested else None,
        best=names[best],
        worst=names[worst],
        undefined_groups=left_out,
    )


def _estimate(value: float, draws: np.ndarray, interval: Callable) -> Estimate:
    """The value with its interval; undefined values have neither."""
    if np.isnan(value):
        return Estimate(None, None)
    return Estimate(float(value), interval(draws))
