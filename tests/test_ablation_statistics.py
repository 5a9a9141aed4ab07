"""Settings over seeds, paired contrasts and choices by validation, with values by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.ablations.runs import (
    Measured,
    Quantity,
    RunResult,
    headline_quantities,
    runs_table,
)
from fairlora_cls.ablations.selection import Validation, _choose
from fairlora_cls.ablations.statistics import (
    contrast_settings,
    pareto_front,
    summarise_settings,
)
from fairlora_cls.ablations.wording import quantity_title

ACCURACY, GAP = Quantity("", "accuracy"), Quantity("sex", "max_acc_gap")
VALUES = {  # λ → seeds 1, 2, 3: accuracy, gap
    0: ([0.80, 0.82, 0.81], [0.10, 0.12, 0.11]),
    1: ([0.79, 0.80, 0.77], [0.02, 0.05, 0.05]),
    2: ([0.81, 0.80, 0.81], [0.11, 0.11, 0.13]),
}


@pytest.fixture
def plan(tmp_path):
    file = tmp_path / "lambda.yaml"
    file.write_text("base: quickstart\ngrid: {objective.gap_weight: [0, 1, 2], seed: [1, 2, 3]}")
    return make_plan(str(file), tmp_path / "out")


def results_of(plan):
    found = []
    for job in plan.jobs:
        accuracy, gap = (of[job.seed - 1] for of in VALUES[job.recipe.objective.gap_weight])
        numbers = {
            "": {"accuracy": Measured(accuracy, (accuracy - 0.1, accuracy + 0.1))},
            "sex": {"max_acc_gap": Measured(gap, None, 0.04, (0.0, 0.09))},
        }
        found.append(RunResult(job, "complete", "", 10.0, numbers, 100))
    return found


def test_mean_and_t_interval_over_seeds(plan):
    first, *_ = summarise_settings(plan, results_of(plan), [ACCURACY, GAP])
    found = first.numbers[ACCURACY]
    half = stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    assert found.mean == pytest.approx(0.81)
    assert found.interval == pytest.approx((0.81 - half, 0.81 + half))
    assert first.numbers[GAP].null_mean == pytest.approx(0.04)
    assert first.numbers[GAP].null_interval == pytest.approx((0.0, 0.09))


def test_one_seed_keeps_the_run_s_own_interval(plan):
    results = [result for result in results_of(plan) if result.job.seed == 1]
    first, *_ = summarise_settings(plan, results, [ACCURACY])
    assert first.numbers[ACCURACY].interval == pytest.approx((0.70, 0.90))


def test_a_difference_needs_both_seeds_and_images_and_is_corrected(plan):
    settings = summarise_settings(plan, results_of(plan), [ACCURACY, GAP])
    rare = np.linspace(-0.06, 0.06, 99)  # draws: |difference| ≥ 0.07 never
    draws = {("gap_weight=1", GAP): rare, ("gap_weight=2", GAP): rare}
    found = {
        (c.setting, c.quantity): c
        for c in contrast_settings(settings, plan.reference, [ACCURACY, GAP], draws)
    }
    gap = found["gap_weight=1", GAP]
    differences = [-0.08, -0.07, -0.06]
    t = np.mean(differences) / (0.01 / math.sqrt(3))
    assert gap.mean == pytest.approx(-0.07)
    assert gap.p_seeds == pytest.approx(2 * stats.t.cdf(t, 2))
    assert gap.p_images == pytest.approx(1 / 100)
    assert gap.p_value == max(gap.p_seeds, gap.p_images)
    assert gap.p_holm == pytest.approx(2 * gap.p_value)  # two settings were asked
    assert gap.is_evidence
    other = found["gap_weight=2", GAP]
    assert not other.is_evidence
    assert found["gap_weight=1", ACCURACY].p_images is None
    assert found["gap_weight=1", ACCURACY].p_value == found["gap_weight=1", ACCURACY].p_seeds


def test_equal_seeds_leave_the_question_to_the_images(plan):
    results = [r for r in results_of(plan) if r.job.seed == 1]
    settings = summarise_settings(plan, results, [GAP])
    found = contrast_settings(
        settings, plan.reference, [GAP], {("gap_weight=1", GAP): np.zeros(19)}
    )
    assert (found[0].p_seeds, found[0].p_images) == (None, 1 / 20)
    assert found[1].p_value is None
    assert found[1].p_holm is None


def test_a_run_that_is_missing_is_left_out_of_the_pairs(plan):
    results = [r for r in results_of(plan) if (r.job.setting, r.job.seed) != ("gap_weight=1", 2)]
    settings = summarise_settings(plan, results, [GAP])
    contrast = contrast_settings(settings, plan.reference, [GAP], {})[0]
    assert contrast.seeds == (1, 3)
    assert contrast.mean == pytest.approx(-0.07)
    without = [r for r in results if r.job.setting != "gap_weight=0"]
    settings = summarise_settings(plan, without, [GAP])
    assert contrast_settings(settings, plan.reference, [GAP], {}) == []


def test_pareto_front_by_hand():
    points = {"a": (0.8, 0.1), "b": (0.7, 0.05), "c": (0.7, 0.1), "d": (0.9, 0.2), "e": (0.8, 0.1)}
    assert pareto_front(points) == ["a", "b", "d", "e"]  # c is beaten, equals do not beat


def test_the_rules_of_selection():
    means = {
        "a": Validation(0.90, 0.95, 0.60, 0.20),
        "b": Validation(0.85, 0.97, 0.80, 0.06),
        "c": Validation(0.70, 0.75, 0.70, 0.04),
    }

    def chosen(rule, bound=0.05):
        return _choose(rule, means, bound)

    assert chosen("accuracy").setting == "a"
    assert chosen("auroc").setting == "b"
    assert chosen("worst_group_accuracy").setting == "b"
    assert (chosen("bounded_accuracy").setting, chosen("bounded_accuracy").bound_met) == ("c", True)
    assert chosen("bounded_auroc", 0.1).setting == "b"
    none = chosen("bounded_auroc", 0.01)
    assert (none.setting, none.bound_met) == ("c", False)
    assert chosen("accuracy").bound_met is None
    assert _choose("auroc", {"a": Validation(0.9, float("nan"), 0.5, 0.1)}, 0.05) is None


def test_reports_of_texts_lead_with_their_own_headline(plan):
    numbers = {
        "": {"bleu_4": Measured(0.1), "none": Measured(None), "rouge_l": Measured(0.2)},
        "sex": {"bleu_4_gap": Measured(0.1), "rouge_l_gap": Measured(0.05)},
    }
    result = RunResult(
        plan.jobs[0], "complete", "", 1.0, numbers, 10, "rouge_l", {"rouge_l": "ROUGE-L"}
    )
    found = headline_quantities([result])
    assert found == [
        Quantity("", "rouge_l"),
        Quantity("", "bleu_4"),
        Quantity("sex", "rouge_l_gap"),
    ]
    assert quantity_title(found[2]) == "ROUGE-L gap of sex"
    assert quantity_title(found[1]) == "bleu 4"
    assert quantity_title(GAP) == "MaxAccGap of sex"


def test_the_table_has_a_row_per_run(plan):
    results = results_of(plan)
    results[1] = RunResult(plan.jobs[1], "failed", "the loss is nan")
    lines = runs_table(plan, results).splitlines()
    assert lines[0] == (
        "setting,objective.gap_weight,seed,status,accuracy,sex:max_acc_gap,"
        "sex:max_acc_gap_null_mean,seconds,folder,error"
    )
    assert lines[1] == "gap_weight=0,0,1,complete,0.8,0.1,0.04,10.0,gap_weight-0/seed-1,"
    assert lines[2] == "gap_weight=1,1,1,failed,,,,,gap_weight-1/seed-1,the loss is nan"
    assert len(lines) == 10
