"""Draws of classes and of texts: they equal plain loops, keep units and groups, and tell chance right.

Every test ranges over SAMPLES where it can; what only one kind of sample has stands at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import kstest, rankdata

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.class_sample import (
    SHIFT,
    WITHIN_LABELS,
    ClassSample,
    class_sample,
)
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.measuring import key_estimate, measure_groups
from fairlora_cls.evaluation.metrics import METRICS, ONE_VS_REST
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.text_sample import TextSample, text_sample
from fairlora_cls.evaluation.vectorised import (
    COUNTED,
    SCORED,
    error_by_group,
    error_metrics,
    prepare_scores,
    ranking_by_class,
    ranking_by_group,
)
from fairlora_cls.statistics.draws import bootstrap, null, paired_bootstrap, swap
from fairlora_cls.statistics.intervals import interval, p_value, swap_p_value, tail_p_value
from fairlora_cls.statistics.resampling import (
    bootstrap_blocks,
    dealt_codes,
    drawn_weights,
    null_blocks,
    permuted_tables,
)
from fairlora_cls.statistics.sample import MEDIAN, Sample
from fairlora_cls.texts.finding_f1 import FindingLabels
from fairlora_cls.texts.generations import generations_of
from fairlora_cls.texts.scores import TextScores

RANKED = ("auroc", "average_precision")
SIZES = (1816, 76, 108)  # Table 1 of the glaucoma paper: Non-Hispanic, Hispanic, Unknown


@dataclass(frozen=True)
class Kind:
    """One kind of sample, with what a test must know to judge its draws by other means."""

    make: Callable[..., Sample]  # generator, (N,) which answers are right, units → a sample
    plain: Callable[[Sample, np.ndarray], dict]  # every quantity of the examples at rows
    strata: Callable[[Sample], dict[str, np.ndarray]]  # scheme → (N,) who may change places
    rate: str  # the metric that is the share of right answers
    smooth: str  # a metric of many values
    lean: Callable[[Sample], Sample]  # the same examples, with few metrics beside the rate
    gaps: tuple[str, ...]  # whose p-values are looked at


def classified(generator, right, units=None, classes=2) -> ClassSample:
    """The labels are the same for every generator; probabilities are coarse, so that there are ties."""
    rows, count = np.arange(len(right)), len(right)
    labels = np.random.default_rng(99).permutation(count) % classes
    wrong = (labels + generator.integers(1, classes, count)) % classes
    answers = np.where(right, labels, wrong)
    weights = generator.integers(1, 6, (count, classes)).astype(float)
    weights[rows, answers] += 5
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    names = "abc"[:classes]
    table = Predictions(range(count), labels, answers, probabilities, names, units=units)
    return class_sample(table, by_class=True)


def plain_classes(sample, rows):
    """By the functions of METRICS, which test_metrics.py checks against plain loops."""

    def measured(labels, answers, probabilities, ranked_by, positive, names):
        return {
            name: METRICS[name].function(
                labels, answers, ranked_by if name in RANKED else probabilities, positive
            )
            for name in names
        }

    labels, answers = sample.labels[rows], sample.predictions[rows]
    columns = sample.probabilities[rows], sample.ranked_by[rows]
    values = measured(labels, answers, *columns, sample.positive, METRICS)
    values["accuracy", WITHIN_LABELS] = values["accuracy"]  # drawn in another way only
    for code in range(sample.classes):
        values[SHIFT, code] = np.mean(answers == code) - np.mean(labels == code)
        if sample.classes > 2:
            of_class = ((side == code).astype(int) for side in (labels, answers))
            two = (np.repeat(side[:, [code]], 2, axis=1) for side in columns)
            one = measured(*of_class, *two, 1, ONE_VS_REST)
            values |= {(name, code): value for name, value in one.items()}
    return values


def strata_of_classes(sample):
    everyone = np.zeros(len(sample), dtype=int)
    return {"all": everyone, "label": sample.labels, "prediction": sample.predictions}


def sample_of(scores, units=None, **fields) -> TextSample:
    """Texts with these scores, and the unit of each; medians too."""
    count = len(next(iter(scores.per_text.values())))
    rows = (
        {"id": f"i{k}", "reference": "r", "text": "t", "unit": units and str(units[k])}
        for k in range(count)
    )
    return replace(text_sample(generations_of(rows), scores), medians=True, **fields)


def written(generator, right, units=None) -> TextSample:
    """Texts that answer one of two questions; references are the same for every generator."""
    count, fixed = len(right), np.random.default_rng(99)
    score = generator.random(count).round(2)
    score[fixed.random(count) < 0.2] = np.nan
    reference, applies = fixed.random((count, 2)) < 0.4, fixed.random(count) < 0.8
    generated = np.where(generator.random((count, 2)) < 0.7, reference, ~reference)
    findings = FindingLabels(("edema", "effusion"), reference, generated, applies, "rules")
    scores = TextScores({"score": score, "right": np.asarray(right, float)}, findings, {})
    return sample_of(scores, units, questions=np.arange(count) % 2)


def plain_texts(sample, rows):
    """Text by text."""
    values = {}
    for name in ("score", "right"):
        scores = sample.scores(name)
        own = [float(scores[row]) for row in rows if not np.isnan(scores[row])]
        values[name] = np.mean(own) if own else np.nan
        if name == "score":
            values[name, MEDIAN] = np.median(own) if own else np.nan
    counts = np.zeros((2, 3))
    for row in rows:
        for k in range(2):
            reference, said = (
                side[row, k] for side in (sample.findings.reference, sample.findings.generated)
            )
            if sample.findings.applies[row]:
                counts[k] += (reference and said, said and not reference, reference and not said)

    def f1(true, false, missed):
        return 2 * true / (2 * true + false + missed) if true + false + missed else np.nan

    values["findings_f1_micro"] = f1(*counts.sum(axis=0))
    each = [value for value in (f1(*row) for row in counts) if not np.isnan(value)]
    values["findings_f1_macro"] = np.mean(each) if each else np.nan
    return values


SAMPLES = {
    "two classes": Kind(
        classified,
        plain_classes,
        strata_of_classes,
        "accuracy",
        "auroc",
        lambda sample: sample.quick(),
        ("max_acc_gap", "auroc_gap", "fpr_gap", "demographic_parity_ratio", "brier_gap"),
    ),
    "three classes": Kind(
        partial(classified, classes=3),
        plain_classes,
        strata_of_classes,
        "accuracy",
        "auroc",
        lambda sample: sample.quick(),
        ("max_acc_gap", "average_precision_gap", "equalized_odds_difference"),
    ),
    "texts": Kind(
        written,
        plain_texts,
        lambda sample: {"question": sample.questions},
        "right",
        "score",
        lambda sample: sample.only(("right",)).quick(),
        ("right_gap", "score_gap", "findings_f1_micro_gap", "findings_f1_macro_gap"),
    ),
}


@pytest.fixture(params=SAMPLES)
def kind(request) -> Kind:
    return SAMPLES[request.param]


def random_sample(kind, count=40, seed=0, units=None):
    generator = np.random.default_rng(seed)
    return kind.make(generator, generator.random(count) < 0.7, units)


def null_gaps(sample, codes, groups, draws, generator):
    """Each gap between groups whose names were dealt out anew, (R,) values each."""
    dealt = null(sample, codes, groups, draws, generator, exact=True)
    return {name: gap.values(dealt) for name, gap in sample.gaps.items()}


def values_by_group(sample, codes, groups):
    """Every quantity of each group, (G,); tests below show that these are the plain ones."""
    parts = [sample.rows(np.flatnonzero(codes == code)) for code in range(groups)]
    each = [part.weighted(np.ones((1, len(part)), dtype=np.int32)) for part in parts]
    return {name: np.array([values[name][0] for values in each]) for name in each[0]}


def observed_gaps(sample, codes, groups):
    values = values_by_group(sample, codes, groups)
    return {name: float(gap.values(values)) for name, gap in sample.gaps.items()}


def assert_same(found, expected, place):
    """The values of one draw, or of one group of it."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name][place] == pytest.approx(value, nan_ok=True), name


