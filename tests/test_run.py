"""A whole run, its folder, and what comes after: evaluate and predict."""

import csv
import errno
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from fairlora_cls.ablations.definition import read_definition
from fairlora_cls.data.datasets import load_splits
from fairlora_cls.errors import InputError
from fairlora_cls.files import draft_beside
from fairlora_cls.objectives.objectives import OBJECTIVES, STATISTICS
from fairlora_cls.recipe import build_recipe, load_recipe
from fairlora_cls.runs import saved as saved_run
from fairlora_cls.runs import train as run
from fairlora_cls.runs.assembly import encode_run_groups, require_same_data
from fairlora_cls.runs.classify import CLASSIFY
from fairlora_cls.runs.folder import (
    claim_report_folder,
    inspect_run_folder,
    read_state,
    recipe_of,
)
from tests.test_examples import GOOD
from tests.test_loop import recipe


def test_the_run_folder_holds_what_the_design_says(small_run):
    folder, _ = small_run
    for name in (
        "recipe.yaml",
        "run.json",
        "log.jsonl",
        "checkpoints",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "adapter/head.safetensors",
        "adapter/classifier.json",
        "adapter/tokenizer.json",
        "predictions/validation.csv",
        "predictions/test.csv",
        "predictions/baselines.csv",
        "report/report.json",
        "report/report.md",
        "report/report.html",
        "README.md",
    ):
        assert (folder / name).exists(), name
    assert not list(folder.rglob(".*"))


def test_run_json(small_run):
    folder, outcome = small_run
    state = json.loads((folder / "run.json").read_text())
    assert state == outcome.state
    assert state["status"] == "complete"
    assert state["seed"] == 42
    assert state["examples"] == {"train": 48, "validation": 24, "test": 40}
    assert set(state["protected"]) == {"sex", "ethnicity"}
    assert sum(state["protected"]["sex"].values()) == 48
    assert {"torch", "transformers", "peft", "fairlora-cls"} <= state["versions"].keys()
    stages = {"data", "model", "vision_features", "training", "prediction", "baselines", "report"}
    assert stages == state["timings"]["seconds"].keys()
    assert state["training"]["images_per_second"] > 0
    assert state["selection_rule"] == "highest validation auroc, earlier epoch on a tie"


def test_predictions_csv(small_run):
    folder, _ = small_run
    with (folder / "predictions" / "test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "id",
        "label",
        "prediction",
        "prob_no",
        "prob_yes",
        "sex",
        "ethnicity",
    ]
    assert len(rows) == 40
    assert {r["label"] for r in rows} == {"no", "yes"}
    assert all(abs(float(r["prob_no"]) + float(r["prob_yes"]) - 1) < 1e-6 for r in rows)


def test_report_covers_the_sensitive_attributes(small_run):
    folder, _ = small_run
    report = json.loads((folder / "report" / "report.json").read_text())
    assert report["n"] == 40
    assert list(report["attributes"]) == ["sex", "ethnicity"]
    assert report["positive"] == "yes"


def test_the_model_card_tells_the_essentials(small_run):
    folder, _ = small_run
    text = (folder / "README.md").read_text()
    for words in (
        "method `hybrid`",
        "Trainable parameters",
        "no or yes?",
        "not a medical device",
        "| sex |",
    ):
        assert words in text


def test_evaluate_repeats_the_test_predictions(small_run, tmp_path, display):
    folder, outcome = small_run
    again = saved_run.evaluate(folder, display, output=tmp_path / "e")
    assert (tmp_path / "e" / "predictions.csv").read_bytes() == (
        folder / "predictions" / "test.csv"
    ).read_bytes()
    ours, theirs = (each.report.to_dict() for each in (again, outcome))
    assert ours["overall"] == theirs["overall"]
    assert ours["baselines"] == theirs["baselines"]


def own_copy(small_run, tmp_path):
    """The finished run, to be spoilt."""
    return shutil.copytree(small_run[0], tmp_path / "own")


