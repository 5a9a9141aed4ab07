"""Names in a table stay inside the data folder, whatever they try."""

import os
from pathlib import Path

import pytest

from fairlora_cls.data import downloads
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.errors import InputError
from tests.small_tables import table_of


@pytest.fixture
def table(tmp_path):
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"x")
    os.symlink(tmp_path / "secret.png", tmp_path / "data" / "link.png")
    os.symlink(tmp_path, tmp_path / "data" / "up")
    return tmp_path / "data" / "t.csv"


def resolve(file, names, **options):
    """The files, or an error of all that is wrong."""
    table = table_of({"image": names}, file)
    files = resolve_images(table, names, **options)
    if table.problems:
        raise InputError(table.problems)
    return files


def test_inside(table):
    names = ["a.png", "images/a b.png", " images/../a.png ", "./é.png"]
    expected = ["a.png", "images/a b.png", "a.png", "é.png"]
    assert resolve(table, names) == [table.parent / name for name in expected]


@pytest.mark.parametrize(
    "name", ["../secret.png", "images/../../secret.png", "/etc/passwd", "link.png", "up/secret.png"]
)
def test_outside(table, name):
    with pytest.raises(InputError, match=r"row 3 names the image.*outside.*allow_outside=true"):
        resolve(table, ["a.png", name])
    assert resolve(table, [name], allow_outside=True)


def test_urls_need_permission(table, monkeypatch):
    monkeypatch.setattr("fairlora_cls.data.paths.download_image", lambda url: Path("got"))
    names = ["a.png", "https://x/y.png"]
    with pytest.raises(InputError, match=r"row 3 names the image.*--allow-urls"):
        resolve(table, names)
    assert resolve(table, names, allow_urls=True) == [table.parent / "a.png", Path("got")]
    with pytest.raises(InputError, match="only local files"):
        resolve(table, ["file:///etc/passwd"], allow_urls=True)


def test_what_was_fetched_before_needs_no_permission(table, monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "cache"))
    file = downloads.fetched_file("https://x/y.png")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert resolve(table, ["https://x/y.png"]) == [file]
    with pytest.raises(InputError, match="only local files"):
        resolve(table, ["https://x/z.png"])


def test_backslashes_of_windows(table):
    """As slashes where no file has them in its name, and within the folder like any other name."""
    (table.parent / "images" / "001.png").write_bytes(b"x")
    (table.parent / "odd\\name.png").write_bytes(b"x")
    names = ["images\\001.png", ".\\images\\001.png", "odd\\name.png"]
    expected = ["images/001.png", "images/001.png", "odd\\name.png"]
    assert resolve(table, names) == [table.parent / name for name in expected]
    for name in ("..\\secret.png", "images\\..\\..\\secret.png", "up\\secret.png", "\\etc\\passwd"):
        with pytest.raises(InputError, match="outside"):
            resolve(table, [name])


def test_a_name_that_no_file_can_have(table):
    with pytest.raises(InputError, match="row 2"):
        resolve(table, ["a\0.png"])


def test_schemes():
    assert downloads.is_url("HTTPS://x/y.png")
    assert not downloads.is_url("ftp://x/y.png")
