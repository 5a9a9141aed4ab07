"""How often the groups that a penalty compares share a step, before anything is trained."""

import math
from dataclasses import replace

import pytest

from fairlora_cls.checking.batches import (
    GroupPresence,
    check_groups_in_steps,
    compared_size,
    count_presence,
)
from fairlora_cls.checking.check import quick_check
from fairlora_cls.checking.findings import CheckReport
from fairlora_cls.data.examples import Splits
from fairlora_cls.recipe import build_recipe
from tests.test_examples import example

FOUR = ("training.sampler=stratified", "training.batch_size=4", "training.micro_batch_size=2")


def splits(**counts):
    """Training examples, `counts` of each sex, one after the other."""
    names = [sex for sex, count in counts.items() for _ in range(count)]
    train = tuple(example(f"train{i}", i % 2, sex=sex) for i, sex in enumerate(names))
    return Splits("table", ("no", "yes"), ("sex",), train, (), ())


def recipe(method, *keys):
    return build_recipe(
        {"data": {"source": "table", "path": "somewhere", "sensitive": ["sex"]}},
        [f"objective.method={method}", *keys],
    )


def shares(found):
    return {p.group: p.share for p in found}


def test_spread_over_the_epoch_two_examples_are_in_two_of_four_steps():
    spread = recipe("fr", *FOUR)
    found = count_presence(spread, splits(F=14, M=2), ["sex"])
    assert found == [GroupPresence("sex", "F", 14, 1.0), GroupPresence("sex", "M", 2, 0.5)]
    report = check_groups_in_steps(spread, splits(F=14, M=2), ["sex"])
    assert report.findings == []  # half of the steps is not fewer than half
    assert report.facts == {"groups_in_steps": {"sex F": 1.0, "sex M": 0.5}}


def test_a_shuffled_epoch_holds_a_rare_group_as_often_as_chance_has_it():
    found = count_presence(recipe("fr"), splits(F=1910, M=90), ["sex"])
    expected = 1 - math.comb(1910, 8) / math.comb(2000, 8)
    assert expected == pytest.approx(0.309, abs=5e-4)
    error = math.sqrt(expected * (1 - expected) / 250)
    assert shares(found)["M"] == pytest.approx(expected, abs=3 * error)
    report = check_groups_in_steps(recipe("fr"), splits(F=1910, M=90), ["sex"])
    (finding,) = report.findings
    assert finding.code == "seldom-in-batch"
    assert f"sex M in {shares(found)['M']:.1%}" in finding.message
    assert "F in" not in finding.message
    (table,) = report.tables
    assert table.texts() == [
        ["sex F", "1,910", "100.0%"],
        ["sex M", "90", f"{shares(found)['M']:.1%}"],
    ]


def test_micro_batch_statistics_see_less():
    micro = recipe("fr", *FOUR, "objective.statistics=micro_batch")
    found = count_presence(micro, splits(F=14, M=2), ["sex"])
    assert shares(found) == {"F": 1.0, "M": 0.25}  # 2 of 8 micro-batches
    (finding,) = check_groups_in_steps(micro, splits(F=14, M=2), ["sex"]).findings
    assert "within 2 examples (training.micro_batch_size" in finding.message


def test_a_balanced_epoch_holds_every_group():
    found = count_presence(recipe("fr", "training.sampler=balanced"), splits(F=180, M=20), ["sex"])
    assert min(shares(found).values()) > 0.9


@pytest.mark.parametrize(
    ("method", "keys", "size"),
    [
        ("vanilla", (), None),
        ("gr", (), None),
        ("zero-shot", (), None),
        ("resampling", (), None),
        ("fr", (), 8),
        ("hybrid", ("training.batch_size=64",), 64),
        ("worst-group", ("objective.statistics=micro_batch", "training.micro_batch_size=2"), 2),
        ("fr", ("objective.gap_weight=0",), None),
        ("fr", ("objective.statistics=running",), None),
        ("gr", ("objective.penalties={loss_variance: 0.2}",), 8),
        ("gr", ("objective.penalties={loss_variance: 0}",), None),
    ],
)
def test_what_is_compared(method, keys, size):
    asked = recipe(method, *keys)
    assert compared_size(asked) == size
    if size is None:
        assert count_presence(asked, splits(F=20, M=1), ["sex"]) == []
        assert check_groups_in_steps(asked, splits(F=20, M=1), ["sex"]) == CheckReport()


def test_a_group_that_is_absent_from_training_and_no_training_at_all():
    assert count_presence(recipe("fr"), splits(), ["sex"]) == []
    assert count_presence(recipe("fr"), splits(F=3), []) == []
    elsewhere = replace(splits(F=3), test=(example("test0", sex="M"),))
    assert shares(count_presence(recipe("fr"), elsewhere, ["sex"])) == {"F": 1.0}


def test_train_says_it_before_the_model_loads():
    (finding,) = [
        f
        for f in quick_check(recipe("fr"), splits(F=190, M=2), skip_unreadable=True)
        if f.code == "seldom-in-batch"
    ]
    assert finding.examples == ("sex M",)
