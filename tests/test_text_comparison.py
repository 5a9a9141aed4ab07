"""Two models' texts on the same images: paired by id, planted differences found, mix-ups refused."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.comparison import compare_texts
from fairlora_cls.evaluation.comparison_files import describe_comparison, write_comparison
from fairlora_cls.texts.finding_f1 import FindingLabels
from fairlora_cls.texts.generations import generations_of, write_generations
from fairlora_cls.texts.scores import TextScores

COUNT = 200
SEX = np.array(["F", "M"])[np.arange(COUNT) % 2]


def table(order=range(COUNT), text="t", reference="r", unit=None):
    return generations_of(
        {
            "id": f"i{k}",
            "reference": f"{reference} {k % 3}",
            "text": text,
            "unit": unit and unit(k),
            "attributes": {"sex": SEX[k]},
        }
        for k in order
    )


def compared(first, second, names=("a", "b"), unit=None, **options):
    tables = dict.fromkeys(names, table(unit=unit))
    scores = {
        name: TextScores({"s": values}, None, {})
        for name, values in zip(names, (first, second), strict=True)
    }
    return compare_texts(tables, scores, bootstrap=300, **options)


def test_differences_by_hand_and_a_planted_one_is_evidence():
    generator = np.random.default_rng(0)
    first = generator.random(COUNT) * 0.8
    second = first + np.where(SEX == "F", 0.1, 0.02) + generator.normal(0, 0.02, COUNT)
    (pair,) = compared(first, second).pairs
    overall, gap = pair.overall["s"], pair.attributes["sex"].gaps["s_gap"]
    assert overall.difference == pytest.approx((second - first).mean())
    low, high = overall.interval
    error = (second - first).std() / np.sqrt(COUNT)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert overall.p_holm < 0.01
    gaps = [
        abs(values[SEX == "F"].mean() - values[SEX == "M"].mean()) for values in (first, second)
    ]
    assert (gap.reference, gap.other) == (pytest.approx(gaps[0]), pytest.approx(gaps[1]))
    assert gap.difference == pytest.approx(gaps[1] - gaps[0])


def test_interchangeable_models_are_chance_and_equal_ones_have_p_1():
    generator = np.random.default_rng(1)
    first, second = generator.random((2, COUNT))
    (pair,) = compared(first, second).pairs
    assert pair.overall["s"].p_value > 0.05
    assert pair.attributes["sex"].gaps["s_gap"].p_value > 0.05
    (pair,) = compared(first, first).pairs
    assert pair.overall["s"].p_value == 1
    assert pair.overall["s"].interval == (0, 0)


def test_units_are_exchanged_whole():
    """A patient's twenty texts differ alike: ten coins, not two hundred, decide."""
    lift = np.repeat(np.tile([0.1, -0.06], 5), 20)
    base = np.full(COUNT, 0.5)
    (alone,) = compared(base, base + lift).pairs
    (whole,) = compared(base, base + lift, unit=lambda k: f"p{k // 20}").pairs
    assert alone.overall["s"].p_value < 0.01
    assert whole.overall["s"].p_value > 0.3


def test_micro_f1_is_swapped_by_counts():
    """References xy and x. One model says xy and x (F1 6/6), the other x and y (2/5). With one of the
    two texts exchanged they have 4/6 and 4/5, so that half of all swaps differ by less."""
    reference = np.array([[True, True], [True, False]])
    answers = [np.array([[True, True], [True, False]]), np.array([[True, False], [False, True]])]
    tables = {name: table(range(2)) for name in "ab"}
    scores = {
        name: TextScores(
            {"findings": np.zeros(2)},
            FindingLabels(("x", "y"), reference, generated, np.ones(2, bool), "rules"),
            {},
        )
        for name, generated in zip("ab", answers, strict=True)
    }
    found = compare_texts(tables, scores, [], bootstrap=400)
    difference = found.pairs[0].overall["findings_f1_micro"]
    assert (difference.reference, difference.other) == (1, 2 / 5)
    assert difference.p_value == pytest.approx(0.5, abs=0.08)


def test_files_say_what_the_comparison_holds(tmp_path):
    first = np.random.default_rng(0).random(COUNT) * 0.8
    found = compared(first, first + 0.1)
    write_comparison(found, tmp_path)
    stored = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert stored["task"] == "generate"
    assert stored["pairs"][0]["overall"]["s"]["difference"]["value"] == pytest.approx(0.1)
    gap, sentence = describe_comparison(found)
    assert "gap in s between groups of sex" in gap
    assert "chance alone hardly explains (p = 0.003)" in sentence
    page = (tmp_path / "comparison.html").read_text("utf-8")
    assert sentence in page
    assert sentence in (tmp_path / "comparison.md").read_text("utf-8")


