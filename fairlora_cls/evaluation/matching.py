"""Would the model have been right, had the same finding come from another group? Matched pairs.

N examples, D features, G groups, P pairs, C clusters, R resamples. After FairLLaVA's
counterfactual analysis: an image of one group is matched with the image of another group that is
alike (the same label, the same findings) and lies nearest in feature space, if it is similar enough.
Similarity is the cosine of features from which the mean over all images was taken away: without that, pooled features of
one kind of image all point almost the same way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.features import Features
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.statistics.intervals import holm, interval, swap_p_value

MOST_MATCHED_GROUPS = 12  # each is matched with each other one
FEWEST_PAIRS = 20  # that a pair of groups needs to be called the worst


@dataclass(frozen=True)
class MatchedGroups:
    """The images of `group`, each beside its nearest image of `other` that is alike.

    difference: mean score of the group's images minus that of their matches; interval: 95 %
    bootstrap, p_value: signs flipped at random, two-sided; both keep together the pairs that share
    a match; None where there are no pairs, or pairs of one match only
    """

    group: str
    other: str
    images: int  # of the group
    pairs: int  # that were similar enough
    similarity: float | None  # mean over the pairs
    score: float | None  # mean of the group's images in the pairs
    other_score: float | None  # of their matches
    difference: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    p_holm: float | None  # corrected for all pairs of groups of the attribute


@dataclass(frozen=True)
class CounterfactualGaps:
    """All ordered pairs of groups of one attribute; none of more than MOST_MATCHED_GROUPS."""

    attribute: str
    metric: str  # what is compared, in words: "accuracy"
    is_rate: bool  # each image is right or wrong
    alike: str  # what the images of a pair share: "label"
    minimum_similarity: float
    group_count: int
    pairs: int
    weighted_gap: float | None  # mean |difference|, weighted by pairs
    chance_gap: float | None  # its mean with the signs flipped at random
    worst: tuple[str, str] | None  # largest |difference| of FEWEST_PAIRS pairs or more
    groups: tuple[MatchedGroups, ...]


@dataclass(frozen=True)
class Judged:
    """N images with a score each, and what images of a pair must share."""

    metric: str
    is_rate: bool
    scores: np.ndarray  # (N,) float64
    alike: str  # what `kinds` are: "label"
    kinds: np.ndarray  # (N,) ints
    groups: Mapping[str, np.ndarray]  # attribute -> (N,) group names


def counterfactual_gaps(
    predictions: Predictions,
    features: Features,
    attributes: str | Iterable[str],
    *,
    minimum_similarity: float = 0.7,
    bootstrap: int = 1000,
    seed: int = 42,
) -> tuple[CounterfactualGaps, ...]:
    """The accuracy gaps inside matched pairs of the same label, one result per attribute.

    features: of all images of `predictions`, matched by id
    minimum_similarity: cosine in [-1, 1] that a pair needs
    bootstrap: resamples and sign flips; 0 leaves intervals, p-values and chance out
    Raises InputError for images without features and for unknown attributes.
    """
    judged = Judged(
        metric="accuracy",
        is_rate=True,
        scores=(predictions.predictions == predictions.labels).astype(float),
        alike="label",
        kinds=predictions.labels,
        groups={name: predictions.group_names(name) for name in listed_names(attributes)},
    )
    values = features.of(predictions.ids)
    return matched_gaps(judged, values, minimum_similarity, bootstrap, seed)


def matched_gaps(
    judged: Judged, values: np.ndarray, minimum_similarity: float, bootstrap: int, seed: int
) -> tuple[CounterfactualGaps, ...]:
    """The gaps in any score inside matched pairs; values: (N, D) features. See
    `counterfactual_gaps`."""
    if not -1 <= minimum_similarity <= 1:
        raise InputError(
            f"minimum similarity is {minimum_similarity}; a cosine lies between -1 and 1"
        )
    directions = _directions(values)
    results = []
    for place, (attribute, members) in enumerate(judged.groups.items()):
        names, codes = np.unique(members, return_inverse=True)
        about = CounterfactualGaps(
            attribute=attribute,
            metric=judged.metric,
            is_rate=judged.is_rate,
            alike=judged.alike,
            minimum_similarity=minimum_similarity,
            group_count=len(names),
            pairs=0,
            weighted_gap=None,
            chance_gap=None,
            worst=None,
            groups=(),
        )
        if len(names) > MOST_MATCHED_GROUPS:
            results.append(about)
            continue
        generator = np.random.default_rng([seed, place])
        found, chance = [], []
        for group, other in permutations(range(len(names)), 2):
            anchors, matches, similarity = match_groups(
                directions, judged.kinds, codes, group, other, minimum_similarity
            )
            matched, flipped = _compare(judged.scores, anchors, matches, bootstrap, generator)
            chance.append(flipped)
            found.append(
                MatchedGroups(
                    str(names[group]),
                    str(names[other]),
                    images=int((codes == group).sum()),
                    pairs=len(anchors),
                    similarity=float(similarity.mean()) if len(anchors) else None,
                    **matched,
                    p_holm=None,
                )
            )
        results.append(_summary(about, found, chance))
    return tuple(results)


def match_groups(
    directions: np.ndarray,
    kinds: np.ndarray,
    codes: np.ndarray,
    group: int,
    other: int,
    minimum_similarity: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the images of `group` that have a match, rows of their matches in `other`, and the
    cosines, (P,) each. An image may be the match of several.

    directions: (N, D) of length 1; kinds, codes: (N,)
    """
    anchors, matches, similarities = [], [], []
    for kind in np.unique(kinds):
        own = np.flatnonzero((codes == group) & (kinds == kind))
        pool = np.flatnonzero((codes == other) & (kinds == kind))
        if len(own) == 0 or len(pool) == 0:
            continue
        search = NearestNeighbors(n_neighbors=1, metric="cosine").fit(directions[pool])
        distance, place = search.kneighbors(directions[own])
        similarity = 1 - distance[:, 0]
        near = similarity >= minimum_similarity
        anchors.append(own[near])
        matches.append(pool[place[near, 0]])
        similarities.append(similarity[near])
    if not anchors:
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    return np.concatenate(anchors), np.concatenate(matches), np.concatenate(similarities)


