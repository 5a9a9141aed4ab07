"""What a user sees: one sentence and exit 2 for bad input, nothing half-written, CSV that pipes."""

import csv
import io
import json
import re
import shutil
from itertools import product

import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError

VERBS = [
    "train",
    "check",
    "evaluate",
    "predict",
    "report",
    "compare",
    "postprocess",
    "doctor",
    "recipes",
]


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Run a verb in this process, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        return result.exit_code, result.stdout, result.stderr

    return run


def tables(cohort):
    return ["--data", f"table:{cohort}", "--set", "data.sensitive=[sex]"]


def test_help_names_every_verb_and_option(cli):
    code, text, _ = cli("--help")
    assert code == 0
    assert all(verb in text for verb in VERBS)
    for verb in VERBS[:-1]:
        code, text, _ = cli(verb, "--help")
        assert code == 0
        assert "--debug" in text


def test_version(cli):
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", cli("--version")[1])


def test_no_verb_shows_the_help(cli):
    assert "Usage" in "".join(cli()[1:])


# A cohort drawn in a moment, where the fault is found after the data.
FEW = [
    part for name in ("train", "validation", "test") for part in ("--set", f"data.options.{name}=9")
]

BAD_INPUT = [
    (["train", "nowhere.yaml"], "no recipe 'nowhere.yaml'"),
    (["train", "--method", "hybird"], "there is no method 'hybird'; did you mean 'hybrid'"),
    (["train", "--set", "training.epoch=1"], "training.epoch: unknown key; did you mean 'epochs'"),
    (["train", "--data", "ham10000:nowhere"], "no folder 'nowhere'"),
    (["train", "--data", "ham10000"], "needs its folder or file"),
    (["train", "--data", "table:nowhere", "--set", "data.sensitive=[sex]"], "no file or folder"),
    (["train", "--model", "nowhere/model", *FEW], "cannot be loaded"),
    (["train", "--set", "model.lora.targets=[q_prj]", *FEW], "did you mean 'q_proj'"),
    (["train", "--resume", "--overwrite"], "give one of them"),
    (["train", "--method", ""], "there is no method ''"),
    (["train", "--model", ""], "model.backbone"),
    (["train", "--output", "/dev/null/run"], "is a file"),
    (["check", "--output", "/dev/null"], "is a file"),
    (["predict", "nowhere", "x.png", "--output", "/dev/null/p.csv"], "is a file"),
    (["report", "nowhere.csv", "--output", "/dev/null/r"], "is a file"),
    (["compare", "nowhere.csv", "--output", "/dev/null/c"], "is a file"),
    (["recipes", "copy", "quickstart", "--output", "/dev/null/q.yaml"], "is a file"),
    (["ablate", "ablations/glaucoma_lambda", "--quick", "--output", "/dev/null/a"], "is a file"),
    (["train", "--set", "seed=4294967296"], "seed"),
    (["train", "--set", "data.sensitive=[sexx]", *FEW], "no attribute 'sexx'; did you mean 'sex'"),
    (["train", "--mutual-information", "race"], "--mutual-information 'race' is not ATTRIBUTE=λ"),
    (["check", "--mutual-information", "race="], "--mutual-information 'race=' is not ATTRIBUTE=λ"),
    (
        ["train", "--mutual-information", "rase=0.2", *FEW],
        "no attribute 'rase'; did you mean 'race'",
    ),
    (["evaluate", "nowhere"], "nowhere"),
    (["predict", "nowhere", "x.png"], "not a run folder"),
    (["predict", "nowhere"], "one of the two"),
    (["report", "nowhere.csv"], "nowhere.csv"),
    (["compare", "nowhere.csv"], "nowhere.csv"),
    (["postprocess", "nowhere.csv", "--attribute", "sex"], "nowhere.csv"),
    (["train", "--set", "report.threshold=yoden"], "did you mean 'youden'"),
    (["compare", "."], "not a run folder"),
    (["recipes", "copy", "quickstrat"], "did you mean 'quickstart'"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD_INPUT, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_bad_input_is_one_sentence_and_exit_2(cli, tmp_path, arguments, words):
    code, out, error = cli(*arguments)
    assert code == 2
    assert words in error.replace("\n", " ")
    assert "Traceback" not in out + error
    assert not list(tmp_path.iterdir())


def broken_copy(cohort, tmp_path, change):
    """The cohort with its table changed: (folder, arguments)."""
    folder = tmp_path.parent / f"{tmp_path.name}-data"
    shutil.copytree(cohort, folder)
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows = change(rows, folder)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys() if rows else ["id"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def no_positives_in_training(rows, folder):
    return [r for r in rows if r["split"] != "train" or r["label"] == "no"]


def without(column):
    return lambda rows, folder: [{k: v for k, v in r.items() if k != column} for r in rows]


def broken_image(rows, folder):
    (folder / rows[3]["image"]).write_bytes(b"broken")
    return rows


def same_patient(rows, folder):
    train = next(r for r in rows if r["split"] == "train")
    next(r for r in rows if r["split"] == "test")["patient"] = train["patient"]
    return rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_positives_in_training, "No training example has class 'yes'"),
        (without("label"), "no column 'label'"),
        (without("sex"), "no attribute 'sex'"),
        (lambda rows, folder: [], "has no rows"),
        (broken_image, "cannot be read"),
        (same_patient, "is in both train and test"),
    ],
    ids=["class absent", "label column", "group column", "empty", "image", "leak"],
)
def test_bad_data_is_refused_before_anything_is_written(cli, cohort, tmp_path, change, words):
    folder = broken_copy(cohort, tmp_path, change)
    code, _, error = cli("train", *tables(folder))
    assert code == 2
    assert words in error.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_skip_unreadable_goes_on_and_the_report_counts(cli, cohort, tmp_path):
    folder = broken_copy(cohort, tmp_path, broken_image)
    short = ["--set", "training.epochs=1", "--set", "report.bootstrap=20"]
    code, _out, error = cli("train", *tables(folder), *short, "--skip-unreadable", "--output", "r")
    assert code == 0, error
    assert (
        "1 unreadable images were skipped" in (tmp_path / "r" / "report" / "report.md").read_text()
    )


