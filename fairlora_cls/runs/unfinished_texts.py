"""Texts that a run has decoded so far, kept line by line so that a killed one loses none.

Each process writes a file of its own beside the final one. The first line names what the texts
depend on; files of anything else are thrown away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol


class Writer(Protocol):
    """Takes finished lines; they are on disk when it returns."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> None: ...


def read_unfinished(stem: Path, fingerprint: str) -> dict[str, dict[str, Any]]:
    """Id → line, of all processes. A line that was being written when a process died is left out."""
    written: dict[str, dict[str, Any]] = {}
    for path in _parts(stem):
        lines = _whole_lines(path)
        if lines and json.loads(lines[0]) == {"fingerprint": fingerprint}:
            rows = (json.loads(line) for line in lines[1:])
            written |= {row["id"]: row for row in rows if "id" in row}
    return written


def discard_unfinished(stem: Path) -> None:
    """Delete the files of all processes."""
    for path in _parts(stem):
        path.unlink(missing_ok=True)


@contextmanager
def keep_unfinished(stem: Path, fingerprint: str, process: int) -> Iterator[Writer]:
    """Give a writer of this process's lines, which follow those of its last life."""
    path = stem.with_name(f".{stem.name}.{process}.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"fingerprint": fingerprint}
    lines = _whole_lines(path) if path.exists() else []
    goes_on = bool(lines) and json.loads(lines[0]) == header
    if goes_on:
        os.truncate(path, sum(len(line) + 1 for line in lines))
    with path.open("a" if goes_on else "w", encoding="utf-8") as file:

        def write(rows: Sequence[Mapping[str, Any]]) -> None:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())

        if not goes_on:
            write([header])
        yield write


def _whole_lines(path: Path) -> list[bytes]:
    """Up to the first line that is no JSON object, as one that was being written."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return list(takewhile(_is_record, lines))


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _parts(stem: Path) -> list[Path]:
    return sorted(stem.parent.glob(f".{stem.name}.*.unfinished"))
