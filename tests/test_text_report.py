"""Parity of texts: numbers by hand, planted gaps found, chance called chance, texts escaped."""

import json
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.constant_answer import constant_answers
from fairlora_cls.evaluation.features import Features
from fairlora_cls.evaluation.matching import counterfactual_text_gaps
from fairlora_cls.evaluation.matching_section import counterfactual_section
from fairlora_cls.evaluation.report import text_report, write_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.texts.finding_f1 import FindingLabels
from fairlora_cls.texts.generations import generations_of, write_generations
from fairlora_cls.texts.scores import TextScores, needed_metrics, score_texts, usual_metrics


def table(groups, **columns):
    """One text for each group name, with different references and texts."""
    rows = []
    for place, group in enumerate(groups):
        row = {"id": f"i{place}", "reference": f"reference {place}", "text": f"text {place}"}
        rows.append(row | {"attributes": {"sex": group}})
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return generations_of(rows)


def outside(**metrics):
    return TextScores({name: np.array(values, float) for name, values in metrics.items()}, None, {})


def planted(difference, count=400, seed=0):
    generator = np.random.default_rng(seed)
    codes = np.arange(count) % 2
    score = np.clip(generator.normal(0.6, 0.15, count) - difference * codes, 0, 1)
    return table(np.array(["F", "M"])[codes]), outside(rouge=score)


def test_values_gaps_and_equity_by_hand():
    generations = table(["A", "A", "A", "B", "B", ""])
    scores = outside(s=[0.2, 0.4, np.nan, 0.9, 0.7, 0.5], right=[1, 0, 1, 1, 1, np.nan])
    report = text_report(generations, scores, bootstrap=0)
    assert report.headline == "s"
    assert report.overall["s"].value == pytest.approx(2.7 / 5)
    assert (report.overall["s"].count, report.overall["s"].median.value) == (5, 0.5)
    groups = report.attributes["sex"].groups
    assert list(groups) == ["A", "B", "missing"]
    assert [groups[g].metrics["s"].value for g in groups] == pytest.approx([0.3, 0.8, 0.5])
    assert [groups[g].n for g in groups] == [3, 2, 1]
    gap = report.attributes["sex"].gaps["s_gap"]
    assert (gap.value, gap.best, gap.worst) == (pytest.approx(0.5), "B", "A")
    equity = report.attributes["sex"].equity_scaled
    assert equity["s_fairllava"].value == pytest.approx(0.54 / 51)
    assert equity["s_fairclip"].value == pytest.approx(0.54 / (1 + 0.24 + 0.26 + 0.04))
    right = report.attributes["sex"].gaps["right_gap"]
    assert right.value == pytest.approx(1 / 3)
    assert right.undefined_groups == ("missing",)
    assert report.metrics["right"].kind == "rate"
    assert groups["A"].metrics["right"].median is None
    assert any("missing" in warning for warning in report.warnings)


def test_a_planted_gap_is_evidence_and_equal_groups_are_chance():
    generations, scores = planted(0.1)
    report = text_report(generations, scores, bootstrap=300)
    gap = report.attributes["sex"].gaps["rouge_gap"]
    assert gap.p_value_headline < 0.01
    assert gap.interval[0] < 0.1 < gap.interval[1]
    assert gap.null_interval[1] < gap.value
    (verdict,) = report.verdicts
    assert (verdict.endpoint, verdict.verdict, verdict.worse) == ("rouge", "evidence", "M")
    assert "in the group M" in " ".join(describe_in_short(report))
    generations, scores = planted(0.0)
    report = text_report(generations, scores, bootstrap=300, margin=0.02)
    gap = report.attributes["sex"].gaps["rouge_gap"]
    assert gap.p_value > 0.05
    assert gap.null_mean == pytest.approx(0.15 * np.sqrt(2 / np.pi) * np.sqrt(2 / 200), rel=0.2)
    (verdict,) = report.verdicts
    assert verdict.verdict == "undecided"
    # Two groups of 200 with a standard deviation of 0.15: 1.96 errors of a difference, and itself.
    error = 0.15 * np.sqrt(2 / 200)
    assert verdict.hidden_up_to == pytest.approx(verdict.gap + 1.96 * error, rel=0.15)
    power = gap.power
    assert power.detectable == pytest.approx(2.8 * 0.15 * np.sqrt(2 / 200), rel=0.15)