# Draws are what they say: equal to plain loops


def test_weights_equal_repeated_rows(kind):
    sample, rows = random_sample(kind), np.arange(5, 35)
    weights = np.random.default_rng(0).integers(0, 3, (6, 30)).astype(np.int32)
    found = sample.rows(rows).weighted(weights)
    for draw in range(6):
        assert_same(found, kind.plain(sample, np.repeat(rows, weights[draw])), draw)


def test_observed_values_are_plain_ones(kind):
    sample, codes = random_sample(kind), np.repeat([0, 1, 2], [20, 15, 5])
    found = sample.observed(codes, 3)
    for code in range(3):
        expected = kind.plain(sample, np.flatnonzero(codes == code))
        assert_same(found, {name: expected[name] for name in found}, code)
    assert set(sample.metrics) <= set(found)


@pytest.mark.parametrize("whole", [False, True])
def test_resamples_equal_plain_loops(kind, whole):
    units = [f"p{place // 2}" for place in range(40)] if whole else None
    sample, codes = random_sample(kind, units=units), np.array([0, 1, 1, 2] * 10)
    (drawn,) = paired_bootstrap([sample], codes, 3, 4, np.random.default_rng(5))
    blocks = bootstrap_blocks(units, codes, 3)
    weights = blocks.to_examples(drawn_weights(blocks, 4, np.random.default_rng(5)))
    assert (weights[:, ::2] == weights[:, 1::2]).all() == whole
    for draw in range(4):
        rows = np.repeat(np.arange(40), weights[draw])
        assert_same(drawn.overall, kind.plain(sample, rows), draw)
        for code in range(3):
            own = rows[codes[rows] == code]
            assert_same(drawn.by_group, kind.plain(sample, own), (draw, code))


