"""Resampled scores of texts equal plain loops, units stay whole, undefined stays undefined."""

from dataclasses import replace

import numpy as np
import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.text_sample import text_sample
from fairlora_cls.statistics.draws import bootstrap, null
from fairlora_cls.statistics.resampling import bootstrap_blocks, drawn_weights
from fairlora_cls.statistics.sample import MEDIAN
from fairlora_cls.texts.finding_f1 import FindingLabels
from fairlora_cls.texts.generations import generations_of
from fairlora_cls.texts.scores import TextScores


def sample_of(found, units=None, **fields):
    """Texts with these scores as a sample; `units` of each."""
    count = len(next(iter(found.per_text.values())))
    rows = (
        {"id": f"i{k}", "reference": "r", "text": "t", "unit": units and units[k]}
        for k in range(count)
    )
    return replace(text_sample(generations_of(rows), found), medians=True, **fields)


def scores(count=40, seed=0, units=None):
    generator = np.random.default_rng(seed)
    score = generator.random(count).round(1)
    score[generator.random(count) < 0.2] = np.nan
    findings = FindingLabels(
        ("edema", "effusion"),
        generator.random((count, 2)) < 0.4,
        generator.random((count, 2)) < 0.4,
        generator.random(count) < 0.8,
        "rules",
    )
    return TextScores({"score": score, "right": generator.random(count) > 0.5}, findings, {})


def loops(found, weights):
    """Every metric of one resample, text by text."""
    rows = [row for row, times in enumerate(weights) for _ in range(int(times))]
    values = {}
    for name in ("score", "right"):
        own = [float(found.per_text[name][row]) for row in rows]
        own = [value for value in own if not np.isnan(value)]
        values[name] = np.mean(own) if own else np.nan
        values[name, MEDIAN] = np.median(own) if own else np.nan
    counts = np.zeros((2, 3))
    for row in rows:
        for k in range(2):
            reference, said = found.findings.reference[row, k], found.findings.generated[row, k]
            if found.findings.applies[row]:
                counts[k] += (reference and said, said and not reference, reference and not said)

    def f1(true, false, missed):
        return 2 * true / (2 * true + false + missed) if true + false + missed else np.nan

    values["findings_f1_micro"] = f1(*counts.sum(axis=0))
    each = [value for value in (f1(*row) for row in counts) if not np.isnan(value)]
    values["findings_f1_macro"] = np.mean(each) if each else np.nan
    return values


def test_bootstrap_equals_plain_loops():
    found = scores()
    codes = np.array([0, 1, 1, 2] * 10)
    units = tuple(f"p{place // 2}" for place in range(40))
    drawn = bootstrap(sample_of(found, units), codes, 3, 30, np.random.default_rng(5))
    blocks = bootstrap_blocks(units, codes, 3)
    weights = blocks.to_examples(drawn_weights(blocks, 30, np.random.default_rng(5)))
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    for r in range(30):
        whole = loops(found, weights[r])
        for name in drawn.overall:
            assert drawn.overall[name][r] == pytest.approx(whole[name], nan_ok=True)
        for code in range(3):
            own = loops(found, weights[r] * (codes == code))
            for name in drawn.by_group:
                assert drawn.by_group[name][r, code] == pytest.approx(own[name], nan_ok=True)
    assert ("score", MEDIAN) in drawn.by_group


def test_names_are_dealt_to_whole_units_among_the_same_questions():
    """Two questions: the score of the first is always 1, so no deal can make a gap of it."""
    kinds = np.array([0, 1] * 10)
    found = TextScores({"score": np.where(kinds == 0, 1.0, np.arange(20) / 20)}, None, {})
    sample = sample_of(found, questions=kinds)
    codes = np.repeat([0, 1], 10)
    dealt = null(sample, codes, 2, 50, np.random.default_rng(0))["score"]
    assert dealt.shape == (50, 2)
    assert dealt.sum(axis=1) == pytest.approx(2 * sample.everyone()["score"])
    first = sample.rows(np.flatnonzero(kinds == 0))
    assert (null(first, codes[::2], 2, 50, np.random.default_rng(0))["score"] == 1).all()


def test_dealt_units_keep_their_texts_together():
    """Five units of four texts, each all right or all wrong: a dealt group of one unit is 0 or 1."""
    right = np.repeat([1.0, 0, 1, 0, 1], 4)
    units = tuple(np.repeat(list("abcde"), 4).tolist())
    codes = np.repeat([0, 1, 1, 1, 1], 4)
    sample = sample_of(TextScores({"right": right}, None, {}), units)
    dealt = null(sample, codes, 2, 100, np.random.default_rng(1))["right"]
    assert set(dealt[:, 0]) == {0.0, 1.0}


def test_without_draws_everything_is_empty():
    everyone = np.zeros(40, dtype=int)
    drawn = bootstrap(sample_of(scores()), everyone, 1, 0, np.random.default_rng(0))
    assert drawn.overall["score"].shape == (0,)
    assert drawn.by_group["findings_f1_micro"].shape == (0, 1)
    assert drawn.by_group["score", MEDIAN].shape == (0, 1)


def test_medians_leave_out_what_is_undefined():
    found = TextScores({"s": np.array([0.1, np.nan, 0.5, 0.2, np.nan])}, None, {})
    medians = sample_of(found).observed(np.array([0, 0, 0, 0, 1]), 2)["s", MEDIAN]
    assert medians == pytest.approx([0.2, np.nan], nan_ok=True)


def test_metrics_that_no_text_has_are_left_out():
    found = TextScores({"a": np.array([np.nan, np.nan]), "b": np.array([1.0, np.nan])}, None, {})
    assert sample_of(found).names == ("b",)
    with pytest.raises(InputError, match="No text has a score of a"):
        sample_of(TextScores({"a": np.array([np.nan, np.nan])}, None, {}))
