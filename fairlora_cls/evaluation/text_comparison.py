"""Are two models' texts really different on the same images, and are their gaps?

N texts, G groups, R resamples. The bootstrap draws the same texts for both models, within groups and
whole units where known. The swap test exchanges, for each text or unit with probability 1/2, the two
models' answers, as is allowed if neither model answers differently from the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.evaluation.alignment import require_same_groups
from fairlora_cls.evaluation.attribute_results import plain_estimate
from fairlora_cls.evaluation.groupings import Grouping, grouping_of
from fairlora_cls.evaluation.intervals import holm
from fairlora_cls.evaluation.paired import swap_p_value
from fairlora_cls.evaluation.resampling import bootstrap_blocks, chunks
from fairlora_cls.evaluation.results import SCHEMA, Estimate
from fairlora_cls.evaluation.side_by_side import side_by_side
from fairlora_cls.evaluation.text_attributes import text_gap
from fairlora_cls.evaluation.text_draws import (
    CHUNK,
    ScoredTexts,
    bootstrap_texts,
    scored_texts,
    stacked_texts,
)
from fairlora_cls.evaluation.text_report import describe_metrics, headline_metric, units_of
from fairlora_cls.evaluation.text_results import TextMetric
from fairlora_cls.texts.generations import Generations
from fairlora_cls.texts.scores import TextScores

OVERALL = ""  # the view of all texts; the others are attributes, which have a name

Quantities = dict[str, np.ndarray]  # metric, or its gap -> () of the data, (R,) of draws


@dataclass(frozen=True)
class TextDifference:
    """Other minus reference, of a score or of a gap."""

    reference: float | None
    other: float | None
    difference: Estimate
    p_value: float | None
    p_holm: float | None = None  # corrected over pairs and views, for each metric by itself


@dataclass(frozen=True)
class TextPair:
    """Two runs on the same images; `overall` of scores, `gaps` of the groups' gaps."""

    reference: str
    other: str
    overall: dict[str, TextDifference]  # metric -> difference
    gaps: dict[str, dict[str, TextDifference]]  # attribute -> metric -> difference of the gaps


@dataclass(frozen=True)
class TextComparison:
    """Each run beside the first."""

    n: int
    units: int | None
    runs: tuple[str, ...]
    metrics: dict[str, TextMetric]
    headline: str
    pairs: tuple[TextPair, ...]
    bootstrap: int
    seed: int

    def to_dict(self) -> dict:
        """The contents of comparison.json: schema 1, null where a value is undefined."""
        return {"schema": SCHEMA, "task": "generate", **asdict(self)}


def compare_texts(
    tables: Mapping[str, Generations],
    scores: Mapping[str, TextScores],
    attributes: str | Iterable[str] | None = None,
    *,
    headline: str | None = None,
    bootstrap: int = 1000,
    seed: int = 42,
) -> TextComparison:
    """Compares the texts of each run with those of the first, paired.

    tables: run name -> texts, as `align` gives them; scores: of those texts
    attributes: of the first table, whose groups are taken for all; None takes all
    Raises InputError for an unknown attribute or headline, and where groups differ between tables.
    """
    runs = tuple(tables)
    first = tables[runs[0]]
    names = listed_names(first.attributes if attributes is None else attributes)
    for name in names:
        require_same_groups(tables, name)
    kept = [
        name
        for name in scores[runs[0]].per_text
        if not any(np.isnan(scores[run].per_text[name]).all() for run in runs)
    ]
    scored = {run: scored_texts(scores[run], kept) for run in runs}
    both = stacked_texts(list(scored.values()))
    metrics = describe_metrics(both)
    units = units_of(first)
    views = {OVERALL: Grouping(("everyone",), np.zeros(len(first), dtype=int))}
    views |= {name: grouping_of(first, name) for name in names}

    def differences(place: int) -> list[dict[str, TextDifference]]:
        grouping = list(views.values())[place]
        return [
            _differences(
                scored[runs[0]], scored[other], metrics, grouping, units, bootstrap, (seed, place)
            )
            for other in runs[1:]
        ]

    found = side_by_side(differences, range(len(views)))
    pairs = tuple(
        TextPair(runs[0], other, found[0][number], _gaps(names, found[1:], number))
        for number, other in enumerate(runs[1:])
    )
    return TextComparison(
        n=len(first),
        units=None if units is None else len(set(units)),
        runs=runs,
        metrics=metrics,
        headline=headline_metric(both, headline),
        pairs=_corrected(pairs),
        bootstrap=bootstrap,
        seed=seed,
    )


def _gaps(names: Iterable[str], found: list, number: int) -> dict[str, dict[str, TextDifference]]:
    return {name: of_pairs[number] for name, of_pairs in zip(names, found, strict=True)}


