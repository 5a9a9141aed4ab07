"""YAML text → plain values of few kinds; what could be read in two ways is refused, not guessed.

Words stay words: of YAML's many spellings only `true` and `false` are truth values, whole decimal
numbers and those with a point are numbers, and a date, `no`, `1:30` or `007` is text. Keys are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

import yaml

from fairlora_cls.errors import InputError

DEEPEST = 32  # levels of lists and mappings
MOST_VALUES = 100_000  # with every alias written out
_HALF = re.compile("[\ud800-\udfff]")  # of a character; JSON and YAML can write one, no file can
_RESOLVERS = {
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "int": (r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    "float": (
        # No sign before a point: PyYAML writes the text "-.5" without quotes.
        r"^(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$"
        r"|^\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
}
_TAG = "tag:yaml.org,2002:"
_KEPT = (f"{_TAG}null", f"{_TAG}merge")
_KEYS = (f"{_TAG}str", f"{_TAG}merge")
_PLAIN = {*_KEPT, *(f"{_TAG}{kind}" for kind in (*_RESOLVERS, "str", "seq", "map"))}


class _Loader(yaml.SafeLoader):
    """Resolves only what this module's docstring names."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag in _KEPT]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_rule, _first) in _RESOLVERS.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(_rule), list(_first))


def parse_yaml(text: str, name: str) -> Any:
    """Plain values from YAML text; `name` says in an error where the text stands.

    Raises InputError for text that is not YAML, a key that stands twice, numbers that no computer
    holds, and what is nested or repeated beyond all use.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _require_plain(root, name)
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        raise InputError(f"{name} is not valid YAML: {_told(error)}.") from error
    except yaml.reader.ReaderError as error:
        place = text.count("\n", 0, error.position) + 1
        raise InputError(
            f"{name} is not valid YAML: a character that no text holds (line {place})."
        ) from error
    except RecursionError:
        raise InputError(f"{name} is nested deeper than {DEEPEST} levels.") from None
    except InputError:
        raise
    except ValueError as error:  # more digits than Python reads
        raise InputError(f"{name} holds a number that cannot be read: {error}.") from None


def is_whole(text: str) -> bool:
    """Whether a file of text can hold it: no NUL, and no half of a character."""
    return "\0" not in text and (text.isascii() or not _HALF.search(text))


def stands_for_a_number(value: Any, annotation: Any) -> bool:
    """Whether a truth value stands where `annotation` wants numbers, alone or within `value`.

    Pydantic by itself takes true for 1.
    """
    allowed = _types_in(annotation)
    return bool(allowed & {int, float}) and bool not in allowed and _holds_truth(value)


def _types_in(annotation: Any) -> set[Any]:
    """The plain types that an annotation is made of."""
    return {annotation}.union(*map(_types_in, get_args(annotation)))


def _holds_truth(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_truth, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_truth, value))
    return isinstance(value, bool)


def _told(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    words = error.problem or error.context or "it cannot be read"
    return f"{' '.join(words.split())}{f' (line {mark.line + 1})' if mark else ''}"


def _require_plain(root: yaml.Node, name: str) -> None:
    """Raises InputError for doubled keys, loops, endless nesting and repetition, and broken text."""
    waiting, seen = [(root, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        line = node.start_mark.line + 1
        if depth > DEEPEST:
            raise InputError(f"{name} is nested deeper than {DEEPEST} levels (line {line}).")
        if seen > MOST_VALUES:
            raise InputError(f"{name} holds more than {MOST_VALUES:,} values; write it shorter.")
        if node.tag not in _PLAIN:
            kind = node.tag.removeprefix(_TAG)
            raise InputError(f"{name} is not valid YAML: no value may be a '{kind}' (line {line}).")
        if isinstance(node, yaml.ScalarNode) and not is_whole(node.value):
            raise InputError(
                f"{name} holds half of a character (\\ud800 to \\udfff) or a NUL (line {line})."
            )
        if isinstance(node, yaml.SequenceNode):
            waiting += [(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            _require_single_keys(node, name)
            waiting += [(part, depth + 1) for pair in node.value for part in pair]


def _require_single_keys(node: yaml.MappingNode, name: str) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # refused when it is built: no list or mapping can be a key
        line, known = key.start_mark.line + 1, (key.tag, key.value)
        if key.tag not in _KEYS:
            raise InputError(
                f"{name}: the key '{key.value}' is no text (line {line}); write it in quotes."
            )
        if known in lines:
            raise InputError(
                f"{name}: the key '{key.value}' stands twice, in line {lines[known]} and line {line}; "
                "keep one of them."
            )
        lines[known] = line
