"""Would the model have been as good, had the same finding come from another group? Matched pairs.

N examples, D features, G groups, P pairs, C clusters, R resamples. After FairLLaVA's
counterfactual analysis: an image of one group is matched with the image of another group that is
alike (the same label, the same findings) and lies nearest in feature space, if it is similar enough.
Similarity is the cosine of features from which the mean over all images was taken away: without
that, pooled features of one kind of image all point almost the same way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.features import Features
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import TextReport
from fairlora_cls.evaluation.text_examples import ranking_metrics
from fairlora_cls.statistics.intervals import holm, interval, swap_p_value
from fairlora_cls.texts.generations import Generations, image_ids
from fairlora_cls.texts.scores import TextScores

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
    similarity: float | None = None  # mean over the pairs
    score: float | None = None  # mean of the group's images in the pairs
    other_score: float | None = None  # of their matches
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    p_holm: float | None = None  # corrected for all pairs of groups of the attribute


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
    return _matched_gaps(judged, values, minimum_similarity, bootstrap, seed)


def counterfactual_text_gaps(
    generations: Generations,
    scores: TextScores,
    report: TextReport,
    features: Features,
    attributes: str | Iterable[str],
    *,
    minimum_similarity: float = 0.7,
) -> tuple[CounterfactualGaps, ...]:
    """The gaps in the headline score inside matched pairs, one result per attribute.

    A pair answers the same question about images whose references state the same findings, or
    that have the same label where no findings are read. A headline of all texts together
    (micro F1) is replaced by its score per text; texts without a score are left out.
    features: of all images, by the id of the image (a text's id without its question)
    Raises InputError for images without features, and texts with neither findings nor labels.
    """
    metric = ranking_metrics(scores, report.headline)[0]
    rows = np.flatnonzero(~np.isnan(scores.per_text[metric]))
    alike, kinds = _kinds_of_texts(generations, scores)
    images = image_ids(generations)
    judged = Judged(
        metric=report.metrics[metric].title,
        is_rate=report.metrics[metric].kind == "rate",
        scores=scores.per_text[metric][rows],
        alike=alike,
        kinds=kinds[rows],
        groups={name: generations.group_names(name)[rows] for name in listed_names(attributes)},
    )
    values = features.of(tuple(images[row] for row in rows))
    return _matched_gaps(judged, values, minimum_similarity, report.bootstrap, report.seed)


def _kinds_of_texts(generations: Generations, scores: TextScores) -> tuple[str, np.ndarray]:
    """What makes two images alike, and (N,) ints that are equal where they are and the same is asked."""
    if scores.findings is not None:
        alike, columns = "findings", [scores.findings.reference]
    elif None not in generations.labels:
        alike, columns = "label", [_numbered(generations.labels)]
    else:
        raise InputError(
            "Matched pairs need the findings of the references (--text-metric findings) or a label of "
            "every text; these texts have neither."
        )
    both = np.column_stack([*columns, _numbered(generations.questions)])
    return alike, np.unique(both, axis=0, return_inverse=True)[1].ravel()


def _numbered(names: Sequence[str]) -> np.ndarray:
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1]


def _matched_gaps(
    judged: Judged, values: np.ndarray, minimum_similarity: float, bootstrap: int, seed: int
) -> tuple[CounterfactualGaps, ...]:
    """The gaps in any score inside matched pairs; values: (N, D) features."""
    if not -1 <= minimum_similarity <= 1:
        raise InputError(
            f"minimum similarity is {minimum_similarity}; a cosine lies between -1 and 1"
        )
    directions = _directions(values)
    results = []
    for number, (attribute, members) in enumerate(judged.groups.items()):
        names, codes = np.unique(members, return_inverse=True)
        generator = np.random.default_rng([seed, number])
        crowded = len(names) > MOST_MATCHED_GROUPS
        each, chance = [], []
        for group, other in permutations(range(0 if crowded else len(names)), 2):
            pairs = match_groups(directions, judged.kinds, codes, group, other, minimum_similarity)
            matched, flipped = _compare(
                MatchedGroups(
                    str(names[group]),
                    str(names[other]),
                    images=int((codes == group).sum()),
                    pairs=len(pairs[0]),
                ),
                judged.scores,
                pairs,
                bootstrap,
                generator,
            )
            each.append(matched)
            chance.append(flipped)
        corrected = holm({(m.group, m.other): m.p_value for m in each if m.p_value is not None})
        groups = tuple(replace(m, p_holm=corrected.get((m.group, m.other))) for m in each)
        gap, chance_gap = _weighted(groups, chance)
        large = [m for m in groups if m.pairs >= FEWEST_PAIRS]
        worst = max(large, key=lambda m: abs(m.difference), default=None)
        results.append(
            CounterfactualGaps(
                attribute=attribute,
                metric=judged.metric,
                is_rate=judged.is_rate,
                alike=judged.alike,
                minimum_similarity=minimum_similarity,
                group_count=len(names),
                pairs=sum(m.pairs for m in groups),
                weighted_gap=gap,
                chance_gap=chance_gap,
                worst=(worst.group, worst.other) if worst else None,
                groups=groups,
            )
        )
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
    from sklearn.neighbors import NearestNeighbors

    anchors, matches, similarities = [], [], []
    for kind in np.unique(kinds):
        own = np.flatnonzero((codes == group) & (kinds == kind))
        pool = np.flatnonzero((codes == other) & (kinds == kind))
        if len(own) == 0 or len(pool) == 0:
            continue
        search = NearestNeighbors(n_neighbors=1, metric="cosine").fit(directions[pool])
        distance, nearest = search.kneighbors(directions[own])
        similarity = 1 - distance[:, 0]
        near = similarity >= minimum_similarity
        anchors.append(own[near])
        matches.append(pool[nearest[near, 0]])
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
    matched: MatchedGroups,
    scores: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
    draws: int,
    generator: np.random.Generator,
) -> tuple[MatchedGroups, np.ndarray]:
    """`matched` with the numbers of its pairs, and its differences with signs flipped, (R,).

    Each anchor is in one pair, a match may be in several: pairs of one match are a cluster.
    """
    anchors, matches, similarity = pairs
    if len(anchors) == 0:
        return matched, np.zeros(draws)
    differences = scores[anchors] - scores[matches]
    matched = replace(
        matched,
        similarity=float(similarity.mean()),
        score=float(scores[anchors].mean()),
        other_score=float(scores[matches].mean()),
        difference=float(differences.mean()),
    )
    if not draws:
        return matched, np.zeros(0)
    _, cluster = np.unique(matches, return_inverse=True)
    sums, sizes = np.bincount(cluster, differences), np.bincount(cluster)
    clusters = len(sizes)
    weights = generator.multinomial(clusters, np.full(clusters, 1 / clusters), draws)
    signs = 2 * generator.integers(0, 2, (draws, clusters)) - 1
    flipped = signs @ sums / len(anchors)
    drawn = interval((weights @ sums) / (weights @ sizes)) if clusters > 1 else None
    p_value = swap_p_value(matched.difference, flipped)
    return replace(matched, interval=drawn, p_value=p_value), flipped


def _weighted(
    groups: Sequence[MatchedGroups], chance: Sequence[np.ndarray]
) -> tuple[float | None, float | None]:
    """Mean |difference| weighted by pairs, of the data and with signs flipped; None where there is
    none."""
    pairs = sum(m.pairs for m in groups)
    if not pairs:
        return None, None
    gap = sum(m.pairs * abs(m.difference) for m in groups if m.pairs) / pairs
    if not len(chance[0]):
        return gap, None
    shares = [m.pairs / pairs for m in groups]
    return gap, float(np.abs(np.array(chance)).mean(axis=1) @ shares)
