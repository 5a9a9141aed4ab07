"""npz files give text and pixels, and never run anything."""

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
