"""A trained model over a split: what may not become a prediction."""

import numpy as np
import pytest

from fairlora_cls.errors import RunError
from fairlora_cls.runs.prediction import require_finite


def test_numbers_that_are_not_finite_are_told_by_name():
    logits = np.zeros((4, 2))
    require_finite(np.zeros((0, 2)), [], "logits")
    require_finite(logits, ["a", "b", "c", "d"], "logits")
    logits[1, 0], logits[3, 1] = np.nan, np.inf
    with pytest.raises(RunError, match=r"logits .* 2 of 4 .*first: b"):
        require_finite(logits, ["a", "b", "c", "d"], "logits")
    with pytest.raises(RunError, match="first: b"):
        require_finite(np.array([0.0, np.nan]), ["a", "b"], "losses")
