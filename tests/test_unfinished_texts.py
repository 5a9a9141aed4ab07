"""Texts decoded so far survive a kill."""

import pytest

from fairlora_cls.runs.unfinished_texts import discard_unfinished, keep_unfinished, read_unfinished


def rows(*ids):
    return [{"id": name, "text": f"ü\u2028{name}"} for name in ids]


def test_lines_of_all_processes_and_lives_are_found(tmp_path):
    stem = tmp_path / "predictions" / "test"
    assert read_unfinished(stem, "f") == {}
    for process, names in ((0, "ab"), (1, "c"), (0, "d")):
        with keep_unfinished(stem, "f", process) as keep:
            keep(rows(*names))
    assert read_unfinished(stem, "f") == {row["id"]: row for row in rows(*"abcd")}
    discard_unfinished(stem)
    assert list(stem.parent.iterdir()) == []


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_a_torn_line_is_written_again(tmp_path, lost):
    stem = tmp_path / "test"
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("a", "b"))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-lost])
    assert list(read_unfinished(stem, "f")) == ["a"]
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("b"))
    assert read_unfinished(stem, "f") == {row["id"]: row for row in rows("a", "b")}


def test_lines_of_another_model_are_thrown_away(tmp_path):
    stem = tmp_path / "test"
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("a"))
    assert read_unfinished(stem, "g") == {}
    with keep_unfinished(stem, "g", 0) as keep:
        keep(rows("b"))
    assert list(read_unfinished(stem, "g")) == ["b"]
    assert read_unfinished(stem, "f") == {}


@pytest.mark.parametrize("kept", [0, 5])
def test_a_torn_header_begins_anew(tmp_path, kept):
    stem = tmp_path / "test"
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("a"))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:kept])
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("b"))
    assert list(read_unfinished(stem, "f")) == ["b"]


@pytest.mark.parametrize("line", [b"\xff\xfe\0", b"[1]", b"", b'{"text": "no id"'])
def test_what_follows_a_spoilt_line_is_written_again(tmp_path, line):
    stem = tmp_path / "test"
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("a", "b"))
    (path,) = tmp_path.iterdir()
    header, first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([header, first, line, second, b""]))
    assert list(read_unfinished(stem, "f")) == ["a"]
    with keep_unfinished(stem, "f", 0) as keep:
        keep(rows("c"))
    assert list(read_unfinished(stem, "f")) == ["a", "c"]
