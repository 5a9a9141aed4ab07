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
from fairlora_cls.evaluation.measuring import Measured
from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.results import AttributeResult, EndpointVerdict
from fairlora_cls.statistics.intervals import SIGNIFICANCE, holm, interval, tail_p_value
from fairlora_cls.statistics.sample import Key, Measure, units_by_group
from fairlora_cls.statistics.uncertainty import gap_limits

BINARY = ("sensitivity", "specificity", "auroc", "accuracy")
GAP_OF = {"accuracy": "max_acc_gap"}  # endpoint → its gap, where that has another name
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
    sample, codes, groups = measured.sample, measured.grouping.codes, len(measured.hidden)
    sizes = measured.sizes
    if sample.units is not None:  # a patient's images tell less than as many patients'
        everyone = np.ones(len(codes), dtype=bool)
        sizes = np.minimum(sizes, units_by_group(sample.units, codes, groups, everyone))
    large = (sizes >= minimum) & ~measured.hidden
    compared = large if large.sum() > 1 else ~measured.hidden
    return [_judge(attribute, measured, each, compared) for each in endpoints]


def correct_verdicts(
    verdicts: Sequence[EndpointVerdict], margin: float
) -> tuple[EndpointVerdict, ...]:
    """With p corrected for the whole family, and what that says. margin: the largest difference that
    counts as equal."""

    def test_of(verdict: EndpointVerdict) -> tuple[str, str]:
        return verdict.attribute, SAME_TEST.get(verdict.endpoint, verdict.endpoint)

    corrected = holm({test_of(v): v.p_value for v in verdicts if v.p_value is not None})
    found = []
    for verdict in verdicts:
        p_value = None if verdict.p_value is None else corrected[test_of(verdict)]
        kind = verdict.verdict
        if p_value is not None and p_value <= SIGNIFICANCE:
            kind = "evidence"
        elif verdict.interval is not None:
            kind = "equal" if verdict.interval[1] < margin else "undecided"
        found.append(replace(verdict, verdict=kind, p_value_family=p_value))
    return tuple(found)


def plan_studies(
    verdicts: Sequence[EndpointVerdict], results: Mapping[str, AttributeResult]
) -> tuple[EndpointVerdict, ...]:
    """With the size that every group would need, where the data cannot decide."""
    planned = []
    for verdict in verdicts:
        name = GAP_OF.get(verdict.endpoint, f"{verdict.endpoint}_gap")
        gap = results[verdict.attribute].gaps.get(name)
        if verdict.verdict == "undecided" and gap is not None and gap.power is not None:
            needed = gap.power.needed_per_group
            verdict = replace(verdict, needed_per_group=needed, counted=gap.power.counted)
        planned.append(verdict)
    return tuple(planned)


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
