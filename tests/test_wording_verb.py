"""`wording RUN`, whole: a shortcut in the words is found, words that decide nothing are not accused."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs import train as run
from fairlora_cls.runs.rewording import reword

SIZES = {"train": 96, "validation": 16, "test": 24}
MORE = ("The note is brief.", "Seen today.", "The lens is clear.", "The letter came here.")


def write_cohort(folder, note):
    """Grey noise, of which nothing can be told; notes of varied length around `note(label, race)`."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(1)
    rows = []
    for i in range(sum(SIZES.values())):
        pixels = generator.integers(0, 255, (56, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        label, race = i % 2, ("white", "black")[(i // 2) % 2]
        more = generator.permutation(MORE)[: generator.integers(0, 4)]
        text, race = note(label, race)
        rows.append(
            {
                "image": f"images/{i}.png",
                "label": ("no", "yes")[label],
                "split": "train" if i < 96 else "validation" if i < 112 else "test",
                "race": race.capitalize(),
                "note": " ".join(generator.permutation([text, *more])),
            }
        )
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def train(cohort, folder, **sections):
    values = {
        "data": {
            "source": "table",
            "path": str(cohort),
            "options": {"attributes": ["race"], "classes": ["no", "yes"]},
            "sensitive": ["race"],
            "prompt": "{note} Glaucoma?",
        },
        "objective": {"method": "vanilla"},
        "model": {"pooling": "mean", "lora": {"dropout": 0.0}},
        "training": {"epochs": 6, "warmup_steps": 2, "learning_rate": 0.005, "select_by": "loss"},
        "report": {"bootstrap": 20},
    }
    run.train(build_recipe({**values, **sections}), folder)
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A run whose notes name a race that decides the label."""
    folder = tmp_path_factory.mktemp("told")

    def note(label, race):
        race = ("white", "black")[label]
        return f"A {race} person.", race

    return train(write_cohort(folder / "data", note), folder / "run")


@pytest.fixture(scope="module")
def fair(tmp_path_factory):
    """The same, but another word of the note decides."""
    folder = tmp_path_factory.mktemp("fair")

    def note(label, race):
        return f"A {race} person. The disc is {('pink', 'dark')[label]}.", race

    return train(write_cohort(folder / "data", note), folder / "run")


@pytest.fixture(scope="module")
def found(told):
    """(what is returned, wording.json)"""
    done = reword(told, attributes=["race", "sex"], bootstrap=300)
    return done, json.loads((told / "wording" / "wording.json").read_text())


def test_a_shortcut_in_the_words_is_found(found):
    _, values = found
    assert values["attributes"]["race"]["depends"] is True
    assert values["attributes"]["sex"]["depends"] is False
    wordings = values["attributes"]["race"]["wordings"]
    assert list(wordings) == ["White", "Black", "Asian", "taken out"]
    black, white = wordings["Black"], wordings["White"]
    assert black["shift"]["value"] > 0.1 > -0.1 > white["shift"]["value"]
    assert black["changed"] == white["changed"] == 12  # those who are described so already stay
    assert black["flipped"] > 6
    assert black["p_holm"] < 0.05
    assert set(black["groups"]) == {"White"}
    assert black["groups"]["White"]["changed"] == 12
    assert wordings["taken out"]["changed"] == 24
    assert "Black" in values["attributes"]["race"]["verdict"]


def test_another_reason_for_the_answer_is_not_accused(fair, tmp_path):
    reword(fair, attributes=["race"], bootstrap=300, output=tmp_path / "wording")
    values = json.loads((tmp_path / "wording" / "wording.json").read_text())
    assert values["attributes"]["race"]["depends"] is False
    assert "not shown" in values["attributes"]["race"]["verdict"]


def test_the_pages_hold_no_words_of_patients(told, found):
    texts = [(told / "wording" / f"wording.{end}").read_text() for end in ("html", "md", "json")]
    assert all("Black" in text for text in texts)
    assert not any(phrase in text for text in texts for phrase in (*MORE, "A black person"))


def test_every_question_is_asked_once(found):
    """Own words; Black or White put in and the blank; two clauses; ten neutral words and clauses."""
    done, values = found
    assert values["forward_passes"] == done.passes
    assert 24 * 20 < done.passes <= 24 * (1 + 3 + 2 + 2 * 10)
    assert values["images"] == values["answers"] == 24


def test_the_seed_decides(told, found, tmp_path):
    again, other = (
        reword(told, attributes=["race", "sex"], bootstrap=300, seed=seed, output=tmp_path / "w")
        for seed in (42, 43)
    )
    assert again == found[0]
    assert other.neutral != again.neutral


def test_redacted_words_change_nothing(told, tmp_path):
    done = reword(told, attributes=["race"], data={"redact": ["race"]}, output=tmp_path / "w")
    assert [effect.moved for effect in done.effects] == [None] * 4
    verdict = json.loads((tmp_path / "w" / "wording.json").read_text())["attributes"]["race"]
    assert "data.redact" in verdict["verdict"]
    assert verdict["depends"] is False


def test_a_file_of_phrases_intersections_and_a_limit(told, tmp_path):
    file = tmp_path / "words.yaml"
    file.write_text("race: {A: [white*], B: [black*]}\nsex: {F: [lady], M: [lord]}\n")
    done = reword(
        told, attributes=["sex×race"], phrases=file, limit=6, bootstrap=0, output=tmp_path / "w"
    )
    assert [effect.name for effect in done.effects] == ["F×A", "F×B", "M×A", "M×B", "taken out"]
    assert {effect.moved.count for effect in done.effects} == {6}
    assert [effect.p for effect in done.effects] == [None] * 5


def test_the_command_line_prints_and_refuses_in_a_sentence(told, tmp_path):
    def call(*words):
        return CliRunner().invoke(app, ["wording", *map(str, words)], env={"COLUMNS": "200"})

    small = ("--limit", 4, "--bootstrap", 20, "--output", tmp_path / "w", "--attribute", "sex")
    shown = call(told, *small)
    assert shown.exit_code == 0, shown.output
    assert "sex: Female" in shown.output
    for words, hint in [
        ((told, "--attribute", "rase"), "'race'"),
        ((told, "--attribute", "sex×sex"), "once"),
        ((tmp_path,), "not a run folder"),
        ((told, "--split", "dev"), "dev"),
    ]:
        refused = call(*words)
        assert (refused.exit_code, hint in refused.output) == (2, True), refused.output
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("")
    with pytest.raises(InputError, match=r"mine\.txt"):
        reword(told, output=tmp_path / "taken")


def test_generated_answers(told, tmp_path):
    """The same notes; a prompt without fields has the clause before the question."""
    data = build_recipe({}).data.model_dump() | {
        "source": "table",
        "path": str(told.parent / "data"),
        "options": {"attributes": ["race"], "classes": ["no", "yes"]},
        "sensitive": ["race"],
        "prompt": "{note} Is it there?",
        "questions": "label",
        "limit": 8,
    }
    folder = train(
        None,
        tmp_path / "writer",
        task="generate",
        data=data,
        model={"lora": {"rank": 4}},
        training={"epochs": 1, "warmup_steps": 0, "learning_rate": 0.003},
        generation={"max_new_tokens": 3, "batch_size": 16},
    )
    done = reword(folder, attributes=["race"], bootstrap=50)
    values = json.loads((folder / "wording" / "wording.json").read_text())
    assert (done.task, values["answers"]) == ("generate", 8)
    assert values["attributes"]["race"]["wordings"]["taken out"]["changed"] == 8
    assert "texts" in (folder / "wording" / "wording.md").read_text()