def _directions(values: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, D) of length 1, around the mean; an image at the mean stays 0 (similarity 0)."""
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _compare(
    scores: np.ndarray,
    anchors: np.ndarray,
    matches: np.ndarray,
    draws: int,
    generator: np.random.Generator,
) -> tuple[dict, np.ndarray]:
    """The numbers of one ordered pair of groups, and its differences with signs flipped, (R,).

    Each anchor is in one pair, a match may be in several: pairs of one match are a cluster.
    """
    empty = dict.fromkeys(("score", "other_score", "difference", "interval", "p_value"), None)
    if len(anchors) == 0:
        return empty, np.zeros(draws)
    differences = scores[anchors] - scores[matches]
    _, cluster = np.unique(matches, return_inverse=True)
    sums, sizes = np.bincount(cluster, differences), np.bincount(cluster)
    found = {
        "score": float(scores[anchors].mean()),
        "other_score": float(scores[matches].mean()),
        "difference": float(differences.mean()),
    }
    if not draws:
        return {**empty, **found}, np.zeros(0)
    clusters = len(sizes)
    weights = generator.multinomial(clusters, np.full(clusters, 1 / clusters), draws)
    signs = 2 * generator.integers(0, 2, (draws, clusters)) - 1
    flipped = signs @ sums / len(anchors)
    if clusters > 1:
        found["interval"] = interval((weights @ sums) / (weights @ sizes))
    found["p_value"] = swap_p_value(found["difference"], flipped)
    return {**empty, **found}, flipped


def _summary(
    about: CounterfactualGaps, found: list[MatchedGroups], chance: list[np.ndarray]
) -> CounterfactualGaps:
    corrected = holm({(m.group, m.other): m.p_value for m in found if m.p_value is not None})
    groups = tuple(replace(m, p_holm=corrected.get((m.group, m.other))) for m in found)
    pairs = sum(matched.pairs for matched in groups)
    gap = chance_gap = None
    if pairs:
        gap = sum(m.pairs * abs(m.difference) for m in groups if m.pairs) / pairs
        if len(chance[0]):
            shares = [m.pairs / pairs for m in groups]
            chance_gap = float(np.abs(np.array(chance)).mean(axis=1) @ shares)
    large = [m for m in groups if m.pairs >= FEWEST_PAIRS]
    worst = max(large, key=lambda m: abs(m.difference), default=None)
    return replace(
        about,
        pairs=pairs,
        weighted_gap=gap,
        chance_gap=chance_gap,
        worst=(worst.group, worst.other) if worst else None,
        groups=groups,
    )