def test_an_interval_covers_mean_and_median():
    generations, scores = planted(0.0, 200, seed=3)
    found = text_report(generations, scores, bootstrap=400).overall["rouge"]
    values = scores.per_text["rouge"]
    error = values.std() / np.sqrt(200)
    assert found.interval == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.25 * error
    )
    low, high = found.median.interval
    assert low < np.median(values) < high


def test_texts_of_one_image_and_of_one_patient_are_drawn_together():
    """Eight copies of each text tell no more than one: the interval is that of the images."""
    generator = np.random.default_rng(0)
    score = generator.random(60)
    single = text_report(table(["F"] * 60), outside(s=score), bootstrap=400)
    rows = [
        {"id": f"i{place}#q{k}", "question": f"q{k}", "reference": "r", "text": "t"}
        for place in range(60)
        for k in range(8)
    ]
    copied = text_report(generations_of(rows), outside(s=np.repeat(score, 8)), bootstrap=400)
    assert (copied.examples_n, copied.units, copied.n) == (60, 60, 480)
    widths = [np.ptp(report.overall["s"].interval) for report in (single, copied)]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
    by_patient = [{**row, "unit": f"p{place // 16}"} for place, row in enumerate(rows)]
    assert text_report(generations_of(by_patient), outside(s=[0] * 480), bootstrap=0).units == 30


def test_images_that_are_asked_differently_change_places_all_the_same():
    """Every image has a question of its own: among the same questions no name could move."""
    generator = np.random.default_rng(0)
    rows = [
        {
            "id": f"i{k}#q{k}",
            "question": f"q{k}",
            "reference": "r",
            "text": "t",
            "attributes": {"sex": "FM"[k % 2]},
        }
        for k in range(100)
    ]
    report = text_report(generations_of(rows), outside(s=generator.random(100)), bootstrap=100)
    low, high = report.attributes["sex"].gaps["s_gap"].null_interval
    assert low < 0.02 < 0.08 < high
    assert len(report.questions) == 12  # not all hundred


def findings_table(count=240, seed=0):
    """Edema is stated for all M, read in reference and text otherwise at random."""
    generator = np.random.default_rng(seed)
    sex = np.array(["F", "M"])[np.arange(count) % 2]
    reference = generator.random((count, 2)) < 0.3
    generated = reference.copy()
    generated[sex == "M", 0] = True
    findings = FindingLabels(
        ("Edema", "Fracture"), reference, generated, np.ones(count, bool), "rules"
    )
    score = np.array([float((a == b).all()) for a, b in zip(reference, generated, strict=True)])
    return table(sex), TextScores({"findings": score}, findings, {}), sex


def test_findings_f1_and_prevalence_shift_by_plain_counts():
    generations, scores, sex = findings_table()
    report = text_report(generations, scores, bootstrap=200)
    assert report.headline == "findings_f1_micro"
    own = sex == "M"
    reference, generated = scores.findings.reference[own], scores.findings.generated[own]
    true = (reference & generated).sum()
    stated = reference.sum() + generated.sum()
    group = report.attributes["sex"].groups["M"].metrics
    assert group["findings_f1_micro"].value == pytest.approx(2 * true / stated)
    assert report.attributes["sex"].groups["F"].metrics["findings_f1_macro"].value == 1
    shifts = report.shifts["sex"]
    share = shifts.groups["M"]["Edema"]
    assert (share.generated, share.shift) == (1, pytest.approx(1 - reference[:, 0].mean()))
    assert share.shift_interval[0] < share.shift < share.shift_interval[1]
    rate = reference[:, 0].mean()
    assert share.f1 == pytest.approx(2 * rate / (1 + rate))
    gap = shifts.gaps["Edema"]
    assert (gap.value, gap.best, gap.worst) == (pytest.approx(share.shift), "M", "F")
    assert gap.p_value_holm < 0.01
    assert shifts.gaps["Fracture"].value == 0
    assert any("Edema (shift" in warning for warning in report.warnings)


