"""The table of sources: options, paths and misspelt names."""

from pathlib import Path

import pytest

from fairlora_cls.data.datasets import DATASETS, dataset_options, load_splits
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
