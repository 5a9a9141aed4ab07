"""How well do the findings that texts state agree with those of their references? F1 as a ratio of sums.

N texts, F findings, M weightings (one, or a resample each).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlora_cls.errors import InputError


@dataclass(frozen=True)
class FindingLabels:
    """Which findings the references and the generated texts state. Raises InputError on shapes that
    do not fit."""

    names: tuple[str, ...]  # (F,)
    reference: np.ndarray  # (N, F) bool
    generated: np.ndarray  # (N, F) bool
    applies: np.ndarray  # (N,) bool: False where there is no report to compare with
    labeller: str = "rules"  # who read them: "rules" or "CheXbert"

    def __post_init__(self) -> None:
        shape = (len(self.applies), len(self.names))
        for name in ("reference", "generated"):
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"The findings of '{name}' have the shape {getattr(self, name).shape}, not {shape}."
                )


@dataclass(frozen=True)
class FindingF1:
    """F1 in [0, 1], a row per weighting; NaN where it is undefined."""

    micro: np.ndarray  # (M,)
    macro: np.ndarray  # (M,)
    each: np.ndarray  # (M, F)


def finding_f1(findings: FindingLabels, weights: np.ndarray | None = None) -> FindingF1:
    """F1 over weighted texts: per finding 2 TP / (2 TP + FP + FN), each count a sum of weights.

    `weights`: (M, N) or (N,), how often each text counts (a bootstrap's counts, a group's 0 and 1);
    None counts each once. `micro` sums the counts over the findings first; `macro` is the mean over
    the findings that are defined. A finding that no counted reference and no counted text states
    is undefined (0/0): NaN in `each`, and left out of `macro`, which is NaN if none is left. Texts
    to which the findings do not apply never count. Raises InputError where weights do not fit.
    """
    count = len(findings.applies)
    weights = np.ones((1, count)) if weights is None else np.atleast_2d(weights)
    if weights.ndim != 2 or weights.shape[1] != count:
        raise InputError(f"{count} texts need weights of shape (M, {count}), not {weights.shape}.")
    weights = np.where(findings.applies, weights, 0).astype(np.float64)
    both = weights @ (findings.reference & findings.generated).astype(np.float64)
    stated = weights @ (findings.reference.astype(np.float64) + findings.generated)
    each = _ratio(2 * both, stated)
    defined = stated > 0
    macro = _ratio(np.where(defined, each, 0).sum(axis=1), defined.sum(axis=1))
    return FindingF1(_ratio(2 * both.sum(axis=1), stated.sum(axis=1)), macro, each)


def text_f1(findings: FindingLabels) -> np.ndarray:
    """(N,) F1 of each text's set of findings, 2 |R ∩ G| / (|R| + |G|).

    NaN where the findings do not apply or neither side states any.
    """
    both = (findings.reference & findings.generated).sum(axis=1)
    stated = findings.reference.sum(axis=1) + findings.generated.sum(axis=1)
    return np.where(findings.applies, _ratio(2.0 * both, stated), np.nan)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN for 0/0."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