def test_small_groups_have_no_shift_and_do_not_hide_a_gap():
    _, scores = planted(0.06, 600)
    rows = np.array(["F", "M"])[np.arange(600) % 2]
    rows[:3] = "X"
    score = scores.per_text["rouge"].copy()
    score[:3] = (0.45, 0.58, 0.7)
    report = text_report(table(rows), outside(rouge=score), bootstrap=300)
    larger = report.attributes["sex"].larger_groups
    assert larger.left_out == ("X",)
    assert larger.p_value_headline < 0.05
    assert {larger.best, larger.worst} == {"F", "M"}
    assert any("fewer than 20 images in X (3)" in warning for warning in report.warnings)


def test_a_gap_explained_by_another_attribute_vanishes_when_that_is_held():
    generator = np.random.default_rng(0)
    old = generator.random(800) < 0.5
    sex = np.where(generator.random(800) < np.where(old, 0.8, 0.2), "M", "F")
    score = np.where(old, 0.4, 0.7) + generator.normal(0, 0.02, 800)
    rows = [
        {
            "id": str(k),
            "reference": "r",
            "text": "t",
            "attributes": {"sex": sex[k], "age": str(old[k])},
        }
        for k in range(800)
    ]
    report = text_report(generations_of(rows), outside(s=score), bootstrap=200)
    result = report.attributes["sex"]
    assert result.gaps["s_gap"].p_value < 0.01
    held = result.controlled.gaps["s_gap"]
    assert result.controlled.held == ("age",)
    assert held.p_value > 0.05
    expected = [
        abs(score[(old == o) & (sex == "M")].mean() - score[(old == o) & (sex == "F")].mean())
        for o in (False, True)
    ]
    sizes = [(~old).sum(), old.sum()]
    assert held.value == pytest.approx(np.average(expected, weights=sizes))


def test_each_question_has_results_of_its_own():
    rows, score = [], []
    for place in range(80):
        for question in ("report", "sex"):
            wrong = question == "sex" and place % 2
            rows.append(
                {
                    "id": f"i{place}#{question}",
                    "question": question,
                    "reference": f"r{place}" if question == "report" else "female",
                    "text": "t",
                    "attributes": {"sex": "FM"[place % 2]},
                }
            )
            score.append(0.2 if wrong else 0.8)
    only = np.where([row["question"] == "sex" for row in rows], score, np.nan)
    report = text_report(generations_of(rows), outside(s=score, only=only), bootstrap=100)
    assert report.overall["s"].value == pytest.approx(0.65)
    assert report.questions["report"].overall["s"].value == pytest.approx(0.8)
    assert "only" not in report.questions["report"].overall
    gap = report.questions["sex"].attributes["sex"].gaps["s_gap"]
    assert (gap.value, gap.worst) == (pytest.approx(0.6), "M")
    assert gap.p_value_holm < 0.05
    assert report.questions["report"].attributes["sex"].gaps["s_gap"].value == pytest.approx(0)
    assert text_report(table(["F", "M"]), outside(s=[0, 1]), bootstrap=0).questions == {}


def test_the_constant_answer_is_the_most_central_reference():
    generations = generations_of(
        {"id": f"{question}{k}", "question": question, "reference": reference, "text": text}
        for question, pairs in {
            "diagnosis": [("nevus", "nevus")] * 6 + [("melanoma", "melanoma")] * 4,
            "report": [
                ("the heart is large", "the heart is large"),
                ("the heart is large with an effusion", "clear"),
                ("clear", "clear"),
                ("", "x"),
            ],
        }.items()
        for k, (reference, text) in enumerate(pairs)
    )
    assert constant_answers(generations) == {
        "diagnosis": "nevus",
        "report": "the heart is large",
    }
    scores = score_texts(generations, ["exact_match", "rouge_l"])
    report = text_report(generations, scores, bootstrap=200)
    exact = report.constant.scores["exact_match"]
    assert exact.value == pytest.approx(7 / 13)
    assert exact.difference.value == pytest.approx(12 / 13 - 7 / 13)
    assert exact.difference.interval[0] > 0
    assert "the texts are better than that" in describe_in_short(report)[0]


