"""Files are read once, and what is known of them is never served stale."""

import os
from pathlib import Path

import pytest

from fairlora_cls.data import file_facts
from fairlora_cls.data.file_facts import content_digests, recall_or_read
from fairlora_cls.data.images import UnreadableImageError, content_digest


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files of an hour ago, and a cache of their own."""
    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_facts, "SETTLED", -(10**18))  # every file counts as settled
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    return paths


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were read, in order."""
    seen = []

    def digest(path):
        seen.append(path.name)
        return content_digest(path)

    monkeypatch.setattr(file_facts, "content_digest", digest)
    return seen


def test_a_file_is_read_once(files, hashed):
    first = content_digests(files)
    assert first == {path: content_digest(path) for path in files}
    assert sorted(hashed) == ["a", "b", "c"]
    assert content_digests(files[::-1]) == first
    assert len(hashed) == 3


def test_a_changed_file_is_read_again(files, hashed):
    first = content_digests(files)
    status = os.stat(files[1])
    files[1].write_bytes(b"x" * 100)  # as long as before …
    os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns))  # … and as old
    again = content_digests(files)
    assert hashed[3:] == ["b"]
    assert again[files[1]] == content_digest(files[1]) != first[files[1]]


def test_a_file_of_this_moment_is_not_remembered(files, hashed, monkeypatch):
    monkeypatch.setattr(file_facts, "SETTLED", 2_000_000_000)
    content_digests(files)
    content_digests(files)
    assert len(hashed) == 6


def test_missing_files_are_left_out(files, tmp_path):
    assert list(content_digests([tmp_path / "nowhere", files[0]])) == [files[0]]


def test_a_broken_memory_costs_time_once(files, hashed, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file_facts.sqlite").write_bytes(b"no database" * 100)
    assert len(content_digests(files)) == len(content_digests(files)) == 3
    assert len(hashed) == 3


def test_a_memory_that_cannot_be_written_is_done_without(files, hashed, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "file"))
    assert len(content_digests(files)) == len(content_digests(files)) == 3
    assert len(hashed) == 6


def test_kinds_are_kept_apart_and_failures_are_tried_again(files):
    """A file that could not be read may be readable once a library is installed."""
    tried = []

    def read(path):
        tried.append(path.name)
        if path.name == "b" and tried.count("b") == 1:
            raise UnreadableImageError(path, "no library")
        return path.name.encode()

    content_digests(files)
    first = recall_or_read("names", files, read)
    assert [first[files[0]], first[files[2]]] == [b"a", b"c"]
    assert first[files[1]].reason == "no library"
    assert list(recall_or_read("names", files, read).values()) == [b"a", b"b", b"c"]
    assert sorted(tried) == ["a", "b", "b", "c"]
    assert content_digests(files[:1]) == {files[0]: content_digest(files[0])}


@pytest.mark.parametrize("name", ["\udcff", chr(0xD800), "a\0b"])
def test_names_that_are_no_text_do_no_harm(files, tmp_path, name):
    """Bytes of a name that are not UTF-8, half a character, a NUL."""
    path = Path(tmp_path / name)
    wanted = {}
    if name == "\udcff":
        path.write_bytes(b"x")
        wanted = {path: content_digest(path)}
    assert content_digests([path]) == content_digests([path]) == wanted
