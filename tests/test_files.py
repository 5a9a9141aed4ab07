"""Files and folders that are whole or absent."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from fairlora_cls.errors import InputError
from fairlora_cls.files import (
    file_stem,
    read_json,
    remove_leftovers,
    require_writable,
    require_writable_file,
    whole_folder,
    writable,
    write_atomically,
    write_folder_atomically,
    write_json,
    write_text,
)
from tests.conftest import REPOSITORY


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def half(path):
        path.write_text("ne")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "a.txt", half)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_is_swapped_whole(tmp_path):
    write_folder_atomically(tmp_path / "f", lambda f: (f / "one").write_text("1"))
    write_folder_atomically(tmp_path / "f", lambda f: (f / "two").write_text("2"))
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["two"]

    def fail(folder):
        (folder / "three").write_text("3")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_folder_atomically(tmp_path / "f", fail)
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_others_may_read_as_far_as_the_umask_says(tmp_path):
    """Some writers, such as safetensors, write for the owner alone."""

    def write(path):
        path.unlink(missing_ok=True)
        path.touch(0o600)

    def fill(folder):
        (folder / "below").mkdir()
        write(folder / "below" / "a")

    former = os.umask(0o022)
    try:
        write_atomically(tmp_path / "a", write)
        write_folder_atomically(tmp_path / "b", fill)
        with whole_folder(tmp_path / "c") as draft:
            fill(draft)
        os.umask(0o077)
        write_atomically(tmp_path / "d", write)
    finally:
        os.umask(former)
    for name, mode in (("a", 0o644), ("b/below/a", 0o644), ("c/below/a", 0o644), ("d", 0o600)):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode, name


def test_a_cache_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path):
    assert writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file.*FAIRLORA_CACHE.*or else"):
        writable(tmp_path / "file" / "b", "or else")


def test_nan_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for name in (".gitignore", ".0123456789ab.model.safetensors", "kept"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".ba9876543210.report").mkdir()
    (tmp_path / ".aaaaaaaaaaaa.link").symlink_to(tmp_path / "elsewhere")
    remove_leftovers(tmp_path.rglob(".*"))
    left = [".aaaaaaaaaaaa.link", ".gitignore", "elsewhere", "kept"]
    assert sorted(p.name for p in tmp_path.iterdir()) == left
    assert not list((tmp_path / "elsewhere").iterdir())


# A process that fills a draft beside argv[1], says so, and waits until it is killed.
WRITER = """
import sys
from pathlib import Path
from fairlora_cls.files import draft_beside
with draft_beside(Path(sys.argv[1])) as draft:
    draft.write_text("group,n")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_living_process_keeps_its_draft_and_a_killed_one_s_goes(tmp_path):
    """The next writer in the same place removes what a killed process left, and nothing else."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "report"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout.readline() == b"written\n"
        write_text(tmp_path / "one.txt", "1")
        (draft,) = tmp_path.glob(".*")
        assert (draft / "report").read_text() == "group,n"
    finally:
        process.kill()
        process.communicate()
    write_text(tmp_path / "two.txt", "2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.txt", "two.txt"]


def test_a_draft_that_a_sweep_takes_before_its_lock_is_held_is_made_anew(tmp_path, monkeypatch):
    acquire = FileLock.acquire
    swept = []

    def sweep_first(lock, **options):
        if not swept:
            swept.append(lock)
            shutil.rmtree(Path(lock.lock_file).parent)
        return acquire(lock, **options)

    monkeypatch.setattr(FileLock, "acquire", sweep_first)
    write_text(tmp_path / "a.txt", "x")
    assert swept
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "a" / "b", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot be written"):
            require_writable(path)
    with pytest.raises(InputError, match="is a folder"):
        require_writable_file(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        require_writable_file(tmp_path / "file" / "p.csv")
    require_writable_file(tmp_path / "file")
    require_writable(tmp_path / "new" / "deep")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    if os.access("/proc", os.W_OK):  # root may write where nothing can be made
        with pytest.raises(InputError, match="cannot be written"):
            require_writable(Path("/proc/fairlora"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"):
            require_writable(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("content", [b"", b'{"status": "comp', b"[1]", b"\xff\xfe", b"[" * 5000])
def test_json_that_is_cut_is_one_sentence(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=r"run\.json"):
        read_json(tmp_path / "run.json")
    with pytest.raises(InputError, match=r"gone\.json"):
        read_json(tmp_path / "gone.json")


def test_a_failure_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "cohort"

    def write_half():
        with whole_folder(folder) as draft:
            (draft / "half").write_text("x")
            assert not folder.exists()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_folder_both_end_well(tmp_path):
    folder = tmp_path / "cohort"
    both_inside = threading.Barrier(2)
    failures = []

    def write(name):
        try:
            with whole_folder(folder) as draft:
                (draft / "a").write_text(name)
                both_inside.wait(timeout=20)
        except Exception as failure:
            failures.append(failure)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert (folder / "a").read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [folder]


def test_names_of_the_data_become_parts_of_file_names():
    assert file_stem("sex×race") == "sex×race"
    odd = ["race/ethnicity", "race-ethnicity", "race ethnicity", "..", "/", "", "[x]", "x"]
    odd += ["性/别", "a" * 300, "a" * 299 + "b"]
    stems = [file_stem(name) for name in odd]
    assert len(set(stems)) == len(odd)
    for stem in stems:
        assert stem.strip(".")
        assert not set(stem) & set('/\\[]<>:"|?* ')
        assert len(stem.encode()) < 80