def test_bootstrap_spread_matches_resampling_by_hand(kind):
    """Where counts decide a metric only counts are drawn: no loop has the same draws, but as many."""
    sample, codes = random_sample(kind, 80, seed=3), np.repeat([0, 1], [50, 30])
    draws = bootstrap(sample, codes, 2, 4000, np.random.default_rng(4))
    generator = np.random.default_rng(3)
    slow = {name: [] for name in draws.overall}
    for _ in range(300):
        rows = [generator.choice(np.flatnonzero(codes == c), (codes == c).sum()) for c in (0, 1)]
        every = np.concatenate([*rows, *rows])
        values = values_by_group(sample.rows(every), np.repeat([0, 1, 2], [80, 50, 30]), 3)
        for name, value in values.items():
            slow[name].append(value)
    for name, values in slow.items():
        fast = np.column_stack([draws.overall[name], draws.by_group[name]])
        spread = np.nanstd(values, axis=0)
        assert np.nanmean(fast, axis=0) == pytest.approx(
            np.nanmean(values, axis=0), abs=0.35 * spread.max()
        ), name
        assert np.nanstd(fast, axis=0) == pytest.approx(spread, rel=0.3), name


def test_nulls_match_shuffling_by_hand(kind):
    """Each gap's null against measuring groups shuffled by hand; the groups differ in labels, or in
    questions, and the answers with them, so that it matters which examples may be exchanged."""
    generator = np.random.default_rng(1)
    *_, stratum = kind.strata(kind.make(generator, np.ones(60, dtype=bool))).values()
    uneven = generator.random(60) > np.where(stratum == 0, 0.8, 0.2)
    codes = uneven + (generator.random(60) > 0.7).astype(int)
    sample = kind.make(generator, generator.random(60) < np.where(stratum == 0, 0.95, 0.4))
    fast = null_gaps(sample, codes, 3, 2000, np.random.default_rng(2))
    draws, slow = 400, {name: [] for name in sample.gaps}
    for _ in range(draws):
        for scheme, stratum in kind.strata(sample).items():
            shuffled = codes.copy()
            for part in np.unique(stratum):
                rows = np.flatnonzero(stratum == part)
                shuffled[rows] = generator.permutation(codes[rows])
            gaps = observed_gaps(sample, shuffled, 3)
            for name, gap in sample.gaps.items():
                if gap.exchangeable_within == scheme:
                    slow[name].append(gaps[name])
    for name, values in slow.items():
        assert len(values) == draws
        error = np.nanstd(values) / np.sqrt(draws)
        assert np.nanmean(fast[name]) == pytest.approx(np.nanmean(values), abs=4 * error), name
        assert np.nanstd(fast[name]) == pytest.approx(np.nanstd(values), rel=0.15), name


