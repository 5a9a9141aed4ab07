"""Content digests of many files; a file that has not changed since the last run is not read again.

The memory is a SQLite file in the cache folder. An entry counts only for the same path, size,
inode, and times of change of content and of inode, which is what git trusts too; a file changed
within the last two seconds is not remembered, because a clock tick may hide a second change.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from fairlora_cls.data.images import UnreadableImageError, content_digest
from fairlora_cls.data.threads import map_in_threads
from fairlora_cls.files import cache_folder

PIECE = 256
SETTLED = 2_000_000_000  # ns
SCHEMA = "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, state TEXT, digest TEXT) WITHOUT ROWID"


def content_digests(paths: Sequence[Path]) -> dict[Path, str]:
    """The digest of each file that can be read; the others are left out."""
    # In pieces: a look at one file is cheaper than handing it to a thread, but may wait on a network.
    pieces = [paths[i : i + PIECE] for i in range(0, len(paths), PIECE)]
    found_states = map_in_threads(lambda piece: [_state(path) for path in piece], pieces)
    states = dict(zip(paths, chain.from_iterable(found_states), strict=True))
    known = _recall({str(p): s for p, s in states.items() if s})
    found = {p: known[str(p)] for p in paths if str(p) in known}
    new = [p for p in paths if states[p] and p not in found]
    now = time.time_ns()
    for path, digest in zip(new, map_in_threads(_digest, new), strict=True):
        if digest:
            found[path] = digest
    settled = [p for p in new if p in found and _changed(states[p]) < now - SETTLED]
    _remember([(str(p), states[p], found[p]) for p in settled])
    return {p: found[p] for p in paths if p in found}


def _state(path: Path) -> str | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # gone, or a name that no file can have
        return None
    return f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def _changed(state: str) -> int:
    """The later of the two times of a state, ns."""
    return max(int(part) for part in state.split()[2:])


def _digest(path: Path) -> str | None:
    try:
        return content_digest(path)
    except UnreadableImageError:
        return None


def _recall(states: dict[str, str]) -> dict[str, str]:
    """path → digest for the files whose state is as remembered; nothing without the memory."""
    try:
        with _memory() as memory:
            rows = (
                (path, memory.execute("SELECT state, digest FROM digests WHERE path = ?", (path,)))
                for path in states
            )
            return {
                path: row[1]
                for path, got in rows
                if (row := got.fetchone()) and row[0] == states[path]
            }
    except (sqlite3.Error, OSError):
        return {}


def _remember(rows: Sequence[tuple[str, str, str]]) -> None:
    if not rows:
        return
    try:
        with _memory() as memory, memory:
            memory.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", rows)
    except (sqlite3.Error, OSError):
        return  # the next run reads the files again


@contextmanager
def _memory() -> Iterator[sqlite3.Connection]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "digests.sqlite", timeout=60.0)) as memory:
        memory.execute(SCHEMA)
        yield memory