def test_a_group_absent_from_training_is_a_warning_that_the_report_repeats(cli, cohort, tmp_path):
    def change(rows, folder):
        for row in rows:
            row["sex"] = "Other" if row["split"] == "test" and row["sex"] == "Male" else row["sex"]
        return rows

    folder = broken_copy(cohort, tmp_path, change)
    short = ["--set", "training.epochs=1", "--set", "report.bootstrap=20"]
    code, _out, error = cli("train", *tables(folder), *short, "--output", "r")
    assert code == 0, error
    assert (
        "group Other (sex) is absent from training"
        in (tmp_path / "r" / "report" / "report.md").read_text()
    )


def test_a_run_folder_is_never_overwritten_unasked(cli, cohort, tmp_path):
    arguments = [
        "train",
        *tables(cohort),
        "--set",
        "training.epochs=1",
        "--set",
        "report.bootstrap=20",
        "--output",
        "r",
    ]
    code, out, error = cli(*arguments)
    assert code == 0, error
    assert "MaxAccGap" in out
    assert "r/report/report.html" in out.replace("\n", "")
    before = (tmp_path / "r" / "run.json").read_bytes()
    code, _, error = cli(*arguments)
    assert code == 2
    assert "--resume" in error
    assert "--overwrite" in error
    assert (tmp_path / "r" / "run.json").read_bytes() == before
    code, _, error = cli(*arguments, "--overwrite", "--set", "objective.method=vanilla")
    assert code == 0, error
    assert "method: vanilla" in (tmp_path / "r" / "recipe.yaml").read_text()


