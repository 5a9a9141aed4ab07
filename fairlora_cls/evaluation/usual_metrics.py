"""Which metrics say something of these texts, where the user names none?"""

from collections.abc import Iterable

import numpy as np

from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.evaluation.generations import Generations
from fairlora_cls.evaluation.text_sample import POOLED
from fairlora_cls.evaluation.text_scores import TEXT_METRICS
from fairlora_cls.texts.report_labels import NO_FINDING, label_reports

LEAST_SHARE = 0.05  # of the references that must state a finding for findings to be compared


def usual_metrics(generations: Generations) -> tuple[str, ...]:
    """The rows of TEXT_METRICS that need no other package, but `findings` only where references
    state two different ones or more: answers about skin would agree in having none, and "the
    lesion" is not one of the lung."""
    stated = np.delete(label_reports(generations.references), FINDINGS.index(NO_FINDING), axis=1)
    of_chest = stated.any(axis=0).sum() >= 2 and stated.any(axis=1).mean() >= LEAST_SHARE
    without = () if of_chest else ("findings",)
    return tuple(
        name for name, row in TEXT_METRICS.items() if row.needs is None and name not in without
    )


def needed_metrics(asked: Iterable[str]) -> tuple[str, ...]:
    """The rows of TEXT_METRICS that give the metrics asked for: `findings` gives the pooled F1."""
    return tuple(dict.fromkeys("findings" if name in POOLED else name for name in asked))
