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
from pathlib import Path
from typing import IO, Any

from fairlora_cls.errors import InputError
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


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """A JSON file that holds a list of objects; bare NaN, which LLaVA-Rad writes, is read too.

    Raises InputError.
    """
    try:
        with open_text(path, encoding_of(path)) as file:
            text = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"There is no readable file '{path}'.") from error
    except UnicodeError as error:
        raise InputError(f"'{path}' is not a readable JSON file ({error}).") from error
    entries = parse_json(text, f"'{path}'")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"'{path}' is not a JSON list of objects.")
    return entries


def read_json_lines(path: Path) -> dict[int, dict[str, Any]]:
    """Line number → the object in it, of a file with an object a line; blank lines are passed over.

    Raises InputError naming the line.
    """
    objects = {}
    try:
        with open_text(path, encoding_of(path), newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                line = line.strip().lstrip("\ufeff")
                if line:
                    objects[number] = parse_json(line, f"'{path}' line {number}")
                    if not isinstance(objects[number], dict):
                        raise InputError(f"'{path}' line {number} is not a JSON object.")
    except UnicodeError as error:
        raise InputError(f"'{path}' is not in UTF-8 ({error}); save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"'{path}' cannot be read ({error}).") from error
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