def test_a_model_that_says_the_same_of_all_is_called_collapsed():
    generations = generations_of(
        {"id": str(k), "reference": "nevus" if k % 3 else f"rare {k}", "text": "nevus"}
        for k in range(60)
    )
    report = text_report(generations, score_texts(generations, ["exact_match"]), bootstrap=100)
    assert any("has collapsed" in warning for warning in report.warnings)
    assert any("not shown to be better than one text for every" in w for w in report.warnings)
    assert "not shown to be better than that" in describe_in_short(report)[0]


def test_empty_truncated_and_unread_texts_are_counted():
    generations = generations_of(
        {
            "id": str(k),
            "reference": "melanoma",
            "text": ("", "melanoma", "a dog")[k % 3],
            "label": "mel",
            "complete": k > 0,
        }
        for k in range(9)
    )
    report = text_report(generations, score_texts(generations, ["diagnosis"]), bootstrap=0)
    text = " ".join(report.warnings)
    assert "3 of 9 texts are empty" in text
    assert "1 of 9 texts were cut off" in text
    assert "No diagnosis could be read from 6 of 9 texts" in text
    assert (report.headline, report.overall["diagnosis"].value) == (
        "diagnosis",
        pytest.approx(1 / 3),
    )


def test_scores_beyond_fractions_have_no_equity_scaled_score():
    report = text_report(
        table(["F", "M"] * 10), outside(green=np.arange(20), s=[0.5] * 20), bootstrap=50
    )
    assert list(report.attributes["sex"].equity_scaled) == ["s_fairllava", "s_fairclip"]
    assert any("Divide scores in percent by 100" in warning for warning in report.warnings)


def test_files_hold_what_the_report_holds_and_texts_cannot_break_the_page(tmp_path):
    evil = "<script>alert(1)</script> & | # \n\n# no heading"
    generations = generations_of(
        {
            "id": f"i{k}",
            "reference": f"{evil} {k}",
            "text": f"{evil} {k % 5}",
            "attributes": {"<b>": "FM"[k % 2], "age": "xyz"[k % 3]},
        }
        for k in range(60)
    )
    scores = score_texts(generations, ["bleu_1", "bleu_4", "exact_match"])
    report = text_report(generations, scores, ["<b>", "age", "<b>×age"], bootstrap=60, notes=["n"])
    write_report(report, tmp_path / "r")
    stored = json.loads((tmp_path / "r" / "report.json").read_text("utf-8"))
    assert (stored["schema"], stored["task"], stored["n"]) == (1, "generate", 60)
    assert stored["overall"]["bleu_4"]["value"] == report.overall["bleu_4"].value
    assert set(stored["attributes"]["age"]) >= {"groups", "gaps", "equity_scaled"}
    gap = stored["attributes"]["age"]["gaps"]["bleu_4_gap"]
    wanted = "value interval null_mean null_interval p_value best worst undefined_groups"
    assert set(wanted.split()) <= set(gap)
    assert stored["attributes"]["age"]["groups"]["x"]["bleu_1"]["interval"]
    assert stored["warnings"][-1] == "n"
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert evil.split("\n")[0] in unescape(page)
    assert "<b>" not in page.replace("<b>BLEU-4</b>", "")
    markdown = (tmp_path / "r" / "report.md").read_text("utf-8")
    assert "<script" not in markdown
    assert "\n# no heading" not in markdown
    assert len(list((tmp_path / "r" / "figures").glob("*.svg"))) == 9
    hidden = text_report(generations, scores, [], bootstrap=0, excerpts=0)
    assert hidden.examples == ()


def test_examples_show_best_median_and_worst_once():
    generations = table(["F"] * 9)
    report = text_report(generations, outside(s=np.arange(9) / 10), bootstrap=0, excerpts=1)
    assert [(e.place, e.score, e.id) for e in report.examples] == [
        ("best", 0.8, "i8"),
        ("median", 0.4, "i4"),
        ("worst", 0.0, "i0"),
    ]


