"""Files that are whole or absent: everything is written to a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

from fairlora_cls.errors import InputError

LONGEST_NAME = 60  # bytes of a part of a file name that is made of a name in the data
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
    Others may read it as far as the umask says, whatever `write` would have.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(path)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        if temporary.stat().st_mode != mode:  # safetensors writes for the owner alone
            temporary.chmod(mode)
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


def file_stem(name: str) -> str:
    """A name of the data (attribute, metric) as a part of a file name: what is no letter, digit,
    dot or × becomes a hyphen. A name that this changes, or that is long, ends in a digest, so that
    two names never share a file."""
    stem = re.sub(r"[^\w.×]+", "-", name).strip("-.")
    if stem and stem == name and len(stem.encode()) <= LONGEST_NAME:
        return stem
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    kept = stem.encode()[: LONGEST_NAME - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}".strip("-")


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write_folder_atomically(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary sibling, then swap it for `folder`, replacing what stood there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(folder)
    try:
        temporary.mkdir()
        fill(temporary)
        _follow_umask(temporary)
        replaced = temporary_sibling(folder)
        if folder.exists():
            os.replace(folder, replaced)
        os.replace(temporary, folder)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _follow_umask(folder: Path) -> None:
    """Let others read the files of a new folder as far as they may look into it."""
    allowed = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        mode = path.stat().st_mode
        if path.is_file() and mode | allowed != mode:
            path.chmod(mode | allowed)


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
        _follow_umask(draft)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir() or not any(folder.iterdir()):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def writable(folder: Path, or_else: str = "") -> Path:
    """A folder of the cache, made unless it is there.

    Raises InputError where nothing can be written, which names the ways out: another cache, and
    what `or_else` says.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        way_out = f"set FAIRLORA_CACHE to another folder {or_else}".strip()
        reason = error.strerror or str(error)
        raise InputError(
            f"The cache '{folder}' cannot be written ({reason}); {way_out}."
        ) from error


def cache_folder() -> Path:
    """Where cohorts and vision features are kept: $FAIRLORA_CACHE, or the user's cache folder."""
    chosen = os.environ.get("FAIRLORA_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fairlora-cls"