def test_a_folder_that_is_not_a_run_is_left_alone(cli, cohort, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for extra in ([], ["--overwrite"], ["--resume"]):
        code, _, error = cli("train", *tables(cohort), "--output", "mine", *extra)
        assert code == 2
        assert "not a run folder" in error
    code, _, error = cli("report", small_table(tmp_path), "--attribute", "sex", "--output", "mine")
    assert code == 2
    assert "thesis.txt" in error
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def small_table(folder):
    path = folder / "preds.csv"
    rows = ["id,label,prediction,prob_no,prob_yes,sex"]
    rows += [
        f"{i},{'yes' if i % 2 else 'no'},{'yes' if i % 3 else 'no'},0.4,0.6,{'F' if i % 5 else 'M'}"
        for i in range(60)
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_report_of_any_predictions(cli, tmp_path):
    path = small_table(tmp_path)
    code, out, error = cli(
        "report", path, "--attribute", "sex", "--output", "r", "--bootstrap", "50"
    )
    assert code == 0, error
    assert (tmp_path / "r" / "report.json").is_file()
    assert "sex" in out
    code, _, error = cli("report", path, "--attribute", "sx", "--output", "x")
    assert code == 2
    assert "sx" in error
    assert not (tmp_path / "x").exists()


def test_pictures_are_also_png_on_demand(cli, tmp_path):
    path = small_table(tmp_path)
    for more, expected in (([], False), (["--png"], True)):
        words = ["report", path, "--attribute", "sex", "--bootstrap", "20", "--output", "r", *more]
        code, _, error = cli(*words)
        assert code == 0, error
        kinds = {picture.suffix for picture in (tmp_path / "r" / "figures").iterdir()}
        assert (".svg" in kinds, ".png" in kinds) == (True, expected)


def test_report_on_declared_endpoints(cli, tmp_path):
    path = small_table(tmp_path)
    options = ["--attribute", "sex", "--bootstrap", "50"]
    declared = ["--endpoint", "sensitivity", "--endpoint", "auroc", "--margin", "0.1"]
    code, _, error = cli("report", path, *options, *declared, "--output", "r")
    assert code == 0, error
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["endpoints"] == {
        "names": ["sensitivity", "auroc"],
        "margin": 0.1,
        "declared": "command line",
    }
    assert [v["endpoint"] for v in report["verdicts"]] == ["sensitivity", "auroc"]
    for wrong, seen in ((["--endpoint", "sensitivty"], "sensitivty"), (["--margin", "1.5"], "1.5")):
        code, _, error = cli("report", path, *options, *wrong, "--output", "x")
        assert code == 2
        assert seen in error
        assert not (tmp_path / "x").exists()


def test_report_by_patient_and_for_publishing(cli, tmp_path):
    path = tmp_path / "test.csv"
    rows = small_table(tmp_path).read_text().splitlines()
    rows = [rows[0] + ",patient", *(f"{row},p{place // 2}" for place, row in enumerate(rows[1:]))]
    path.write_text("\n".join(rows) + "\n")
    (tmp_path / "validation.csv").write_text("id,label\n3,no\nother,yes\n")
    options = ["--attribute", "sex", "--unit", "patient", "--bootstrap", "50", "--output", "r"]
    code, _out, error = cli("report", path, *options, "--suppress-below", "5")
    assert code == 0, error
    stored = json.loads((tmp_path / "r" / "report.json").read_text())
    assert stored["method"]["units"] == 30
    assert stored["method"]["suppressed_below"] == 5
    assert any("also in the validation split" in warning for warning in stored["warnings"])
    code, _out, error = cli("report", path, "--unit", "patients", "--output", "x")
    assert code == 2
    assert "did you mean 'patient'" in error


def test_predict_prints_csv_and_nothing_else(cli, small_run, cohort, tmp_path):
    folder, _ = small_run
    image = next((cohort / "images").iterdir())
    code, out, error = cli("predict", folder, image)
    assert code == 0, error
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["id", "prediction", "prob_no", "prob_yes"]
    assert rows[0]["id"] == str(image)
    assert float(rows[0]["prob_no"]) + float(rows[0]["prob_yes"]) == pytest.approx(1, abs=1e-5)
    table = cohort / "table.csv"
    code, _, error = cli("predict", folder, "--table", table, "--output", "p.csv")
    assert code == 0, error
    with (tmp_path / "p.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 112
    code, _, error = cli("predict", folder, "nowhere.png")
    assert code == 2
    assert "nowhere.png" in error


def test_urls_are_read_only_when_allowed(cli, small_run, cohort, tmp_path, monkeypatch):
    from fairlora_cls.data import downloads

    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "cache"))
    folder, _ = small_run
    image = next((cohort / "images").iterdir())
    url = "https://example.org/eye.png"
    (tmp_path / "t.csv").write_text(f"image\n{url}\n{image}\n")
    code, _, error = cli("predict", folder, "--table", "t.csv")
    assert code == 2
    assert "row 2 names the image 'https://example.org/eye.png'; only local" in error
    content = image.read_bytes()
    monkeypatch.setattr(downloads, "_fetch", lambda url: content)
    code, out, error = cli("predict", folder, "--table", "t.csv", "--allow-urls")
    assert code == 0, error
    first, second = csv.DictReader(io.StringIO(out))
    assert first["id"] == url
    assert first["prob_no"] == second["prob_no"]
    code, _, error = cli("train", "--allow-urls")
    assert code == 2
    assert "'simulated-fundus' has no option 'allow_urls'" in error


def test_an_empty_name_of_a_model_is_no_name(cli, small_run, cohort):
    with (cohort / "table.csv").open() as file:
        image = cohort / next(csv.DictReader(file))["image"]
    for verb, *images in (["predict", image], ["evaluate"]):
        code, _, error = cli(verb, small_run[0], *images, "--model", "")
        assert code == 2
        assert "no possible path" in error


def test_ctrl_c_before_a_run_began_does_not_speak_of_going_on(cli, monkeypatch):
    from fairlora_cls.runs import train as run

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train", interrupted)
    code, _, error = cli("train", "--quick", "--output", "r")
    assert code == 130
    assert "--resume" not in error


def test_a_recipe_alone_fetches_nothing(cli, small_run, cohort, tmp_path, monkeypatch):
    """A recipe may be a stranger's: the permission is the user's, on every command line anew."""
    from fairlora_cls.data import downloads

    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "cache"))
    asked = []
    content = next((cohort / "images").iterdir()).read_bytes()
    monkeypatch.setattr(downloads, "_fetch", lambda url: asked.append(url) or content)
    rows = [
        f"https://example.org/{split}{i}.png,{label},{sex},{sex},{split}\n"
        for split in ("train", "validation", "test")
        for i, (label, sex) in enumerate(product(("no", "yes"), "FM"))
    ]
    (tmp_path / "t.csv").write_text("image,label,sex,ethnicity,split\n" + "".join(rows))
    (tmp_path / "r.yaml").write_text(
        "data: {source: table, path: t.csv, options: {allow_urls: true}, sensitive: [sex]}\n"
    )
    options = "data.options={allow_urls: true, attributes: [sex, ethnicity]}"
    given = ("--data", "table:t.csv", "--set", options, "--set", "data.sensitive=[sex, ethnicity]")
    for command in (("train", "r.yaml"), ("check", "r.yaml"), ("evaluate", small_run[0], *given)):
        code, out, error = cli(*command)
        assert code == 2
        assert "--allow-urls" in out + error
    assert asked == []
    code, out, error = cli("check", "r.yaml", "--allow-urls", "--json")
    assert json.loads(out)["facts"]["examples"] == 12
    assert len(asked) == 12


