"""Text files from strangers: encodings, JSON, and what no text may hold."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fairlora_cls.errors import InputError, first_few
from fairlora_cls.plain_yaml import is_whole

MARKS = (  # the longer first: one begins with the other
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ESCAPED = re.compile(r"\\u(0000|[dD][89a-fA-F])")  # half a character or a NUL, perhaps
CONTROL = re.compile(r"\s*[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+\s*")  # also breaks of a line


def encoding_of(path: Path, encoding: str = "utf-8") -> str:
    """The codec of a text file: what its byte order mark says where `encoding` is UTF-8.

    Raises LookupError for an encoding that there is not.
    """
    if codecs.lookup(encoding).name != "utf-8":
        return encoding
    with _open_bytes(path) as file:
        start = file.read(4)
    return next((codec for mark, codec in MARKS if start.startswith(mark)), "utf-8-sig")


def _open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def open_text(path: Path, encoding: str, newline: str = "") -> IO[str]:
    """A file as text, one that ends in `.gz` unpacked; `newline` as the built-in `open` has it."""
    return io.TextIOWrapper(_open_bytes(path), encoding=encoding, newline=newline)


def one_line(name: str) -> str:
    """A name without breaks of a line and other control characters; they become a space."""
    return CONTROL.sub(" ", name)


def column_name(name: str) -> str:
    """A column's name on one line, without outer spaces and a byte order mark before it."""
    return one_line(name.strip().lstrip("\ufeff").strip())


@contextmanager
def reading_text(
    path: Path, encoding: str = "utf-8", newline: str = "", way_out: str = ""
) -> Iterator[IO[str]]:
    """A file of strangers, opened as text; what goes wrong while it is read is one InputError.

    `way_out`: what else than saving it as UTF-8 helps against another encoding.
    """
    try:
        with open_text(path, encoding_of(path, encoding), newline) as file:
            yield file
    except UnicodeError as error:
        raise InputError(
            f"'{path}' is not in {encoding.upper()} ({error}); save it as UTF-8{way_out}."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"'{path}' cannot be read ({reason}).") from error
    except LookupError as error:
        raise InputError(f"There is no text encoding '{encoding}'.") from error


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """A JSON file that holds a list of objects; bare NaN, which LLaVA-Rad writes, is read too.

    Raises InputError.
    """
    with reading_text(path) as file:
        entries = parse_json(file.read(), f"'{path}'")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"'{path}' is not a JSON list of objects.")
    return entries


def read_json_lines(path: Path) -> dict[int, dict[str, Any]]:
    """Line number → the object in it, of a file with an object a line; blank lines are passed over.

    Raises InputError naming every line that is none.
    """
    objects = {}
    problems = []
    with reading_text(path, newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip().lstrip("\ufeff")
            if not line:
                continue
            try:
                objects[number] = parse_json(line, f"'{path}' line {number}")
                if not isinstance(objects[number], dict):
                    raise InputError(f"'{path}' line {number} is not a JSON object.")
            except InputError as error:
                problems += error.problems
    if problems:
        raise InputError(first_few(problems))
    return objects


def parse_json(text: str, where: str) -> Any:
    """What a JSON text says; bare NaN is read.

    Raises InputError for what is no JSON, a key that stands twice in an object, an endless number,
    half a character, and nesting too deep for Python.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=lambda word: math.nan if word == "NaN" else _finite(word),
        )
        if ESCAPED.search(text) and not all(map(is_whole, _texts_within(value))):
            raise ValueError("half a character, such as \\ud800, or a NUL")
        return value
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at letter {error.pos + 1}"
    except ValueError as error:  # of ours, and of Python for a number of thousands of digits
        reason = str(error).partition(";")[0]
    except RecursionError:
        reason = "it is nested too deeply"
    raise InputError(f"{where} cannot be read as JSON ({reason}).")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [column_name(name) for name, _ in pairs]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ValueError(f"'{doubled[0]}' stands twice in one object")
    return dict(zip(names, (value for _, value in pairs), strict=True))


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"{number} is no finite number")
    return float(number)


def _texts_within(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts_within(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_within(inner)