def test_pairs_are_matched_by_findings_and_question():
    generations, scores, sex = findings_table(200)
    features = Features(generations.ids, np.random.default_rng(0).normal(size=(200, 3)), "noise")
    report = text_report(generations, scores, bootstrap=100)
    (result,) = counterfactual_text_gaps(
        generations, scores, report, features, ["sex"], minimum_similarity=-1
    )
    assert (result.metric, result.alike, result.is_rate) == ("findings F1", "findings", False)
    right = scores.per_text["findings"]
    back = next(m for m in result.groups if m.group == "M")
    assert back.score == pytest.approx(right[sex == "M"].mean())
    assert (back.pairs, back.other_score) == (100, 1)
    section = counterfactual_section([result], "noise")
    assert "same findings" in section.sentences[-1]
    assert add_sections(report, [section]).to_dict()["counterfactual"]["features"] == "noise"
    with pytest.raises(InputError, match="neither"):
        counterfactual_text_gaps(
            generations, replace(scores, findings=None), report, features, ["sex"]
        )


def test_usual_metrics_leave_out_findings_of_texts_on_skin():
    skin = generations_of(
        {"id": str(k), "reference": f"The lesion is a {name}.", "text": "nevus"}
        for k, name in enumerate(("nevus", "melanoma", "keratosis"))
    )
    chest = generations_of(
        {"id": str(k), "reference": f"There is {name}.", "text": "x"}
        for k, name in enumerate(("a large effusion", "edema", "no pneumothorax"))
    )
    assert "findings" not in usual_metrics(skin)
    assert "findings" in usual_metrics(chest)
    assert needed_metrics(["findings_f1_micro", "findings", "bleu_1"]) == ("findings", "bleu_1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attribute", "sx"], "did you mean 'sex'"),
        (["--text-metric", "rouge"], "did you mean 'rouge_l'"),
        (["--threshold", "0.5", "--positive", "x"], "--positive, --threshold"),
    ],
)
def test_mistakes_at_the_command_line_are_named(arguments, message, tmp_path):
    write_generations(table(["F", "M"] * 4), tmp_path / "t.jsonl")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "t.jsonl"), *arguments])
    assert done.exit_code == 2
    assert message in done.output