def test_the_permission_to_fetch_makes_no_other_data(cli, small_run, monkeypatch):
    from fairlora_cls.runs import saved as saved_run

    given = []

    def evaluate(run, display, *, data, allow_urls, **options):
        given.append((data, allow_urls))
        raise InputError("far enough")

    monkeypatch.setattr(saved_run, "evaluate", evaluate)
    cli("evaluate", small_run[0], "--allow-urls")
    cli("evaluate", small_run[0])
    assert given == [(None, True), (None, False)]


def test_evaluate_writes_beside_the_run(cli, small_run, tmp_path):
    folder, _ = small_run
    code, _out, error = cli("evaluate", folder, "--split", "validation", "--output", tmp_path / "e")
    assert code == 0, error
    assert (tmp_path / "e" / "report" / "report.json").is_file()
    code, _, error = cli("evaluate", folder, "--split", "tset")
    assert code == 2
    assert "no split 'tset'" in error


def test_doctor(cli):
    code, out, _ = cli("doctor")
    assert code == 0
    assert all(word in out for word in ("torch", "Device of a run", "Cache"))


def test_recipes_list_and_copy(cli, tmp_path):
    code, out, _ = cli("recipes", "list")
    assert code == 0
    assert "quickstart" in out
    code, _, error = cli("recipes", "copy", "quickstart")
    assert code == 0, error
    assert (tmp_path / "quickstart.yaml").is_file()
    assert cli("recipes", "copy", "quickstart")[0] == 2


def test_debug_shows_the_traceback(cli):
    result = CliRunner().invoke(app, ["train", "nowhere.yaml", "--debug"])
    assert result.exception is not None
    assert "no recipe" in str(result.exception)


def test_two_processes_do_not_train_in_one_folder(cli, cohort, tmp_path):
    from fairlora_cls.runs.folder import hold_run_folder

    short = ["--set", "training.epochs=1", "--set", "report.bootstrap=20"]
    arguments = ["train", *tables(cohort), *short, "--output", "r"]
    code, _, error = cli(*arguments)
    assert code == 0, error
    with hold_run_folder(tmp_path / "r"):
        code, _, error = cli(*arguments, "--resume")
    assert code == 2
    assert "Another process is working in 'r'" in error
    assert cli(*arguments, "--resume")[0] == 0


def test_a_run_begun_by_another_process_in_the_meantime_is_not_replaced(tmp_path):
    from fairlora_cls.errors import InputError
    from fairlora_cls.recipe import build_recipe
    from fairlora_cls.runs.folder import create_run_folder

    create_run_folder(tmp_path / "r", build_recipe({}), {"started": "a"}, overwrite=False)
    with pytest.raises(InputError, match="has just begun a run"):
        create_run_folder(tmp_path / "r", build_recipe({}), {"started": "b"}, overwrite=False)
    assert '"a"' in (tmp_path / "r" / "run.json").read_text()
