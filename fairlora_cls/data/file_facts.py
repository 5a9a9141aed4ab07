"""What is known of files, kept between runs: a file that has not changed is not read again.

The memory is a SQLite file in the cache folder. What it holds counts only for the same path, size,
inode, and times of change of content and of inode, which is what git trusts too; a file changed
within the last two seconds is not remembered, because a clock tick may hide a second change.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path

from fairlora_cls.data.images import UnreadableImageError, content_digest
from fairlora_cls.data.threads import map_in_threads
from fairlora_cls.files import cache_folder

PIECE = 256
SETTLED = 2_000_000_000  # ns
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS facts "
    "(kind TEXT, path BLOB, state TEXT, value BLOB, PRIMARY KEY (kind, path)) WITHOUT ROWID"
)

Value = str | bytes


def content_digests(paths: Sequence[Path]) -> dict[Path, str]:
    """The digest of each file that can be read; the others are left out."""
    digests = recall_or_read("digest", paths, content_digest)
    return {path: digest for path, digest in digests.items() if isinstance(digest, str)}


def recall_or_read(
    kind: str, paths: Sequence[Path], read: Callable[[Path], Value]
) -> dict[Path, Value | UnreadableImageError]:
    """What `read` says of each file, or the UnreadableImageError that it raised, in the order given.

    `kind` names what is read and how: under another name everything is read anew. Only what could
    be read is kept. Where the memory cannot be read or written, every file is read.
    """
    # In pieces: a look at one file is cheaper than handing it to a thread, but may wait on a network.
    pieces = [paths[i : i + PIECE] for i in range(0, len(paths), PIECE)]
    looks = map_in_threads(lambda piece: [_state(path) for path in piece], pieces)
    states = dict(zip(paths, chain.from_iterable(looks), strict=True))
    values: dict[Path, Value | UnreadableImageError] = dict(_recall(kind, states))
    new = [path for path in states if path not in values]
    now = time.time_ns()

    def attempt(path: Path) -> Value | UnreadableImageError:
        try:
            return read(path)
        except UnreadableImageError as error:
            return error

    values |= zip(new, map_in_threads(attempt, new), strict=True)
    _remember(
        kind,
        {
            path: (state, values[path])
            for path in new
            if (state := states[path]) and _changed(state) < now - SETTLED
        },
    )
    return {path: values[path] for path in states}


def _state(path: Path) -> str | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # gone, or a name that no file can have
        return None
    return f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def _changed(state: str) -> int:
    """The later of the two times of a state, ns."""
    return max(int(part) for part in state.split()[2:])


def _key(path: Path) -> bytes:
    """SQLite's texts cannot hold every name of a file."""
    return str(path).encode(errors="surrogatepass")


def _recall(kind: str, states: Mapping[Path, str | None]) -> dict[Path, Value]:
    """What is kept of the files whose state is as remembered; nothing without the memory."""
    recalled = {}
    with suppress(sqlite3.Error, OSError), _memory() as memory:
        for path, state in states.items():
            row = memory.execute(
                "SELECT state, value FROM facts WHERE kind = ? AND path = ?", (kind, _key(path))
            ).fetchone()
            if state and row and row[0] == state:
                recalled[path] = row[1]
    return recalled


def _remember(kind: str, facts: Mapping[Path, tuple[str, Value | UnreadableImageError]]) -> None:
    rows = [
        (kind, _key(path), state, value)
        for path, (state, value) in facts.items()
        if not isinstance(value, UnreadableImageError)
    ]
    if rows:
        # Without the memory the next run reads the files again.
        with suppress(sqlite3.Error, OSError), _memory() as memory, memory:
            memory.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows)


@contextmanager
def _memory() -> Iterator[sqlite3.Connection]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "file_facts.sqlite"
    try:
        with closing(sqlite3.connect(file, timeout=60.0)) as memory:
            memory.execute(SCHEMA)
            yield memory
    except sqlite3.DatabaseError as error:
        if type(error) is sqlite3.DatabaseError:  # damaged, not merely busy or on a full disk
            file.unlink(missing_ok=True)
        raise