def test_the_command_line_reports_texts_of_any_model(tmp_path):
    generations = generations_of(
        {
            "id": f"i{k}",
            "reference": ("Pleural effusion.", "Cardiomegaly.", "No acute disease.")[k % 3],
            "text": ("Pleural effusion.", "Clear lungs.")[k % 2],
            "attributes": {"sex": "FM"[k % 2], "race": "AB"[k // 2 % 2]},
        }
        for k in range(90)
    )
    file = tmp_path / "texts.jsonl"
    write_generations(generations, file)
    lines = [f"i{k},radgraph,{(k % 7) / 10}" for k in range(88)]
    (tmp_path / "s.csv").write_text("id,metric,value\n" + "\n".join(lines))
    np.savez(
        tmp_path / "f.npz",
        ids=np.array(generations.ids),
        features=np.random.default_rng(0).normal(size=(90, 3)),
    )
    arguments = ["report", str(file), "--attribute", "sex", "--scores", str(tmp_path / "s.csv")]
    arguments += ["--text-metric", "findings_f1_micro", "--text-metric", "rouge_l"]
    arguments += ["--features", str(tmp_path / "f.npz"), "--bootstrap", "40"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "r" / "report.json").read_text("utf-8"))
    assert stored["headline"] == "findings_f1_micro"
    assert list(stored["attributes"]) == ["sex"]
    assert stored["overall"]["radgraph"]["count"] == 88
    assert "2 of 90 texts have no radgraph score." in stored["warnings"]
    assert stored["counterfactual"]["attributes"]["sex"]["alike"] == "findings"
    assert "micro F1 of findings" in done.output


BELOW = 10
SECRET = "SECRET WORDS"  # of every reference and text


@pytest.fixture(scope="module")
def suppressed(tmp_path_factory):
    """600 texts on two questions with findings; three texts are of the group Tiny, three are empty."""
    generator = np.random.default_rng(0)
    sex, age = generator.choice(["F", "M"], 600), generator.choice(["old", "young"], 600)
    race = generator.choice(["White", "Black", "Asian"], 600, p=[0.5, 0.3, 0.2])
    race[[5, 105, 305]] = "Tiny"
    rows = [
        {
            "id": f"i{k}#{k % 2}",
            "question": str(k % 2),
            "reference": f"{SECRET} {k % 7}",
            "text": "" if k in (1, 2, 3) else f"{SECRET} {k % 5}",
            "attributes": {"sex": sex[k], "age": age[k], "race": race[k]},
        }
        for k in range(600)
    ]
    reference = generator.random((600, 2)) < 0.4
    generated = np.where(generator.random((600, 2)) < 0.7, reference, ~reference)
    findings = FindingLabels(
        ("Edema", "Fracture"), reference, generated, np.ones(600, bool), "rules"
    )
    values = {"s": generator.random(600), "right": (generator.random(600) < 0.6).astype(float)}
    scores = TextScores(values, findings, {"blank_texts": 3, "blank_references": 40})
    generations = generations_of(rows)
    names = ["race", "sex", "age", "sex×race"]
    options = {"attributes": names, "bootstrap": 30, "headline": "s"}
    open_report = text_report(generations, scores, **options)
    report = text_report(generations, scores, **options, suppress_below=BELOW)
    folder = tmp_path_factory.mktemp("suppressed") / "report"
    write_report(report, folder)
    return open_report, report, folder


def test_small_groups_of_texts_have_no_number_in_any_file(suppressed):
    *_, folder = suppressed
    stored = json.loads((folder / "report.json").read_text("utf-8"))
    assert stored["method"]["suppressed_below"] == BELOW
    race = stored["attributes"]["race"]
    hidden = race["suppressed_groups"]
    assert "Tiny" in hidden
    for name in hidden:
        for metric, estimate in race["groups"][name].items():
            if metric not in ("n", "examples"):
                numbers = estimate | (estimate["median"] or {})
                numbers.pop("median")
                assert set(numbers.values()) == {None}, (name, metric)
    assert (race["groups"]["Tiny"]["n"], race["groups"]["Tiny"]["examples"]) == (None, None)
    for gap in race["gaps"].values():
        assert {gap["best"], gap["worst"], gap["power"]["lagging"]}.isdisjoint(hidden)
        assert set(hidden) <= set(gap["undefined_groups"])
    row = next(
        line
        for line in (folder / "report.md").read_text("utf-8").splitlines()
        if line.startswith("| Texts |") and line.count("–") > 1
    )
    assert row.count("–") >= 2
    assert "not published" in (folder / "report.html").read_text("utf-8")


def test_hidden_texts_cannot_be_had_back_from_totals(suppressed):
    """In every total that is shown the hidden groups are two or more, and together no small count."""
    open_report, report, _ = suppressed
    for attribute, result in report.attributes.items():
        for kind in ("n", "examples"):
            sizes = {name: getattr(group, kind) for name, group in result.groups.items()}
            hidden = [name for name, size in sizes.items() if size is None]
            gone = getattr(report, "n" if kind == "n" else "examples_n") - sum(
                size for size in sizes.values() if size is not None
            )
            assert gone == sum(
                getattr(open_report.attributes[attribute].groups[name], kind) for name in hidden
            )
            assert gone == 0 or (len(hidden) >= 2 and gone >= BELOW), attribute
        for name, group in result.groups.items():
            assert group.n is None or group.n >= BELOW, name
    # A shown group of sex loses two of its groups by race, or none.
    crossed = report.attributes["sex×race"].groups
    for sex, whole in report.attributes["sex"].groups.items():
        parts = {name: group.n for name, group in crossed.items() if name.startswith(f"{sex}×")}
        assert sum(size is None for size in parts.values()) != 1
        gone = whole.n - sum(size for size in parts.values() if size is not None)
        assert gone == 0 or gone >= BELOW


def test_a_published_report_shows_no_text_and_no_single_question(suppressed):
    open_report, report, folder = suppressed
    assert open_report.examples
    assert open_report.questions
    assert open_report.shifts
    assert open_report.constant.answers
    assert (report.examples, dict(report.questions), dict(report.shifts)) == ((), {}, {})
    assert report.constant.answers == {}
    for result in report.attributes.values():
        assert (result.controlled, result.larger_groups) == (None, None)
    for name in ("report.json", "report.md", "report.html"):
        assert SECRET not in unescape((folder / name).read_text("utf-8"))


def test_small_counts_of_texts_are_not_named(suppressed):
    open_report, report, _ = suppressed
    assert any("3 of 600 texts are empty" in warning for warning in open_report.warnings)
    assert any("Some of 600 texts are empty" in warning for warning in report.warnings)
    assert any("40 of 600 references are empty" in warning for warning in report.warnings)
    assert open_report.counts["blank_texts"] == 3
    assert report.counts["blank_texts"] is None
    assert report.counts["blank_references"] == 40
    assert report.overall["s"].value == open_report.overall["s"].value


def test_the_rest_of_a_small_part_is_not_named_either():
    generations = generations_of(
        {"id": str(k), "reference": "r", "text": "" if k > 3 else "t"} for k in range(60)
    )
    scores = replace(outside(s=np.arange(60) / 60), counts={"blank_texts": 56})
    report = text_report(generations, scores, bootstrap=0, suppress_below=BELOW)
    assert report.counts["blank_texts"] is None
    assert not any("56" in warning for warning in report.warnings)
    assert any("texts are empty" in warning for warning in report.warnings)


def test_fewer_texts_than_may_be_counted_are_no_report_of_numbers(tmp_path):
    scores = replace(outside(s=[0.1, 0.2, 0.9]), counts={"blank_texts": 1})
    report = text_report(table(["F", "M", "M"]), scores, bootstrap=20, suppress_below=BELOW)
    write_report(report, tmp_path / "r")
    assert (report.n, report.examples_n, report.overall["s"].value) == (None, None, None)
    assert "not published" in describe_in_short(report)[0]


def test_right_and_wrong_are_cells_of_a_published_report():
    """Of 40 women all but two are right: not their number is small, but that of their errors."""
    right = np.r_[np.ones(38), 0, 0, np.tile([0, 1], 60)]
    groups = ["F"] * 40 + ["M"] * 60 + ["X"] * 60
    report = text_report(table(groups), outside(right=right), bootstrap=0, suppress_below=BELOW)
    result = report.attributes["sex"]
    assert "F" in result.suppressed_groups
    assert len(result.suppressed_groups) == 2
    assert {group.n for group in result.groups.values()} == {40, 60}


def test_texts_shared_with_other_splits_are_named():
    rows = [
        {
            "id": f"i{k}#{question}",
            "question": question,
            "reference": "r",
            "text": "t",
            "unit": f"p{k // 2}",
        }
        for k in range(20)
        for question in ("report", "sex")
    ]
    generations, scores = generations_of(rows), outside(s=np.arange(40) / 40)

    def warned(seen):
        found = text_report(generations, scores, bootstrap=0, seen=seen).warnings
        return [text for text in found if "also in the" in text]

    assert warned({}) == warned({"train": {"i99", "p99", "report"}}) == []
    (images,) = warned({"train": {"i3", "i4", "x"}})  # images, without the question
    assert images.startswith("2 images of these texts are also in the train split")
    (patients,) = warned({"validation": {"p1"}})
    assert "1 units" in patients
    assert "validation" in patients


def test_every_gap_of_texts_says_what_it_could_show():
    generations, scores, _ = findings_table()
    scores = replace(
        scores, per_text={**scores.per_text, "beyond": np.random.default_rng(0).random(240) * 9}
    )
    gaps = text_report(generations, scores, bootstrap=100).attributes["sex"].gaps
    assert {name for name, gap in gaps.items() if gap.power is None} == {"beyond_gap"}
    for name in ("findings_gap", "findings_f1_micro_gap"):
        power = gaps[name].power
        assert 0 < power.detectable < 1
        assert power.counted == "texts"
        assert power.lagging is None  # both groups have 120
    error = gaps["findings_gap"].power.detectable / (2.8 * np.sqrt(2 / 120))
    assert error == pytest.approx(np.std(scores.per_text["findings"]), rel=0.2)