def test_swaps_equal_a_plain_loop(kind):
    """The draws of `swap` itself, by the coins that it throws."""
    one, two = random_sample(kind, seed=1), random_sample(kind, seed=2)
    codes = np.repeat([0, 1], [25, 15])
    first, second = swap(one, two, codes, 2, 4, np.random.default_rng(7))
    coins = np.random.default_rng(7).integers(0, 2, (4, 40), dtype=np.int32)
    both = one.paired(two)
    for draw in range(4):
        for side, swapped in ((first, coins[draw]), (second, 1 - coins[draw])):
            taken = np.arange(40) + 40 * swapped  # the other model's answers come after
            assert_same(side.overall, kind.plain(both, taken), draw)
            for code in (0, 1):
                own = kind.plain(both, taken[codes == code])
                assert_same(side.by_group, own, (draw, code))


# Units stay whole, groups stay present, one seed gives one answer


FIVE = np.repeat(list("abcde"), 4).tolist()  # units of four examples, all right or all wrong


def test_units_are_drawn_whole(kind):
    """Five units, three of them right: resamples hold a fifth, two fifths …; without units, more."""
    right, everyone = np.repeat([1, 0, 1, 0, 1], 4).astype(bool), np.zeros(20, dtype=int)
    values = {
        name: bootstrap(
            kind.make(np.random.default_rng(0), right, units),
            everyone,
            1,
            200,
            np.random.default_rng(1),
        ).overall[kind.rate]
        for name, units in (("whole", FIVE), ("apart", None))
    }
    assert 5 * values["whole"] == pytest.approx(np.round(5 * values["whole"]))
    assert len(np.unique(values["whole"].round(9))) >= 4
    assert len(np.unique(values["apart"].round(9))) > 6


def test_names_are_dealt_to_whole_units(kind):
    """The group of one unit is all right or all wrong, whichever unit it gets."""
    right, codes = np.repeat([1, 0, 1, 0, 1], 4).astype(bool), np.repeat([0, 1, 1, 1, 1], 4)
    values = {
        name: null(
            kind.make(np.random.default_rng(0), right, units),
            codes,
            2,
            100,
            np.random.default_rng(1),
        )[kind.rate]
        for name, units in (("whole", FIVE), ("apart", None))
    }
    assert set(values["whole"][:, 0]) == {0.0, 1.0}
    assert set(values["apart"][:, 0]) > {0.25, 0.5}


def test_units_are_exchanged_whole(kind):
    """One model is right throughout and the other never: a swap moves fifths, or twentieths."""
    values = {}
    for name, units in (("whole", FIVE), ("apart", None)):
        models = [
            kind.make(np.random.default_rng(0), np.full(20, right), units)
            for right in (True, False)
        ]
        first, second = swap(*models, np.arange(20) % 2, 2, 200, np.random.default_rng(1))
        values[name] = first.overall[kind.rate]
        assert values[name] + second.overall[kind.rate] == pytest.approx(1)
    assert 5 * values["whole"] == pytest.approx(np.round(5 * values["whole"]))
    assert len(np.unique(values["whole"].round(9))) == 6
    assert len(np.unique(values["apart"].round(9))) > 6


def test_groups_keep_their_sizes(kind):
    """The overall rate is the mean of the groups' weighted by their sizes, draw by draw."""
    sample, codes = random_sample(kind, 50), np.array([0] * 40 + [1] * 10)
    (paired,) = paired_bootstrap([sample], codes, 2, 30, np.random.default_rng(0))
    for drawn in (paired, bootstrap(sample, codes, 2, 30, np.random.default_rng(0))):
        rates = drawn.by_group[kind.rate] @ [0.8, 0.2]
        assert rates == pytest.approx(drawn.overall[kind.rate])