def _differences(
    reference: ScoredTexts,
    other: ScoredTexts,
    metrics: Mapping[str, TextMetric],
    grouping: Grouping,
    units: tuple[str, ...] | None,
    resamples: int,
    stream: tuple[int, int],
) -> dict[str, TextDifference]:
    """Of every metric in one view: its value where there is one group, its gap where several."""
    codes, groups = grouping.codes, len(grouping.names)
    observed, drawn = [], []
    for scored in (reference, other):
        parts = [scored.rows(np.flatnonzero(codes == code)).observed() for code in range(groups)]
        values = {name: np.array([part[name] for part in parts]) for name in metrics}
        observed.append(_quantities(values, metrics))
        generator = np.random.default_rng([*stream, 0])  # the same draws for both
        draws = bootstrap_texts(scored, units, codes, groups, resamples, generator)
        drawn.append(_quantities(draws.by_group, metrics))
    chance = dict.fromkeys(metrics, np.empty(0))
    if resamples:
        generator = np.random.default_rng([*stream, 1])
        chance = _swapped(reference, other, metrics, grouping, units, resamples, generator)
    found = {}
    for name in metrics:
        own, others = float(observed[0][name]), float(observed[1][name])
        difference = others - own
        p_value = None
        if len(chance[name]) and not np.isnan(difference):
            p_value = swap_p_value(difference, chance[name])
        found[name] = TextDifference(
            None if np.isnan(own) else own,
            None if np.isnan(others) else others,
            plain_estimate(difference, drawn[1][name] - drawn[0][name]),
            p_value,
        )
    return found


def _quantities(
    by_group: Mapping[str, np.ndarray], metrics: Mapping[str, TextMetric]
) -> Quantities:
    """(..., G) -> (...): the value of the only group, or the gap between several."""
    return {
        name: by_group[name][..., 0]
        if by_group[name].shape[-1] == 1
        else text_gap(name, facts).values(by_group)
        for name, facts in metrics.items()
    }


def _swapped(
    reference: ScoredTexts,
    other: ScoredTexts,
    metrics: Mapping[str, TextMetric],
    grouping: Grouping,
    units: tuple[str, ...] | None,
    draws: int,
    generator: np.random.Generator,
) -> Quantities:
    """Other minus reference, when each unit's answers are exchanged at random: (R,) each."""
    codes, groups = grouping.codes, len(grouping.names)
    members = [np.flatnonzero(codes == code) for code in range(groups)]
    parts = [stacked_texts([reference.rows(rows), other.rows(rows)]) for rows in members]
    blocks = bootstrap_blocks(units, codes, groups)
    found: list[Quantities] = []
    for size in chunks(draws, 2 * len(codes), CHUNK):
        coins = generator.integers(0, 2, (size, blocks.count), dtype=np.int32)
        swapped = blocks.to_examples(coins)
        sides = []
        for first, second in ((1 - swapped, swapped), (swapped, 1 - swapped)):
            values = [
                part.weighted(np.hstack([first.take(rows, axis=1), second.take(rows, axis=1)]))
                for part, rows in zip(parts, members, strict=True)
            ]
            by_group = {name: np.stack([v[name] for v in values], axis=1) for name in metrics}
            sides.append(_quantities(by_group, metrics))
        found.append({name: sides[1][name] - sides[0][name] for name in metrics})
    return {name: np.concatenate([part[name] for part in found]) for name in metrics}


def _corrected(pairs: tuple[TextPair, ...]) -> tuple[TextPair, ...]:
    """With p corrected (Holm) over pairs and attributes, for each metric's value and gap by itself."""
    overall: dict[str, dict] = {}
    gaps: dict[str, dict] = {}
    for pair in pairs:
        for name, found in pair.overall.items():
            if found.p_value is not None:
                overall.setdefault(name, {})[pair.other] = found.p_value
        for attribute, of_attribute in pair.gaps.items():
            for name, found in of_attribute.items():
                if found.p_value is not None:
                    gaps.setdefault(name, {})[pair.other, attribute] = found.p_value
    overall = {name: holm(values) for name, values in overall.items()}
    gaps = {name: holm(values) for name, values in gaps.items()}
    return tuple(
        replace(
            pair,
            overall={
                name: replace(found, p_holm=overall.get(name, {}).get(pair.other))
                for name, found in pair.overall.items()
            },
            gaps={
                attribute: {
                    name: replace(found, p_holm=gaps.get(name, {}).get((pair.other, attribute)))
                    for name, found in of_attribute.items()
                }
                for attribute, of_attribute in pair.gaps.items()
            },
        )
        for pair in pairs
    )
