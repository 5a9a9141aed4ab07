"""Files and folders that are whole or absent."""

import os
import stat
import threading

import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.files import (
    file_stem,
    remove_leftovers,
    whole_folder,
    writable,
    write_atomically,
    write_folder_atomically,
    write_json,
    write_text,
)


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
    for name in (".gitignore", ".0123456789ab.model.safetensors", "kept"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".ba9876543210.report").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".gitignore", "kept"]


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
