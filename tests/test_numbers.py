"""Every number that a page shows is written in one place."""

import pytest

from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS, QUANTITIES
from fairlora_cls.presentation.numbers import RATE, SCORE, show_duration, show_p, show_p_value


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accuracy", 0.535, "53.5%"),
        ("auroc", 0.8124, "0.812"),
        ("max_acc_gap", 0.038, "3.8 points"),
        ("auroc_gap", 0.041, "0.041"),
        ("equalized_odds_ratio", 0.5, "0.500"),
        ("accuracy_fairllava", 0.3, "0.300"),
    ],
)
def test_values_have_their_unit(name, value, shown):
    assert QUANTITIES[name].show(value) == shown


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_shows_all_of_its_forms(name):
    quantity = QUANTITIES[name]
    forms = [quantity.show, quantity.show_number, quantity.show_gap, quantity.show_signed]
    assert [form(None) for form in forms] == ["–"] * 4
    assert quantity.show_range(None) == quantity.show_signed_range(None) == ""
    unit = " points" if quantity.is_in_points else ""
    assert quantity.show_gap(0.25) == quantity.show_number(0.25) + unit
    assert quantity.title


def test_a_gap_is_shown_as_its_metric_shows_distances():
    for gap in GAPS.values():
        if gap.kind == "difference":
            assert gap.show(0.1234) == METRICS[gap.metrics[0]].show_gap(0.1234)
    assert {score.show(0.5) for score in EQUITY_SCALED.values()} == {"0.500"}


def test_signs():
    assert METRICS["accuracy"].show_signed(-0.0263) == "−2.6 points"
    assert METRICS["auroc"].show_signed(0.0124) == "+0.012"
    assert METRICS["accuracy"].show_signed(-0.0001) == "0.0 points"
    assert GAPS["demographic_parity_ratio"].show_signed_range((-0.1, 0.2)) == "−0.100 to +0.200"
    assert RATE.show_range((-0.025, 0.5)) == "−2.5 to 50.0"
    assert SCORE.show_range(None, "–") == "–"


def test_p_values():
    given = [None, 0.0004, 0.001, 0.0312, 0.0996, 0.1, 0.5]
    shown = ["–", "< 0.001", "0.001", "0.031", "0.100", "0.10", "0.50"]
    assert [show_p_value(p) for p in given] == shown
    assert (show_p(0.0004), show_p(0.5)) == ("p < 0.001", "p = 0.50")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (89, "89 s"), (720, "12 min"), (5340, "89 min"), (12000, "3 h 20 min")],
)
def test_durations(seconds, shown):
    assert show_duration(seconds) == shown
