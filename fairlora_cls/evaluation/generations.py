"""What did a model write about each example? One table, in memory and as JSON lines, from any tool.

N texts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.prediction_table import MISSING
from fairlora_cls.files import write_text

DEFAULT_QUESTION = "text"  # of a file that does not say which question a text answers
REQUIRED = ("id", "reference", "text")


@dataclass(frozen=True)
class Generations:
    """The texts of one model. Raises InputError when built of nothing, of unequal lengths or with
    doubled ids."""

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
        if not self.ids:
            raise InputError("There are no generated texts.")
        columns = {name: value for name, value in vars(self).items() if name != "attributes"}
        for name, values in (columns | dict(self.attributes)).items():
            if len(values) != len(self.ids):
                raise InputError(f"There are {len(self.ids)} texts, but {len(values)} of '{name}'.")
        doubled = [i for i, n in Counter(self.ids).items() if n > 1]
        if doubled:
            raise InputError(
                f"Ids of texts must be unique: '{doubled[0]}' occurs more than once ({len(doubled)} such ids)."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def group_names(self, attribute: str) -> np.ndarray:
        """The (N,) group names of an attribute or intersection, with blanks named 'missing'.

        Raises InputError for an attribute that the texts do not have.
        """
        parts = []
        for name in attribute.split(INTERSECTION):
            if name not in self.attributes:
                raise InputError(
                    f"The texts have no attribute '{name}'{nearest(name, self.attributes)}"
                )
            values = ["" if v is None else str(v).strip() for v in self.attributes[name]]
            parts.append([value or MISSING for value in values])
        return np.array([INTERSECTION.join(cell) for cell in zip(*parts, strict=True)], dtype=str)


def generation_row(generations: Generations, place: int) -> dict[str, Any]:
    """One text as the values of its line."""
    return {
        "id": generations.ids[place],
        "unit": generations.units[place],
        "question": generations.questions[place],
        "prompt": generations.prompts[place],
        "reference": generations.references[place],
        "text": generations.texts[place],
        "label": generations.labels[place],
        "complete": generations.complete[place],
        "attributes": {name: values[place] for name, values in generations.attributes.items()},
    }


def generations_of(rows: Iterable[Mapping[str, Any]]) -> Generations:
    """The table of lines as `generation_row` makes them; keys but id, reference and text may lack."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.get("attributes") or {}))
    return Generations(
        ids=tuple(str(row["id"]) for row in rows),
        units=tuple(str(row.get("unit") or row["id"]) for row in rows),
        questions=tuple(str(row.get("question") or DEFAULT_QUESTION) for row in rows),
        prompts=tuple(str(row.get("prompt") or "") for row in rows),
        references=tuple(str(row["reference"]) for row in rows),
        texts=tuple(str(row["text"]) for row in rows),
        labels=tuple(None if row.get("label") is None else str(row["label"]) for row in rows),
        complete=tuple(bool(row.get("complete", True)) for row in rows),
        attributes={
            name: np.array(
                [_text((row.get("attributes") or {}).get(name)) for row in rows], dtype=object
            )
            for name in names
        },
    )


def write_generations(generations: Generations, path: Path) -> None:
    """One JSON object a line; the file is whole or absent."""
    lines = [
        json.dumps(generation_row(generations, place), ensure_ascii=False)
        for place in range(len(generations))
    ]
    write_text(path, "\n".join(lines) + "\n")


def read_generations(path: Path) -> Generations:
    """Texts of any model: a JSON object a line with `id`, `reference`, `text` and, where known,
    `attributes` (a mapping), `unit`, `question`, `prompt`, `label`, `complete`.

    Raises InputError naming the file and the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read as UTF-8 text ({error}).") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"Line {number} of '{path}' is not JSON ({error.msg}).") from error
        if not isinstance(row, dict) or not isinstance(row.get("attributes") or {}, dict):
            raise InputError(
                f"Line {number} of '{path}' must be an object, with attributes as an object of names."
            )
        missing = [key for key in REQUIRED if row.get(key) is None]
        if missing:
            raise InputError(f"Line {number} of '{path}' has no '{missing[0]}'.")
        rows.append(row)
    if not rows:
        raise InputError(f"'{path}' holds no texts.")
    return generations_of(rows)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