SPOILT = {
    "emptied": lambda text: "",
    "other": lambda text: "data: {limit: 8}\n",
    "cut": lambda text: text[: len(text) // 2],
    "last line lost": lambda text: text.rstrip("\n").rpartition("\n")[0],
    "value": lambda text: text.replace("seed: 42", "seed: 43"),
    "section lost": lambda text: text.partition("report:")[0],
    "no mapping": lambda text: "- a\n",
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_recipe_that_is_not_the_run_s_is_refused(small_run, tmp_path, spoil):
    folder = own_copy(small_run, tmp_path)
    file = folder / "recipe.yaml"
    file.write_text(spoil(file.read_text()))
    (tmp_path / "ablation.yaml").write_text("base: own/recipe.yaml\ngrid: {seed: [1]}\n")
    for read, path in (
        (recipe_of, folder),
        (load_recipe, file),
        (read_definition, str(tmp_path / "ablation.yaml")),
    ):
        with pytest.raises(InputError, match=r"recipe\.yaml"):
            read(path)


def test_a_run_s_recipe_may_be_renamed_commented_and_its_data_moved(small_run, tmp_path):
    folder = own_copy(small_run, tmp_path)
    values = yaml.safe_load((folder / "recipe.yaml").read_text())
    values["name"], values["data"]["path"] = "mine", "/elsewhere"
    (folder / "recipe.yaml").write_text(f"# moved\n{yaml.safe_dump(values)}")
    assert recipe_of(folder).data.path == "/elsewhere"


def test_a_run_of_an_earlier_version_needs_every_section(small_run, tmp_path):
    folder = own_copy(small_run, tmp_path)
    state = json.loads((folder / "run.json").read_text())
    del state["recipe_digest"]
    (folder / "run.json").write_text(json.dumps(state))
    assert recipe_of(folder).objective.method == "hybrid"
    file = folder / "recipe.yaml"
    file.write_text(file.read_text().partition("report:")[0])
    with pytest.raises(InputError, match="report"):
        recipe_of(folder)


@pytest.mark.parametrize("content", [b"", b'{"status": "comp', b"[]", b'{"seed": 1}', b"\xff\xfe"])
def test_a_run_json_that_is_cut_is_named(small_run, tmp_path, content):
    folder = own_copy(small_run, tmp_path)
    (folder / "run.json").write_bytes(content)
    for read in (recipe_of, read_state):
        with pytest.raises(InputError, match=r"run\.json"):
            read(folder)


def leave_draft(place, content, name):
    """What a process leaves that was killed while it wrote."""
    draft = place / ".0123456789ab.draft"
    (draft / content / name).mkdir(parents=True)
    (draft / "held").touch()
    return draft / content / name


def test_what_a_killed_verb_left_in_a_report_is_no_foreign_file(tmp_path):
    for place in (tmp_path, tmp_path / "figures"):
        leave_draft(place, "new", "report.json")
    with draft_beside(tmp_path / "report.html"):  # and a neighbour who writes is none
        claim_report_folder(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["figures"]
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match=r"mine\.txt"):
        claim_report_folder(tmp_path)


def test_a_run_that_a_killed_overwrite_moved_away_is_there_again(small_run, tmp_path):
    shutil.copytree(small_run[0], leave_draft(tmp_path, "old", "run"), dirs_exist_ok=True)
    with pytest.raises(InputError, match="--overwrite"):
        inspect_run_folder(tmp_path / "run", recipe_of(small_run[0]), resume=False, overwrite=False)
    assert read_state(tmp_path / "run")["status"] == "complete"


@pytest.mark.parametrize("name", ["x" * 300, "file/run"])
def test_a_place_where_no_run_can_be_is_refused_before_any_work(
    cohort, tmp_path, display, monkeypatch, name
):
    monkeypatch.setattr(run, "start_accelerator", None)
    (tmp_path / "file").touch()
    for resume, overwrite in ((False, False), (True, False), (False, True)):
        with pytest.raises(InputError, match="cannot be written"):
            run.train(recipe(cohort), tmp_path / name, display, resume=resume, overwrite=overwrite)


def test_evaluate_refuses_data_that_have_changed(small_run, cohort, tmp_path, display):
    folder = own_copy(small_run, tmp_path)
    data = shutil.copytree(cohort, tmp_path / "data")
    file = folder / "recipe.yaml"
    file.write_text(file.read_text().replace(f"path: {cohort}", f"path: {data}"))
    recipe = recipe_of(folder)
    loaded = load_splits(recipe.data.source, recipe.data.place, recipe.data.options)
    require_same_data(folder, recipe, loaded)
    lines = (data / "table.csv").read_text().splitlines()
    (data / "table.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match="--data"):
        saved_run.evaluate(folder, display, output=tmp_path / "e")
    assert not (tmp_path / "e").exists()
    state = read_state(folder)
    del state["loaded_fingerprint"]  # as runs of earlier versions are
    (folder / "run.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match="earlier version"):
        require_same_data(folder, recipe, replace(loaded, test=loaded.test[1:]))


def test_skipped_images_leave_the_fingerprint_of_the_data_alone(cohort, tmp_path, display):
    data = shutil.copytree(cohort, tmp_path / "data")
    with (data / "table.csv").open() as file:
        row = next(csv.DictReader(file))
    (data / row["image"]).write_bytes(b"broken")
    chosen = recipe(data, "objective.method=zero-shot")
    state = run.train(chosen, tmp_path / "r", display, skip_unreadable=True).state
    loaded = load_splits(chosen.data.source, chosen.data.place, chosen.data.options)
    require_same_data(tmp_path / "r", recipe_of(tmp_path / "r"), loaded)
    assert state["loaded_fingerprint"] != state["data_fingerprint"]


def test_every_failure_stands_in_run_json_and_resume_clears_it(
    cohort, tmp_path, display, monkeypatch
):
    """A full disk while the report is written, then Ctrl-C, then a log cut in the middle of a line."""
    folder, chosen = tmp_path / "r", recipe(cohort, "objective.method=vanilla")

    def state():
        return json.loads((folder / "run.json").read_text())

    def fail(error):
        def raise_it(*given, **named):
            raise error

        return raise_it

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_report", fail(OSError(errno.ENOSPC, "full", "report")))
        with pytest.raises(OSError, match="full"):
            run.train(chosen, folder, display)
    assert state()["status"] == "failed"
    assert "report" in state()["error"]
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_report", fail(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run.train(chosen, folder, display, resume=True)
    assert state()["status"] == "interrupted"
    log = folder / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-300])
    outcome = run.train(chosen, folder, display, resume=True)
    assert outcome.state["status"] == "complete"
    assert "error" not in outcome.state
    steps = [json.loads(line) for line in log.read_text().splitlines()]  # none is half a line
    assert any("log.jsonl" in note for note in outcome.state["notes"]) == (
        sum("loss" in s for s in steps) < outcome.state["training"]["steps"]
    )


def test_evaluate_another_split_and_without_cache(small_run, tmp_path, display):
    folder, _ = small_run
    outcome = saved_run.evaluate(
        folder, display, split="validation", output=tmp_path / "e", use_vision_cache=False
    )
    told = outcome.report.to_dict()
    assert told["baselines"]["n"] == 24
    assert told["baseline_table"]["train"]["everyone"]["n"] == 48
    cached = np.loadtxt(
        folder / "predictions" / "validation.csv", delimiter=",", skiprows=1, usecols=4
    )
    live = np.loadtxt(tmp_path / "e" / "predictions.csv", delimiter=",", skiprows=1, usecols=4)
    np.testing.assert_allclose(live, cached, atol=1e-5)


def test_evaluate_refuses_other_classes_and_wrong_names(small_run, cohort, tmp_path, display):
    folder, _ = small_run
    with pytest.raises(InputError, match="no split 'tset'"):
        saved_run.evaluate(folder, display, split="tset")
    with pytest.raises(InputError, match="trained on no, yes"):
        saved_run.evaluate(folder, display, data={"options": {"classes": ["yes", "no"]}})
    with pytest.raises(InputError, match="not a run folder"):
        saved_run.evaluate(tmp_path, display)


def test_predict_gives_the_test_probabilities(small_run, cohort, display):
    folder, _ = small_run
    with (folder / "predictions" / "test.csv").open() as file:
        expected = {r["id"]: float(r["prob_yes"]) for r in csv.DictReader(file)}
    with (cohort / "table.csv").open() as file:
        images = {r["id"]: cohort / r["image"] for r in csv.DictReader(file)}
    chosen = list(expected)[:3]
    classes, probabilities = saved_run.predict(folder, [images[i] for i in chosen], display)
    assert classes == ("no", "yes")
    assert probabilities[:, 1] == pytest.approx([expected[i] for i in chosen], abs=1e-4)


def test_without_the_vision_cache_a_run_gives_the_same(cohort, tmp_path, display):
    found = {
        use: run.train(
            recipe(cohort), tmp_path / str(use), display, use_vision_cache=use
        ).report.to_dict()
        for use in (True, False)
    }
    first, second = (found[use]["overall"]["brier"]["value"] for use in (True, False))
    assert first == pytest.approx(second, abs=1e-4)


def test_the_tower_is_not_run_again_for_known_images(cohort, tmp_path, display, monkeypatch):
    run.train(recipe(cohort), tmp_path / "first", display)
    monkeypatch.setattr(
        "fairlora_cls.models.backbones.Backbone.encode_images",
        lambda self, images: pytest.fail("the vision tower ran although all images are cached"),
    )
    run.train(recipe(cohort), tmp_path / "second", display)


@pytest.mark.parametrize("kind", ["label_words", "random_head"])
def test_zero_shot(cohort, tmp_path, display, kind):
    chosen = recipe(cohort, "objective.method=zero-shot", f"objective.zero_shot={kind}")
    outcome = run.train(chosen, tmp_path / "r", display)
    assert outcome.state["status"] == "complete"
    assert not (tmp_path / "r" / "log.jsonl").exists()
    again = saved_run.evaluate(tmp_path / "r", display, output=tmp_path / "e")
    ours, theirs = (each.report.to_dict() for each in (again, outcome))
    assert ours["overall"] == theirs["overall"]
    assert ours["baselines"] == theirs["baselines"]
    with pytest.raises(InputError, match="3 entries for 2 classes"):
        run.train(
            recipe(cohort, "objective.method=zero-shot", "objective.label_words=[a, b, c]"),
            tmp_path / "x",
            display,
        )


def test_first_token_pooling_collapses_and_the_report_says_so(cohort, tmp_path, display):
    outcome = run.train(recipe(cohort, "model.pooling=first"), tmp_path / "r", display)
    warnings = " ".join(outcome.report.to_dict()["warnings"])
    assert "model.pooling is first" in warnings
    assert outcome.report.to_dict()["overall"]["auroc"]["value"] == pytest.approx(0.5, abs=0.15)
    assert "collapsed" in warnings.lower() or "same" in warnings.lower()


def test_an_intersection_is_protected_and_reported(cohort, tmp_path, display):
    chosen = recipe(cohort, "data.sensitive=[sex×ethnicity]", "objective.merge_cells_below=3")
    outcome = run.train(chosen, tmp_path / "r", display)
    cells = outcome.state["protected"]["sex×ethnicity"]
    assert "Other" in cells
    assert all(count >= 3 for name, count in cells.items() if name != "Other")
    reported = outcome.report.to_dict()["attributes"]
    assert list(reported) == ["sex×ethnicity"]
    assert "Other" not in reported["sex×ethnicity"]["groups"]


METHODS = [
    *((f"objective.method={name}",) for name, preset in OBJECTIVES.items() if preset.trains),
    ("objective.method=adversarial", "objective.adversary.training=pretrained"),
    (
        "objective.method=gr",
        "objective.mutual_information={weights: {sex: 0.2, race: 0.6}, tap: mean, tokens: all}",
        "objective.adversary={weights: {sex: 0.1}, tap: [1, 3], token_pooling: last}",
        "objective.penalties={worst_group: 0.2, loss_variance: 0.1}",
    ),
    (
        "objective.method=vanilla",
        "objective.mutual_information={weights: {sex: 0.2}, variant: released, training: pretrained}",
        "training.sampler=stratified",
    ),
]


# All with statistics of the effective batch; what combines most, with the other two as well.
WHOLE_RUNS = [
    *((keys, "effective_batch") for keys in METHODS),
    *((keys, statistics) for keys in METHODS[-2:] for statistics in STATISTICS[1:]),
]


@pytest.mark.parametrize(
    ("keys", "statistics"),
    WHOLE_RUNS,
    ids=lambda value: " ".join(value)[:60] * (type(value) is tuple),
)
def test_every_method_runs_whole(cohort, tmp_path, display, keys, statistics):
    chosen = recipe(
        cohort,
        "data.options.attributes=[ethnicity, sex, race, age_group]",
        "training.batch_size=16",
        "training.micro_batch_size=8",
        f"objective.statistics={statistics}",
        *keys,
    )
    outcome = run.train(chosen, tmp_path / "r", display)
    assert outcome.state["status"] == "complete"
    steps = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").open()]
    assert sum("loss" in record for record in steps) == 3
    for penalty in chosen.objective.penalties:
        assert f"{penalty}/ethnicity" in steps[0]
    for key in ("mutual_information", "adversary"):
        section = getattr(chosen.objective, key)
        for attribute in section.weights if section else ():
            assert 2 <= steps[0][f"{key}_examples/{attribute}"] <= 16
            probe = outcome.state["probes"][attribute][key]
            # Of the small cohort's ethnicity one value has five examples: nothing to tell apart.
            assert (probe["before"]["auroc"] is None) == (attribute == "ethnicity")
            assert probe["after"]["n"] == (60 if attribute == "ethnicity" else 64)
            assert steps[-1]["probes"][attribute][key] == probe
            assert outcome.report.to_dict()["probes"][attribute][key] == probe
    assert load_recipe(tmp_path / "r" / "recipe.yaml") == chosen


def test_an_attribute_with_one_value_has_no_dependence():
    women = tuple(replace(e, attributes={"sex": "F"}) for e in GOOD.train)
    chosen = build_recipe({}, ["objective.mutual_information.weights={sex: 1}"])
    chosen = chosen.model_copy(
        update={"objective": chosen.objective.model_copy(update={"protect": []})}
    )
    with pytest.raises(InputError, match=r"'sex' has 1 recorded value.*needs at least two"):
        encode_run_groups(chosen, replace(GOOD, train=women))


def test_vanilla_needs_no_attribute(cohort, tmp_path, display):
    values = {
        "data": {"source": "table", "path": str(cohort), "options": {"classes": ["no", "yes"]}},
        "objective": {"method": "vanilla"},
        "training": {"epochs": 1},
        "report": {"bootstrap": 20},
    }
    outcome = run.train(build_recipe(values), tmp_path / "r", display)
    assert outcome.state["protected"] == {}
    assert load_recipe(tmp_path / "r" / "recipe.yaml").objective.protect == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"attributes": {"score": "1"}}, "'score'"),
        ({"attributes": {"unit": "1"}}, "'unit'"),
        ({"attributes": {"prob_no": "1"}}, "'prob_no'"),
        ({"id": "f\nf"}, "line end"),
        ({"id": "f\ud800"}, "half a character"),
        ({"attributes": {"sex": "F\ud800"}}, "half a character"),
    ],
)
def test_what_predictions_cannot_hold_is_refused_beforehand(change, word):
    odd = replace(GOOD.test[0], **change)
    splits = replace(GOOD, attributes=tuple(odd.attributes), test=(odd,))
    sensitive = json.dumps(list(odd.attributes))
    named = recipe("data.source=table", "data.path=x", f"data.sensitive={sensitive}")
    with pytest.raises(InputError, match=word):
        CLASSIFY.require_reportable(named, splits, "test")


