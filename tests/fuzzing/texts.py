"""Generated texts (.jsonl), broken, into report and compare.

Where a report is written, its counts are those of a plain reading of the same lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np

from tests.fuzzing.cases import (
    EITHER,
    REFUSED,
    SAME,
    SANE,
    Kind,
    Mutation,
    choose,
    judge_end,
    judge_folder,
    one,
    read_report,
    run_command,
    undrawn_figures,
    untouched,
)
from tests.fuzzing.sheets import BROKEN_BYTES, NOT_RECORDED, STRANGE_NAMES, UnclearError, recorded

Row = dict[str, Any]
SENTENCES = ("No effusion.", "Small left effusion.", "The heart is enlarged.", "Lungs are clear.")
STRANGE_VALUES = (None, 0, 1.5, True, [], {}, ["a"], {"a": 1}, "", " ", float("nan"), 10**400)
STRANGE_TEXTS = (
    *STRANGE_NAMES,
    "Норма 2 см",
    "正常",
    "🙂" * 50,
    "...",
    "a " * 3000,
    "\u2028",
    "<script>",
)


def make_rows(generator: np.random.Generator, count: int = 16) -> list[Row]:
    return [
        {
            "id": f"t{i}",
            "reference": one(generator, SENTENCES),
            "text": one(generator, SENTENCES),
            "attributes": {"sex": one(generator, "FM"), "race": one(generator, ["A", "B"])},
        }
        for i in range(count)
    ]


def written(rows: list[Row]) -> bytes:
    """Lines in ASCII, so that lone surrogates can be told."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _with(key: str, values: Any) -> Any:
    def change(generator: np.random.Generator, rows: list[Row]) -> list[Row]:
        place = int(generator.integers(len(rows)))
        value = one(generator, values)
        return [{**row, key: value} if i == place else row for i, row in enumerate(rows)]

    return change


def _with_group(values: Any, share: float) -> Any:
    def change(generator: np.random.Generator, rows: list[Row]) -> list[Row]:
        value = one(generator, values)
        return [
            {**row, "attributes": {**row["attributes"], "sex": value}}
            if isinstance(row.get("attributes"), dict) and generator.random() < share
            else row
            for row in rows
        ]

    return change


def _without(*keys: str) -> Any:
    def change(generator: np.random.Generator, rows: list[Row]) -> list[Row]:
        key, place = one(generator, keys), int(generator.integers(len(rows)))
        return [
            {k: v for k, v in row.items() if i != place or k != key} for i, row in enumerate(rows)
        ]

    return change


LINES = (
    Mutation("a text that is none", _with("text", STRANGE_VALUES), SANE),
    Mutation("a reference that is none", _with("reference", STRANGE_VALUES), SANE),
    Mutation("an id that is none", _with("id", STRANGE_VALUES), SANE),
    Mutation("a strange text", _with("text", STRANGE_TEXTS), SANE),
    Mutation("a strange reference", _with("reference", STRANGE_TEXTS), SANE),
    Mutation("a reference not recorded", _with("reference", ("nan", "NaN", "null", "")), SANE),
    Mutation("a lone surrogate", _with("text", ["\ud800 effusion", "clear\udfff"]), REFUSED),
    Mutation("a lone surrogate in an id", _with("id", ["\ud800"]), REFUSED),
    Mutation("a lone surrogate in a group", _with_group(["\ud800"], 0.5), REFUSED),
    Mutation("a needed key gone", _without("id", "reference", "text"), REFUSED),
    Mutation("a row without attributes", _without("attributes"), SANE),
    Mutation("attributes that are none", _with("attributes", [[], "F", 3, [["sex", "F"]], True]), SANE),
    Mutation("attributes nested", _with("attributes", [{"sex": {"a": 1}}, {"sex": ["F"]}]), SANE),
    Mutation("a group of another type", _with_group([1, 1.0, True, 0, None, 10**30], 0.5), SANE),
    Mutation("strange groups", _with_group(STRANGE_NAMES, 0.5), SANE),
    Mutation("groups not recorded", _with_group(NOT_RECORDED, 0.5), SANE),
    Mutation("strange attribute", lambda g, rows: [{**r, "attributes": {one(g, STRANGE_NAMES): "x", **(r.get("attributes") or {})}} if isinstance(r.get("attributes") or {}, dict) else r for r in rows], SANE),
    Mutation("an id twice", lambda g, rows: [*rows, dict(rows[0])], REFUSED),
    Mutation("unknown keys", _with("score", [1, "x", None]), SAME),
    Mutation("strange optional keys", lambda g, rows: _with(one(g, ["unit", "question", "prompt", "label", "complete"]), [*STRANGE_VALUES, *STRANGE_NAMES])(g, rows), SANE),
    Mutation("one question each", lambda g, rows: [{**r, "question": f"q{i}"} for i, r in enumerate(rows)], SANE),
    Mutation("other order", lambda g, rows: [rows[i] for i in g.permutation(len(rows))], SAME),
    Mutation("one row", lambda g, rows: rows[:1], SANE),
    Mutation("all one text", lambda g, rows: [{**r, "text": "same"} for r in rows], SANE),
    Mutation("a row that is a list", lambda g, rows: [*rows, ["t", "a", "b"]], REFUSED),
    Mutation("a row that is a word", lambda g, rows: [*rows, "text"], REFUSED),
)  # fmt: skip
WRITING = (
    *BROKEN_BYTES,
    Mutation("a byte order mark", lambda g, d: b"\xef\xbb\xbf" + d, SAME),
    Mutation("empty lines", lambda g, d: d.replace(b"\n", b"\n\n"), SAME),
    Mutation("lines of DOS", lambda g, d: d.replace(b"\n", b"\r\n"), SAME),
    Mutation("a list instead of lines", lambda g, d: b"[" + b",".join(d.split(b"\n")[:-1]) + b"]", EITHER),
    Mutation("indented", lambda g, d: b"\n".join(json.dumps(json.loads(line), indent=2).encode() for line in d.splitlines()), EITHER),
    Mutation("deep nesting", lambda g, d: d + b'{"id":' + b"[" * 100_000, REFUSED),
    Mutation("a huge number", lambda g, d: d + b'{"id": 1' + b"0" * 5000 + b', "reference": "a", "text": "b"}\n', SANE),
    Mutation("NaN", lambda g, d: d + b'{"id": "n", "reference": NaN, "text": Infinity}\n', REFUSED),
    Mutation("a key twice", lambda g, d: d + b'{"id": "k", "text": "a", "text": "b", "reference": "a"}\n', REFUSED),
)  # fmt: skip


