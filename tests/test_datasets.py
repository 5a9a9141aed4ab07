"""The table of sources: options, paths and misspelt names."""

from pathlib import Path

import pytest

from fairlora_cls.data.datasets import DATASETS, dataset_options, load_splits, permitted_options
from fairlora_cls.errors import InputError


def test_simulated_fundus_is_drawn_once_and_read_again(tmp_path):
    folder = tmp_path / "cohort"
    options = {"train": 12, "validation": 6, "test": 8, "seed": 5}
    first = load_splits("simulated-fundus", folder, options)
    stamp = (folder / "table.csv").stat().st_mtime_ns
    again = load_splits("simulated-fundus", folder, options)
    assert first == again
    assert (folder / "table.csv").stat().st_mtime_ns == stamp
    assert [len(first.train), len(first.validation), len(first.test)] == [12, 6, 8]
    assert first.classes == ("no", "yes")


def test_every_source_refuses_unknown_options_and_needs_its_path():
    for name, row in DATASETS.items():
        with pytest.raises(InputError, match="no option 'sede'"):
            load_splits(name, Path(), {"sede": 1})
        assert len(dataset_options(name)) > 1
        if row.needs_path:
            with pytest.raises(InputError, match=f"--data {name}:PATH"):
                load_splits(name, None, {})


def test_unknown_source():
    with pytest.raises(InputError, match="did you mean 'ham10000'"):
        load_splits("ham1000", None, {})


def test_numbers_are_taken_for_words_and_other_types_are_named(tmp_path):
    """Classes 0 and 1 are written without quotes in YAML."""
    (tmp_path / "table.csv").write_text("image,label,sex\na.png,0,F\nb.png,1,9\n")
    splits = load_splits("table", tmp_path, {"classes": [1, 0], "missing_values": [9]})
    assert splits.classes == ("1", "0")
    found = {e.label: e.attributes["sex"] for e in splits.everything()}
    assert found == {1: "F", 0: None}
    for options, words in [
        ({"classes": "yes"}, r"classes: write a list, such as \[a, b\] \(got 'yes'\)"),
        ({"seed": "many"}, "seed: input should be a valid integer"),
        ({"allow_urls": "perhaps"}, "allow_urls: input should be a valid boolean"),
    ]:
        with pytest.raises(InputError, match=words):
            load_splits("table", tmp_path, options)


def test_only_the_user_permits_to_fetch():
    for asked in ({}, {"allow_urls": True}, {"allow_urls": False}):
        for allowed in (True, False):
            options = permitted_options("table", {"id": "x", **asked}, allowed)
            assert options == {"id": "x", "allow_urls": allowed}
    assert permitted_options("ham10000", {"seed": 1}, False) == {"seed": 1}
    with pytest.raises(InputError, match=r"'ham10000'.*--allow-urls"):
        permitted_options("ham10000", {}, True)


def test_every_source_and_option_is_documented():
    text = (Path(__file__).parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
    for name in DATASETS:
        if not name.startswith("simulated"):
            assert f"`{name}`" in text
            assert all(f"`{option}`" in text for option in dataset_options(name)), name


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
@pytest.mark.parametrize("source", [name for name, row in DATASETS.items() if row.needs_path])
def test_a_path_that_no_file_can_have(source, name):
    with pytest.raises(InputError, match="no possible path"):
        load_splits(source, Path(name), {})
