"""Files that are whole or absent: everything is written to a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from fairlora_cls.errors import InputError

LEFTOVER = re.compile(r"\.[0-9a-f]{12}\.")  # how temporary names begin


def temporary_sibling(path: Path) -> Path:
    """A name beside `path` that is free. The suffix stays: some writers choose the format by it."""
    return path.with_name(f".{uuid4().hex[:12]}.{path.name}")


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left half-written under temporary names."""
    for path in [p for p in folder.rglob(".*") if LEFTOVER.match(p.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path beside `path`, flush it to disk, then rename it there.

    A reader, or a process killed at any moment, sees the old file or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(path)
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented UTF-8 JSON atomically; NaN is refused because it is not JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file's keys and values. Raises InputError for one that is gone, cut or no mapping."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}' cannot be read as JSON: it is gone, cut or changed.") from error
    if not isinstance(value, dict):
        raise InputError(f"'{path}' must hold keys and values, not a {type(value).__name__}.")
    return value


def write_folder_atomically(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary sibling, then swap it for `folder`, replacing what stood there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(folder)
    try:
        temporary.mkdir()
        fill(temporary)
        replaced = temporary_sibling(folder)
        if folder.exists():
            os.replace(folder, replaced)
        os.replace(temporary, folder)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a draft folder to fill, and rename it to `folder` on success.

    An existing `folder` stays as it is and the draft is discarded: two writers of the same content
    may race, the first to finish wins, and no reader ever sees half a folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = temporary_sibling(folder)
    draft.mkdir()
    try:
        yield draft
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir() or not any(folder.iterdir()):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def cache_folder() -> Path:
    """Where cohorts and vision features are kept: $FAIRLORA_CACHE, or the user's cache folder."""
    chosen = os.environ.get("FAIRLORA_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fairlora-cls"
