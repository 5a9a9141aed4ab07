"""What did a model say about each example? One table, in memory and as CSV, from any tool.

N examples, K classes.
"""

import csv
import difflib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairlora_cls.data.answers import (
    group_names,
    read_numbers,
    require_table,
    require_unique,
)
from fairlora_cls.data.cells import recorded
from fairlora_cls.data.groups import single_attributes
from fairlora_cls.data.tables import read_table, require_columns
from fairlora_cls.data.text_files import encoding_of, one_line, open_text
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import user_path, write_atomically
from fairlora_cls.plain_yaml import is_whole

UNLABELLED = -1  # the label code of an example whose label is not known
PROBABILITY_PREFIX = "prob_"
PROBABILITY = "a probability between 0 and 1"  # what a cell must be
SUM_TOLERANCE = 1e-3  # how far a row's probabilities may sum from 1, whatever their digits
MOST_ROUNDING = 0.05  # how far rounding to few digits may take the sum of many classes
UNIT = "unit"  # the column of patients or lesions: whose examples belong together
RESERVED = ("id", "label", "prediction", "score", UNIT)
SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Predictions:
    """The predictions of one model for N examples.

    Checked when built: raises InputError on an empty table, unequal lengths, duplicate ids, codes
    that are no whole numbers or outside the classes, probabilities outside [0, 1] or not summing to
    1 but for rounding (`_sum_tolerance`). Class names, groups and units are read by one rule
    (`data.cells`): 1.0 is 1, and nan, NA, null are not recorded. An example whose unit is not
    recorded is a unit of its own; units that are all different say nothing and become None.
    """

    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int codes into `classes`; UNLABELLED where not known
    predictions: np.ndarray  # (N,) int codes into `classes`
    probabilities: np.ndarray  # (N, K) float64, rows sum to 1
    classes: tuple[str, ...]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)  # (N,) names; "" or None: blank
    positive: int = -1  # code of the positive class; -1 stands for the last class
    units: tuple[str, ...] | None = None  # (N,) patient or lesion; None: each example its own

    def __post_init__(self):
        def settle(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        settle("ids", tuple(map(str, self.ids)))
        settle("classes", tuple(map(_class_name, self.classes)))
        if self.positive == -1:
            settle("positive", len(self.classes) - 1)
        settle("probabilities", _as_numbers(self.probabilities))
        for name in ("labels", "predictions"):
            settle(name, _whole_codes(getattr(self, name), name, self.classes, self.positive))
        _check_shapes(self)
        if self.units is not None:
            named = zip(map(recorded, self.units), self.ids, strict=True)
            units = tuple(unit or f"id {identity}" for unit, identity in named)
            settle("units", None if len(set(units)) == len(units) else units)
        _check_names(self)
        _check_values(self)

    def rows(self, rows: np.ndarray) -> "Predictions":
        """The examples at `rows`, an int array, without their attributes."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels[rows],
            predictions=self.predictions[rows],
            probabilities=self.probabilities[rows],
            attributes={},
            units=None if self.units is None else tuple(self.units[row] for row in rows),
        )

    def group_names(self, attribute: str) -> np.ndarray:
        """The (N,) group names of an attribute or intersection, with blanks named 'missing'.

        Raises InputError for an attribute that the table does not have.
        """
        return group_names(self.attributes, attribute)


def write_predictions(predictions: Predictions, path: str | Path) -> None:
    """Writes `id,label,prediction,prob_<class>…,<attribute>…` with names, all or nothing, and a last
    column `unit` where several examples are of one unit.

    An unknown label and a missing group value are left blank. Probabilities keep every digit, and
    names stand as they are, also where a spreadsheet would take one for a formula. Raises InputError
    for names that such a table cannot hold (`require_storable`).
    """
    path = Path(path)
    require_storable(predictions)
    names = np.array([*predictions.classes, ""], dtype=object)  # code -1 is the blank at the end
    columns = {
        "id": predictions.ids,
        "label": names[predictions.labels],
        "prediction": names[predictions.predictions],
    }
    for code, name in enumerate(predictions.classes):
        columns[PROBABILITY_PREFIX + name] = predictions.probabilities[:, code]
    for name, values in predictions.attributes.items():
        columns[name] = [recorded(value) or "" for value in values]
    if predictions.units is not None:
        columns[UNIT] = predictions.units
    write_atomically(path, lambda temporary: pd.DataFrame(columns).to_csv(temporary, index=False))


def require_storable(predictions: Predictions) -> None:
    """Raises InputError for names that a written table would not give back: with a line end or another
    control character. A run asks this before it begins, `write_predictions` again."""
    columns = {"id": predictions.ids, UNIT: predictions.units or (), "class": predictions.classes}
    columns |= {"attribute": predictions.attributes} | predictions.attributes
    for column, names in columns.items():
        for name in names:
            if name is not None and one_line(str(name)) != str(name):
                raise InputError(
                    f"the {column} {str(name)!r} holds a line end or another control character, "
                    "which a table of predictions cannot hold; rename it"
                )


def read_predictions(
    path: str | Path,
    attributes: str | Iterable[str] | None = None,
    positive: str | None = None,
    unit: str | None = None,
) -> Predictions:
    """Reads a prediction table, with commas, or with semicolons or tabs (then 0,5 may stand for 0.5).

    Columns: `id`; `label` (may be absent or blank: then the examples are unlabelled); either one
    `prob_<class>` per class, whose order is the order of the classes, or for two classes `score`,
    the probability of the positive class (classes are then the sorted names seen in `label` and
    `prediction`); `prediction` (absent: the class of highest probability, the first one on ties);
    `unit` (may be absent or blank: then an example is its own); and attribute columns. Every name is
    read as text, so labels 0 and 1 are the classes '0', '1'.

    path:       a CSV file
    attributes: columns, or intersections such as "sex×race"; None keeps every other column
    positive:   name of the positive class; None means the last class
    unit:       the column of patients or lesions, if it is not called `unit`
    Raises InputError with one sentence that names the file, the value seen and the way out.
    """
    table, path = read_cells(path), Path(path)
    require_columns(table, ["id", *([unit] if unit else [])], path)
    for name in ("label", "prediction"):
        _refuse_misspelt(table, name, path)
    try:
        classes, positive_code, probabilities = _read_probabilities(table, positive)
        labels, predicted = np.full(len(table), UNLABELLED), probabilities.argmax(axis=1)
        if "label" in table:
            labels = _codes(table["label"], classes, blank=UNLABELLED)
        if "prediction" in table:
            predicted = _codes(table["prediction"], classes)
        return Predictions(
            ids=tuple(table["id"]),
            labels=labels,
            predictions=predicted,
            probabilities=probabilities,
            classes=classes,
            attributes=_read_attributes(table, attributes, unit),
            positive=positive_code,
            units=tuple(table[unit or UNIT]) if (unit or UNIT) in table else None,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_cells(path: str | Path) -> pd.DataFrame:
    """The named columns as text, every cell as it stands, but probabilities with decimal points.

    Raises InputError.
    """
    path = user_path(path)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; name the table in it.")
    separator = _separator(path)
    table = read_table(path, separator=separator).fillna("")
    if separator != ",":  # then a comma may be a decimal one
        numeric = [n for n in table if n.startswith(PROBABILITY_PREFIX) or n == "score"]
        table[numeric] = table[numeric].apply(lambda column: column.str.replace(",", "."))
    return table


def _separator(path: Path) -> str:
    """The one of SEPARATORS that the header holds most often, of those between which it has a name
    `id` if there are any: a class may be called "a;b;c". A comma where it holds none, or cannot be
    read, which `read_table` then says."""
    try:
        with open_text(path, encoding_of(path)) as lines:
            header = lines.readline()
        names = {s: next(csv.reader([header], delimiter=s), []) for s in SEPARATORS}
    except (OSError, UnicodeError, EOFError, zlib.error, csv.Error):
        return SEPARATORS[0]
    fitting = [s for s in SEPARATORS if "id" in (name.strip() for name in names[s])]
    return max(fitting or SEPARATORS, key=header.count)


def _read_probabilities(
    table: pd.DataFrame, positive: str | None
) -> tuple[tuple[str, ...], int, np.ndarray]:
    """The classes, the positive class's code and the (N, K) probabilities."""
    columns = [name for name in table if name.startswith(PROBABILITY_PREFIX)]
    if columns:
        classes = tuple(_class_name(name.removeprefix(PROBABILITY_PREFIX)) for name in columns)
        if len(classes) < 2:
            raise InputError(
                f"only one probability column, '{columns[0]}'; give one prob_<class> column per "
                "class, or a column 'score' for a task of two classes"
            )
        return classes, _positive_code(classes, positive), read_numbers(table, columns, PROBABILITY)
    named = [name for name in ("label", "prediction") if name in table]
    if "score" not in table or not named:
        raise InputError(
            "the table needs one prob_<class> per class, or for two classes a column 'score' (the "
            "positive class's probability) and a column 'label'; the table has: "
            f"{', '.join(table.columns)}"
        )
    cells = {cell for name in named for cell in table[name]}
    classes = tuple(sorted({recorded(cell) for cell in cells} - {None}))
    if len(classes) != 2:
        raise InputError(
            f"a 'score' column needs two classes, and 'label' has {len(classes)} "
            f"({_listed(classes)}); give one prob_<class> column per class instead"
        )
    code = _positive_code(classes, positive)
    score = read_numbers(table, ["score"], PROBABILITY)[:, 0]
    outside = ~((score >= 0) & (score <= 1))
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            f"column 'score' has {score[row]:g} for id '{table['id'].iloc[row]}'; it must be the "
            f"probability of '{classes[code]}', between 0 and 1"
        )
    probabilities = np.empty((len(table), 2))
    probabilities[:, code], probabilities[:, 1 - code] = score, 1 - score
    return classes, code, probabilities


