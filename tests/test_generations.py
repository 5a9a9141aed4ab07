"""Texts of a model as JSON lines."""

import json

import numpy as np
import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.texts.generations import (
    Generations,
    read_generations,
    write_generations,
)


def two_texts(**changes):
    values = {
        "ids": ("a#report", "b#report"),
        "units": ("p", "q"),
        "questions": ("report", "report"),
        "prompts": ("Write.", "Write."),
        "references": ("No\u2028effusion.", "Effusion."),
        "texts": ("", "Ergussß\nneu"),
        "labels": ("no", None),
        "complete": (True, False),
        "attributes": {"sex": np.array(["Female", ""], dtype=object)},
    }
    return Generations(**(values | changes))


def test_written_texts_are_read_back_equal(tmp_path):
    texts = two_texts()
    write_generations(texts, tmp_path / "test.jsonl")
    again = read_generations(tmp_path / "test.jsonl")
    assert again.attributes["sex"].tolist() == ["Female", ""]
    for name in ("ids", "units", "questions", "prompts", "references", "texts", "labels"):
        assert getattr(again, name) == getattr(texts, name)
    assert again.complete == (True, False)


def test_a_foreign_file_needs_three_keys_only(tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text(
        json.dumps({"id": 7, "reference": "x", "text": "y", "attributes": {"sex": "F"}})
        + "\n\n"
        + json.dumps({"id": 8, "reference": "x", "text": "y"})
    )
    texts = read_generations(path)
    assert texts.ids == ("7", "8") == texts.units
    assert texts.questions == ("text", "text")
    assert texts.labels == (None, None)
    assert texts.complete == (True, True)
    assert texts.group_names("sex").tolist() == ["F", "missing"]


def test_intersections_join_names():
    texts = two_texts(
        attributes={
            "sex": np.array(["F", "M"], dtype=object),
            "race": np.array(["A", ""], dtype=object),
        }
    )
    assert texts.group_names("sex×race").tolist() == ["F×A", "M×missing"]
    with pytest.raises(InputError, match="no attribute 'rase'; did you mean 'race'"):
        texts.group_names("rase")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("{", "line 1 .*cannot be read as JSON"),
        ("[1]", "line 1 .*object"),
        ('{"id": 1, "text": "a"}', "line 1 .*has no 'reference'"),
        ('{"id": 1, "text": "a", "reference": "b", "attributes": [1]}', "attributes as an object"),
        ('{"id": 1, "text": "a", "reference": "b"}\n' * 2, r"x\.jsonl: 1 ids .* '1'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_generations(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_generations(tmp_path / "absent.jsonl")


def test_unequal_lengths_are_refused():
    with pytest.raises(InputError, match="'unit' has 1 values for 2"):
        two_texts(units=("p",))
    with pytest.raises(InputError, match="empty"):
        two_texts(ids=())


def row(**changes):
    return {"id": "a", "reference": "No effusion.", "text": "Clear."} | changes


def written(tmp_path, *rows, encoding="utf-8"):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_says_how_texts_are_encoded(tmp_path, encoding):
    assert read_generations(written(tmp_path, row(), encoding=encoding)).texts == ("Clear.",)


@pytest.mark.parametrize("word", ["nan", "NA", "n/a", "null", " "])
def test_nothing_recorded_is_blank_but_a_text_is_a_text(tmp_path, word):
    odd = row(reference=word, text="n/a", unit=word, label=word, attributes={"sex": word})
    read = read_generations(written(tmp_path, odd, row(id="NA", attributes={"sex": 1.0})))
    assert read.references[0] == ""
    assert read.texts[0] == "n/a"
    assert read.units == ("a", "NA")
    assert read.labels[0] is None
    assert read.group_names("sex").tolist() == ["missing", "1"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (json.dumps(row(reference=None)), "'reference'"),
        (json.dumps(row(reference=float("nan"))), "'reference'"),
        (json.dumps(row(text=None)), "'text'"),
        (json.dumps(row(text=["a"])), "'text'"),
        (json.dumps(row(text=True)), "true as 'text'"),
        (json.dumps(row(attributes={"sex": {"a": 1}})), "'sex'"),
        (json.dumps(row(text="\ud800")), "half a character"),
        (json.dumps(row(complete="no")), "'complete'"),
        ('{"id": 1, "id": 2, "reference": "a", "text": "b"}', "'id' stands twice"),
        ('{"id": 1, "reference": "a", "text": ' + "[" * 100_000, "line 1"),
        ('{"id": ' + "9" * 5000 + ', "reference": "a", "text": "b"}', "line 1"),
    ],
)
def test_a_line_that_says_something_odd_is_named(tmp_path, line, word):
    path = tmp_path / "x.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="line 1") as error:
        read_generations(path)
    assert word in str(error.value)


def test_an_attribute_is_not_called_like_an_intersection():
    with pytest.raises(InputError, match="a×b"):
        two_texts(attributes={"a×b": np.array(["x", "y"], dtype=object)})


def test_half_a_character_is_not_written(tmp_path):
    with pytest.raises(InputError, match="half a character"):
        write_generations(two_texts(prompts=("a\ud800", "b")), tmp_path / "x.jsonl")
    assert not list(tmp_path.iterdir())


def test_names_that_tables_would_join_are_one_and_a_nul_is_refused(tmp_path):
    line = {"id": "a", "reference": "r", "text": "t", "attributes": {"sex ": "F"}}
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert list(read_generations(path).attributes) == ["sex"]
    path.write_text(json.dumps(line | {"attributes": {"sex": "F", "sex ": "M"}}) + "\n")
    with pytest.raises(InputError, match="'sex' stands twice"):
        read_generations(path)
    path.write_text(json.dumps(line | {"id": "a\0"}) + "\n")
    with pytest.raises(InputError, match="NUL"):
        read_generations(path)


def test_every_line_that_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    lines = [row(), row(id="b", text=None), row(id="c", complete="no"), row(id="d")]
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError) as error:
        read_generations(path)
    assert [problem.split("line ")[1][0] for problem in error.value.problems] == ["2", "3"]
    path.write_text('{"id": 1\n[]\n' + json.dumps(row()))
    with pytest.raises(InputError) as error:
        read_generations(path)
    assert [problem.split("line ")[1][0] for problem in error.value.problems] == ["1", "2"]
