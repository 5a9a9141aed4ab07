"""Files and folders that are whole or absent."""

import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairlora_cls import files
from fairlora_cls.errors import InputError
from fairlora_cls.files import (
    OTHER_CACHE,
    draft_beside,
    file_stem,
    hold,
    read_json,
    remove_leftovers,
    require_replaceable,
    require_writable,
    require_writable_file,
    whole_folder,
    write_atomically,
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
    for name in ("one", "two"):
        with whole_folder(tmp_path / "f", replaces=True) as draft:
            (draft / name).write_text(name)
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["two"]

    def fail():
        with whole_folder(tmp_path / "f", replaces=True) as draft:
            (draft / "three").write_text("3")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
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
        for name, replaces in (("b", True), ("c", False)):
            with whole_folder(tmp_path / name, replaces=replaces) as draft:
                fill(draft)
        os.umask(0o077)
        write_atomically(tmp_path / "d", write)
    finally:
        os.umask(former)
    for name, mode in (("a", 0o644), ("b/below/a", 0o644), ("c/below/a", 0o644), ("d", 0o600)):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode, name


def test_what_cannot_be_written_is_an_error_with_a_way_out(tmp_path):
    require_writable(tmp_path / "a" / "b", OTHER_CACHE)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file.*FAIRLORA_CACHE"):
        require_writable(tmp_path / "file" / "b", OTHER_CACHE)


def test_nan_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    """A draft is a leftover where its lock is free, or a day old where it never had one."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "held").touch()
    kept = [".0123456789ab.model.safetensors", ".gitignore", ".ba9876543210.report", "elsewhere"]
    for name in kept[:3]:
        (tmp_path / name).write_text("x")
    for name in (".aaaaaaaaaaaa.draft", ".bbbbbbbbbbbb.draft", ".cccccccccccc.draft"):
        (tmp_path / name / "new").mkdir(parents=True)
    (tmp_path / ".aaaaaaaaaaaa.draft" / "held").touch()
    os.utime(tmp_path / ".bbbbbbbbbbbb.draft", (0, 0))
    (tmp_path / ".eeeeeeeeeeee.draft").mkdir()
    (tmp_path / ".eeeeeeeeeeee.draft" / "unheld").touch()
    (tmp_path / ".dddddddddddd.draft").symlink_to(tmp_path / "elsewhere")
    remove_leftovers(tmp_path)
    kept += [".cccccccccccc.draft", ".dddddddddddd.draft"]
    assert names_in(tmp_path) == sorted(kept)
    assert names_in(tmp_path / "elsewhere") == ["held"]
    remove_leftovers(tmp_path / "nowhere")


# Processes that say so when they have come to a certain point, and wait there to be killed.
WAIT = """
import os, sys
from pathlib import Path
from fairlora_cls import files
def wait(*_):
    print("there", flush=True)
    sys.stdin.read()
"""
WRITER = """
with files.draft_beside(Path(sys.argv[1])) as draft:
    draft.write_text("group,n")
    wait()
"""
SWAPPER = """
replace = os.replace
os.replace = lambda old, new: wait() if Path(new) == Path(sys.argv[1]) else replace(old, new)
with files.whole_folder(Path(sys.argv[1]), replaces=True) as draft:
    (draft / "new").touch()
"""


@contextmanager
def process_that_waits(code, path):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT + code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout.readline() == b"there\n"
        yield
    finally:
        process.kill()
        process.communicate()


def test_a_living_process_keeps_its_draft_and_a_killed_one_s_goes(tmp_path):
    """The next process that writes in the same place removes what a killed one left."""
    with process_that_waits(WRITER, tmp_path / "report"):
        remove_leftovers(tmp_path)
        (draft,) = tmp_path.glob(".*/new/report")
        assert draft.read_text() == "group,n"
    write_text(tmp_path / "one.txt", "1")
    assert names_in(tmp_path) == ["one.txt"]


def test_a_process_killed_between_two_renames_loses_no_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old").touch()
    with process_that_waits(SWAPPER, tmp_path / "run"):
        assert not (tmp_path / "run").exists()
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == ["run"]
    assert names_in(tmp_path / "run") == ["old"]


def test_a_folder_comes_back_where_its_replacement_fails(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old").touch()
    replace = os.replace

    def fail(old, new):
        if Path(new) == tmp_path / "run":
            raise PermissionError
        replace(old, new)

    monkeypatch.setattr(os, "replace", fail)
    with (
        pytest.raises(PermissionError),
        whole_folder(tmp_path / "run", replaces=True) as draft,
    ):
        (draft / "new").touch()
    assert names_in(tmp_path) == ["run"]
    assert names_in(tmp_path / "run") == ["old"]


@pytest.mark.parametrize("moment", ["mkdir", "flock"])
def test_a_draft_that_is_taken_before_it_is_held_is_made_anew(tmp_path, monkeypatch, moment):
    owner = Path if moment == "mkdir" else files.fcntl
    original, taken = getattr(owner, moment), []

    def take_first(*arguments, **options):
        done = original(*arguments, **options)
        if not taken and (drafts := list(tmp_path.iterdir())):
            taken.append(drafts[0].name)
            remove_leftovers(tmp_path)
        return done

    monkeypatch.setattr(owner, moment, take_first)
    with draft_beside(tmp_path / "a.txt") as draft:
        assert taken
        assert draft.parent.parent.name not in taken
    assert names_in(tmp_path) == []


def test_threads_that_write_into_one_folder_never_meet(tmp_path):
    """Also while others look for leftovers there."""

    def write(thread):
        for number in range(30):
            remove_leftovers(tmp_path)
            write_text(tmp_path / f"{thread}-{number}.txt", "x")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert names_in(tmp_path) == sorted(f"{t}-{n}.txt" for t in range(6) for n in range(30))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EIO, errno.EACCES])
def test_a_disk_that_knows_no_locks_is_written_to_all_the_same(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with draft_beside(tmp_path / "a.txt") as draft:
        draft.write_text("x")
        remove_leftovers(tmp_path)
        assert draft.read_text() == "x"
    write_text(tmp_path / "b.txt", "x")
    assert names_in(tmp_path) == ["b.txt"]
    if number != errno.EACCES:  # which some disks say of a lock that another has
        with hold(tmp_path / "lock", "taken"):
            pass


def test_who_holds_a_file_keeps_others_out_until_the_end(tmp_path):
    lock = tmp_path / "new" / "lock"
    with hold(lock, "first"), pytest.raises(InputError, match="second"), hold(lock, "second"):
        pass
    with hold(lock, "third"):
        pass


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("x")
    long = "x" * 300
    for path in (tmp_path / "file" / "a" / "b", tmp_path / long, tmp_path / "new" / long / "a"):
        for require in (require_writable, require_writable_file, require_replaceable):
            with pytest.raises(InputError, match="cannot be written"):
                require(path)
    with pytest.raises(InputError, match="cannot be written"):
        require_writable(tmp_path / "file")
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


def test_a_mounted_disk_and_the_own_place_are_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (Path(), Path("/proc")):
        with pytest.raises(InputError, match="folder inside it"):
            require_replaceable(path)
    require_replaceable(Path("run"))


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with whole_folder(tmp_path / "run") as draft:
        (draft / "one").touch()
    assert names_in(tmp_path / "disk") == ["one"]
    with whole_folder(tmp_path / "run", replaces=True) as draft:
        (draft / "two").touch()
    assert names_in(tmp_path / "disk") == ["two"]
    assert names_in(tmp_path) == ["disk", "run"]
    assert (tmp_path / "run").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"):
            require_writable(tmp_path / "run")
        with pytest.raises(InputError, match="cannot be written"):
            require_replaceable(tmp_path / "empty")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("content", [b"", b'{"status": "comp', b"[1]", b"\xff\xfe", b"[" * 5000])
def test_json_that_is_cut_is_one_sentence(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=r"run\.json"):
        read_json(tmp_path / "run.json")
    with pytest.raises(InputError, match=r"gone\.json; copy it"):
        read_json(tmp_path / "gone.json", "copy it")


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
