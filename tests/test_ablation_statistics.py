"""Settings over seeds, paired contrasts and choices by validation, with values by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from fairlora_cls.ablations.against_reference import compare_with_reference
from fairlora_cls.ablations.figures import _ends, _possible, far_below, numeric_axes
from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.ablations.results import AblationReport, _said_by_runs
from fairlora_cls.ablations.runs import (
    FollowedQuantity,
    Number,
    RunResult,
    headline_quantities,
    read_runs,
    runs_table,
)
from fairlora_cls.ablations.selection import Selection, Selections, Validation, _choose
from fairlora_cls.ablations.statistics import (
    Contrast,
    OverSeeds,
    SettingResult,
    contrast_settings,
    pareto_front,
    summarise_settings,
)
from fairlora_cls.ablations.wording import (
    describe_evidence,
    describe_selection,
    describe_undecided,
)
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.text_sample import TextMetric
from fairlora_cls.files import write_json, write_text
from fairlora_cls.presentation.numbers import PlainQuantity
from fairlora_cls.recipe import recipe_to_yaml
from fairlora_cls.texts.generations import generations_of, write_generations

ACCURACY = FollowedQuantity("", "accuracy", METRICS["accuracy"])
GAP = FollowedQuantity("sex", "max_acc_gap", GAPS["max_acc_gap"])
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
            "": {"accuracy": Number(accuracy, (accuracy - 0.1, accuracy + 0.1))},
            "sex": {"max_acc_gap": Number(gap, None, 0.04, (0.0, 0.09))},
        }
        found.append(RunResult(job, "complete", "", 10.0, numbers, 100))
    return found


def test_mean_and_t_interval_over_seeds(plan):
    first, *_ = summarise_settings(plan, results_of(plan), [ACCURACY, GAP])
    found = first.numbers[ACCURACY]
    half = stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3) / (0.81 * 0.19)  # on the logit scale
    assert found.mean == pytest.approx(0.81)
    assert logit(np.array(found.interval)) == pytest.approx(logit(0.81) + np.array([-half, half]))
    assert first.numbers[GAP].null_mean == pytest.approx(0.04)
    assert first.numbers[GAP].null_interval == pytest.approx((0.0, 0.09))


def test_one_seed_keeps_the_run_s_own_interval(plan):
    results = [result for result in results_of(plan) if result.job.seed == 1]
    first, *_ = summarise_settings(plan, results, [ACCURACY])
    assert first.numbers[ACCURACY].interval == pytest.approx((0.70, 0.90))


def test_a_difference_needs_both_seeds_and_images_and_is_corrected(plan):
    settings = summarise_settings(plan, results_of(plan), [ACCURACY, GAP])
    p_images = {("gap_weight=1", GAP): 0.01, ("gap_weight=2", GAP): 0.01}
    found = {
        (c.setting, c.quantity): c
        for c in contrast_settings(settings, plan.reference, [ACCURACY, GAP], p_images)
    }
    gap = found["gap_weight=1", GAP]
    differences = [-0.08, -0.07, -0.06]
    t = np.mean(differences) / (0.01 / math.sqrt(3))
    assert gap.mean == pytest.approx(-0.07)
    assert gap.p_seeds == pytest.approx(2 * stats.t.cdf(t, 2))
    assert gap.p_images == 0.01
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
    found = contrast_settings(settings, plan.reference, [GAP], {("gap_weight=1", GAP): 1 / 20})
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
        "a": Validation(0.90, 0.95, 0.60, 0.20, 1.0),
        "b": Validation(0.85, 0.97, 0.80, 0.06, 1.0),
        "c": Validation(0.70, 0.75, 0.70, 0.04, 1.0),
    }

    def chosen(rule, bound=0.05):
        return _choose(rule, means, bound, 0.05)

    assert chosen("accuracy").setting == "a"
    assert chosen("auroc").setting == "b"
    assert chosen("worst_group_accuracy").setting == "b"
    assert (chosen("bounded_accuracy").setting, chosen("bounded_accuracy").bound_met) == ("c", True)
    assert chosen("bounded_auroc", 0.1).setting == "b"
    none = chosen("bounded_auroc", 0.01)
    assert (none.setting, none.bound_met) == ("c", False)
    assert chosen("accuracy").bound_met is None
    assert _choose("auroc", {"a": Validation(0.9, float("nan"), 0.5, 0.1, 1.0)}, 0.05, 0.05) is None


def test_a_setting_that_harms_a_group_does_not_meet_the_bound():
    means = {
        "plain": Validation(0.80, 0.9, 0.70, 0.20, 1.0, {"sex/F": 0.90, "sex/M": 0.70}),
        "harm": Validation(0.70, 0.9, 0.70, 0.00, 1.0, {"sex/F": 0.70, "sex/M": 0.70}),
        "gain": Validation(0.87, 0.9, 0.86, 0.02, 1.0, {"sex/F": 0.88, "sex/M": 0.86}),
    }
    found = _choose("bounded_accuracy", means, 0.05, 0.05)
    assert (found.setting, found.bound_met) == ("gain", True)
    del means["gain"]
    found = _choose("bounded_accuracy", means, 0.05, 0.05)
    assert (found.setting, found.bound_met) == ("plain", False)
    assert _choose("bounded_accuracy", means, 0.05, 1.0).setting == "harm"


@pytest.mark.parametrize(("variety", "warned"), [(0.19, True), (0.2, False), (1.1, False)])
def test_a_constant_answer_that_a_rule_chose_is_warned_of(variety, warned):
    setting = SettingResult("a", {}, (1,), {ACCURACY: OverSeeds(0.5, None, (0.5,), None, None)})
    selections = Selections(
        "auroc",
        0.05,
        0.05,
        (),
        {"a": Validation(0.5, 0.5, 0.5, 0.0, variety)},
        (Selection("accuracy", "a", None),),
    )
    report = AblationReport("n", "a", 100, (ACCURACY,), (setting,), (), selections, (), 99, ())
    (sentence,) = describe_selection(report)
    assert sentence.startswith(
        "On validation a is chosen by accuracy. On test it has Accuracy 50.0%."
    )
    assert ("nearly every validation image the same answer" in sentence) == warned


def test_settings_far_below_the_others_do_not_squeeze_the_plane():
    close = {"b": 0.876, "c": 0.880, "d": 0.881}
    assert far_below({"a": 0.52, **close}) == ["a"]
    assert far_below({"e": 0.30, "a": 0.52, **close}) == ["e", "a"]
    assert far_below({"a": 0.862, **close}) == []  # 0.019 of which 0.005 is more than a quarter
    assert far_below({"a": 0.2, "b": 0.8, "c": 0.81}) == []  # too few to leave one out
    assert far_below(dict.fromkeys("abcd", 0.5)) == []


def test_reports_of_texts_lead_with_their_own_headline(plan):
    numbers = {
        "": {"bleu_4": Number(0.1), "none": Number(None), "rouge_l": Number(0.2)},
        "sex": {"bleu_4_gap": Number(0.1), "rouge_l_gap": Number(0.05)},
    }
    rouge = TextMetric("ROUGE-L", "words", "higher", "mean", True)
    result = RunResult(
        plan.jobs[0],
        "complete",
        numbers=numbers,
        headline="rouge_l",
        quantities={"rouge_l": rouge, "rouge_l_gap": PlainQuantity("ROUGE-L gap", "score")},
    )
    found = headline_quantities([result])
    assert [(quantity.attribute, quantity.name) for quantity in found] == [
        ("", "rouge_l"),
        ("", "bleu_4"),
        ("sex", "rouge_l_gap"),
    ]
    assert found[2].title == "ROUGE-L gap of sex"
    assert found[1].title == "bleu 4"
    assert GAP.title == "MaxAccGap of sex"


def write_texts(plan, right):
    """Runs of texts: `right`, setting → (N,) which of its texts equal their references. Women are
    the first half."""
    results = []
    count = len(next(iter(right.values())))
    for job in plan.jobs:
        own = right[job.setting]
        write_text(job.folder / "recipe.yaml", recipe_to_yaml(job.recipe))
        write_json(job.folder / "run.json", {"status": "complete"})
        order = range(count) if job.setting == "plain" else reversed(range(count))
        rows = [
            {
                "id": f"i{k}#report",
                "reference": "No effusion.",
                "text": "No effusion." if own[k] else "Cardiomegaly.",
                "attributes": {"sex": "F" if k < count / 2 else "M"},
            }
            for k in order
        ]
        write_generations(generations_of(rows), job.folder / "predictions" / "test.jsonl")
        women, men = own[: count // 2].mean(), own[count // 2 :].mean()
        numbers = {
            "": {"exact_match": Number(own.mean()), "chexbert_f1": Number(0.5)},
            "sex": {"exact_match_gap": Number(abs(women - men))},
        }
        results.append(RunResult(job, "complete", numbers=numbers, headline="exact_match"))
    return results


def test_texts_are_exchanged_image_by_image(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "{task: generate, data: {source: simulated-chest, sensitive: [sex]}}"
    )
    file = tmp_path / "texts.yaml"
    file.write_text(
        "base: base.yaml\n"
        "settings:\n"
        "  - {name: plain, objective.method: vanilla}\n"
        "  - {name: same, objective.method: vanilla}\n"
        "  - {name: better, objective.method: vanilla}\n"
        "grid: {seed: [1, 2]}"
    )
    plan = make_plan(str(file), tmp_path / "out")
    plain = np.arange(120) % 2 == 0  # half of the women's and of the men's
    better = plain | (np.arange(120) >= 60)  # and all of the men's
    results = write_texts(plan, {"plain": plain, "same": plain, "better": better})
    quantities = headline_quantities(results)
    beside = compare_with_reference(results, "plain", quantities, 199)
    assert "chexbert f1" in beside.notes[0]
    settings = summarise_settings(plan, results, quantities)
    found = {
        (contrast.setting, contrast.quantity.name): contrast
        for contrast in contrast_settings(settings, "plain", quantities, beside.p_images)
    }
    # of 30 texts that differ, all are better: 2 ** -30
    assert found["better", "exact_match"].p_images == 1 / 200
    assert found["better", "exact_match"].mean == pytest.approx(0.25)
    assert found["better", "exact_match_gap"].p_images == 1 / 200
    assert found["same", "exact_match"].p_images == 1
    assert found["same", "exact_match_gap"].p_images == 1
    assert found["better", "chexbert_f1"].p_images is None
    changes = beside.comparison.pairs[1].attributes["sex"].changes  # of "better"
    assert changes["M"]["exact_match"].difference == pytest.approx(0.5)
    assert changes["F"]["exact_match"].difference == 0
    # without one of the texts there is nothing to pair
    cut = plan.jobs[2].folder / "predictions" / "test.jsonl"
    write_text(cut, "".join(cut.read_text().splitlines(keepends=True)[1:]))
    beside = compare_with_reference(results, "plain", quantities, 19)
    assert {setting for setting, _ in beside.p_images} == {"same"}
    assert "better and plain are not compared image by image" in beside.notes[-1]


def finish(job, seed_note, auroc):
    """Report and state of a run, as far as an ablation reads them."""
    write_json(
        job.folder / "report" / "report.json",
        {
            "n": 10,
            "overall": {"accuracy": {"value": 0.8}},
            "attributes": {"sex": {"gaps": {"max_acc_gap": {"value": 0.1}}}},
        },
    )
    state = {"auroc": auroc, "interval": None, "n": 10}
    before = {"auroc": 0.9, "interval": [0.8, 0.95], "n": 10}
    write_json(
        job.folder / "run.json",
        {
            "status": "complete",
            "notes": ["5 examples have no age.", *seed_note],
            "probes": {
                name: {"head_input": {"before": before, "after": state}}
                for name in ("sex", "elsewhere")
            },
        },
    )
    write_text(job.folder / "recipe.yaml", recipe_to_yaml(job.recipe))


def test_probes_and_notes_are_read_from_a_run(plan):
    first, second = plan.jobs[:2]
    finish(first, [], 0.7)
    finish(second, ["The dependence ran away."], None)
    plan = replace(plan, jobs=(first, second))
    results = read_runs(plan, {})
    assert results[0].numbers["sex"] == {
        "max_acc_gap": Number(0.1),
        "probe_auroc": Number(0.7),
        "probe_auroc_before": Number(0.9, (0.8, 0.95)),
    }
    assert "elsewhere" not in results[0].numbers
    found = headline_quantities(results)
    assert [quantity.column for quantity in found] == [
        "accuracy",
        "sex:max_acc_gap",
        "sex:probe_auroc",
    ]
    assert found[2].title == "AUROC of a fresh probe of sex"
    assert _said_by_runs(results) == [
        "5 examples have no age.",
        "gap_weight=1, seed 1: The dependence ran away.",
    ]


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


def test_the_words_keep_evidence_and_chance_apart():
    def contrast(setting, quantity, seeds, mean, interval=None, *p_values):
        p_values = dict(zip(("p_seeds", "p_images", "p_value", "p_holm"), p_values, strict=False))
        return Contrast(
            setting=setting,
            quantity=quantity,
            seeds=seeds,
            mean=mean,
            interval=interval,
            values=(mean,) * len(seeds),
            **p_values,
        )

    decided = contrast("b", GAP, (1, 2), -0.07, (-0.09, -0.05), 0.01, 0.02, 0.02, 0.04)
    undecided = contrast("c", GAP, (1, 2), -0.01, (-0.05, 0.03), 0.6, 0.02, 0.6, 0.6)
    one_seed = contrast("d", ACCURACY, (1,), 0.05, None, None, 0.001, 0.001, 0.003)
    undefined = contrast("e", GAP, (1, 2), None)
    contrasts = (decided, undecided, one_seed, undefined)
    report = AblationReport("n", "a", 100, (ACCURACY, GAP), (), contrasts, None, (), 99, ())
    assert describe_evidence(report) == [
        "b differs from a in MaxAccGap of sex: −7.0 points (95% t-interval −9.0 to −5.0 over 2 "
        "seeds). Neither other seeds (p = 0.010) nor the choice of test images (p = 0.020) explains "
        "it; p = 0.040 for all comparisons together.",
        "d differs from a in Accuracy: +5.0 points (one seed: of these two models, not yet of the "
        "settings). Asked was the choice of test images (p = 0.001) only, which hardly explains it; "
        "p = 0.003 for all comparisons together.",
    ]
    assert describe_undecided(report) == [
        "The data cannot decide whether c and a differ in MaxAccGap of sex: −1.0 points (95% "
        "t-interval −5.0 to +3.0 over 2 seeds). Asked were other seeds (p = 0.60) and the choice of "
        "test images (p = 0.020); p = 0.60 for all comparisons together.",
        "e and a cannot be compared in MaxAccGap of sex: it is undefined in one of their runs, or "
        "they have no seed in common.",
    ]


def test_axes_end_where_percentages_do():
    two = OverSeeds(0.97, None, (0.96, 0.98), None, None)
    assert _ends(two) == pytest.approx([96, 98])
    assert _possible((94.0, 101.5), [96.0, 99.5]) == (94, 100)
    assert _possible((-3.0, 40.0), [0.5, 30.0]) == (0, 40)
    assert _possible((-60.0, 140.0), [-50.0, 120.0]) == (-60, 140)  # no percentages


def test_axes_are_the_keys_with_numbers_and_lines_their_other_values(tmp_path):
    file = tmp_path / "axes.yaml"
    file.write_text(
        "base: quickstart\ngrid: {objective.gap_weight: [1, 0], objective.method: [fr, hybrid]}"
    )
    plan = make_plan(str(file), tmp_path / "out")
    settings = [SettingResult(s.name, s.values, (1,), {}) for s in plan.settings]
    axes = numeric_axes(settings)
    assert list(axes) == ["objective.gap_weight"]
    lines = axes["objective.gap_weight"]
    assert list(lines) == ["method fr", "method hybrid"]
    assert [x for x, _ in lines["method fr"]] == [0.0, 1.0]