def test_models_see_the_same_resamples(kind):
    sample, codes = random_sample(kind, 60), np.arange(60) % 3
    first, second = paired_bootstrap([sample, sample], codes, 3, 20, np.random.default_rng(0))
    for name in first.overall:
        assert np.array_equal(first.overall[name], second.overall[name], equal_nan=True)
        assert np.array_equal(first.by_group[name], second.by_group[name], equal_nan=True)
    assert len(np.unique(first.overall[kind.rate])) > 1


def test_no_group_vanishes_and_one_seed_gives_one_answer(kind):
    sample, other = random_sample(kind, 101, seed=8), random_sample(kind, 101, seed=9)
    codes = np.r_[np.zeros(100, dtype=int), 1]

    def everything(seed):
        drawn = bootstrap(sample, codes, 2, 300, np.random.default_rng(seed))
        (paired,) = paired_bootstrap([sample], codes, 2, 50, np.random.default_rng(seed))
        sides = swap(sample, other, codes, 2, 50, np.random.default_rng(seed))
        dealt = null(sample, codes, 2, 50, np.random.default_rng(seed))
        return drawn, [*(each.by_group for each in (drawn, paired, *sides)), dealt]

    drawn, first = everything(9)
    for here, again in zip(first, everything(9)[1], strict=True):
        for name, values in here.items():
            assert np.array_equal(values, again[name], equal_nan=True), name
    for here, different in zip(first, everything(10)[1], strict=True):
        assert not np.array_equal(here[kind.rate], different[kind.rate])
    for values in first:
        assert np.isfinite(values[kind.rate]).all()
    for name in drawn.overall:
        assert drawn.overall[name].shape == (300,)
        assert drawn.by_group[name].shape == (300, 2)


def test_without_draws_everything_is_empty(kind):
    drawn = bootstrap(random_sample(kind), np.arange(40) % 2, 2, 0, np.random.default_rng(0))
    assert drawn.overall.keys() == kind.plain(random_sample(kind), np.arange(40)).keys()
    assert {values.shape for values in drawn.overall.values()} == {(0,)}
    assert {values.shape for values in drawn.by_group.values()} == {(0, 2)}


# Intervals cover the truth, p-values are uniform where there is nothing


def test_intervals_cover_the_truth(kind, monkeypatch):
    """1,600 intervals of a share of 300 (the bootstrap's) to 40 examples (Wilson's): 93 to 97 % hold the
    truth."""
    generator = np.random.default_rng(5)
    monkeypatch.setattr("fairlora_cls.statistics.draws.COUNTED_NULL_DRAWS", 1)
    truth, sizes = np.array([0.8, 0.65, 0.9, 0.7]), np.array([300, 200, 40, 60])
    grouping, covered = Grouping(tuple("abcd"), np.repeat(np.arange(4), sizes)), []
    for _ in range(400):
        right = generator.random(600) < truth[grouping.codes]
        sample = kind.lean(kind.make(generator, right))
        measured = measure_groups(sample, grouping, 400, generator)
        for code in range(4):
            low, high = key_estimate(measured, kind.rate, code, sample.metrics[kind.rate]).interval
            covered.append(low <= truth[code] <= high)
    assert 0.93 <= np.mean(covered) <= 0.97
    for code in range(4):
        assert 0.91 <= np.mean(covered[code::4]) <= 0.985


def test_intervals_of_scores_cover_the_truth(kind):
    """Of AUROC and of a mean score; the truth is that of 200,000 answers."""
    generator = np.random.default_rng(6)
    many = kind.make(generator, generator.random(200_000) < 0.7)
    truth = values_by_group(many, np.zeros(200_000, dtype=int), 1)[kind.smooth][0]
    covered = []
    for _ in range(150):
        sample = kind.make(generator, generator.random(150) < 0.7)
        (drawn,) = paired_bootstrap([sample], np.zeros(150, dtype=int), 1, 200, generator)
        low, high = interval(drawn.overall[kind.smooth])
        covered.append(low <= truth <= high)
    assert 0.90 <= np.mean(covered) <= 0.985


