"""Do a few examples of tiny groups hide a gap between the groups that are large enough to tell?

N examples, G groups. The widest gap over all groups is often that of the smallest one, whose
chance is wide: five images of an unknown age can drown a gap between hundreds of young and old
patients. FairLLaVA leaves groups under 20 out for the same reason (§ 4.1).
"""

import numpy as np

from fairlora_cls.evaluation.intervals import tail_p_value
from fairlora_cls.evaluation.metrics import GAPS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import LargerGroups
from fairlora_cls.evaluation.uncertainty import counted_null_draws


def accuracy_gap_of_larger_groups(
    predictions: Predictions,
    names: tuple[str, ...],
    codes: np.ndarray,
    minimum: int,
    draws: int,
    generator: np.random.Generator,
) -> LargerGroups | None:
    """MaxAccGap among the groups of at least `minimum` examples, and its permutation test.

    `names` (G,), `codes` (N,) of the groups. None where no group is smaller, fewer than two are as
    large, or `draws` is 0.
    """
    sizes = np.bincount(codes, minlength=len(names))
    large = np.flatnonzero(sizes >= minimum)
    if len(large) == len(names) or len(large) < 2 or not draws:
        return None
    rows = np.flatnonzero(np.isin(codes, large))
    own = np.searchsorted(large, codes[rows])
    table = predictions.rows(rows)
    correct = table.predictions == table.labels
    accuracy = np.array([correct[own == code].mean() for code in range(len(large))])
    gap = GAPS["max_acc_gap"]
    null = gap.values(counted_null_draws(table, own, len(large), draws, generator))
    value = float(np.ptp(accuracy))
    return LargerGroups(
        minimum=minimum,
        left_out=tuple(n for n, size in zip(names, sizes, strict=True) if size < minimum),
        value=value,
        null_mean=float(null.mean()),
        p_value=tail_p_value(value, null, False),
        best=names[large[accuracy.argmax()]],
        worst=names[large[accuracy.argmin()]],
    )