def test_classes_that_are_no_names_and_too_many_groups_are_refused_beforehand():
    named = recipe("data.source=table", "data.path=x", "data.sensitive=[sex]")
    CLASSIFY.require_reportable(named, GOOD, "test")
    with pytest.raises(InputError, match="'n/a'"):
        CLASSIFY.require_reportable(named, replace(GOOD, classes=("n/a", "yes")), "test")
    many = tuple(replace(GOOD.test[0], id=str(i), attributes={"sex": f"s{i}"}) for i in range(501))
    with pytest.raises(InputError, match="501 different values"):
        CLASSIFY.require_reportable(named, replace(GOOD, test=many), "test")


def test_a_run_that_could_not_be_written_makes_no_folder(cohort, tmp_path, display, monkeypatch):
    monkeypatch.setattr(run, "start_accelerator", lambda *_: None)
    data = tmp_path / "data"
    shutil.copytree(cohort, data)
    for table in data.rglob("metadata.csv"):
        table.write_text(table.read_text().replace("sex", "score"))
    values = {
        "data": {
            "source": "table",
            "path": str(data),
            "options": {"attributes": ["score", "race"], "classes": ["no", "yes"]},
            "sensitive": ["score"],
            "prompt": "?",
        }
    }
    with pytest.raises(InputError, match="'score'"):
        run.train(build_recipe(values), tmp_path / "run", display)
    assert not (tmp_path / "run").exists()