def alike_in_units(kind, generator, count, each, spread, accuracy=0.7):
    """`count` units of `each` examples that are right or wrong together: with `spread` 1 all alike."""
    own = np.repeat(generator.random(count) < accuracy, each)
    alone = generator.random(count * each) < accuracy
    right = np.where(generator.random(count * each) < spread, own, alone)
    return kind.make(generator, right, np.repeat(np.arange(count), each).tolist()), right


def test_clustered_spread_is_that_of_the_units(kind):
    """200 units of 5 examples alike: the rate varies as that of 200 examples, not of 1,000."""
    sample, right = alike_in_units(kind, np.random.default_rng(2), 200, 5, spread=1)
    codes = np.repeat([0, 1], 500)
    draws = bootstrap(sample, codes, 2, 1000, np.random.default_rng(3))
    expected = np.sqrt(right.mean() * (1 - right.mean()) / 200)
    assert draws.overall[kind.rate].std() == pytest.approx(expected, rel=0.1)
    for name, values in draws.by_group.items():
        assert values.shape == (1000, 2)
        assert np.isfinite(values).all(), name


def test_clustered_intervals_cover_and_clustered_nulls_do_not_cry_wolf(kind):
    generator, codes = np.random.default_rng(4), np.repeat([0, 1], [240, 160])
    covered, found = [], {}
    for _ in range(120):
        sample = kind.lean(alike_in_units(kind, generator, 100, 4, spread=0.8)[0])
        drawn = bootstrap(sample, codes, 2, 200, generator)
        low, high = interval(drawn.overall[kind.rate])
        covered.append(low <= 0.7 <= high)
        chance = null_gaps(sample, codes, 2, 150, generator)
        values = observed_gaps(sample, codes, 2)
        for name in {"max_acc_gap", "sensitivity_gap", "right_gap"} & set(values):
            found.setdefault(name, []).append(p_value(values[name], chance[name]))
    assert 0.88 <= np.mean(covered) <= 0.99
    assert found
    for name, values in found.items():
        assert np.mean(np.array(values) <= 0.1) < 0.18, name
        assert 0.38 < np.mean(values) < 0.62, name


def test_p_values_are_uniform_when_groups_are_equal(kind, monkeypatch):
    monkeypatch.setattr("fairlora_cls.statistics.draws.COUNTED_NULL_DRAWS", 200)
    generator, codes = np.random.default_rng(6), np.repeat([0, 1, 2], [60, 50, 40])
    p_values = {name: [] for name in kind.gaps}
    for _ in range(150):
        sample = kind.make(generator, generator.random(150) < 0.7)
        chance = null_gaps(sample, codes, 3, 200, generator)
        values = observed_gaps(sample, codes, 3)
        for name in kind.gaps:
            is_ratio = sample.gaps[name].kind == "ratio"
            p_values[name].append(p_value(values[name], chance[name], is_ratio))
    for name, found in p_values.items():
        assert 0.4 < np.mean(found) < 0.6, name
        for level in (0.1, 0.25, 0.5, 0.75):
            assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.12), name


def test_a_planted_gap_is_found(kind):
    generator, codes = np.random.default_rng(7), np.repeat([0, 1], 500)
    right = generator.random(1000) < np.where(codes == 0, 0.85, 0.70)
    sample = kind.lean(kind.make(generator, right))
    chance = null_gaps(sample, codes, 2, 500, generator)
    (name,) = (name for name, gap in sample.gaps.items() if gap.metrics == (kind.rate,))
    value = right[codes == 0].mean() - right[codes == 1].mean()
    assert observed_gaps(sample, codes, 2)[name] == pytest.approx(value)
    assert tail_p_value(value, chance[name]) < 0.001


