"""What the statistics need to know of N examples, whatever a model said of them: classes or texts.

N examples, G groups, R resamples. There are two samples: `ClassSample` and `TextSample`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from fairlora_cls.presentation.numbers import Quantity
from fairlora_cls.statistics.gaps import EquityScaled, Gap

MEDIAN = "median"

# A metric; a metric of one class against the rest, (metric, code); or its median, (metric, MEDIAN).
Key = str | tuple[str, int | str]
Measures = dict[Key, np.ndarray]


class Measure(Quantity):
    """A metric, as the statistics see it."""

    better: str  # higher | lower | neither
    exchangeable_within: str  # which examples may swap groups if these are equal: all, or a scheme
    rests_on: str  # what its count counts
    is_share: bool  # of a counted number of examples: what Wilson's interval is made for
    is_fraction: bool  # every value lies in [0, 1]
    is_area = False  # under a ROC curve: what Newcombe's interval is made for
    is_f1 = False
    is_mean_recall = False  # over classes
    is_raised_by_noise = False  # a distance: the fewer the examples, the larger without any reason


@dataclass(frozen=True)
class Cells:
    """The counted short cut: where counts of cells decide a metric, only counts are drawn."""

    of_example: np.ndarray  # (N,) ints
    width: int  # how many cells there are
    schemes: Mapping[str, tuple[np.ndarray, ...]]  # scheme → the cells of each kind, in order
    measure: Callable[[np.ndarray], Measures]  # (..., width) counts → (...) each
    scheme_of: Callable[[Key], str | None]  # under which it is measured; None: under none
    rest: Sample | None  # measures what counts do not decide
    order: np.ndarray  # (N,) the rows of `rest`, in which no resample needs to sort again


class Sample(Protocol):
    """N examples that can be measured under any weights."""

    units: Sequence[str] | None  # (N,) patient or lesion, drawn whole; None: each its own
    metrics: Mapping[str, Measure]
    gaps: Mapping[str, Gap]
    equity_scaled: Mapping[str, EquityScaled]
    schemes: tuple[str, ...]  # of exchange under equality, each of some metric

    def __len__(self) -> int: ...

    def rows(self, rows: np.ndarray) -> Self:
        """The examples at `rows`, an int array."""

    def weighted(self, weights: np.ndarray) -> Measures:
        """(R, N) how often each example counts → (R,) each."""

    def dealt(self, codes: Mapping[str, np.ndarray], sizes: np.ndarray) -> Measures:
        """Group names dealt out under each scheme, (R, N) codes → (R, G) each.

        sizes: (G,) how many examples each group has in every draw where no units are known
        """

    def observed(self, codes: np.ndarray, groups: int) -> Measures:
        """(N,) group of each example → (G,) each, of the data themselves."""

    def counts(self, codes: np.ndarray, groups: int) -> Measures:
        """How many examples each metric rests on in every group, (G,) each."""

    def independent(self, codes: np.ndarray, groups: int) -> Measures:
        """`counts` in units, where those are known: a patient's images tell less than as many
        patients'."""

    def sizes(self, codes: np.ndarray, groups: int) -> np.ndarray:
        """(G,) how large the groups are: in examples, or in images that texts are about."""

    def hits(self, codes: np.ndarray, groups: int) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """Metrics whose value is a share of a group's examples → its hits and its size, (G,) each."""

    def calibrated(
        self, codes: np.ndarray, groups: int, generator: np.random.Generator
    ) -> Measures:
        """Metrics that noise alone raises, in draws of a world where they are 0: (R, G) each."""

    def kinds(self, scheme: str) -> np.ndarray:
        """(N,) ints: examples of the same kind may exchange their groups under the scheme."""

    def paired(self, other: Self) -> Self:
        """2N rows: these answers, and after them another model's on the same examples."""

    def cells(self) -> Cells | None:
        """The counted short cut, where there is one."""

    def quick(self) -> Self:
        """The same examples with the gaps that are cheap enough to be taken in many strata."""


def stacked(of_groups: Sequence[Measures]) -> Measures:
    """Each group's (R,) values → (R, G)."""
    return {key: np.stack([values[key] for values in of_groups], axis=1) for key in of_groups[0]}


def joined(parts: Sequence[Measures]) -> Measures:
    """Chunks of draws, one after the other."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where `below` is 0."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    ratio = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.divide(above, below, out=ratio, where=below > 0)


def units_by_group(
    units: Sequence[str], codes: np.ndarray, groups: int, counted: np.ndarray
) -> np.ndarray:
    """(G,) how many units each group has among the examples of the (N,) mask `counted`."""
    numbers = np.unique(np.array(units, dtype=str), return_inverse=True)[1]
    pairs = np.unique(np.column_stack([codes[counted], numbers[counted]]), axis=0)
    return np.bincount(pairs[:, 0], minlength=groups)


def independent_sizes(sample: Sample, codes: np.ndarray, groups: int) -> np.ndarray:
    """(G,) how large the groups are in units, where those are known, else as `Sample.sizes`."""
    if sample.units is None:
        return sample.sizes(codes, groups)
    return units_by_group(sample.units, codes, groups, np.ones(len(codes), dtype=bool))