def read_texts_plainly(data: bytes) -> tuple[int, dict[str, Counter]]:
    """How many texts, and how many of each group of each attribute."""
    from_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if from_utf16 else "utf-8-sig")
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise UnclearError(str(error)) from error
    ids = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("attributes") or {}, dict):
            raise UnclearError("a line that is no object")
        for key in ("id", "reference", "text"):
            if row.get(key) is None or isinstance(row[key], list | dict | bool):
                raise UnclearError(f"{key} is {row.get(key)!r}")
        ids.append(str(row["id"]))
        attributes = row.get("attributes") or {}
        row["attributes"] = {_on_one_line(name): value for name, value in attributes.items()}
        if len(row["attributes"]) < len(attributes):
            raise UnclearError("an attribute twice")
    if len(set(ids)) < len(ids) or not ids:
        raise UnclearError("no ids, or one twice")
    names = {name for row in rows for name in row["attributes"]}
    groups = {name: Counter() for name in names}
    for row in rows:
        for name in names:
            value = row["attributes"].get(name)
            groups[name][(None if value is None else recorded(str(value))) or "missing"] += 1
    return len(rows), groups


def _on_one_line(name: str) -> str:
    """As the names of a table's columns are read: on one line, without outer spaces."""
    name = name.strip().lstrip("\ufeff").strip()
    breaks = {c for c in name if (category(c) == "Cc" and c != "\t") or c in "\u2028\u2029"}
    return (
        " ".join(part.strip() for part in re.split(f"[{re.escape(''.join(breaks))}]+", name))
        if breaks
        else name
    )


def case(base: Path, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    rows = original = make_rows(generator)
    if generator.random() < 0.6:
        chosen, holds = choose(generator, LINES, applied)
        for mutation in chosen:
            rows = (
                mutation.change(generator, rows) if all(isinstance(r, dict) for r in rows) else rows
            )
        data = written(rows)
    else:
        mutation = one(generator, WRITING)
        applied.append(f"{mutation.name} ({mutation.holds})")
        data, holds = mutation.change(generator, written(rows)), mutation.holds
    file = folder / "texts.jsonl"
    file.write_bytes(data)
    with undrawn_figures(generator.random() < 0.04), untouched(file):
        outcome = run_command("report", file, "--bootstrap", 0, "--output", folder / "report")
        judge_end(outcome, (0, 2))
        judge_folder(folder, "texts.jsonl", *(["report"] if outcome.code == 0 else []))
    assert outcome.code == 0 or holds != SAME, f"exit {outcome.code}: {outcome.errors[-300:]}"
    if outcome.code:
        return
    report = read_report(folder / "report")
    assert holds != REFUSED, "exit 0"
    try:
        _judge_counts(report, data)
    except UnclearError as error:
        raise AssertionError(f"exit 0, and the file is not to be read: {error}") from error
    if holds in (SAME, EITHER):
        _judge_counts(report, written(original))


def _judge_counts(report: dict[str, Any], data: bytes) -> None:
    count, groups = read_texts_plainly(data)
    assert report["n"] == count, f"n is {report['n']} of {count} texts"
    assert report["attributes"].keys() == groups.keys(), f"attributes {list(report['attributes'])}"
    for name, wanted in groups.items():
        shown = {g: v["n"] for g, v in report["attributes"][name]["groups"].items()}
        assert shown == dict(wanted), f"groups of {name}: {shown}, and they are {dict(wanted)}"


KIND = Kind(prepare=lambda folder: folder, case=case, short=30, heavy=250)
