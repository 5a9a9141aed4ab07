"""The model stands beside what needs no model: on the same examples, paired, and no more is claimed."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.vision_cache import LiveFeatures
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.baselines import (
    FILE,
    PROBE,
    add_baselines,
    baseline_warnings,
    compare_with_baselines,
    describe_baseline,
    read_baselines,
    write_baselines,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report, write_report
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs import baselines as run_baselines
from fairlora_cls.runs.context import RunContext

YES_NO = ("no", "yes")


def chances(scores):
    return np.column_stack([1 - np.asarray(scores), scores])


def model(scores, labels, units=None):
    return Predictions(
        [f"e{i}" for i in range(len(labels))],
        labels,
        (np.asarray(scores) >= 0.5).astype(int),
        chances(scores),
        YES_NO,
        {"sex": np.array(["F", "M"] * (len(labels) // 2), dtype=object)},
        units=units,
    )


@pytest.fixture
def noisy():
    """200 examples whose labels a score tells well, and another at random."""
    generator = np.random.default_rng(5)
    labels = np.arange(200) // 2 % 2
    good = np.clip(0.3 + 0.4 * labels + generator.normal(0, 0.2, 200), 0, 1)
    return labels, good, generator.uniform(0, 1, 200)


def test_what_is_written_comes_back_in_the_order_of_the_table(tmp_path):
    """Ids of other splits stand between; three classes have a column each."""
    table = Predictions(
        ["b", "a", "new"], [0, 1, 2], [0, 1, 2], np.eye(3), ("x", "y: z", "z"), positive=2
    )
    rows = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]])
    write_baselines(tmp_path / FILE, ["a", "other", "b"], table.classes, {"size, B": rows})
    (answers,) = read_baselines(tmp_path / FILE, table).values()
    assert answers.ids == ("b", "a")
    assert answers.labels.tolist() == [0, 1]
    assert answers.probabilities.tolist() == [[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]
    assert (tmp_path / FILE).read_text().splitlines()[0] == (
        'id,"size, B: x","size, B: y: z","size, B: z"'
    )


def test_the_difference_is_paired_and_drawn_by_patient(noisy):
    """A baseline that says the same as the model differs by 0 in every resample; the interval of a
    difference is wider where ten images are of one patient each."""
    labels, good, random = noisy
    alike, other = model(good, labels), model(random, labels)
    estimate, (same, chance) = compare_with_baselines(alike, {"a": alike, "b": other}, 400, 1)
    overall = fairness_report(alike, bootstrap=0).overall["auroc"].value
    assert estimate.value == pytest.approx(overall, abs=1e-12)
    assert same.difference.value == 0
    assert same.reading == "not shown"
    assert chance.reading == "more"
    assert chance.difference.value == pytest.approx(estimate.value - chance.auroc.value)
    low, high = chance.difference.interval
    assert low < chance.difference.value < high
    # Swapped, the same difference with the other sign.
    _, (swapped,) = compare_with_baselines(other, {"a": alike}, 400, 1)
    assert swapped.reading == "less"
    assert swapped.difference.interval == pytest.approx((-high, -low))
    patients = [f"p{i // 10}" for i in range(200)]
    grouped = model(good, labels, patients)
    _, (of_patients,) = compare_with_baselines(
        grouped, {"b": model(random, labels, patients)}, 400, 1
    )
    assert of_patients.difference.interval != chance.difference.interval


def test_what_is_not_beaten_is_the_first_warning(noisy, tmp_path):
    labels, good, random = noisy
    table = model(random, labels)
    report = fairness_report(table, bootstrap=200)
    held = [f"e{i}" for i in range(200)]
    write_baselines(
        tmp_path / FILE,
        held,
        YES_NO,
        {"file size": chances(good), "mean brightness": chances(1 - good), PROBE: chances(good)},
    )
    found = add_baselines(report, table, tmp_path)
    size, probe, *others = found.warnings
    assert tuple(others) == report.warnings
    assert "file size" in size
    assert "brightness" not in size
    assert PROBE in probe
    values = found.to_dict()["baselines"]
    assert values["n"] == 200
    readings = {name: each["reading"] for name, each in values["baselines"].items()}
    assert readings == {"file size": "less", "mean brightness": "more", PROBE: "less"}
    write_report(found, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "File size alone" in page
    # One that beats them all is not warned of.
    good_table = model(good, labels)
    write_baselines(tmp_path / FILE, held, YES_NO, {"file size": chances(random)})
    best = add_baselines(fairness_report(good_table, bootstrap=200), good_table, tmp_path)
    assert best.warnings == fairness_report(good_table, bootstrap=200).warnings


def test_without_resamples_nothing_is_judged(noisy):
    labels, good, random = noisy
    estimate, results = compare_with_baselines(
        model(good, labels), {"file size": model(random, labels)}, 0, 1
    )
    assert results[0].reading == "not tested"
    assert baseline_warnings(estimate, results) == []
    assert "not tested" in describe_baseline(estimate, results[0])


def test_labels_of_one_kind_have_no_auroc(tmp_path):
    table = model(np.linspace(0, 1, 20), np.zeros(20, int))
    write_baselines(tmp_path / FILE, table.ids, YES_NO, {"file size": table.probabilities})
    report = add_baselines(fairness_report(table, bootstrap=50), table, tmp_path)
    values = report.to_dict()["baselines"]
    assert values["model"]["value"] is None
    assert values["baselines"]["file size"]["reading"] == "not tested"


@pytest.mark.parametrize(
    "content",
    ["id,file size: yes\nf0,0.5\n", "id,file size: maybe\ne0,0.5\n", "id,: yes\ne0,0.5\n"],
)
def test_a_file_of_something_else_is_passed_over(content, noisy, tmp_path):
    table = model(noisy[1], noisy[0])
    report = fairness_report(table, bootstrap=0)
    (tmp_path / FILE).write_text(content)
    assert add_baselines(report, table, tmp_path) is report
    assert add_baselines(report, table, tmp_path / "elsewhere") is report


@pytest.mark.parametrize(
    "content",
    [
        "id,file size: yes\n",
        "name,file size: yes\ne0,0.5\n",
        "id,file size: yes\ne0,many\n",
        "id,file size: yes\ne0,2\n",
    ],
)
def test_a_damaged_file_is_named(content, noisy, tmp_path):
    table = model(noisy[1], noisy[0])
    report = fairness_report(table, bootstrap=0)
    (tmp_path / FILE).write_text(content)
    found = add_baselines(report, table, tmp_path)
    assert found.sections == report.sections
    assert "not known" in found.warnings[-1]


def test_small_counts_stay_hidden(noisy, tmp_path):
    labels, good, random = noisy
    table = model(good, labels)
    write_baselines(tmp_path / FILE, table.ids, YES_NO, {"file size": chances(random)})
    report = fairness_report(table, bootstrap=50, suppress_below=5)
    found = add_baselines(report, table, tmp_path)
    (section,) = (each for each in found.sections if each.key == "baselines")
    assert section.values == {}
    assert section.tables == ()
    assert "Left out" in section.sentences[0]
    assert found.warnings == report.warnings


@pytest.fixture
def pictures(tmp_path):
    """96 images of three classes whose width tells the class; sex is the same for all."""
    examples = []
    for number in range(96):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (20 + 4 * (number % 3), 20), (number, 90, 90)).save(path)
        groups = {"sex": "F", "age": str(number)}
        examples.append(Example(f"i{number}", path, number % 3, groups, f"p{number}"))
    return Splits(
        "here",
        ("a", "b", "c"),
        ("sex", "age"),
        *(tuple(examples[start : start + 32]) for start in (0, 32, 64)),
    )


class Features:
    """As `CachedFeatures`: of each example so many visual tokens whose mean is `mean`."""

    def __init__(self, splits, mean):
        self.examples, self.mean = splits, mean

    def __call__(self, places):
        import torch

        return [
            (torch.full((2, 3), self.mean(self.examples[place])), torch.ones(3)) for place in places
        ]


def keep(splits, tmp_path, features, monkeypatch=None):
    from fairlora_cls.training.loop import SilentDisplay

    recipe = build_recipe(
        {
            "data": {"source": "table", "path": str(tmp_path), "sensitive": ["sex"]},
            "objective": {"method": "vanilla"},
        }
    )
    context = RunContext(
        recipe, splits, SimpleNamespace(), tmp_path, SilentDisplay(), (), features=features
    )
    run_baselines.keep_baselines(context, tmp_path / FILE)
    rows = [f"i{number}" for number in range(32, 96)]
    labels = np.arange(32, 96) % 3
    table = Predictions(rows, labels, labels, np.eye(3)[labels], splits.classes)
    return read_baselines(tmp_path / FILE, table), table


def test_baselines_are_fitted_to_training_and_asked_about_the_rest(pictures, tmp_path):
    """The width tells the class, so that the AUROC of each class is 1; what is the same for all is
    left out, and age, which the recipe does not name, is not read."""
    live = {name: LiveFeatures([], None, None) for name in ("train", "validation", "test")}
    answers, table = keep(pictures, tmp_path, live)
    assert set(answers) == {"file size", "width and height", "mean brightness"}
    _, results = compare_with_baselines(table, answers, 0, 1)
    by_name = {result.name: result.auroc.value for result in results}
    assert by_name["width and height"] > 0.95
    assert 0.3 < by_name["mean brightness"] < 0.7
    assert all(each.ids == table.ids for each in answers.values())


def test_a_probe_reads_cached_features(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(run_baselines, "CachedFeatures", Features)
    monkeypatch.setattr(run_baselines, "MOST", 24)
    features = {
        name: Features(pictures.split(name), lambda example: float(example.label))
        for name in ("train", "validation", "test")
    }
    answers, table = keep(pictures, tmp_path, features)
    _, results = compare_with_baselines(table, {PROBE: answers[PROBE]}, 0, 1)
    assert results[0].auroc.value > 0.8


@pytest.mark.parametrize(
    ("words", "auroc"), [(["left eye", "right eye", "Ärmel"], 1.0), (["!"], None)]
)
def test_words_of_the_prompt_are_a_baseline(words, auroc, pictures, tmp_path):
    """Each class has a word of its own; of what holds no word there is none."""
    told = pictures.changed(lambda e: replace(e, words={"note": words[e.label % len(words)]}))
    live = {name: LiveFeatures([], None, None) for name in ("train", "validation", "test")}
    answers, table = keep(told, tmp_path, live)
    assert ("words (note)" in answers) == (auroc is not None)
    if auroc is not None:
        _, results = compare_with_baselines(table, {"w": answers["words (note)"]}, 0, 1)
        assert results[0].auroc.value == auroc


def test_images_that_are_gone_and_a_single_class_are_managed(pictures, tmp_path):
    Path(pictures.test[0].image).unlink()
    live = {name: LiveFeatures([], None, None) for name in ("train", "validation", "test")}
    answers, table = keep(pictures, tmp_path, live)
    assert pictures.test[0].id not in answers["file size"].ids
    assert len(answers["file size"].ids) == len(table.ids) - 1
    (tmp_path / FILE).unlink()
    one = pictures.changed(lambda e: e if e in pictures.test or e.label == 0 else None)
    with pytest.raises(InputError, match="no table"):
        keep(one, tmp_path, live)
    assert not (tmp_path / FILE).exists()


def test_a_run_keeps_its_baselines_and_every_report_on_it_shows_them(small_run, tmp_path):
    folder, outcome = small_run
    header = (folder / "predictions" / FILE).read_text().splitlines()[0]
    assert header.startswith("id,file size: yes,")
    assert f"{PROBE}: yes" in header
    report = json.loads((folder / "report" / "report.json").read_text())
    assert report["baselines"]["n"] == 40
    assert report["baselines"] == json.loads(json.dumps(outcome.report.to_dict()["baselines"]))
    table = str(folder / "predictions" / "test.csv")
    asked = ["report", table, "--bootstrap", "50", "--output", str(tmp_path / "again")]
    assert CliRunner().invoke(app, asked).exit_code == 0
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    assert again["baselines"] == report["baselines"]
