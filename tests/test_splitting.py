"""Units stay whole, and every split keeps the classes and groups in proportion."""

from collections import Counter

import pytest

from fairlora_cls.data.splitting import (
    read_split_names,
    split_by_strata,
    split_by_unit,
    split_examples,
)
from fairlora_cls.errors import InputError
from tests.small_tables import table_of
from tests.test_examples import example


def test_split_by_unit_keeps_units_whole_and_classes_in_proportion():
    units = [f"u{i // 2}" for i in range(2000)]
    labels = ["rare" if i // 2 % 10 == 0 else "common" for i in range(2000)]
    homes = split_by_unit(units, labels, seed=3)
    assert all(homes[i] == homes[i + 1] for i in range(0, 2000, 2))
    for name, share in [("train", 0.8), ("validation", 0.1), ("test", 0.1)]:
        for label, count in [("rare", 200), ("common", 1800)]:
            found = sum(h == name and own == label for h, own in zip(homes, labels, strict=True))
            assert found == share * count
    assert homes == split_by_unit(units, labels, seed=3)
    assert homes != split_by_unit(units, labels, seed=4)
    backwards = split_by_unit(units[::-1], labels[::-1], seed=3)[::-1]
    assert homes == backwards


def test_many_small_strata_are_shared_and_do_not_all_go_to_training():
    """100 strata of 3 patients with 2 images: 30 patients, not 0, belong into the test split."""
    units = [f"u{i // 2}" for i in range(600)]
    strata = [f"s{i // 6:03}" for i in range(600)]
    homes = split_by_strata(units, strata, seed=3)
    assert all(homes[i] == homes[i + 1] for i in range(0, 600, 2))
    counts = Counter(homes[::2])
    assert counts.total() == 300
    assert abs(counts["validation"] - 30) <= 2
    assert abs(counts["test"] - 30) <= 2
    assert homes == split_by_strata(units[::-1], strata[::-1], seed=3)[::-1]
    assert homes != split_by_strata(units, strata, seed=4)


def test_groups_are_kept_in_proportion():
    """1,000 patients, 50 of a rare group with 1 in 5 positive: each cell is shared 8:1:1."""
    people = [
        example(str(i), int(i % 5 == 0), group="rare" if i < 50 else "common") for i in range(1000)
    ]
    homes = split_examples(people, ("no", "yes"), ["group"], seed=1)
    for group, label, size in [("rare", 1, 10), ("rare", 0, 40), ("common", 1, 190)]:
        own = [
            home
            for e, home in zip(people, homes, strict=True)
            if e.attributes["group"] == group and e.label == label
        ]
        assert len(own) == size
        for name in ("validation", "test"):
            assert abs(own.count(name) - size / 10) <= 2
    with pytest.raises(InputError, match=r"stratify names 'grup'.*did you mean 'group'"):
        split_examples(people, ("no", "yes"), ["grup"], seed=1)


def test_split_names_in_all_spellings():
    cells = ["Training ", "VALIDATE", "dev", "testing"]
    names = read_split_names(table_of({"use": cells}), "use")
    assert names == ["train", "validation", "validation", "test"]
    table = table_of({"use": ["train", "trian", None, " ", "nan", "N/A", "1.0"]})
    assert read_split_names(table, "use") == ["train", *[None] * 6]
    assert table.bad == {1, 2, 3, 4, 5, 6}
    assert "row 3 has the split 'trian'; did you mean 'train'" in table.problems[0]
    for row, problem in zip(range(4, 8), table.problems[1:5], strict=True):
        assert f"row {row} has no value for 'use'" in problem
    assert "row 8 has the split '1'; there is: train" in table.problems[5]


def test_few_units_leave_no_split_empty():
    """13 patients of two classes: 80/10/10 rounds validation to nobody in both classes."""
    units = [str(i) for i in range(13)]
    labels = ["a"] * 7 + ["b"] * 6
    for seed in range(10):
        homes = split_by_unit(units, labels, seed)
        assert set(homes) == {"train", "validation", "test"}
        assert homes.count("train") >= 10
    assert split_by_unit(["1", "2"], ["a", "b"], 0) == ["train", "train"]  # nothing to spare
