"""`check` on a folder broken in many ways at once, on a sound one, and its quick form in `train`."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fairlora_cls.checking.check import quick_check, run_check
from fairlora_cls.cli.app import app
from fairlora_cls.data.datasets import load_splits
from fairlora_cls.errors import InputError
from fairlora_cls.presentation.rendering import render_markdown, render_page
from fairlora_cls.recipe import build_recipe
from fairlora_cls.training.loop import SilentDisplay

REAL_HAM = Path(__file__).parent.parent.parent / "shared" / "data" / "ham10000"
GOOD = {"sex": "F", "site": "north", "age": "50"}
EACH_SPLIT = {"train": 24, "validation": 8, "test": 8}


def picture(seed, size=(60, 48)):
    """Four random patches a side, enlarged: every seed another picture."""
    small = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def healthy_rows(folder):
    """Rows of a sound table, their images written into `folder`/images."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for split, count in EACH_SPLIT.items():
        for i in range(count):
            name = f"images/{split}{i}.png"
            picture(len(rows)).save(folder / name)
            rows.append(
                {
                    "id": f"{split}{i}",
                    "image": name,
                    "label": ("no", "yes")[i % 2],
                    "patient": f"p-{split}{i}",
                    "split": split,
                    **GOOD,
                    "sex": "FM"[(i // 2) % 2],
                    "site": ("north", "south", "east")[i % 3],
                }
            )
    return rows


def write_rows(folder, rows):
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def values(folder, **data):
    section = {
        "source": "table",
        "path": str(folder),
        "sensitive": ["sex", "site"],
        "options": {"attributes": ["sex", "site", "age"], "classes": ["no", "yes"]},
    }
    return {"data": section | data, "report": {"minimum_group_size": 2}}


@pytest.fixture
def broken(tmp_path):
    """A folder with more than twenty things wrong with it."""
    folder = tmp_path / "broken"
    rows = healthy_rows(folder)
    by_id = {row["id"]: row for row in rows}
    images = folder / "images"
    by_id["train0"]["label"] = ""
    by_id["train1"]["label"] = "yess"
    by_id["train2"]["image"] = ""
    by_id["train3"]["image"] = "../secret.png"
    by_id["train4"]["image"] = "https://example.org/x.png"
    by_id["train5"]["split"] = "tain"
    by_id["train7"]["id"] = "train6"
    by_id["train8"]["patient"] = by_id["test0"]["patient"]
    by_id["train9"]["sex"] = "f "
    by_id["train10"]["sex"] = ""
    by_id["train11"]["site"] = "inf"
    (images / "train12.png").unlink()
    (images / "train13.png").write_bytes(b"")
    whole = (images / "train14.png").read_bytes()
    (images / "train14.png").write_bytes(whole[: len(whole) // 2])
    (images / "train15.png").write_text("not an image")
    Image.new("RGB", (60, 48), (9, 9, 9)).save(images / "train16.png")
    deep = (np.random.default_rng(5).random((48, 60)) * 4000).astype(np.uint16)
    Image.fromarray(deep).save(images / "train17.png")
    picture(99, (300, 40)).save(images / "train18.png")
    shutil.copy(images / "test1.png", images / "train19.png")
    shutil.copy(images / "train20.png", images / "train21.png")  # the labels differ
    picture(24).resize((60, 48)).point(lambda v: min(255, v + 4)).save(images / "train22.png")
    picture(0, (48, 60 * 201)).save(images / "train23.png")
    for row in rows:
        if row["split"] == "validation":
            row["label"] = "no"
    write_rows(folder, rows)
    return folder


EXPECTED = {
    "unit-in-two-splits": "'p-test0' is in both train and test;",
    "look-alike-group": "'F', 'f'",
    "missing-group": "sex is unknown in 1 of 33",
    "not-finite": "site has the value 'inf'",
    "unknown-attribute": "no attribute 'race'",
    "absent-class": "No validation example has the class 'yes'",
    "unreadable-image": "4 images cannot be read",
    "constant-image": "'train16'",
    "deep-image": "'train17'",
    "odd-size": "300 × 40",
    "too-long-image": "'train23'",
    "identical-across-splits": "train19 = test1",
    "identical-contradicting": "train20 = train21",
    "near-identical-across-splits": "train22 = validation0",
    "empty-cell": "M × yes (validation)",
    "smallest-cell": "smallest cell of sex × label",
    "recipe": "did you mean 'epochs'?",
}


ROWS = (  # what the loader says of them
    "row 2 has no value for 'label'",
    "row 3 has the label 'yess'; did you mean 'yes'?",
    "row 4 has no value for 'image'",
    "row 5 names the image '../secret.png'",
    "row 6 names the image 'https://example.org/x.png'",
    "row 7 has the split 'tain'; did you mean 'train'?",
    "row 9 has the id 'train6' of row 8 again",
)


def test_everything_that_is_broken_is_named(broken):
    wrong = values(broken, sensitive=["sex", "site", "race"])
    wrong |= {"training": {"epoch": 3}, "objective": {"method": "hibrid"}}
    checked = run_check(wrong, (), SilentDisplay())
    said = {}
    for finding in checked.report.findings:
        said[finding.code] = said.get(finding.code, "") + finding.message + "\n"
    missed = {c: (t, said.get(c)) for c, t in EXPECTED.items() if t not in said.get(c, "")}
    assert missed == {}
    assert [words for words in ROWS if words not in said["row"]] == []
    assert "did you mean 'hybrid'?" in said["recipe"]
    for name in ("train12", "train13", "train14", "train15"):
        assert f"'{name}'" in said["unreadable-image"]
    assert checked.report.failed
    severities = [f.severity for f in checked.report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


@pytest.fixture
def sound(tmp_path):
    folder = tmp_path / "sound"
    write_rows(folder, healthy_rows(folder))
    return folder


def test_a_sound_folder_passes(sound):
    checked = run_check(values(sound), (), SilentDisplay())
    assert not checked.report.failed, checked.report.findings
    facts = checked.report.facts
    assert facts["examples"] == 40
    assert facts["examples_by_split"] == EACH_SPLIT
    assert facts["units"] == 40
    assert facts["unreadable_images"] == 0
    assert facts["identical_pairs"] == facts["near_identical_pairs"] == 0
    # Labels alternate; sexes change every second example.
    assert facts["cells"]["sex"]["train"] == {"F × no": 6, "F × yes": 6, "M × no": 6, "M × yes": 6}
    # 60 × 48 px become 56 × 56: the nearest multiples of 28 px.
    assert facts["visual_tokens"] == {"least": 4, "median": 4, "most": 4}
    assert json.dumps(checked.report.to_dict(), allow_nan=False)


def test_an_image_too_narrow_for_the_model_is_named(sound):
    """60 of 11,000 × 60 px would shrink below one token."""
    Image.effect_noise((11000, 60), 50).save(sound / "images" / "train3.png")
    report = run_check(values(sound), ["model.max_pixels=3136"], SilentDisplay()).report
    (finding,) = (f for f in report.findings if f.code == "too-narrow-image")
    assert finding.severity == "error"
    assert finding.examples == ("train3",)


def test_groups_in_a_step_are_told_where_a_penalty_compares_them(sound):
    report = run_check(values(sound), ["objective.method=fr"], SilentDisplay()).report
    assert report.facts["groups_in_steps"].keys() == {
        *("sex F", "sex M"),
        *("site east", "site north", "site south"),
    }
    assert any(t.caption.startswith("Groups that the penalty sees, 8") for t in report.tables)
    assert "groups_in_steps" not in run_check(values(sound), (), SilentDisplay()).report.facts


def test_the_page_is_whole_and_escaped(sound):
    asked = values(sound, prompt="Is <b>this</b> & that there?")
    document = run_check(asked, (), SilentDisplay()).document
    page = render_page(document)
    assert "&lt;|im_start|&gt;user" in page
    assert "&lt;|image_pad|&gt; × 4" in page
    assert "Is &lt;b&gt;this&lt;/b&gt; &amp; that there?" in page
    assert "<b>this" not in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert page.count("data:image/jpeg") >= 4 * 4  # sheet: sexes × labels × images
    assert page.count("data:image/png") == 1
    assert "Is &lt;b>this" in render_markdown(document)


def test_the_loaders_refusal_is_told_where_no_row_is_to_blame(tmp_path):
    for place in (tmp_path / "nowhere", "~nobody-of-this-name/x"):
        checked = run_check(values(place), (), SilentDisplay())
        assert [f.code for f in checked.report.findings if f.severity == "error"] == ["data"]
    wrong = {"data": {"source": "ham10000", "path": str(tmp_path)}}
    checked = run_check(wrong, (), SilentDisplay())
    (error,) = [f for f in checked.report.findings if f.severity == "error"]
    assert error.code == "data"
    assert "HAM10000_metadata.csv" in error.message


def test_an_image_name_that_no_file_can_have_is_unreadable(sound):
    rows = list(csv.DictReader((sound / "table.csv").open()))
    rows[0]["image"] = "x" * 300
    write_rows(sound, rows)
    report = run_check(values(sound), (), SilentDisplay()).report
    assert report.facts["unreadable_images"] == 1


def test_many_values_and_what_the_loader_took_for_granted_are_said_once(sound):
    rows = list(csv.DictReader((sound / "table.csv").open()))
    for i, row in enumerate(rows):
        row["age"] = str(30 + i)
        owner = row.pop("patient")
        row["Patient ID"] = "p" if i < 6 else owner
        row["label"] = "no|yes" if i % 5 == 0 else row["label"]
    write_rows(sound, rows)
    wanted = values(sound, sensitive=["age", "sex"], options={"attributes": ["sex", "age"]})
    report = run_check(wanted, (), SilentDisplay()).report
    about_age = [f for f in report.findings if "age" in f.message.split()]
    assert [f.code for f in about_age] == ["many-groups"]
    assert "40 different values" in about_age[0].message
    assert "cut it into bands" in about_age[0].message
    assert set(report.facts["cells"]) == {"sex"}
    assert report.facts["units"] == 35  # six images of one patient
    said = [f.message for f in report.findings if f.code == "loader"]
    assert ["'Patient ID'" in s for s in said] == [True, False]
    assert ["'no|yes' (8 rows)" in s for s in said] == [False, True]
    splits = load_splits("table", sound, wanted["data"]["options"])
    quick = quick_check(build_recipe(wanted), splits, skip_unreadable=True)
    assert [f.message for f in quick if f.code == "loader"] == said


def test_data_is_looked_at_in_spite_of_other_errors(sound):
    """Whatever of the recipe is wrong, and whether it came from the file or the command line."""

    def told(recipe, *overrides):
        report = run_check(recipe, overrides, SilentDisplay()).report
        return [f.message for f in report.findings if f.code == "recipe"], report.facts

    messages, facts = told(values(sound, prompt="<|x|>") | {"model": {"lora": {"rnk": 1}}})
    assert len(messages) == 2
    assert facts["examples"] == 40
    messages, facts = told(values(sound), "data.prompt=<|x|>", "training.epochs=0", "seed=x")
    assert len(messages) == 3
    assert facts["examples"] == 40
    messages, facts = told({"data": "fundus"})
    assert "data" in messages[0]
    assert facts == {}


def test_a_model_that_is_not_here_is_said_to_be_unknown(sound):
    recipe = values(sound) | {"model": {"backbone": "Qwen/Qwen2.5-VL-7B-Instruct"}}
    report = run_check(recipe, (), SilentDisplay()).report
    (finding,) = [f for f in report.findings if f.code == "model-unknown"]
    assert "cannot be known here" in finding.message
    assert "visual_tokens" not in report.facts
    assert "estimate" not in report.facts


def test_the_command(broken, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--set", "data.sensitive=[sex]", "--set", "data.options.attributes=[sex,site]"]

    def check(folder, *more):
        arguments = ["check", "--data", f"table:{folder}", *options, *more]
        return CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})

    done = check(sound)
    assert done.exit_code == 0, done.output
    assert "Examples by sex and label" in done.stdout
    written = {path.name for path in (tmp_path / "runs" / "table-gr-check").iterdir()}
    assert written == {"check.html", "check.md", "check.json"}
    done = check(broken, "--json", "--output", "found")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert told["status"] == "failed"
    assert told == json.loads((tmp_path / "found" / "check.json").read_text(encoding="utf-8"))


def test_classes_that_no_label_has_are_one_finding(sound):
    options = {"classes": ["No", "Yes"], "attributes": ["sex"]}
    report = run_check(values(sound, options=options), (), SilentDisplay()).report
    (finding,) = [f for f in report.findings if f.severity == "error"]
    assert finding.code == "data"
    assert "No, Yes of data.options.classes; the labels are no, yes" in finding.message
    assert "examples" not in report.facts


def errors(folder, **data):
    report = run_check(values(folder, **data), (), SilentDisplay()).report
    return [f.message for f in report.findings if f.severity == "error"], report.facts


def test_a_blank_label_in_one_of_three_tables(tmp_path):
    """The row is named, and the splits stay as they are."""
    for k, (split, count) in enumerate(EACH_SPLIT.items()):
        lines = ["file_name,label,sex,site"]
        (tmp_path / split).mkdir()
        for i in range(count):
            picture(100 * k + i).save(tmp_path / split / f"{i}.png")
            label = "" if (split, i) == ("train", 5) else ("no", "yes")[i % 2]
            lines.append(f"{i}.png,{label},{'FM'[i // 2 % 2]},{'ns'[i // 4 % 2]}")
        (tmp_path / split / "metadata.csv").write_text("\n".join(lines))
    messages, facts = errors(tmp_path, options={})
    (message,) = messages
    assert "train/metadata.csv' row 7 has no value for 'label'" in message
    assert facts["examples_by_split"] == EACH_SPLIT | {"train": 23}
    assert facts["unknown"] == {"sex": 0, "site": 0}


def test_check_and_train_name_the_same_line_of_json_lines(sound):
    rows = list(csv.DictReader((sound / "table.csv").open()))
    (sound / "table.csv").unlink()
    rows[3]["split"] = "trian"
    lines = "\n".join(json.dumps(row) for row in rows)
    (sound / "table.jsonl").write_text(lines)
    (message,) = errors(sound)[0]
    assert "table.jsonl' line 4 has the split 'trian'; did you mean 'train'" in message
    done = CliRunner().invoke(app, ["train", "--data", f"table:{sound}", "--method", "vanilla"])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_rows_that_are_left_are_read_as_the_loader_reads_them(sound):
    """A bad age takes no age group from the others, and patients are found by their usual names."""
    rows = list(csv.DictReader((sound / "table.csv").open()))
    for i, row in enumerate(rows):
        row["Patient ID"] = "p" if i in (2, 3) else row.pop("patient")
        row.pop("patient", None)
        row["age"] = {0: "old", 1: "-3"}.get(i, "50")
    write_rows(sound, rows)
    options = {"age_column": "age", "attributes": ["sex"]}
    messages, facts = errors(sound, sensitive=["sex", "age_group"], options=options)
    assert ["row 2 has age 'old'" in m for m in messages] == [True, False]
    assert "row 3 has age '-3'" in messages[1]
    assert facts["examples"] == 38
    assert facts["units"] == 37
    assert facts["unknown"]["age_group"] == 0


def test_train_checks_quickly_before_the_model_loads(sound):
    rows = list(csv.DictReader((sound / "table.csv").open()))
    for row in rows:
        if row["split"] == "test":
            row["label"] = "no" if row["sex"] == "M" else row["label"]
    write_rows(sound, rows)
    splits = load_splits("table", sound, values(sound)["data"]["options"])
    recipe = build_recipe(values(sound, sensitive=["sex"]))
    (finding,) = quick_check(recipe, splits, skip_unreadable=False)
    assert finding.code == "empty-cell"
    assert "M × yes (test)" in finding.message
    (sound / "images" / "test0.png").write_bytes(b"")
    assert quick_check(recipe, splits, skip_unreadable=True)
    with pytest.raises(InputError, match=r"test0\.png"):
        quick_check(recipe, splits, skip_unreadable=False)


@pytest.mark.heavy
@pytest.mark.skipif(not REAL_HAM.is_dir(), reason="the real sample is not here")
def test_what_is_true_of_ham10000_is_found():
    checked = run_check(
        {"data": {"source": "ham10000", "path": str(REAL_HAM)}}, (), SilentDisplay()
    )
    assert not checked.report.failed
    facts = checked.report.facts
    assert facts["examples"] == 10015
    assert facts["units"] == 7470
    assert facts["units_with_several_images"] == 1956
    assert facts["unknown"]["sex"] == 57
    assert facts["identical_pairs"] == 2
    people = next(b for b in facts["shortcuts"] if b["name"].startswith("demographics"))
    assert 0.69 < people["auroc"] < 0.76  # sex and age: about 0.71 by bands, 0.74 by years
    (torn,) = [f for f in checked.report.findings if f.code == "near-identical-across-splits"]
    assert {"ISIC_0030074", "ISIC_0025226"} == set(torn.examples[0].split(" = "))