def _read_attributes(
    table: pd.DataFrame, attributes: str | Iterable[str] | None, unit: str | None
) -> dict[str, np.ndarray]:
    others = [
        name
        for name in table
        if name not in (*RESERVED, unit) and not name.startswith(PROBABILITY_PREFIX)
    ]
    wanted = others if attributes is None else single_attributes(attributes)
    for name in wanted:
        if name not in others:
            hint = nearest(name, others) or "; the table has none"
            raise InputError(f"no attribute column '{name}'{hint}")
    return {name: table[name].to_numpy(dtype=object) for name in wanted}


def _refuse_misspelt(table: pd.DataFrame, name: str, path: Path) -> None:
    """A column may be absent, but 'Label' or 'labels' is an error, not a table without labels."""
    plain = [column.lower() for column in table]
    if name not in table and difflib.get_close_matches(name, plain, cutoff=0.8):
        require_columns(table, [name], path)


def _codes(column: pd.Series, classes: tuple[str, ...], blank: int | None = None) -> np.ndarray:
    """Class names as codes; `blank` is the code where none is recorded, if that is allowed."""
    code_of: dict[str | None, int] = {name: code for code, name in enumerate(classes)}
    if blank is not None:
        code_of[None] = blank
    name_of = {cell: recorded(cell) for cell in set(column)}
    unknown = sorted(cell for cell, name in name_of.items() if name not in code_of)
    if unknown:
        raise InputError(
            f"column '{column.name}' has '{unknown[0]}', which is not a class; the classes are "
            f"{_listed(classes)}"
        )
    return np.array([code_of[name_of[cell]] for cell in column], dtype=int)


