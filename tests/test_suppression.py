"""Nothing that is hidden can be had back from what is shown."""

import json

import numpy as np
import pytest

from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report, write_report
from fairlora_cls.statistics.suppression import hide_small_cells

BELOW = 10


def confusion(codes, labels, predicted):
    cells = np.zeros((codes.max() + 1, 2, 2), dtype=int)
    np.add.at(cells, (codes, labels, predicted), 1)
    return cells


def plan(columns, labels, predicted, below=BELOW):
    everyone = np.zeros(len(labels), dtype=int)
    codes = [everyone, *columns]
    tables = [confusion(c, labels, predicted) for c in codes]
    sizes = [table.sum(axis=(1, 2)) for table in tables]
    labelled = [table.sum(axis=2) for table in tables]
    flat = [table.reshape(len(table), -1) for table in tables]
    return codes, tables, hide_small_cells(codes, sizes, labelled, flat, below=below)


def safe(finer, coarser, tables, hidden, below):
    """In each shown total: no hidden part, or two and more with no small sum."""
    for row in range(coarser.max() + 1):
        members = np.unique(finer[coarser == row])
        if any((coarser[finer == m] != row).any() for m in members):
            return  # not nested
        if hidden[1][row]:
            continue
        gone = members[hidden[0][members]]
        pooled = tables[gone].sum(axis=0)
        assert len(gone) != 1
        assert not ((pooled > 0) & (pooled < below)).any()


def test_nothing_is_hidden_unless_asked_for():
    labels = np.array([0, 1, 1])
    _, _, hidden = plan([np.array([0, 1, 1])], labels, labels, below=None)
    assert not any(mask.any() for each in hidden for mask in (each.sizes, each.labels, each.tables))


def test_a_small_group_takes_the_next_one_along():
    codes = np.repeat([0, 1, 2], [200, 60, 4])
    labels = np.arange(264) % 2
    predicted = np.where(np.arange(264) % 4 < 2, labels, 1 - labels)
    _, _, hidden = plan([codes], labels, predicted)
    assert hidden[1].sizes.tolist() == [False, True, True]
    assert hidden[1].tables.tolist() == [False, True, True]
    assert not hidden[0].tables.any()


def test_a_group_with_a_small_cell_keeps_its_size():
    codes = np.repeat([0, 1, 2], 100)
    labels = np.arange(300) % 2
    predicted = np.where(np.arange(300) % 4 < 2, labels, 1 - labels)
    predicted[200:] = labels[200:]
    predicted[200:203] = 1 - labels[200:203]  # three errors in the last group
    _, _, hidden = plan([codes], labels, predicted)
    assert not hidden[1].sizes.any()
    assert hidden[1].tables[2]
    assert hidden[1].tables.sum() >= 2


@pytest.mark.parametrize("seed", range(30))
def test_random_tables_are_safe_in_every_nested_total(seed):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(50, 2000))
    sex = generator.integers(0, 2, count)
    race = generator.choice(4, count, p=generator.dirichlet([2, 1, 0.5, 0.3]))
    crossed = np.unique(np.column_stack([sex, race]), axis=0, return_inverse=True)[1].ravel()
    race = np.unique(race, return_inverse=True)[1]
    labels = (generator.random(count) < 0.3).astype(int)
    predicted = np.where(generator.random(count) < 0.8, labels, 1 - labels)
    codes, tables, hidden = plan([sex, race, crossed], labels, predicted)
    for cells, level in (
        ([t.sum(axis=(1, 2))[:, None] for t in tables], "sizes"),
        ([t.sum(axis=2) for t in tables], "labels"),
        ([t.reshape(len(t), -1) for t in tables], "tables"),
    ):
        masks = [getattr(each, level) for each in hidden]
        for place, own in enumerate(cells):
            small = ((own > 0) & (own < BELOW)).any(axis=1)
            assert masks[place][small].all()
        for finer in (1, 2, 3):
            for coarser in (0, 1, 2):
                if finer != coarser:
                    pair = (masks[finer], masks[coarser])
                    safe(codes[finer], codes[coarser], cells[finer], pair, BELOW)
    for each in hidden:
        assert (each.sizes <= each.labels).all()
        assert (each.labels <= each.tables).all()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    generator = np.random.default_rng(1)
    count = 1500
    race = generator.choice(["White", "Black", "Rare", "Tiny"], count, p=[0.55, 0.3, 0.147, 0.003])
    sex = generator.choice(["F", "M"], count)
    labels = generator.integers(0, 2, count)
    score = np.clip(0.5 + 0.2 * (2 * labels - 1) + generator.normal(0, 0.25, count), 0.01, 0.99)
    predictions = Predictions(
        range(count),
        labels,
        (score > 0.5).astype(int),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"race": race.astype(object), "sex": sex.astype(object)},
    )
    report = fairness_report(
        predictions, ["race", "sex", "sex×race"], bootstrap=100, suppress_below=BELOW
    )
    folder = tmp_path_factory.mktemp("published") / "report"
    write_report(report, folder)
    return predictions, report, folder


def test_hidden_groups_have_no_number_in_any_file(published):
    _, report, folder = published
    stored = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert stored["method"]["suppressed_below"] == BELOW
    race = stored["attributes"]["race"]
    assert set(race["suppressed_groups"]) == {"Rare", "Tiny"}
    for name in race["suppressed_groups"]:
        group = race["groups"][name]
        assert (group["n"], group["positives"]) == (None, None)
        for metric, estimate in group.items():
            if metric not in ("n", "positives"):
                assert set(estimate.values()) == {None}, (name, metric)
        assert all(
            set(share.values()) == {None} for share in race["prevalence"]["groups"][name].values()
        )
    for gap in race["gaps"].values():
        assert gap["best"] in ("White", "Black")
        assert gap["worst"] in ("White", "Black")
        assert {"Rare", "Tiny"} <= set(gap["undefined_groups"])
    for attribute in stored["attributes"].values():
        assert attribute["curves"] == {}
        assert attribute["controlled"] is None
    page = (folder / "report.html").read_text(encoding="utf-8")
    text = (folder / "report.md").read_text(encoding="utf-8")
    for words in (page, text):
        assert "not published" in words
    row = next(line for line in text.splitlines() if line.startswith("| Examples |"))
    assert row.count("–") == 2
    names = {path.name for path in (folder / "figures").iterdir()}
    assert not any(name.endswith(("-roc.svg", "-scores.svg", "-calibration.svg")) for name in names)
    assert report.decision.threshold is None


def test_shown_counts_and_the_total_leave_two_unknown(published):
    _, report, _ = published
    shown = [g.n for g in report.attributes["race"].groups.values() if g.n is not None]
    assert report.n - sum(shown) >= BELOW
    assert len(report.attributes["race"].groups) - len(shown) >= 2
    assert report.attributes["sex"].suppressed_groups == ()


def test_few_people_in_many_hidden_groups_are_not_told():
    """Five people in four hidden groups: each group is then known to have two at most."""
    codes = np.repeat(np.arange(6), [98, 97, 2, 1, 1, 1])
    everyone = np.zeros(200, dtype=int)
    sizes = [np.array([200]), np.bincount(codes)]
    cells = [size[:, None] for size in sizes]
    _, hidden = hide_small_cells([everyone, codes], sizes, cells, cells, below=5)
    assert hidden.sizes.tolist() == [False, True, True, True, True, True]
