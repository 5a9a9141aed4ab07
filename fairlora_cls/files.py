"""Files that are whole or absent: everything is written as a draft beside its place, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from fairlora_cls.errors import InputError

LONGEST_NAME = 60  # bytes of a part of a file name that is made of a name in the data
DRAFT = re.compile(r"\.[0-9a-f]{12}\.")  # how the names of drafts begin
LOCK = "lock"  # in a draft's folder, held while its process lives: on any machine that sees it


@contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """A free path with the name of `path`, in a hidden folder beside it, to be renamed to `path`.

    The hidden folder goes at the end; of a killed process it stays until the next writer in that
    place removes it. Makes the folders above.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent.glob(".*"))
    folder, lock = _new_draft(path.parent)
    try:
        yield folder / path.name
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _new_draft(place: Path) -> tuple[Path, FileLock]:
    while True:
        folder = place / f".{uuid4().hex[:12]}.draft"
        folder.mkdir()
        lock = FileLock(folder / LOCK)
        with suppress(Timeout, FileNotFoundError):  # another's sweep came before the lock was held
            lock.acquire(timeout=0)
            if (folder / LOCK).exists():
                return folder, lock
            lock.release()


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Delete those of the paths that are drafts of processes that live no more."""
    for path in [p for p in paths if DRAFT.match(p.name) and not p.is_symlink()]:
        if not path.is_dir():
            path.unlink(missing_ok=True)  # of an earlier version, which had drafts without a lock
            continue
        lock = FileLock(path / LOCK)
        with suppress(Timeout, OSError):  # a living process holds it, or it is another user's
            lock.acquire(timeout=0)
            shutil.rmtree(path, ignore_errors=True)
            lock.release()


def require_writable(folder: Path) -> None:
    """Refuse, before any work, a folder in which nothing could be written at its end.

    Raises InputError where a part of the path is a file, or nothing can be made there.
    """
    place = folder
    try:
        while not place.exists():
            place = place.parent
        if place.is_dir():
            probe = place / f".{uuid4().hex[:12]}.probe"
            probe.touch(exist_ok=False)  # permissions do not say all: mounts, quotas, network disks
            probe.unlink(missing_ok=True)
            return
        reason = f"'{place}' is a file"
    except OSError as error:
        reason = error.strerror
    raise InputError(
        f"'{str(folder)[:200]}' cannot be written ({reason}); name another place with --output."
    )


def require_writable_file(path: Path) -> None:
    """The same for a file; a folder must not stand there."""
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; name a file with --output.")
    require_writable(path.parent)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a path beside `path`, flush what it wrote to disk, then rename it there.

    A reader, or a process killed at any moment, sees the old file or the new one, never a part.
    Others may read it as far as the umask says, whatever `write` would have.
    """
    with draft_beside(path) as draft:
        draft.touch()
        mode = draft.stat().st_mode
        write(draft)
        if draft.stat().st_mode != mode:  # safetensors writes for the owner alone
            draft.chmod(mode)
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(draft, path)


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
    """A JSON file's keys and values. Raises InputError for one that is gone, cut or no mapping."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}' cannot be read as JSON: it is gone, cut or changed.") from error
    if not isinstance(value, dict):
        raise InputError(f"'{path}' must hold keys and values, not a {type(value).__name__}.")
    return value


def write_folder_atomically(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a draft folder, then swap it for `folder`, replacing what stood there."""
    with draft_beside(folder) as draft:
        draft.mkdir()
        fill(draft)
        _follow_umask(draft)
        if folder.exists():
            os.replace(folder, draft.with_name("replaced"))  # it goes with the draft's folder
        os.replace(draft, folder)


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
    with draft_beside(folder) as draft:
        draft.mkdir()
        yield draft
        _follow_umask(draft)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir() or not any(folder.iterdir()):
                raise


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
