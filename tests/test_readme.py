"""Every command of the README is run, and every recipe, in a quick form."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlora_cls.ablations.definition import is_ablation
from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.cli.app import app
from fairlora_cls.recipe import load_recipe, shipped_recipes

REPOSITORY = Path(__file__).parent.parent
README_FILE = REPOSITORY / "README.md"
README = README_FILE.read_text(encoding="utf-8")
QUICK = ["--set", "data.limit=24", "--set", "training.epochs=1", "--set", "report.bootstrap=20"]


def commands(text):
    """The `fairlora-cls …` lines of all shell blocks, without what follows a #."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            if words[:1] == ["fairlora-cls"]:
                found.append(words[1:])
    return found


COMMANDS = commands(README)
OUTSIDE = ("Qwen/", "fairvlmed", "/path", "your")  # name a model or data that is not here


# Of simulated cohorts: drawing the whole one takes most of a minute, and `limit` keeps 24 of each.
SMALL = [f"data.options.{split}=24" for split in ("train", "validation", "test")]
GRID = ["data.limit=24", "grid.seed=[42]", "grid.objective.gap_weight=[0,1]"]


def quick(words):
    more = {"train": QUICK, "ablate": [part for text in GRID for part in ("--set", text)]}
    draws = "--quick" in words or (words[0] == "train" and "--data" not in words)
    small = [part for text in SMALL for part in ("--set", text)] if draws else []
    return [*words, *more.get(words[0], []), *small]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_readme_command_parses(words):
    """Each verb and option exists, whatever the arguments."""
    options = [w for w in words if w.startswith("--")]
    verb = words[:2] if words[0] == "recipes" else words[:1]
    shown = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200"}).output
    assert all(option in shown for option in options)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, cohort):
    """A folder in which the README's commands are run in their order."""
    import csv
    import shutil

    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(cohort, folder / "my-data")
    first = next((folder / "my-data" / "images").iterdir())
    shutil.copy(first, folder / "image.jpg")
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "prediction", "prob_no", "prob_yes", "sex", "race"])
        for i in range(90):
            row = ("yes", "no")[i % 2], ("yes", "no")[i % 3 == 0]
            writer.writerow([i, *row, 0.3, 0.7, "FM"[i % 5 == 0], "ABC"[i % 3]])
    with (folder / "texts.jsonl").open("w") as file:
        for i in range(60):
            row = {"id": i, "reference": "No effusion.", "text": ("No effusion.", "Clear.")[i % 2]}
            row["attributes"] = {"sex": "FM"[i % 3 == 0], "race": "AB"[i % 2]}
            file.write(f"{json.dumps(row)}\n")
    return folder


def test_readme_commands_run_in_order(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (workplace / "recipes").symlink_to(REPOSITORY / "recipes")
    ran = 0
    for words in COMMANDS:
        if any(mark in word for word in words for mark in OUTSIDE):
            continue
        result = CliRunner().invoke(app, quick(words), env={"COLUMNS": "200"})
        assert result.exit_code == 0, f"{' '.join(words)}\n{result.output}\n{result.exception}"
        ran += 1
    assert ran >= 8


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_recipe_is_valid_and_says_what_it_is(name):
    path = shipped_recipes()[name]
    if is_ablation(path):
        make_plan(name, quick=True)
    else:
        load_recipe(path)
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_quickstart_is_the_embedded_default():
    from fairlora_cls.recipe import build_recipe

    quickstart = load_recipe(shipped_recipes()["quickstart"])
    default = build_recipe({})
    assert quickstart.model_copy(update={"name": default.name}) == default


def test_the_python_example_runs(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["report"].n == 24  # QUICK limits each split


TEXTS = [README_FILE, *(REPOSITORY / "docs").glob("*.md"), *REPOSITORY.glob("*/README.md")]


@pytest.mark.parametrize("path", sorted(set(TEXTS)), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_tables_have_a_head_and_rows_of_its_width(path):
    """A row without them, such as one after a blank line, is shown as plain text."""
    blocks = re.findall(r"(?:^\|.*\n?)+", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for block in blocks:
        rows = block.splitlines()
        assert re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", rows[1] if len(rows) > 1 else ""), rows[0]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, rows[0]


@pytest.mark.parametrize("path", sorted(set(TEXTS)), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        place, _, heading = target.partition("#")
        if "://" in target:
            continue
        found = (path.parent / place) if place else path
        assert found.exists(), target
        if heading:
            anchors = map(anchor, re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE))
            assert heading in anchors, target


def anchor(heading):
    """A heading's name in links, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
