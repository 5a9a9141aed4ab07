"""npz files give text and pixels, and never run anything."""

import io
import zipfile

import numpy as np
import pytest

from fairlora_cls.data.archives import read_archive, read_archive_image
from fairlora_cls.errors import InputError


def test_values_become_text_and_only_those_asked_for(tmp_path):
    np.savez(tmp_path / "x.npz", race=np.int64(2), age=np.array([61.5]), note="two\nlines", tds=0)
    found = read_archive(tmp_path / "x.npz", {"race", "age", "note", "absent"})
    assert found == {"race": "2", "age": "61.5", "note": "two\nlines"}


def test_objects_are_refused_only_where_they_are_asked_for(tmp_path):
    np.savez(tmp_path / "x.npz", race=1, note=np.array({"a": 1}, dtype=object))
    assert read_archive(tmp_path / "x.npz", {"race"}) == {"race": "1"}
    with pytest.raises(InputError, match="keeps 'note' as a pickled Python object"):
        read_archive(tmp_path / "x.npz", {"race", "note"})


def test_images(tmp_path):
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.savez(tmp_path / "x.npz", slo_fundus=grey)
    assert (read_archive_image(tmp_path / "x.npz") == grey).all()
    np.savez(tmp_path / "y.npz", slo_fundus=np.array([None], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_archive_image(tmp_path / "y.npz")


def write_lying(path, key, shape, kind="|u1", held=b"\0" * 1000):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{key}.npy", header.getvalue() + held)
    return path


def test_a_header_that_declares_more_than_is_there_gets_no_memory(tmp_path):
    """Sizes that no machine has: without the check numpy would raise MemoryError."""
    huge = write_lying(tmp_path / "x.npz", "image", (10**7, 10**9))
    with pytest.raises(ValueError, match="declares"):
        read_archive_image(huge)
    assert read_archive_image(write_lying(huge, "image", (10, 100))).shape == (10, 100)
    text = write_lying(tmp_path / "y.npz", "note", (), f"<U{10**9}")
    with pytest.raises(InputError, match="declares"):
        read_archive(text, {"note"})


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x93NUMPY\1\0", b"cos\nsystem\n(S'x'\ntR."])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz"):
        read_archive(tmp_path / "x.npz", {"race"})
