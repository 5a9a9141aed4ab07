"""Where does each image lie in a feature space? One vector per id, from a file or a model.

N examples, D features.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlora_cls.data.answers import read_numbers, require_unique
from fairlora_cls.data.archives import open_archive, read_member
from fairlora_cls.data.tables import read_table, require_columns
from fairlora_cls.errors import InputError


@dataclass(frozen=True)
class Features:
    """A vector per image. Raises InputError when built of repeated ids, values that are not finite
    numbers, or shapes that do not fit."""

    ids: tuple[str, ...]
    values: np.ndarray  # (N, D) float64
    source: str  # what they are, in words

    def __post_init__(self):
        object.__setattr__(self, "ids", tuple(map(str, self.ids)))
        values = np.asarray(self.values, dtype=np.float64)
        object.__setattr__(self, "values", values)
        if values.ndim != 2 or len(values) != len(self.ids) or values.shape[1] == 0:
            raise InputError(
                f"{self.source}: {len(self.ids)} ids need features of shape (N, D), not {values.shape}"
            )
        require_unique(self.ids, f"{self.source}: ")
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise InputError(
                f"{self.source}: the features of {int(bad.sum())} ids hold NaN or infinity, the first "
                f"is the id '{self.ids[int(bad.argmax())]}'"
            )

    def of(self, ids: tuple[str, ...]) -> np.ndarray:
        """The features of these images, (len(ids), D). Raises InputError where some have none."""
        row_of = {identity: row for row, identity in enumerate(self.ids)}
        missing = [identity for identity in ids if identity not in row_of]
        if missing:
            raise InputError(
                f"{self.source}: {len(missing)} of {len(ids)} images have no features, the first is "
                f"the id '{missing[0]}'"
            )
        return self.values[[row_of[identity] for identity in ids]]


def read_features(path: Path) -> Features:
    """Reads a table (`data.tables.read_table`) with a column `id` and a number per other column, or an
    .npz with the arrays `ids` (N,) and `features` (N, D). Ids are taken as they stand. Pickled
    content is refused. Raises InputError."""
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    table = read_table(path).fillna("")
    require_columns(table, ["id"], path)
    try:
        values = read_numbers(table, [name for name in table if name != "id"], "a number")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Features(tuple(table["id"]), values, str(path))


def _read_npz(path: Path) -> Features:
    try:
        with open_archive(path) as archive:
            missing = {"ids", "features"} - set(archive.files)
            if missing:
                raise InputError(
                    f"{path} has no array '{min(missing)}'; it has: {', '.join(archive.files)}"
                )
            ids, values = read_member(archive, "ids"), read_member(archive, "features")
            return Features(tuple(ids.tolist()), values, str(path))
    except InputError:
        raise
    except Exception as error:  # broken archives make numpy and zipfile raise almost anything
        raise InputError(
            f"cannot read {path} as .npz of plain arrays (ids as text, features as numbers): {error}"
        ) from error
