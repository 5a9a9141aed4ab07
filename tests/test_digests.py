"""Files are hashed once, and never served stale."""

import os

import pytest

from fairlora_cls.data import digests
from fairlora_cls.data.digests import content_digests
from fairlora_cls.data.images import content_digest


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files of an hour ago, and a cache of their own."""
    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "SETTLED", -(10**18))  # every file counts as settled
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

    monkeypatch.setattr(digests, "content_digest", digest)
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
    monkeypatch.setattr(digests, "SETTLED", 2_000_000_000)
    content_digests(files)
    content_digests(files)
    assert len(hashed) == 6


def test_missing_files_are_left_out(files, tmp_path):
    assert list(content_digests([tmp_path / "nowhere", files[0]])) == [files[0]]


def test_a_broken_memory_costs_time_and_nothing_else(files, hashed, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "digests.sqlite").write_bytes(b"no database" * 100)
    assert len(content_digests(files)) == len(content_digests(files)) == 3
    assert len(hashed) == 6
