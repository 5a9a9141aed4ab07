"""Files that are whole or absent: everything is written as a draft beside its place, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows: as a disk that knows no locks
    fcntl = None

from fairlora_cls.errors import InputError

MOST_TRIES = 100  # to make a draft
LONGEST_SHOWN = 80  # characters of a path in a message
LONGEST_NAME = 60  # bytes of a part of a file name that is made of a name in the data
DRAFT = re.compile(r"\.[0-9a-f]{12}\.draft")
# In a draft's folder: its lock before and after it is held, what is written, what stood in its place.
UNHELD, HELD, NEW, OLD = "unheld", "held", "new", "old"
DAY = 24 * 60 * 60  # seconds after which a draft that nobody could lock is nobody's
OTHER_OUTPUT = "name another place with --output"
OTHER_CACHE = "set FAIRLORA_CACHE to another folder"


@contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """A free path with the name of `path`, in a hidden folder beside it, to be renamed to `path`.

    The hidden folder goes at the end; of a killed process it stays until the next process that
    writes into that place removes it. Makes the folders above.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers_once(path.parent.absolute())
    folder, lock = _new_draft(path.parent)
    with lock:
        try:
            yield folder / NEW / path.name
        finally:
            _clear(folder)


def _new_draft(place: Path) -> tuple[Path, IO[bytes]]:
    """A draft's folder and its open lock."""
    for _ in range(MOST_TRIES):
        folder = place / f".{uuid4().hex[:12]}.draft"
        folder.mkdir()
        # One who looks for leftovers may take it for such until it is held.
        with suppress(FileNotFoundError), ExitStack() as opened:
            lock = opened.enter_context((folder / UNHELD).open("wb"))
            if _lock(lock) is None:  # else age must tell whether it is left over
                # It has this name only once it is held: who can lock such a file knows of a death.
                os.rename(folder / UNHELD, folder / HELD)
            (folder / NEW).mkdir()
            opened.pop_all()
            return folder, lock
    raise OSError(errno.ENOENT, f"What is made in '{place}' is deleted at once")