def test_the_command_line_compares_texts_with_texts(tmp_path):
    for name, text in (("a", "r 0"), ("b", "nothing")):
        write_generations(table(text=text), tmp_path / f"{name}.jsonl")
    arguments = ["compare", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    arguments += ["--text-metric", "exact_match", "--bootstrap", "50"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "c")])
    assert done.exit_code == 0, done.output
    assert "Exact match is 0.0% for b and 33.5% for a" in done.output.replace("\n", " ")
    (tmp_path / "t.csv").write_text("id,label,prob_no,prob_yes\n1,no,0.9,0.1\n")
    mixed = CliRunner().invoke(app, ["compare", str(tmp_path / "a.jsonl"), str(tmp_path / "t.csv")])
    assert mixed.exit_code == 2
    assert "holds no texts" in mixed.output


def test_other_groups_are_refused():
    """As with tables: a gap of one grouping minus that of another is no difference of models."""
    rows = table()
    sexes = rows.attributes["sex"].copy()
    sexes[4] = "other"
    moved = replace(rows, attributes={"sex": sexes})
    scores = {name: TextScores({"s": np.arange(COUNT) / COUNT}, None, {}) for name in "ab"}
    with pytest.raises(InputError, match=r"'sex' of 1 of 200 .* differs between 'a' and 'b'.*'i4'"):
        compare_texts({"a": rows, "b": moved}, scores, bootstrap=0)
    without = replace(rows, attributes={})
    found = compare_texts({"a": rows, "b": without}, scores, bootstrap=0)
    assert list(found.pairs[0].attributes) == ["sex"]


@pytest.fixture(scope="module")
def seeds():
    """Two methods of three seeds; the second scores 0.1, 0.2 and 0.3 more, of F only in its first."""
    generator = np.random.default_rng(0)
    values, recipes = {}, {}
    for seed in (1, 2, 3):
        base = generator.random(COUNT) * 0.5
        values |= {f"a{seed}": base, f"b{seed}": base + 0.1 * seed}
        recipes |= {f"{method}{seed}": (method, seed) for method in "ab"}
    values["b1"] = values["a1"] + np.where(SEX == "F", 0.2, 0)
    tables = dict.fromkeys(values, table())
    scores = {name: TextScores({"s": each}, None, {}) for name, each in values.items()}
    return compare_texts(tables, scores, recipes=recipes, bootstrap=30), values


def test_seeds_of_a_recipe_are_pooled(seeds):
    comparison, values = seeds
    assert [(p.reference, p.other) for p in comparison.pairs] == [
        (f"a{seed}", f"b{seed}") for seed in (1, 2, 3)
    ]
    assert [(m.method, m.seeds) for m in comparison.methods] == [("a", (1, 2, 3)), ("b", (1, 2, 3))]
    (contest,) = comparison.contests
    overall = contest.overall["s"]
    assert overall.values == pytest.approx((0.1, 0.2, 0.3))
    assert overall.mean == pytest.approx(0.2)
    half = 4.302653 * 0.1 / np.sqrt(3)  # t of 2 degrees of freedom; standard deviation 0.1
    assert overall.interval == pytest.approx((0.2 - half, 0.2 + half))
    assert (overall.wins, overall.ties, overall.share_won) == (3, 0, 1)
    gap = contest.attributes["sex"]["s_gap"]
    apart = [
        abs(values[name][SEX == "F"].mean() - values[name][SEX == "M"].mean())
        for name in ("a1", "b1")
    ]
    assert gap.values == pytest.approx((apart[1] - apart[0], 0, 0), abs=1e-9)
    assert gap.ties == 2


def test_files_of_texts_over_seeds(seeds, tmp_path):
    comparison, _ = seeds
    write_comparison(comparison, tmp_path)
    first = describe_comparison(comparison)[0]
    assert "b is higher in s than a in 3 of 3 seeds" in first
    text = (tmp_path / "comparison.md").read_text("utf-8")
    assert text.index(first) < text.index("Mean over seeds")
    stored = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert stored["contests"][0]["overall"]["s"]["wins"] == 3
    assert [method["seeds"] for method in stored["methods"]] == [[1, 2, 3]] * 2
    assert stored["runs"] == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_differences_of_texts_are_drawn(seeds, tmp_path):
    """One figure for all texts and one per attribute, each told to those who cannot see it."""
    comparison, _ = seeds
    write_comparison(comparison, tmp_path)
    page = (tmp_path / "comparison.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert len(re.findall(r'role="img" aria-label="[^"]{20,}"', page)) == 2
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["0-all.svg", "1-sex.svg"]
    for name in names:
        assert (tmp_path / "figures" / name).read_text(encoding="utf-8").startswith("<svg")
