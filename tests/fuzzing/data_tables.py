"""Data tables beside images, broken, into the loader and into check.

What is loaded is what a plain reading of the table says; every image is pixels, or unreadable by name.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzzing.cases import (
    EITHER,
    REFUSED,
    SAME,
    SANE,
    Kind,
    Mutation,
    choose,
    judge_end,
    judge_folder,
    one,
    read_plain_json,
    run_command,
    undrawn_figures,
    untouched,
)
from tests.fuzzing.images import BROKEN_IMAGES, draw_image
from tests.fuzzing.sheets import (
    BROKEN_BYTES,
    NOT_RECORDED,
    Sheet,
    UnclearError,
    as_written,
    broken_sheets,
    dropped,
    in_cells,
    index_column,
    numbers_as_names,
    other_order_of_columns,
    other_order_of_rows,
    read_plainly,
    recorded,
    renamed,
    rewritten,
)

ROWS = 24
SPLITS = ("train", "validation", "test")
USED = {"id", "image", "label", "split", "patient"}  # by the loader; other columns are attributes


def make_sheet(generator: np.random.Generator) -> Sheet:
    """24 images of 12 patients; with ids and splits or without."""
    with_id, with_split = generator.random() < 0.5, generator.random() < 0.5
    columns: dict[str, list[str]] = {"image": [f"images/{i:03d}.png" for i in range(ROWS)]}
    columns["label"] = ["yes" if i // 2 % 2 else "no" for i in range(ROWS)]
    columns["sex"] = ["FM"[i // 2 % 2] for i in range(ROWS)]
    columns["race"] = [one(generator, ["Asian", "Black", "White"]) for _ in range(ROWS)]
    columns["patient"] = [f"P{i // 2}" for i in range(ROWS)]
    if with_id:
        columns["id"] = [f"e{i}" for i in range(ROWS)]
    if with_split:
        columns["split"] = [SPLITS[i // 4 % 3] for i in range(ROWS)]
    return Sheet(tuple(columns), tuple(zip(*columns.values(), strict=True)))


SHEETS = (
    *broken_sheets(("sex", "race"), ("image", "label")),
    Mutation("an image that is missing", in_cells(["image"], ["images/none.png", "images/", "images", "."]), SANE),
    Mutation("an image outside", in_cells(["image"], ["../x.png", "/etc/passwd", "images/../../x.png", "/dev/zero"]), REFUSED),
    Mutation("an image by URL", in_cells(["image"], ["http://127.0.0.1:9/x.png", "file:///etc/passwd", "ftp://h/x.png", "s3://b/x"]), REFUSED),
    Mutation("image names of Windows", rewritten(["image"], lambda c: c.replace("/", "\\")), SANE),
    Mutation("an image not named", in_cells(["image"], ["", " "]), REFUSED),
    Mutation("a strange image name", in_cells(["image"], ["a\0b", "a\nb", "x" * 5000, "~/x.png", "images/000.png\t", "|", "%00"]), SANE),
    Mutation("images named twice", in_cells(["image"], ["images/000.png"], 0.3), SANE),
    Mutation("image names with ./", rewritten(["image"], lambda c: f"./{c}", 0.5), SANE),
    Mutation("a label not recorded", in_cells(["label"], NOT_RECORDED, 0.3), REFUSED),
    Mutation("a label of another case", in_cells(["label"], ["Yes", "NO"], 0.2), REFUSED),
    Mutation("labels with spaces", rewritten(["label"], lambda c: f" {c} ", 0.5), SAME),
    Mutation("labels all alike", in_cells(["label"], ["no"], 1.1), SANE),
    Mutation("labels that are numbers", numbers_as_names(["label"]), SANE),
    Mutation("a label of several findings", in_cells(["label"], ["yes|no", "a|b", "no;yes"], 0.2), SANE),
    Mutation("patients that are numbers", numbers_as_names(["patient"]), SANE),
    Mutation("patients not recorded", in_cells(["patient"], NOT_RECORDED, 0.4), SANE),
    Mutation("one patient", in_cells(["patient"], ["P0"], 1.1), SANE),
    Mutation("patients with spaces", rewritten(["patient"], lambda c: f"{c} ", 0.5), SAME),
    Mutation("a split that is none", in_cells(["split"], ["tset", "all", "0", "train|test"]), SANE),
    Mutation("a split not recorded", in_cells(["split"], NOT_RECORDED), SANE),
    Mutation("splits in other words", rewritten(["split"], lambda c: {"validation": "val", "train": "TRAIN", "test": " Test "}.get(c, c)), SAME),
    Mutation("one split", in_cells(["split"], ["train"], 1.1), SANE),
    Mutation("ids called NA", in_cells(["id"], ["NA", "nan", "null"]), SAME),
    Mutation("an id twice", in_cells(["id"], ["e0", "e1"], 0.2), SANE),
    Mutation("another order of columns", other_order_of_columns, SAME),
    Mutation("another order of rows", other_order_of_rows, SAME),
    Mutation("an index column", index_column, SAME),
    Mutation("a needed column gone", dropped(["image", "label"]), REFUSED),
    Mutation("a column misspelt", renamed(["image", "label", "patient", "split"], ["Image", "labels", "Label", "Patient", "patient_id", "Split", "set", "fold"]), SANE),
    Mutation("a byte order mark", as_written(encoding="utf-8-sig"), SAME),
    Mutation("semicolons", as_written(separator=";"), EITHER),
    Mutation("tabs", as_written(separator="\t"), EITHER),
    Mutation("bars", as_written(separator="|"), EITHER),
    Mutation("lines of DOS", as_written(ending="\r\n"), SAME),
    Mutation("empty lines between", as_written(ending="\n\n"), SAME),
    Mutation("everything quoted", as_written(quoting=csv.QUOTE_ALL), SAME),
    Mutation("other letters in cp1252", lambda g, s: as_written(encoding="cp1252")(g, in_cells(["sex"], ["männlich"], 0.5)(g, s)), REFUSED),
)  # fmt: skip


BREAK = re.compile(r"\s*[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+\s*")  # one space in a name


def read_table_plainly(data: bytes) -> dict[str, dict[str, Any]]:
    """Id → what the table says of an example. Raises UnclearError for a table to be refused."""
    header, rows = read_plainly(data, ",")
    examples: dict[str, dict[str, Any]] = {}
    if not {"image", "label"} <= set(header):
        raise UnclearError("no image or label")
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        name = cells["id"].strip() if "id" in cells else cells["image"].strip()
        label = recorded(cells["label"])
        if not name or not cells["image"].strip() or label is None or name in examples:
            raise UnclearError(f"no id, image or label, or one twice: {row}")
        examples[name] = {
            "image": cells["image"].strip(),
            "label": label,
            "unit": recorded(cells.get("patient", "")),
            "split": cells.get("split", "").strip().lower(),
            "attributes": {
                column: recorded(BREAK.sub(" ", cell))
                for column, cell in cells.items()
                if column not in USED and not _unnamed(column)
            },
        }
    return examples


def judge_examples(splits: Any, examples: dict[str, dict[str, Any]]) -> None:
    """What was loaded is what the table says, whatever it makes of columns without a name."""
    found = {e.id: (e, name) for name in SPLITS for e in splits.split(name)}
    assert found.keys() == examples.keys(), f"ids {sorted(found.keys() ^ examples.keys())[:4]}"
    for name, said in examples.items():
        example, split = found[name]
        _judge_example(splits, example, split, said)
        attributes = {k: v for k, v in example.attributes.items() if not _unnamed(k)}
        assert attributes == said["attributes"], f"{name} is {attributes}, not {said['attributes']}"


def judge_unchanged(splits: Any, examples: dict[str, dict[str, Any]], home: Path) -> None:
    """Every image is called what the original table calls it; ids may be others."""
    found = {os.path.realpath(e.image): (e, n) for n in SPLITS for e in splits.split(n)}
    wanted = {os.path.realpath(home / said["image"]): said for said in examples.values()}
    assert found.keys() == wanted.keys(), f"{len(found)} images of {len(wanted)}"
    for image, said in wanted.items():
        example, split = found[image]
        _judge_example(splits, example, split, said)
        attributes = dict(example.attributes)
        assert attributes == said["attributes"], f"{image}: {attributes}, not {said['attributes']}"


def _judge_example(splits: Any, example: Any, split: str, said: dict[str, Any]) -> None:
    label = splits.classes[example.label]
    assert label == said["label"], f"{example.id} is {label!r}, the table says {said['label']!r}"
    # An example of which no patient is recorded is alone.
    units = (said["unit"],) if said["unit"] else (example.id, f"id {example.id}")
    assert example.unit in units, f"{example.id} is of {example.unit!r}, not of {units[0]!r}"
    begins = {"d": "v"}.get(said["split"][:1], said["split"][:1])  # dev is validation
    assert split.startswith(begins), f"{example.id} is in {split}, and not in {said['split']}"


def _unnamed(column: str) -> bool:
    return not column or column.startswith("Unnamed: ")


def judge_images(paths: list[Path], inside: Path | None) -> list[Path]:
    """The images that cannot be read; the others are whole pictures, which lie inside if asked."""
    from fairlora_cls.data.images import UnreadableImageError, read_image

    unreadable = []
    for path in paths:
        root = os.path.join(os.path.realpath(inside or "/"), "")
        assert os.path.realpath(path).startswith(root), f"'{path}' lies outside"
        try:
            picture = read_image(path)
        except UnreadableImageError:
            unreadable.append(path)
            continue
        assert (picture.mode, min(picture.size) > 0) == ("RGB", True), f"{picture.size}"
    return unreadable


def load(source: str, place: Path) -> tuple[Any, str]:
    """The splits and '', or None and why they are refused."""
    from fairlora_cls.data.datasets import load_splits
    from fairlora_cls.errors import InputError

    try:
        return load_splits(source, place, {}), ""
    except InputError as error:
        return None, str(error)


def prepare(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    for i in range(ROWS):
        draw_image(i, i // 2 % 2).save(folder / "images" / f"{i:03d}.png")
    return folder


def case(base: Path, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    original = make_sheet(generator)
    data, holds = original.written(), SAME
    where = generator.random()
    if where < 0.6:
        chosen, holds = choose(generator, SHEETS, applied)
        sheet = original
        for mutation in chosen:
            sheet = mutation.change(generator, sheet)
        data = sheet.written()
    elif where < 0.8:
        chosen, holds = choose(generator, BROKEN_BYTES, applied)
        for mutation in chosen:
            data = mutation.change(generator, data)
    home = folder / "data"
    shutil.copytree(base / "images", home / "images")
    table = home / "table.csv"
    table.write_bytes(data)
    broken = None
    if where >= 0.8:
        mutation, broken = one(generator, BROKEN_IMAGES), home / "images" / "003.png"
        applied.append(f"{mutation.name} ({mutation.holds})")
        mutation.change(generator, broken)
    if where < 0.8 and data == original.written():
        holds = SAME
    with untouched(home):
        splits, reason = load("table", home)
        unreadable = judge_images([e.image for e in splits.everything()], home) if splits else []
    if broken:
        assert splits, "one broken image, and the table is refused"
        wanted = {REFUSED: [[broken]], SAME: [[]]}.get(mutation.holds, [[broken], []])
        assert unreadable in wanted, f"unreadable: {unreadable}"
    assert splits or holds != SAME, f"refused: {reason}"
    if splits:
        assert broken or holds != REFUSED, "loaded"
        try:
            examples = read_table_plainly(data)
        except UnclearError as error:
            if holds != EITHER:  # another separator is no plain reading, but may be found out
                raise AssertionError(f"loaded, and not to be read: {error}") from error
        else:
            judge_examples(splits, examples)
        if holds in (SAME, EITHER):
            judge_unchanged(splits, read_table_plainly(original.written()), home)
    if generator.random() < 0.04:
        _check(home, folder, splits is None or bool(unreadable))


def _check(home: Path, folder: Path, refused: bool) -> None:
    """`check` finds an error wherever `train` would stop, and writes whole files."""
    with undrawn_figures(), untouched(home):
        outcome = run_command(
            *(
                "check",
                "--data",
                f"table:{home}",
                "--set",
                "data.sensitive=[]",
                "--method",
                "vanilla",
            ),
            *("--output", folder / "check"),
        )
    judge_end(outcome, (0, 2), words="")
    judge_folder(folder, "data", "check")
    found = read_plain_json(folder / "check" / "check.json")
    assert (found["status"] == "failed") == (outcome.code == 2), "check.json says another outcome"
    assert outcome.code == 2 or not refused, "check passes what cannot be loaded"
    assert json.dumps(found["findings"]).count("Traceback") == 0


KIND = Kind(prepare=prepare, case=case, short=50, heavy=300)
