"""What every case has in common: mutations, the command in this process, and what must hold of it.

A case is known by its kind, seed and number: the same three give the same case.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

import numpy as np

# What must hold of a mutated input, from the strictest to the loosest. Where the outcome is exit 0:
# same: it is exit 0, and means what the unmutated input means.
# refused: it is never exit 0.
# either: it means what the unmutated input means.
# sane: it means what a plain reading of it means, see each kind.
SAME, REFUSED, EITHER, SANE = "same", "refused", "either", "sane"


@dataclass(frozen=True)
class Mutation:
    """One way to change an input, and what must hold of the outcome."""

    name: str
    change: Callable[[np.random.Generator, Any], Any]
    holds: str


@dataclass(frozen=True)
class Kind:
    """A kind of cases. `prepare` makes what they share, once, in a folder; `case` judges one."""

    prepare: Callable[[Path], Any]
    case: Callable[[Any, np.random.Generator, Path, list[str]], None]
    short: int  # cases of the short form
    heavy: int  # cases of one seed of the heavy form


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: str  # what it would pipe on
    errors: str  # what it says to the user beside


def run_case(kind: Kind, name: str, seed: int, number: int, base: Any, folder: Path) -> str | None:
    """None where the case holds, else what is wrong with it, in words that let it be repeated."""
    generator = np.random.default_rng([seed, number, crc32(name.encode())])
    applied: list[str] = []
    folder.mkdir(parents=True)
    try:
        kind.case(base, generator, folder, applied)
    except Exception as error:  # whatever the package lets through is what is sought
        where = "" if isinstance(error, AssertionError) else traceback.format_exc(limit=-4)
        words = f"{type(error).__name__}: {error}"[:600]
        return (
            f"{name} {seed} {number} ({'; '.join(applied)}): {words}\n{where}"
            f"  again: python -m tests.fuzzing {name} --seed {seed} --first {number} --cases 1"
        )
    shutil.rmtree(folder)
    return None


def run_cases(name: str, seed: int, numbers: Iterable[int], place: Path) -> Iterator[str]:
    """What is wrong in cases of a kind, in a folder that is theirs."""
    from tests.fuzzing.kinds import KINDS

    kind = KINDS[name]
    base = kind.prepare(place / "base")
    for number in numbers:
        found = run_case(kind, name, seed, number, base, place / str(number))
        if found:
            yield found


def choose(
    generator: np.random.Generator, mutations: Sequence[Mutation], applied: list[str]
) -> tuple[list[Mutation], str]:
    """One mutation, or two that may meet, and what must hold of them together."""
    count = 1 if generator.random() < 0.7 else 2
    chosen = [mutations[i] for i in generator.choice(len(mutations), count, replace=False)]
    applied += [f"{m.name} ({m.holds})" for m in chosen]
    if count == 1:
        return chosen, chosen[0].holds
    # One may mend or overwrite what the other did, so that the strict words no longer hold.
    return chosen, SANE if any(m.holds in (SANE, REFUSED) for m in chosen) else EITHER


def one(generator: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(generator.integers(len(values)))]


def run_command(*arguments: object) -> Outcome:
    """`fairlora-cls` in this process, through the same door as on a terminal."""
    from fairlora_cls.cli.app import main

    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    words = ["fairlora-cls", *map(str, arguments)]
    with (
        redirect_stdout(output),
        redirect_stderr(errors),
        patch.object(sys, "argv", words),
        patch.dict(os.environ, {"COLUMNS": "200"}),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Outcome(code, *(_all_of(stream) for stream in (output, errors)))


def _all_of(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")


def judge_end(outcome: Outcome, codes: Iterable[int], words: str = "Error: ") -> None:
    """The exit code is one of `codes`, and a failure is said in one sentence, not in a traceback."""
    said = outcome.errors + outcome.output
    assert "Traceback" not in said, f"a traceback: {said[-600:]}"
    assert outcome.code in codes, f"exit {outcome.code}: {said[-400:]}"
    if outcome.code == 0:
        return
    assert "--debug shows where" not in said, f"a foreseeable error is not foreseen: {said[-400:]}"
    if words:
        spoken = [line for line in outcome.errors.splitlines() if line.startswith(words)]
        assert len(spoken) == 1, f"{len(spoken)} sentences of error: {said[-400:]}"
        assert len(spoken[0]) > len(words) + 8, f"an error without words: {spoken[0]!r}"


@contextmanager
def untouched(*inputs: Path) -> Iterator[None]:
    """Nothing inside may change a byte of these files and folders."""
    before = [contents(path) for path in inputs]
    yield
    for path, old in zip(inputs, before, strict=True):
        new = contents(path)
        changed = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        assert not changed, f"the input '{path.name}' was changed: {changed[:3]}"


def contents(path: Path) -> dict[str, Any]:
    """Name → bytes of a file, or of every file of a folder; a link counts as where it points."""
    files = [path] if path.is_symlink() or not path.is_dir() else sorted(path.rglob("*"))
    found: dict[str, Any] = {}
    for file in files:
        if file.is_symlink():
            found[str(file)] = os.readlink(file)
        elif file.is_file():
            found[str(file)] = file.read_bytes()
        else:
            found[str(file)] = "a folder"
    return found


def judge_folder(folder: Path, *expected: str) -> None:
    """A folder holds nothing but what is expected: no half-written files, no hidden ones."""
    extra = sorted(p.name for p in folder.iterdir() if p.name not in expected)
    assert not extra, f"left behind: {extra}"
    hidden = [str(p.relative_to(folder)) for p in folder.rglob(".*") if p.name.count(".") > 1]
    assert not hidden, f"left behind: {hidden}"


def read_report(folder: Path) -> dict[str, Any]:
    """The numbers of a report whose files are all whole."""
    assert (folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert (folder / "report.md").read_text(encoding="utf-8").strip()
    return read_plain_json(folder / "report.json")


def read_plain_json(path: Path) -> Any:
    """JSON as every reader knows it: without NaN and Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} holds {word}, which is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def close(one_value: float | None, other: float | None) -> bool:
    """Whether two numbers, either of which may be undefined, are the same to 1e-9."""
    if one_value is None or other is None:
        return one_value is other
    return abs(one_value - other) <= 1e-9


def differences(one_value: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested values of a report differ, numbers to 1e-9."""
    if isinstance(one_value, Mapping) and isinstance(other, Mapping):
        found = [f"{path}: {sorted(map(str, one_value.keys() ^ other.keys()))[:3]} on one side"]
        found = found if one_value.keys() != other.keys() else []
        for key in one_value.keys() & other.keys():
            found += differences(one_value[key], other[key], f"{path}.{key}")
        return found
    if isinstance(one_value, list | tuple) and isinstance(other, list | tuple):
        if len(one_value) != len(other):
            return [f"{path}: {len(one_value)} against {len(other)} values"]
        pairs = enumerate(zip(one_value, other, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}.{i}")]
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (one_value, other)]
    same = close(one_value, other) if all(numbers) else one_value == other
    return [] if same else [f"{path}: {one_value!r} against {other!r}"]


# What draws the figures of a report, which is nine tenths of its time.
DRAWING = (
    "fairlora_cls.evaluation.figures.draw_figures",
    "fairlora_cls.evaluation.comparison_files.draw_comparison_figures",
)


@contextmanager
def undrawn_figures(drawn: bool = False) -> Iterator[None]:
    """Reports are written without their figures, unless `drawn`."""
    with ExitStack() as patches:
        for name in () if drawn else DRAWING:
            patches.enter_context(patch(name, lambda found: []))
        yield
