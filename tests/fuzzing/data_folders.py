"""Data folders in the layouts of their sources, with things missing, empty, moved or linked.

What is loaded calls every image what the whole folder calls it; no image is lost without a word.
"""

from __future__ import annotations

import csv
import gzip
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
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
    one,
    untouched,
)
from tests.fuzzing.data_tables import judge_images, load
from tests.fuzzing.images import draw_image

COUNT = 24
FAIRVLMED_COLUMNS = (
    "filename,age,gender,race,ethnicity,language,maritalstatus,note,gpt4_summary,glaucoma,use"
)
SPLITS = ("train", "validation", "test")


def _write_csv(file: Path, header: str, rows: list[list[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wt", newline="", encoding="utf-8") as text:
        csv.writer(text).writerows([header.split(","), *rows])


def _picture(file: Path, i: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draw_image(i, i // 2 % 2).save(file)


def _label(i: int) -> str:
    return "yes" if i // 2 % 2 else "no"


def build_table(folder: Path, name: str = "table.csv") -> None:
    rows = [[f"images/{i}.png", _label(i), "FM"[i // 2 % 2], f"P{i // 2}"] for i in range(COUNT)]
    _write_csv(folder / name, "image,label,sex,patient", rows)
    for i in range(COUNT):
        _picture(folder / f"images/{i}.png", i)


def build_split_folders(folder: Path) -> None:
    for place, split in enumerate(SPLITS):
        own = [i for i in range(COUNT) if i // 4 % 3 == place]
        rows = [[f"{i}.png", _label(i), "FM"[i // 2 % 2], f"P{i // 2}"] for i in own]
        _write_csv(folder / split / "metadata.csv", "file_name,label,sex,patient", rows)
        for i in own:
            _picture(folder / split / f"{i}.png", i)


def build_ham10000(folder: Path) -> None:
    rows = [
        [f"L{i // 2}", f"ISIC_{i:04}", "mel" if _label(i) == "yes" else "nv", "histo", 30 + 5 * (i % 10), "male", "back"]
        for i in range(COUNT)
    ]  # fmt: skip
    _write_csv(
        folder / "HAM10000_metadata.csv", "lesion_id,image_id,dx,dx_type,age,sex,localization", rows
    )
    for i in range(COUNT):
        _picture(folder / f"HAM10000_images_part_{1 + i % 2}" / f"ISIC_{i:04}.jpg", i)


def build_fairvlmed(folder: Path) -> None:
    homes = {"training": "Training", "validation": "Validation", "test": "Test"}
    rows = []
    for i in range(COUNT):
        use = list(homes)[i // 4 % 3]
        rows.append(
            [
                f"data_{i:05}.npz",
                40 + i,
                "female",
                "asian",
                "hispanic",
                "english",
                "single",
                "Two\nlines",
                "A.",
                _label(i),
                use,
            ]
        )
        home = folder / homes[use]
        home.mkdir(parents=True, exist_ok=True)
        np.savez(
            home / f"data_{i:05}.npz", slo_fundus=np.asarray(draw_image(i, i // 2 % 2))[..., 0]
        )
    _write_csv(folder / "data_summary.csv", FAIRVLMED_COLUMNS, rows)


@dataclass(frozen=True)
class Layout:
    source: str
    build: Callable[[Path], None]


LAYOUTS = {
    "table": Layout("table", build_table),
    "compressed table": Layout("table", lambda folder: build_table(folder, "table.csv.gz")),
    "split folders": Layout("table", build_split_folders),
    "ham10000": Layout("ham10000", build_ham10000),
    "fairvlmed": Layout("fairvlmed", build_fairvlmed),
}


def _files(folder: Path, tables: bool) -> list[Path]:
    wanted = (".csv", ".gz")
    return sorted(p for p in folder.rglob("*") if p.is_file() and (p.suffix in wanted) == tables)


def _any_file(tables: bool, change: Callable[[np.random.Generator, Path], None]) -> Callable:
    def apply(generator: np.random.Generator, folder: Path) -> Path:
        files = _files(folder, tables)
        if files:
            change(generator, one(generator, files))
        return folder

    return apply


def _empty_folder(generator: np.random.Generator, folder: Path) -> Path:
    inner = [p for p in sorted(folder.rglob("*")) if p.is_dir()]
    if inner:
        place = one(generator, inner)
        shutil.rmtree(place)
        place.mkdir()
    return folder


def _one_level_up(generator: np.random.Generator, folder: Path) -> Path:
    inner = folder / "inner"
    inner.mkdir()
    for path in [p for p in folder.iterdir() if p != inner]:
        path.rename(inner / path.name)
    return folder


def _one_level_down(generator: np.random.Generator, folder: Path) -> Path:
    return one(generator, [p for p in sorted(folder.iterdir()) if p.is_dir()] or [folder])


def _point_at(name: str) -> Callable:
    return lambda generator, folder: folder / name


def _add(name: str, content: bytes) -> Callable:
    def apply(generator: np.random.Generator, folder: Path) -> Path:
        place = one(generator, [folder, *(p for p in sorted(folder.rglob("*")) if p.is_dir())])
        (place / name).write_bytes(content)
        return folder

    return apply


def _link(where: str) -> Callable:
    """A file or folder is kept elsewhere, and a link stands in its place."""

    def apply(generator: np.random.Generator, folder: Path) -> Path:
        path = one(
            generator,
            sorted(
                p
                for p in folder.rglob("*")
                if (where == "inside" and p.is_file()) or where == "outside"
            ),
        )
        kept = (folder / "kept" if where == "inside" else folder.parent / "kept") / path.name
        kept.parent.mkdir(exist_ok=True)
        path.rename(kept)
        path.symlink_to(kept)
        return folder

    return apply


def _linked_folder(generator: np.random.Generator, folder: Path) -> Path:
    link = folder.parent / "link"
    link.symlink_to(folder)
    return link


def _to_itself(generator: np.random.Generator, path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _file_to_folder(generator: np.random.Generator, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _cut(generator: np.random.Generator, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(generator.integers(len(data)))])


def _noise(generator: np.random.Generator, path: Path) -> None:
    path.write_bytes(generator.bytes(300))


def _swap(generator: np.random.Generator, folder: Path) -> Path:
    """Two images under each other's names: no reader can know."""
    first, second = one(generator, _files(folder, False)), one(generator, _files(folder, False))
    pair = first.read_bytes(), second.read_bytes()
    first.write_bytes(pair[1])
    second.write_bytes(pair[0])
    return folder


FOLDERS = (
    Mutation("an image gone", _any_file(False, lambda g, p: p.unlink()), REFUSED),
    Mutation("an image of no bytes", _any_file(False, lambda g, p: p.write_bytes(b"")), REFUSED),
    Mutation("an image cut", _any_file(False, _cut), REFUSED),
    Mutation("an image of noise", _any_file(False, _noise), REFUSED),
    Mutation("an image that is a folder", _any_file(False, _file_to_folder), REFUSED),
    Mutation("an image that is a link to itself", _any_file(False, _to_itself), REFUSED),
    Mutation("two images swapped", _swap, SAME),
    Mutation("an image's suffix in capitals", _any_file(False, lambda g, p: p.rename(p.with_suffix(p.suffix.upper()))), EITHER),
    Mutation("a table gone", _any_file(True, lambda g, p: p.unlink()), SANE),
    Mutation("a table of no bytes", _any_file(True, lambda g, p: p.write_bytes(b"")), REFUSED),
    Mutation("a table cut", _any_file(True, _cut), SANE),
    Mutation("a table of noise", _any_file(True, _noise), REFUSED),
    Mutation("a table that is a folder", _any_file(True, _file_to_folder), SANE),
    Mutation("a table that is a link to itself", _any_file(True, _to_itself), SANE),
    Mutation("a table not compressed as it says", _any_file(True, lambda g, p: p.rename(p.with_name(p.name.removesuffix(".gz") if p.suffix == ".gz" else p.name + ".gz"))), EITHER),
    Mutation("a folder emptied", _empty_folder, SANE),
    Mutation("one level too high", _one_level_up, EITHER),
    Mutation("one level too low", _one_level_down, SANE),
    Mutation("no such folder", _point_at("none"), REFUSED),
    Mutation("a strange path", _point_at("a\0b"), REFUSED),
    Mutation("a long path", _point_at("x" * 300), REFUSED),
    Mutation("a file for a folder", lambda g, f: one(g, _files(f, False)), REFUSED),
    Mutation("hidden files of a Mac", _add("._0.png", b"\0\5\x16\7\0\2\0\0Mac OS X"), SAME),
    Mutation("a hidden table of a Mac", _add("._table.csv", b"\0\5\x16\7\0\2\0\0Mac OS X"), SAME),
    Mutation("hidden files of Windows", _add("Thumbs.db", b"\xd0\xcf\x11\xe0"), SAME),
    Mutation("notes", _add("README.txt", b"see table"), SAME),
    Mutation("an empty folder more", lambda g, f: (f / "new").mkdir() or f, SAME),
    Mutation("a link inside", _link("inside"), EITHER),
    Mutation("a link outside", _link("outside"), EITHER),
    Mutation("a link to the folder", _linked_folder, SAME),
    Mutation("a link to a folder around", lambda g, f: (f / "around").symlink_to(f) or f, SAME),
)  # fmt: skip


def what_is_said(splits: Any) -> dict[str, tuple]:
    """Id → all that is known of an example but its file."""
    return {
        e.id: (splits.classes[e.label], e.unit, tuple(sorted(e.attributes.items())), e.text)
        for e in splits.everything()
    }


def prepare(folder: Path) -> Path:
    for name, layout in LAYOUTS.items():
        layout.build(folder / name)
    return folder


def case(base: Path, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    name = one(generator, list(LAYOUTS))
    applied.append(name)
    chosen, holds = choose(generator, FOLDERS, applied)
    home = folder / "data"
    shutil.copytree(base / name, home)
    place = home
    for mutation in chosen:
        place = mutation.change(generator, place) if os.path.isdir(place) else place
    with untouched(folder):
        splits, reason = load(LAYOUTS[name].source, place)
        if splits is None:
            assert len(reason) > 8, "refused without words"
            assert holds != SAME, f"refused: {reason}"
            return
        # Only a table names files; other layouts, and a split's folder, may be links to anywhere.
        inside = home if name in ("table", "compressed table") else None
        unreadable = judge_images([e.image for e in splits.everything()], inside)
    assert unreadable or holds != REFUSED, "loaded, and every image is readable"
    assert not unreadable or holds != SAME, f"unreadable: {unreadable[:3]}"
    whole = what_is_said(load(LAYOUTS[name].source, base / name)[0])
    said = what_is_said(splits)
    if name == "split folders" and place.parent == home:  # ids are paths below the folder given
        said = {f"{place.name}/{identity}": value for identity, value in said.items()}
    invented = said.keys() - whole.keys()
    changed = [i for i in said.keys() & whole.keys() if said[i] != whole[i]]
    # A table may be cut within its last cell, or within an id.
    spared = int(any("table cut" in m.name for m in chosen))
    assert len(invented) + len(changed) <= spared, f"changed: {sorted(invented)} {changed[:3]}"
    may_lose = any(m.holds == SANE for m in chosen) or len(chosen) > 1
    assert may_lose or said.keys() == whole.keys(), f"{len(whole) - len(said)} examples are lost"


KIND = Kind(prepare=prepare, case=case, short=50, heavy=250)
