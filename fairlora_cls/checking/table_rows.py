"""Every bad row of a data table at once, and the rows that are left.

N rows. The loader stops at the first bad row, as it should; this names them all.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fairlora_cls.checking.findings import Finding, counted
from fairlora_cls.data.cells import recorded
from fairlora_cls.data.examples import SPLIT_NAMES, UNLABELLED, Example, Splits
from fairlora_cls.data.sources.table import (
    IMAGEFOLDER_COLUMN,
    find_tables,
    is_imagefolder,
    load_table,
)
from fairlora_cls.data.splitting import SPLIT_ALIASES, split_by_unit
from fairlora_cls.data.tables import read_table, require_columns
from fairlora_cls.errors import InputError, nearest

LISTED = 10  # rows named in a message


def inspect_table(
    path: Path, options: Mapping[str, Any]
) -> tuple[Splits | None, tuple[Finding, ...]]:
    """What is wrong with the rows of a table, and Splits of the others.

    No Splits where the table itself cannot be read or lacks a column; an empty tuple where nothing
    is wrong with any row.
    """
    chosen = {
        name: parameter.default
        for name, parameter in inspect.signature(load_table).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    } | dict(options)
    try:
        file = find_tables(path, chosen["table"])[0][0]
        frame = read_table(
            file, separator=chosen["separator"], encoding=chosen["encoding"], has_options=True
        )
        if chosen["image_column"] == "image" and is_imagefolder(frame):
            chosen["image_column"] = IMAGEFOLDER_COLUMN
        image_column, label_column = chosen["image_column"], chosen["label_column"]
        require_columns(frame, [c for c in (image_column, label_column) if c], file)
        attributes = _attributes(frame, chosen)
        require_columns(frame, attributes, file)
    except InputError as error:
        return None, (Finding("error", "table", str(error)),)
    labels = pd.Series(UNLABELLED, index=frame.index)
    if label_column:
        labels = frame[label_column].map(recorded)
    named = chosen["classes"] if label_column else None
    classes = tuple(recorded(c) or "" for c in named or sorted(labels.dropna().unique()))
    bad = pd.Series(False, index=frame.index)
    found = []

    def refuse(
        code: str, rows: pd.Series, column: str, what: str, way_out: Callable[[str], str]
    ) -> None:
        """One finding about all `rows`; `way_out` hears the first offending value."""
        fresh = rows & ~bad
        if not fresh.any():
            return
        values = frame[column][fresh]
        listed = ", ".join(
            f"{i + 2}" + ("" if pd.isna(v) else f" ('{v}')") for i, v in values[:LISTED].items()
        )
        more = f" and {len(values) - LISTED:,} more" if len(values) > LISTED else ""
        found.append(
            Finding(
                "error",
                code,
                f"'{file.name}': {what} in {counted(len(values), 'row')}: {listed}{more}"
                f"{way_out(str(values.iloc[0]))}",
                tuple(str(i + 2) for i in values.index),
            )
        )
        bad[rows] = True

    blank_image, blank_label = frame[image_column].isna(), labels.isna()
    refuse("blank-image", blank_image, image_column, "no image", lambda v: "; name it or drop it.")
    refuse("blank-label", blank_label, label_column, "no label", lambda v: "; fill in or drop it.")
    refuse(
        "unknown-label",
        ~labels.isin(classes) & ~blank_label,
        label_column,
        "a label that is not one of the classes",
        lambda v: nearest(v.strip(), classes) or ".",
    )
    names = frame[image_column].fillna("")
    refuse(
        "url-image",
        names.str.contains("://", regex=False) & (not chosen.get("allow_urls", False)),
        image_column,
        "an address instead of a file",
        lambda v: "; download the images, or give --allow-urls.",
    )
    root = file.parent.resolve()
    outside = names.map(lambda name: not _real(root, name).is_relative_to(root))
    outside &= not chosen.get("allow_outside", False)
    refuse(
        "image-outside",
        outside,
        image_column,
        "an image outside the data folder",
        lambda v: "; move the images beside the table.",
    )
    homes = None
    if chosen["split_column"] in frame:
        homes = frame[chosen["split_column"]].map(
            lambda v: SPLIT_ALIASES.get(str(v).strip().lower())
        )
        refuse(
            "unknown-split",
            homes.isna(),
            chosen["split_column"],
            "a split that is none of train, validation, test",
            lambda v: nearest(v, SPLIT_ALIASES) or ".",
        )
    return _good_rows(file, frame[~bad], labels, classes, attributes, homes, chosen), tuple(found)


def _real(folder: Path, name: str) -> Path:
    return Path(os.path.realpath(folder / name))  # of a loop of links too, unlike Path.resolve


def _attributes(frame: pd.DataFrame, chosen: Mapping[str, Any]) -> list[str]:
    if chosen["attributes"] is not None:
        return list(chosen["attributes"])
    reserved = {value for name, value in chosen.items() if name.endswith("_column")}
    return [c for c in frame.columns if c not in reserved]


def _good_rows(
    file: Path,
    frame: pd.DataFrame,
    labels: pd.Series,
    classes: tuple[str, ...],
    attributes: list[str],
    homes: pd.Series | None,
    chosen: Mapping[str, Any],
) -> Splits:
    """Splits of rows that have nothing wrong in themselves."""
    ids = frame[chosen["id_column" if chosen["id_column"] in frame else "image_column"]]
    units = frame[chosen["unit_column"]].fillna(ids) if chosen["unit_column"] in frame else ids
    examples = [
        Example(
            id=str(ids[i]),
            image=_real(file.parent, frame[chosen["image_column"]][i]),
            label=classes.index(labels[i]),
            attributes={a: recorded(frame[a][i]) for a in attributes},
            unit=str(units[i]),
        )
        for i in frame.index
    ]
    own = (
        list(homes[frame.index])
        if homes is not None
        else split_by_unit([e.unit for e in examples], list(labels[frame.index]), chosen["seed"])
    )
    members = {
        name: tuple(e for e, home in zip(examples, own, strict=True) if home == name)
        for name in SPLIT_NAMES
    }
    return Splits(str(file), classes, tuple(attributes), **members)