@pytest.fixture(scope="module", params=SAMPLES)
def swap_p_values(request):
    """Of 150 pairs of models of the same skill, which is better in one group than in the other:
    without that, the absolute values in a gap make ties (and p large) in most data sets."""
    kind = SAMPLES[request.param]
    found = {"rate": [], "smooth": [], "gap": []}
    codes = np.arange(100) // 2 % 2
    skill = np.where(codes, 0.9, 0.6)
    for number in range(150):
        models = []
        for start in (1000, 5000):
            generator = np.random.default_rng(start + number)
            models.append(kind.make(generator, generator.random(100) < skill))
        first, second = swap(*models, codes, 2, 199, np.random.default_rng(number))
        observed = [values_by_group(model, np.zeros(100, dtype=int), 1) for model in models]
        for key, name in (("rate", kind.rate), ("smooth", kind.smooth)):
            chance = second.overall[name] - first.overall[name]
            difference = observed[1][name][0] - observed[0][name][0]
            found[key].append(swap_p_value(difference, chance))
        chance = np.ptp(second.by_group[kind.rate], 1) - np.ptp(first.by_group[kind.rate], 1)
        gaps = [np.ptp(values_by_group(model, codes, 2)[kind.rate]) for model in models]
        found["gap"].append(swap_p_value(gaps[1] - gaps[0], chance))
    return {name: np.array(values) for name, values in found.items()}


def test_p_is_uniform_under_no_difference(swap_p_values):
    assert kstest(swap_p_values["smooth"], "uniform").pvalue > 0.05


@pytest.mark.parametrize("name", ["rate", "gap"])
def test_p_is_valid_where_ties_make_it_larger(swap_p_values, name):
    """Counts take few values: P(p <= level) is at most the level, within 2.5 standard errors."""
    for level in (0.05, 0.2, 0.5):
        share = (swap_p_values[name] <= level).mean()
        assert share <= level + 2.5 * np.sqrt(level * (1 - level) / 150)
        assert share >= 0.3 * level


# Blocks: what is drawn, dealt and exchanged


def test_a_drawn_unit_brings_all_its_examples():
    units = ["a", "a", "b", "c", "c", "c", "d", "e"]
    codes = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    blocks = bootstrap_blocks(units, codes, 2)
    weights = blocks.to_examples(drawn_weights(blocks, 200, np.random.default_rng(0)))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 7]].sum(axis=1) == 3).all()  # three units of group 0, drawn thrice
    assert (weights[:, [3, 6]].sum(axis=1) == 2).all()


def test_a_unit_of_two_groups_stays_whole_and_no_group_vanishes():
    codes = np.array([0, 1, 0, 1])
    blocks = bootstrap_blocks(["a", "a", "b", "b"], codes, 2)
    weights = blocks.to_examples(drawn_weights(blocks, 100, np.random.default_rng(0)))
    assert (weights[:, 0] == weights[:, 1]).all()
    for code in (0, 1):
        assert (weights[:, codes == code].sum(axis=1) > 0).all()


def test_names_are_dealt_among_units_of_the_same_kinds():
    kinds, codes = np.array([0, 1, 0, 1, 1, 1, 1, 1]), np.repeat([0, 1, 0, 1], 2)
    blocks, own = null_blocks(["a", "a", "b", "b", "c", "c", "d", "d"], codes, kinds)
    dealt = blocks.to_examples(dealt_codes(blocks, own, 300, np.random.default_rng(0)))
    assert (dealt[:, ::2] == dealt[:, 1::2]).all()
    assert (dealt[:, :4].sum(axis=1) == 2).all()  # units of both kinds swap among themselves
    assert (dealt[:, 0] != dealt[0, 0]).any()


def test_permuted_tables_keep_their_margins():
    table = np.array([[5, 0, 2], [1, 4, 0], [0, 0, 0], [3, 1, 1]])
    drawn = permuted_tables(table, 4000, np.random.default_rng(0))
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=1) == table.sum(axis=0)).all()
    assert (drawn.sum(axis=2) == table.sum(axis=1)).all()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    assert np.allclose(drawn.mean(axis=0), expected, atol=0.1)


# Of classes only


def test_every_metric_is_counted_or_scored():
    assert {*COUNTED, *SCORED} == set(METRICS)
    assert all("probabilities" not in METRICS[name].reads for name in COUNTED)