def _positive_code(classes: tuple[str, ...], positive: str | None) -> int:
    if positive is None:
        return len(classes) - 1
    name = recorded(positive)
    if name not in classes:
        raise InputError(
            f"positive class '{positive}' is not a class; the classes are {_listed(classes)}"
        )
    return classes.index(name)


def _class_name(name: Any) -> str:
    known = recorded(name)
    if known is None:
        raise InputError(
            f"a class cannot be called '{name}', which says that nothing is recorded; rename it"
        )
    return known


def _as_numbers(probabilities: Any) -> np.ndarray:
    try:
        return np.asarray(probabilities, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"probabilities must be one row of numbers an example, all of one length ({error})"
        ) from error


def _whole_codes(values: Any, what: str, classes: Sequence[str], positive: int) -> np.ndarray:
    """Class codes as whole numbers. True and False are codes only where they can mean one thing: the
    positive class, the last of two, or not."""
    try:
        codes = np.asarray(values)
        if codes.dtype == object:
            codes = np.array(codes.tolist())
    except ValueError as error:
        raise InputError(f"{what} must be one whole number an example ({error})") from error
    meant = (codes.dtype.kind in "iu") or (
        codes.dtype.kind == "b" and len(classes) == 2 and positive == 1
    )
    if codes.dtype.kind == "f":
        meant = bool((np.isfinite(codes) & (codes == np.round(codes))).all())
    if codes.ndim != 1 or not (meant or codes.size == 0):
        raise InputError(
            f"{what} must be the place of each example's class in {tuple(classes)}, a whole number "
            f"from 0 on, and they are such as {_listed(codes.ravel()[:3].tolist())}; turn scores or "
            "names into such codes first"
        )
    return codes.astype(int)


