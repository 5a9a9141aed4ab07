"""Who is served worse, in which way, and how sure is that? A verdict on each declared endpoint.

Endpoints are declared in advance. Each endpoint of each attribute is one test; all of them are one
family, corrected by Holm's method. G groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.class_sample import WITHIN_LABELS
from fairlora_cls.evaluation.measuring import (
    Measured,
    gap_spreads,
    what_is_counted,
)
from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.results import EndpointVerdict
from fairlora_cls.statistics.gaps import Gap
from fairlora_cls.statistics.intervals import SIGNIFICANCE, holm, interval, tail_p_value
from fairlora_cls.statistics.power import examples_to_detect
from fairlora_cls.statistics.sample import Key, Measure
from fairlora_cls.statistics.uncertainty import gap_limits

BINARY = ("sensitivity", "specificity", "auroc", "accuracy")
SAME_TEST = {"fpr": "specificity"}  # one test under two names counts once


@dataclass(frozen=True)
class Endpoint:
    """What is compared between groups."""

    name: str
    key: Key
    metric: Measure
    tested: Key  # whose draws under equality its p-value rests on


def class_endpoints(classes: Sequence[str], declared: Sequence[str] = ()) -> list[Endpoint]:
    """The endpoints declared, or the usual ones: of two classes BINARY, of more accuracy, AUROC and
    the sensitivity of each class. Raises InputError for an unknown name.

    Accuracy is tested among examples of the same label, so that groups with other shares of disease
    are no evidence against a model.
    """
    known = {name: Endpoint(name, name, metric, name) for name, metric in METRICS.items()}
    known["accuracy"] = replace(known["accuracy"], tested=("accuracy", WITHIN_LABELS))
    usual = BINARY
    if len(classes) > 2:
        usual = ("accuracy", "auroc")
        for code, label in enumerate(classes):
            key, name = ("sensitivity", code), f"sensitivity of {label}"
            known[name] = Endpoint(name, key, METRICS["sensitivity"], key)
            usual += (name,)
    return _chosen(known, declared or usual)


def text_endpoints(
    metrics: Mapping[str, Measure], headline: str, declared: Sequence[str] = ()
) -> list[Endpoint]:
    """The endpoints declared, or the headline metric. Raises InputError for an unknown name."""
    known = {name: Endpoint(name, name, metric, name) for name, metric in metrics.items()}
    return _chosen(known, declared or (headline,))


def judge_endpoints(
    attribute: str, measured: Measured, endpoints: Sequence[Endpoint], minimum: int
) -> list[EndpointVerdict]:
    """A verdict on each endpoint, before the correction for the others.

    minimum: examples, or patients or images, of a group that takes part, if two groups have as many
    """
    large = (measured.independent_sizes >= minimum) & ~measured.hidden
    compared = large if large.sum() > 1 else ~measured.hidden
    return [_judge(attribute, measured, each, compared) for each in endpoints]


def correct_verdicts(
    verdicts: Sequence[EndpointVerdict], margin: float
) -> tuple[EndpointVerdict, ...]:
    """With p corrected for the whole family, and what that says. margin: the largest difference that
    counts as equal."""
    corrected = holm({_test_of(v): v.p_value for v in verdicts if v.p_value is not None})
    found = []
    for verdict in verdicts:
        p_value = None if verdict.p_value is None else corrected[_test_of(verdict)]
        kind = verdict.verdict
        if p_value is not None and p_value <= SIGNIFICANCE:
            kind = "evidence"
        elif verdict.interval is not None:
            kind = "equal" if verdict.interval[1] < margin else "undecided"
        found.append(replace(verdict, verdict=kind, p_value_family=p_value))
    return tuple(found)


def plan_studies(
    verdicts: Sequence[EndpointVerdict],
    endpoints: Sequence[Endpoint],
    measured: Mapping[str, Measured],
    pooled: Measured,
) -> tuple[EndpointVerdict, ...]:
    """With the size that every group would need, where the data cannot decide, for a study that
    corrects as many tests as this family has.

    measured: by attribute; pooled: everyone
    """
    asked = {endpoint.name: endpoint for endpoint in endpoints}
    tests = len({_test_of(verdict) for verdict in verdicts if verdict.p_value is not None})
    planned = []
    for verdict in verdicts:
        if verdict.verdict == "undecided" and tests and not pooled.hidden[0]:
            endpoint, own = asked[verdict.endpoint], measured[verdict.attribute]
            compared = ~np.isin(own.grouping.names, verdict.left_out)
            gap = Gap("", (endpoint.key,), "points", endpoint.metric.exchangeable_within)
            spreads = gap_spreads({endpoint.key: endpoint.metric}, own, pooled, compared)
            if spreads is not None:
                needed = examples_to_detect(gap, spreads, SIGNIFICANCE / tests)
                counted = what_is_counted(own.sample, endpoint.key, endpoint.metric)
                verdict = replace(
                    verdict, needed_per_group=needed, counted=counted, tests_counted=tests
                )
        planned.append(verdict)
    return tuple(planned)


def _test_of(verdict: EndpointVerdict) -> tuple[str, str]:
    return verdict.attribute, SAME_TEST.get(verdict.endpoint, verdict.endpoint)


def _judge(
    attribute: str,
    measured: Measured,
    endpoint: Endpoint,
    compared: np.ndarray,
) -> EndpointVerdict:
    values = measured.values[endpoint.key]
    defined = compared & ~np.isnan(values)
    names = np.array(measured.grouping.names)
    left_out = tuple(names[~defined].tolist())
    if defined.sum() < 2:
        return EndpointVerdict(attribute, endpoint.name, "undefined", left_out=left_out)
    own = np.where(defined, values, np.nan)
    low, high = int(np.nanargmin(own)), int(np.nanargmax(own))
    if low == high:  # all alike
        low, high = np.flatnonzero(defined)[:2]
    worse, better = (high, low) if endpoint.metric.better == "lower" else (low, high)
    gap = float(own[high] - own[low])
    limits = gap_limits("difference", [measured.uncertain(endpoint.key)], defined, gap)
    null_mean = null_limits = p_value = None
    if measured.null is not None:
        drawn = measured.null[endpoint.tested][:, defined]
        chance = np.fmax.reduce(drawn, axis=1) - np.fmin.reduce(drawn, axis=1)
        chance = chance[~np.isnan(chance)]
        if len(chance):
            p_value = tail_p_value(gap, chance)
            null_mean, null_limits = float(chance.mean()), interval(chance)
    return EndpointVerdict(
        attribute,
        endpoint.name,
        "undecided",
        worse=str(names[worse]),
        better=str(names[better]),
        worse_value=float(own[worse]),
        better_value=float(own[better]),
        gap=gap,
        interval=limits,
        null_mean=null_mean,
        null_interval=null_limits,
        p_value=p_value,
        hidden_up_to=None if limits is None else limits[1],
        left_out=left_out,
    )


def require_endpoints(known: Iterable[str], names: Iterable[str]) -> None:
    """Raises InputError for a name that is not known."""
    known = tuple(known)
    wrong = [name for name in names if name not in known]
    if wrong:
        raise InputError([f"There is no endpoint '{n}'{nearest(n, known)}" for n in wrong])


def _chosen(known: Mapping[str, Endpoint], names: Sequence[str]) -> list[Endpoint]:
    require_endpoints(known, names)
    return [known[name] for name in dict.fromkeys(names)]
