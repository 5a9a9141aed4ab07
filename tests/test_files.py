"""Files and folders that are whole or absent."""

import threading

import pytest

from fairlora_cls.files import (
    file_stem,
    remove_leftovers,
    whole_folder,
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