def _check_shapes(predictions: Predictions) -> None:
    ids, classes = predictions.ids, predictions.classes
    columns = {"label": predictions.labels, "prediction": predictions.predictions}
    if predictions.units is not None:
        columns[UNIT] = predictions.units
    require_table(ids, columns, predictions.attributes)
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise InputError(f"two or more different classes are needed, not {classes}")
    if not 0 <= predictions.positive < len(classes):
        raise InputError(
            f"positive class code {predictions.positive} is not one of the {len(classes)} classes"
        )
    if predictions.probabilities.shape != (len(ids), len(classes)):
        raise InputError(
            f"probabilities have shape {predictions.probabilities.shape}, and {len(ids)} examples of "
            f"{len(classes)} classes need ({len(ids)}, {len(classes)})"
        )


def _check_names(predictions: Predictions) -> None:
    require_unique(predictions.ids)
    attributes = predictions.attributes
    for name in attributes:
        if name in RESERVED or name.startswith(PROBABILITY_PREFIX):
            raise InputError(
                f"an attribute cannot be called '{name}': rename it (reserved: "
                f"{', '.join(RESERVED)}, and names that start with prob_)"
            )
    named = (predictions.ids, predictions.units or (), predictions.classes, attributes)
    for name in map(str, chain(*named, *attributes.values())):
        if not is_whole(name):
            raise InputError(
                f"the name {name!a} holds half a character or a NUL, which no text does; write it anew"
            )


def _check_values(predictions: Predictions) -> None:
    classes, ids = predictions.classes, predictions.ids
    for name, codes, lowest in (
        ("label", predictions.labels, UNLABELLED),
        ("prediction", predictions.predictions, 0),
    ):
        if codes.min() < lowest or codes.max() >= len(classes):
            raise InputError(
                f"{name} codes run from {codes.min()} to {codes.max()}, outside the "
                f"{len(classes)} classes"
            )
    values = predictions.probabilities
    outside = ~((values >= 0) & (values <= 1))
    if outside.any():
        row, code = np.argwhere(outside)[0]
        raise InputError(
            f"the probability of '{classes[code]}' for id '{ids[row]}' is {values[row, code]:g}; "
            "it must lie between 0 and 1 (logits need a softmax first)"
        )
    sums = values.sum(axis=1)
    wrong = np.abs(sums - 1) > _sum_tolerance(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"the probabilities of id '{ids[row]}' sum to {sums[row]:g}, and they must sum to 1; "
            f"{int(wrong.sum())} of {len(sums)} rows are off"
        )


def _sum_tolerance(probabilities: np.ndarray) -> float:
    """How far a row of K probabilities may sum from 1: half a unit of the last digit printed for each
    class, since each was rounded by itself; values are kept as printed. At least SUM_TOLERANCE, and
    never more than rounding to two digits or MOST_ROUNDING would explain."""
    for digits in range(2, 7):
        if np.abs(probabilities - np.round(probabilities, digits)).max() < 1e-9:
            rounding = probabilities.shape[1] * 0.5 * 10.0**-digits + 1e-9
            return max(SUM_TOLERANCE, min(rounding, MOST_ROUNDING))
    return SUM_TOLERANCE


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