def test_units_of_one_example_each_change_nothing():
    right = np.random.default_rng(1).random(100) < 0.7
    sample = classified(np.random.default_rng(1), right, [f"p{place}" for place in range(100)])
    assert sample.units is None


def test_each_models_own_ranks_are_exchanged():
    one, two = (random_sample(SAMPLES["two classes"], seed=seed) for seed in (1, 2))
    ranks = [np.apply_along_axis(rankdata, 0, model.probabilities) for model in (one, two)]
    both = one.paired(two)
    assert np.array_equal(both.ranked_by, np.concatenate(ranks))
    assert np.array_equal(both.probabilities[40:], two.probabilities)


def test_the_null_of_the_papers_table():
    """Equal groups of these sizes at accuracy .535 show 7.29 points on average, 95 % of the time
    1.21 to 16.91; that is also what plain binomial draws of three equal groups give."""
    right = np.concatenate(
        [np.arange(size) < hits for size, hits in zip(SIZES, (970, 43, 57), strict=True)]
    )
    sample = classified(np.random.default_rng(0), right)
    codes = np.repeat([0, 1, 2], SIZES)
    chance = null_gaps(sample, codes, 3, 1000, np.random.default_rng(42))["max_acc_gap"]
    assert chance.mean() == pytest.approx(0.0729, abs=0.0015)
    low, high = interval(chance)
    assert low == pytest.approx(0.0121, abs=0.003)
    assert high == pytest.approx(0.1691, abs=0.003)
    generator = np.random.default_rng(0)
    shares = np.stack([generator.binomial(size, 0.535, 20_000) / size for size in SIZES])
    assert chance.mean() == pytest.approx(np.ptp(shares, axis=0).mean(), abs=0.0015)


@pytest.mark.parametrize("decimals", [1, 9])
@pytest.mark.parametrize("classes", [2, 3])
def test_all_groups_at_once_are_each_group_by_itself(decimals, classes):
    """With many ties, and with none; some groups lack a class."""
    generator = np.random.default_rng(12)
    probabilities = generator.dirichlet(np.ones(classes), 60).round(decimals)
    labels = generator.integers(0, classes, 60)
    scored = prepare_scores(labels, probabilities, classes - 1, probabilities)
    sizes = np.array([40, 15, 4, 1])
    codes = generator.permuted(np.tile(np.repeat(np.arange(4), sizes), (50, 1)), axis=1)
    together = ranking_by_group(codes.astype(np.uint8), sizes, scored)
    together |= error_by_group(codes, sizes, scored)
    for code in range(4):
        weights = (codes == code).astype(np.int32)
        alone = ranking_by_class(weights, scored) | error_metrics(weights, scored)
        for name, values in alone.items():
            assert np.allclose(together[name][:, code], values, equal_nan=True), (name, code)


# Of texts only


def test_names_are_dealt_among_the_same_questions():
    """Two questions, each with one score: each group has five texts of both, and so it stays."""
    kinds, codes = np.array([0, 1] * 10), np.repeat([0, 1], 10)
    scores = TextScores({"score": np.where(kinds == 0, 1.0, 0.25)}, None, {})
    dealt = null(sample_of(scores, questions=kinds), codes, 2, 50, np.random.default_rng(0))
    assert dealt["score"] == pytest.approx(np.full((50, 2), 0.625))


def test_medians_leave_out_what_is_undefined():
    scores = TextScores({"s": np.array([0.1, np.nan, 0.5, 0.2, np.nan])}, None, {})
    medians = sample_of(scores).observed(np.array([0, 0, 0, 0, 1]), 2)["s", MEDIAN]
    assert medians == pytest.approx([0.2, np.nan], nan_ok=True)


def test_metrics_that_no_text_has_are_left_out():
    scores = TextScores({"a": np.array([np.nan, np.nan]), "b": np.array([1.0, np.nan])}, None, {})
    assert sample_of(scores).names == ("b",)
    with pytest.raises(InputError, match="No text has a score of a"):
        sample_of(TextScores({"a": np.array([np.nan, np.nan])}, None, {}))
