"""Two cohorts that share nobody: which gaps carry over, by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import are_two_cohorts
from fairlora_cls.evaluation.cohort_page import describe_cohorts, write_cohorts
from fairlora_cls.evaluation.cohorts import compare_cohorts
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from fairlora_cls.runs.compared import load_compared_runs, run_names
from fairlora_cls.statistics.intervals import wilson_interval
from fairlora_cls.texts.generations import generations_of, write_generations
from fairlora_cls.texts.scores import TextScores


def cohort(name, groups, **more):
    """Predictions: group → (cases found, cases, false alarms, others)."""
    labels, answers, names = [], [], []
    for group, (hits, cases, alarms, others) in groups.items():
        labels += [1] * cases + [0] * others
        answers += [1] * hits + [0] * (cases - hits) + [1] * alarms + [0] * (others - alarms)
        names += [group] * (cases + others)
    score = np.where(np.array(answers) == 1, 0.8, 0.2)
    return Predictions(
        tuple(f"{name}{row}" for row in range(len(labels))),
        labels,
        answers,
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"sex": np.array(names, object)} | more,
    )


def compared(first, second, **options):
    tables = {"home": cohort("h", first), "away": cohort("a", second)}
    settings = {"bootstrap": 60, "endpoints": ["sensitivity"]} | options
    found = compare_cohorts(tables, ["sex"], **settings)
    (gap,) = found.gaps
    return found, gap


WOMEN_MISSED = {"f": (60, 100, 10, 100), "m": (90, 100, 10, 100)}
MEN_MISSED = {"f": (90, 100, 10, 100), "m": (60, 100, 10, 100)}
ALIKE = {"f": (80, 100, 10, 100), "m": (81, 100, 10, 100)}


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        (WOMEN_MISSED, WOMEN_MISSED, "carries over"),
        (WOMEN_MISSED, MEN_MISSED, "reversed"),
        (WOMEN_MISSED, ALIKE, "only in the first"),
        (ALIKE, MEN_MISSED, "only in the second"),
        (ALIKE, ALIKE, "not shown in either"),
        (WOMEN_MISSED, {"f": (60, 100, 10, 100)}, "cannot be said"),
        (WOMEN_MISSED, {"f": (0, 0, 10, 100), "m": (90, 100, 10, 100)}, "cannot be said"),
        (WOMEN_MISSED, {"x": (60, 100, 1, 9), "m": (60, 100, 1, 9)}, "cannot be said"),
        (
            WOMEN_MISSED | {"x": (90, 100, 10, 100)},
            {"f": (90, 100, 1, 9), "m": (90, 100, 1, 9), "x": (50, 100, 1, 9)},
            "another group",
        ),
    ],
)
def test_what_becomes_of_a_gap(first, second, word, tmp_path):
    found, gap = compared(first, second)
    assert gap.word == word
    assert bool(gap.why) == (word == "cannot be said")
    write_cohorts(found, tmp_path)
    kept = json.loads((tmp_path / "comparison.json").read_text())
    assert kept["cohorts"]["gaps"][0]["word"] == word
    assert kept["pairs"] == []


def test_without_resamples_nothing_can_be_said():
    _, gap = compared(WOMEN_MISSED, WOMEN_MISSED, bootstrap=0)
    assert gap.word == "cannot be said"


def test_values_and_intervals_by_hand():
    small = {"f": (12, 20, 4, 20), "m": (18, 20, 2, 20)}
    found, gap = compared(WOMEN_MISSED, small)
    assert (gap.worse, gap.better) == ("f", "m")
    assert gap.gap.first.value == pytest.approx(0.3)
    assert gap.gap.second.value == pytest.approx(0.3)
    assert gap.gap.change.value == pytest.approx(0)
    assert gap.gap.counts == (200, 40)
    women, men = (wilson_interval(hits / 20, 20) for hits in (12, 18))
    below = np.hypot(0.9 - men[0], women[1] - 0.6)
    above = np.hypot(men[1] - 0.9, 0.6 - women[0])
    assert gap.gap.second.interval == pytest.approx((0.3 - below, 0.3 + above))
    low, high = gap.gap.change.interval
    first = gap.gap.first.interval
    assert low == pytest.approx(-np.hypot(below, first[1] - 0.3))
    assert high == pytest.approx(np.hypot(above, 0.3 - first[0]))
    change = found.groups["sex"]["f"]["sensitivity"]
    assert (change.first.value, change.second.value) == (0.6, 0.6)
    assert change.counts == (100, 20)


def test_a_gap_of_half_the_size_is_told_with_the_change():
    found, gap = compared(WOMEN_MISSED, {"f": (75, 100, 10, 100), "m": (90, 100, 10, 100)})
    assert gap.gap.change.value == pytest.approx(-0.15)
    low, high = gap.gap.change.interval
    assert low < -0.15 < high
    assert found.overall["sensitivity"].change.value == pytest.approx(0.075)


def test_the_change_of_equal_gaps_is_covered():
    generator = np.random.default_rng(4)
    covered = 0
    for _ in range(40):
        draws = generator.binomial(80, [0.7, 0.9, 0.6, 0.8])
        first = {"f": (draws[0], 80, 0, 1), "m": (draws[1], 80, 0, 1)}
        second = {"f": (draws[2], 80, 0, 1), "m": (draws[3], 80, 0, 1)}
        from fairlora_cls.statistics.independent_samples import Known, difference

        sides = [
            difference(*(Known(h / 80, wilson_interval(h / 80, 80)) for h in (m[0], f[0])))
            for f, m in ((c["f"], c["m"]) for c in (first, second))
        ]
        low, high = difference(*sides).interval
        covered += low <= 0 <= high
    assert covered >= 35


def test_who_is_in_them():
    found, _ = compared(
        WOMEN_MISSED, {"f": (6, 10, 1, 30), "m": (9, 10, 1, 30), "x": (9, 10, 1, 10)}
    )
    assert found.labels["yes"].first.value == 0.5
    assert found.labels["yes"].second.value == pytest.approx(0.3)
    assert found.labels["yes"].first.interval == pytest.approx(wilson_interval(0.5, 400))
    assert found.labels["yes"].change.value == pytest.approx(-0.2)
    assert found.shares["sex"]["x"].first.value == 0
    assert found.shares["sex"]["x"].second.value == pytest.approx(0.2)
    assert found.cases["sex"]["f"].change.value == pytest.approx(0.25 - 0.5)
    assert found.only_in == {"sex": ((), ("x",))}
    assert any("x is in away only" in text for text in describe_cohorts(found))


def test_a_class_order_of_its_own_and_patients():
    home, away = cohort("h", WOMEN_MISSED), cohort("a", WOMEN_MISSED)
    turned = replace(
        away,
        labels=1 - away.labels,
        predictions=1 - away.predictions,
        probabilities=away.probabilities[:, ::-1],
        classes=("yes", "no"),
        positive=1,
    )
    found = compare_cohorts({"home": home, "away": turned}, bootstrap=0)
    assert found.overall["sensitivity"].change.value == pytest.approx(0)
    assert found.reports[1].positive == "yes"
    pairs = tuple(f"p{row // 2}" for row in range(400))
    found = compare_cohorts({"home": home, "away": replace(away, units=pairs)}, bootstrap=0)
    assert found.labels["yes"].second.interval == pytest.approx(wilson_interval(0.5, 200))


def test_attributes_of_one_cohort_only_are_left_out_by_name():
    more = {"age": np.array(["old", "young"] * 200, object)}
    tables = {"home": cohort("h", WOMEN_MISSED, **more), "away": cohort("a", WOMEN_MISSED)}
    found = compare_cohorts(tables, bootstrap=0)
    assert list(found.groups) == ["sex"]
    assert any("age" in note and "home" in note for note in found.notes)
    with pytest.raises(InputError, match="'sox'"):
        compare_cohorts(tables, ["sox"], bootstrap=0)


def test_texts_of_two_cohorts():
    generator = np.random.default_rng(0)
    tables, scores = {}, {}
    for name, lift in (("home", 0.3), ("away", 0.0)):
        rows = [
            {"id": f"{name}{k}", "reference": "r", "text": "t", "attributes": {"sex": "fm"[k % 2]}}
            for k in range(100)
        ]
        values = 0.4 + lift * (np.arange(100) % 2) + generator.uniform(0, 0.1, 100)
        tables[name], scores[name] = generations_of(rows), TextScores({"s": values}, None, {})
    found = compare_cohorts(tables, scores=scores, bootstrap=60)
    (gap,) = found.gaps
    assert (gap.word, gap.worse) == ("only in the first", "f")
    assert gap.gap.change.value == pytest.approx(-0.3, abs=0.03)
    assert gap.gap.change.interval[1] < 0


def test_only_two_tables_without_a_common_example_are_cohorts():
    home, away = cohort("h", ALIKE), cohort("a", ALIKE)
    assert are_two_cohorts({"a": home, "b": away})
    assert not are_two_cohorts({"a": home, "b": home})
    assert not are_two_cohorts({"a": home, "b": replace(away, ids=("h0", *away.ids[1:]))})
    assert not are_two_cohorts({"a": home, "b": replace(away, classes=("no", "maybe"))})
    assert not are_two_cohorts({"a": home, "b": away, "c": cohort("c", ALIKE)})


def test_the_command_line_compares_two_cohorts_and_refuses_a_partial_overlap(tmp_path):
    home, away = cohort("h", WOMEN_MISSED), cohort("a", WOMEN_MISSED)
    partial = replace(away, ids=("h0", *away.ids[1:]))
    for name, table in {"home": home, "away": away, "partial": partial}.items():
        write_predictions(table, tmp_path / f"{name}.csv")

    def run(*names):
        paths = [str(tmp_path / name) for name in names]
        options = ["--bootstrap", "40", "--output", str(tmp_path / "out")]
        return CliRunner().invoke(app, ["compare", *paths, *options])

    done = run("home.csv", "away.csv")
    assert done.exit_code == 0, done.output
    assert "Carries over" in done.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        f"comparison.{ending}" for ending in ("json", "md", "html")
    }
    assert run("home.csv", "partial.csv").exit_code == 2
    lines = [
        {"id": f"{name}{k}", "reference": "a b", "text": "a b" if k % 3 else "b a"}
        | {"attributes": {"sex": "fm"[k % 2]}}
        for name in "ha"
        for k in range(60)
    ]
    write_generations(generations_of(lines[:60]), tmp_path / "home.jsonl")
    write_generations(generations_of(lines[60:]), tmp_path / "away.jsonl")
    done = run("home.jsonl", "away.jsonl")
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (kept["task"], kept["cohorts"]["n"]) == ("generate", [60, 60])


def test_a_run_on_other_data_is_judged_at_the_runs_own_threshold(small_run, tmp_path):
    import shutil

    from fairlora_cls.files import read_json, write_json
    from fairlora_cls.recipe import load_recipe, recipe_digest, recipe_to_yaml, recipe_values

    run = tmp_path / "run"
    run.mkdir()
    shutil.copytree(small_run[0] / "predictions", run / "predictions")
    recipe = load_recipe(small_run[0] / "recipe.yaml", ["report.threshold=0.9"])
    (run / "recipe.yaml").write_text(recipe_to_yaml(recipe), encoding="utf-8")
    digest = recipe_digest(recipe_values(run / "recipe.yaml"))
    write_json(run / "run.json", read_json(small_run[0] / "run.json") | {"recipe_digest": digest})
    table = run / "evaluations" / "clinic" / "predictions.csv"
    table.parent.mkdir(parents=True)
    write_predictions(cohort("c", ALIKE), table)
    assert run_names([run, table]) == ["run", "clinic"]
    given = load_compared_runs([run, table])
    assert not given.tables["clinic"].predictions.any()  # no score reaches 0.9
    assert given.declared["margin"] == recipe.report.margin
    elsewhere = tmp_path / "elsewhere.csv"
    shutil.copy(table, elsewhere)
    assert load_compared_runs([run, elsewhere]).tables["elsewhere"].predictions.any()