def remove_leftovers(place: Path) -> None:
    """Delete the drafts in a folder whose processes live no more; what one was about to replace
    goes back to its place."""
    try:
        with os.scandir(place) as entries:
            drafts = [
                Path(entry.path)
                for entry in entries
                if DRAFT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return  # there is nothing, or nothing that can be seen
    for folder in drafts:
        with suppress(OSError):  # a living process holds it, it is another user's, or just gone
            try:
                lock = (folder / HELD).open("r+b")
            except FileNotFoundError:
                if time.time() - folder.stat().st_mtime > DAY:
                    _clear(folder)
                elif not (folder / NEW).exists():  # where its process lives, it makes another
                    (folder / UNHELD).unlink(missing_ok=True)
                    folder.rmdir()
                continue
            with lock:
                if _lock(lock) is None:
                    _clear(folder)


# One listing for all that a process writes into a folder: that of a cache may hold 100,000 files.
_remove_leftovers_once = cache(remove_leftovers)


def is_draft(name: str) -> bool:
    """Whether a file name is that of a draft's hidden folder."""
    return DRAFT.fullmatch(name) is not None


def _clear(folder: Path) -> None:
    """Delete a draft's folder, its lock last; first what it was about to replace goes back."""
    for old in (folder / OLD).glob("*"):
        if not (folder.parent / old.name).exists():
            with suppress(FileNotFoundError):  # another did it in this moment
                os.rename(old, folder.parent / old.name)
    for content in (NEW, OLD):
        shutil.rmtree(folder / content, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _lock(file: IO[bytes]) -> OSError | None:
    """Lock an open file until it is closed or its process dies. None, or why it cannot be: another
    holds it, or the disk knows no locks."""
    if fcntl is None:
        return OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error
    return None


@contextmanager
def hold(path: Path, refusal: str) -> Iterator[None]:
    """Keep other processes from holding `path`, a file that is made; a killed one lets go by itself.

    Raises InputError(refusal) when one holds it. On a disk that knows no locks nobody is kept out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        if isinstance(_lock(lock), BlockingIOError | PermissionError):
            raise InputError(refusal)
        yield


def require_writable(folder: Path, way_out: str = OTHER_OUTPUT) -> None:
    """Refuse, before any work, a folder into which nothing could be written at its end.

    Raises InputError, with the way out, where a part of the path is a file or longer than the disk
    allows, or nothing can be made there.
    """
    _require_possible(folder, folder, way_out)


def require_writable_file(path: Path) -> None:
    """The same for a file; a folder must not stand there."""
    if os.path.isdir(path):
        raise InputError(f"'{path}' is a folder; name a file with --output.")
    _require_possible(path, path.parent, OTHER_OUTPUT)


def require_replaceable(folder: Path) -> None:
    """The same for a folder that is made whole, or put in the place of the one that stands there."""
    folder = Path(os.path.realpath(folder))
    if os.path.isdir(folder) and (os.path.ismount(folder) or folder == Path.cwd().resolve()):
        raise InputError(
            f"'{folder}' is a mounted disk or the folder you are in, which cannot be replaced; name a "
            f"folder inside it with --output, such as {folder / 'run'}."
        )
    _require_possible(folder, folder.parent, OTHER_OUTPUT)


def _require_possible(path: Path, place: Path, way_out: str) -> None:
    """Raise InputError unless `path` can be made by writing into the folder `place`."""
    try:
        while not _is_there(place):
            place = place.parent
        longest = os.pathconf(place, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
        if any(len(os.fsencode(part)) > longest for part in path.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with TemporaryFile(dir=place):  # permissions do not say all: mounts, quotas, network disks
            return
    except NotADirectoryError:
        file = next(part for part in (place, *place.parents) if os.path.exists(part))
        reason = f"'{file}' is a file"
    except OSError as error:
        reason = error.strerror or str(error)
    raise InputError(f"'{str(path)[:200]}' cannot be written ({reason}); {way_out}.")


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


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


def read_json(path: Path, way_out: str = "use a complete copy") -> dict[str, Any]:
    """A JSON file's keys and values. Raises InputError, with the way out, for one that is gone, cut
    or no mapping."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"'{path.parent}' holds no {path.name}; {way_out}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}' cannot be read as JSON ({error}); {way_out}.") from error
    if not isinstance(values, dict):
        raise InputError(
            f"'{path}' must hold keys and values (a JSON object), not a {type(values).__name__}; "
            f"{way_out}."
        )
    return values


@contextmanager
def whole_folder(folder: Path, *, replaces: bool = False) -> Iterator[Path]:
    """Give a draft folder to fill, and rename it to `folder` on success.

    A `folder` that stands there is replaced where that is said. Else it stays as it is and the draft
    is discarded: two writers of the same content may race, the first to finish wins, and no reader
    ever sees half a folder.
    """
    folder = Path(os.path.realpath(folder))  # a link stays one
    with draft_beside(folder) as draft:
        draft.mkdir()
        yield draft
        _follow_umask(draft)
        if replaces and folder.exists():
            old = draft.parent.with_name(OLD)
            old.mkdir()
            os.replace(folder, old / folder.name)
        try:
            os.replace(draft, folder)
        except OSError:
            if replaces or not folder.is_dir() or not any(folder.iterdir()):
                raise


def _follow_umask(folder: Path) -> None:
    """Let others read the files of a new folder as far as they may look into it."""
    allowed = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        mode = path.stat().st_mode
        if path.is_file() and mode | allowed != mode:
            path.chmod(mode | allowed)


def cache_folder() -> Path:
    """Where cohorts and vision features are kept: $FAIRLORA_CACHE, or the user's cache folder."""
    chosen = os.environ.get("FAIRLORA_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fairlora-cls"


def user_path(text: str | Path) -> Path:
    """A path as a user wrote it, `~` replaced by the home folder; nothing need be there.

    Raises InputError for one that no file can have or nobody here can look at: empty, too long,
    with a NUL, in the home of an unknown user, a loop of links.
    """
    try:
        if not str(text).strip():
            raise ValueError("it is empty")
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        shown = str(text) if len(str(text)) <= LONGEST_SHOWN else f"{str(text)[:LONGEST_SHOWN]}…"
        raise InputError(f"'{shown}' is no possible path here ({reason}); name another.") from error
    return path
