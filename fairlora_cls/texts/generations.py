"""What did a model write about each example? One table, in memory and as JSON lines, from any tool.

N texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.answers import group_names, require_table, require_unique
from fairlora_cls.data.cells import recorded
from fairlora_cls.data.text_files import read_json_lines
from fairlora_cls.errors import InputError, first_few
from fairlora_cls.files import write_text
from fairlora_cls.plain_yaml import is_whole

DEFAULT_QUESTION = "text"  # of a file that does not say which question a text answers
COLUMNS = {  # key of a line → field of `Generations`
    "id": "ids",
    "unit": "units",
    "question": "questions",
    "prompt": "prompts",
    "reference": "references",
    "text": "texts",
    "label": "labels",
    "complete": "complete",
}
REQUIRED = ("id", "reference", "text")


@dataclass(frozen=True)
class Generations:
    """The texts of one model.

    Groups, labels, units and references are read by one rule (`data.cells`): nan, NA, null are not
    recorded, which leaves a reference blank and makes a text a unit of its own; the generated texts
    are taken as they are. Raises InputError when built of nothing, of unequal lengths, with doubled
    ids, or with an attribute whose name holds ×.
    """

    ids: tuple[str, ...]  # unique: "<example>#<question>"
    units: tuple[str, ...]  # patient or lesion, whose texts belong together
    questions: tuple[str, ...]  # which question a text answers: "report", "diagnosis" …
    prompts: tuple[str, ...]
    references: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str | None, ...]  # class name; None where the data has none
    complete: tuple[bool, ...]  # False: cut off at the largest number of new tokens
    attributes: Mapping[str, np.ndarray]  # (N,) object, names; "" where not recorded

    def __post_init__(self) -> None:
        require_table(self.ids, self.columns(), self.attributes)
        require_unique(self.ids)
        units = (
            recorded(unit) or identity for unit, identity in zip(self.units, self.ids, strict=True)
        )
        references = ("" if recorded(text) is None else text for text in self.references)
        object.__setattr__(self, "units", tuple(units))
        object.__setattr__(self, "references", tuple(references))
        object.__setattr__(self, "labels", tuple(map(recorded, self.labels)))

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self) -> dict[str, Sequence[Any]]:
        """What is known of each text but its attributes, by the key that a line has it under."""
        return {key: getattr(self, name) for key, name in COLUMNS.items()}

    def rows(self, rows: np.ndarray) -> Generations:
        """The texts at `rows`, an int array, with all that is known of them."""
        columns = {
            COLUMNS[key]: tuple(values[row] for row in rows)
            for key, values in self.columns().items()
        }
        attributes = {name: np.asarray(values)[rows] for name, values in self.attributes.items()}
        return Generations(**columns, attributes=attributes)

    def group_names(self, attribute: str) -> np.ndarray:
        """The (N,) group names of an attribute or intersection, with blanks named 'missing'.

        Raises InputError for an attribute that the texts do not have.
        """
        return group_names(self.attributes, attribute)


def image_ids(generations: Generations) -> list[str]:
    """The image that each text is about: its id without "#<question>"."""
    return [
        identity.removesuffix(f"#{question}")
        for identity, question in zip(generations.ids, generations.questions, strict=True)
    ]


def generations_of(rows: Iterable[Mapping[str, Any]]) -> Generations:
    """The table of lines (COLUMNS, `attributes`); keys but id, reference and text may lack."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.get("attributes") or {}))
    return Generations(
        ids=tuple(str(row["id"]) for row in rows),
        units=tuple(row.get("unit") for row in rows),
        questions=tuple(str(row.get("question") or DEFAULT_QUESTION) for row in rows),
        prompts=tuple(str(row.get("prompt") or "") for row in rows),
        references=tuple(str(row["reference"]) for row in rows),
        texts=tuple(str(row["text"]) for row in rows),
        labels=tuple(row.get("label") for row in rows),
        complete=tuple(bool(row.get("complete", True)) for row in rows),
        attributes={
            name: np.array(
                [recorded((row.get("attributes") or {}).get(name)) or "" for row in rows],
                dtype=object,
            )
            for name in names
        },
    )


def write_generations(generations: Generations, path: Path) -> None:
    """One JSON object a line; the file is whole or absent."""
    write_text(path, lines_of(generations))


def lines_of(generations: Generations) -> str:
    """The table as JSON lines. Raises InputError for what no file can hold: half a character."""
    columns = generations.columns()
    lines = [
        json.dumps(
            {key: values[row] for key, values in columns.items()}
            | {"attributes": {name: own[row] for name, own in generations.attributes.items()}},
            ensure_ascii=False,
        )
        + "\n"
        for row in range(len(generations))
    ]
    for identity, line in zip(generations.ids, lines, strict=True):
        if not is_whole(line):
            raise InputError(
                f"What is known of {identity!a} holds half a character (a lone surrogate), which is no "
                "text; write it anew."
            )
    return "".join(lines)


def read_generations(path: Path) -> Generations:
    """Texts of any model: a JSON object a line with `id`, `reference`, `text` and, where known,
    `attributes` (a mapping), `unit`, `question`, `prompt`, `label`, `complete`.

    Raises InputError listing the lines that cannot be used.
    """
    path = Path(path)
    rows = read_json_lines(path)
    wrong = [
        f"'{path}' line {number} {reason}"
        for number, row in rows.items()
        if (reason := _what_is_wrong(row)) is not None
    ]
    if wrong:
        raise InputError(first_few(wrong))
    try:
        return generations_of(rows.values())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _what_is_wrong(row: Mapping[str, Any]) -> str | None:
    """The rest of a sentence about a line that cannot be used."""
    attributes = row.get("attributes") or {}
    if not isinstance(attributes, dict):
        return "must have attributes as an object of names."
    for key in REQUIRED:
        if row.get(key) is None or row[key] != row[key]:  # NaN, as Python writes it
            return f"has no '{key}', or null there; a blank text is \"\"."
        if isinstance(row[key], bool):
            return f"has {str(row[key]).lower()} as '{key}', which is a text."
    for key, value in (row | attributes).items():
        if isinstance(value, dict | list) and key != "attributes":
            return f"has a list or an object as '{key}', which is one name or text."
    if not isinstance(row.get("complete", True), bool):
        return f"has {row['complete']!r} as 'complete', which is true or false."
    return None