def test_seven_classes(tmp_path, display):
    from tests.test_ham10000 import ham_folder

    codes = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    rows = [
        (f"L{i}", f"I{i}", codes[i % 7], 30 + i % 50, "male" if i % 3 else "female")
        for i in range(140)
    ]
    values = {
        "data": {
            "source": "ham10000",
            "path": str(ham_folder(tmp_path / "d", rows)),
            "options": {"task": "diagnosis"},
        },
        "training": {"epochs": 1},
        "report": {"bootstrap": 20},
    }
    outcome = run.train(build_recipe(values), tmp_path / "r", display)
    report = outcome.report.to_dict()
    assert report["classes"] == codes
    assert report["overall"]["auroc"]["value"] is not None


def test_missing_groups_are_predicted_in_training_only(cohort, tmp_path, display):
    """Sex blanked in every fourth row: a probe fills training; validation and test stay Unknown."""
    folder = shutil.copytree(cohort, tmp_path / "data")
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows[::4]:
        row["sex"] = ""
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    chosen = recipe(
        folder,
        "data.missing_groups=predict",
        "data.predict_confidence=0.500001",
        "data.sensitive=[sex]",
    )
    outcome = run.train(chosen, tmp_path / "run", display)
    warnings = " ".join(outcome.report.to_dict()["warnings"])
    assert "12 of 12 missing training values were filled by a probe" in warnings
    assert "cross-validated AUROC" in warnings
    assert "The group Unknown (sex) is absent from training" in warnings
    assert sum(outcome.state["protected"]["sex"].values()) == 48
    with (tmp_path / "run" / "predictions" / "test.csv").open() as file:
        found = {row["id"]: row["sex"] for row in csv.DictReader(file)}
    assert found == {r["id"]: r["sex"] or "Unknown" for r in rows if r["split"] == "test"}


def test_rare_values_are_merged_in_the_run_and_in_its_evaluation(cohort, tmp_path, display):
    chosen = recipe(cohort, "data.sensitive=[age_group]", "data.merge_groups_below=48")
    outcome = run.train(chosen, tmp_path / "run", display)
    found = outcome.report.to_dict()
    assert list(found["attributes"]["age_group"]["groups"]) == ["Other"]
    assert "each with fewer than 48 training examples" in " ".join(found["warnings"])
    again = saved_run.evaluate(tmp_path / "run", display, output=tmp_path / "e").report.to_dict()
    assert list(again["attributes"]["age_group"]["groups"]) == ["Other"]
