"""Paths as users write them."""

from pathlib import Path

import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.files import user_path
from fairlora_cls.recipe import build_recipe


def test_home_is_written_out_and_nothing_need_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/new/x.csv") == tmp_path / "new" / "x.csv"
    (tmp_path / "file").touch()
    assert user_path(tmp_path / "file" / "below") == tmp_path / "file" / "below"


@pytest.mark.parametrize("text", ["~nobody-of-this-name/x", "x" * 300, "a\0b", "loop/x", " "])
def test_what_no_file_can_be_called_is_one_sentence(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(InputError, match="no possible path"):
        user_path(text)
    with pytest.raises(InputError, match=r"no possible path|NUL"):
        build_recipe({"model": {"backbone": text}})
