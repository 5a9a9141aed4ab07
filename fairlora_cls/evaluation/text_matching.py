"""Would the text have been as good, had the same findings come from another group? Matched pairs.

N texts.
"""

from collections.abc import Iterable

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.features import Features
from fairlora_cls.evaluation.generations import Generations
from fairlora_cls.evaluation.matching import CounterfactualGaps, Judged, matched_gaps
from fairlora_cls.evaluation.results import TextReport
from fairlora_cls.evaluation.text_examples import ranking_metrics
from fairlora_cls.evaluation.text_sample import image_ids, text_sample
from fairlora_cls.evaluation.text_scores import TextScores


def counterfactual_text_gaps(
    generations: Generations,
    scores: TextScores,
    report: TextReport,
    features: Features,
    attributes: str | Iterable[str],
    *,
    minimum_similarity: float = 0.7,
) -> tuple[CounterfactualGaps, ...]:
    """The gaps in the headline score inside matched pairs, one result per attribute.

    A pair answers the same question about images whose references state the same findings, or
    that have the same label where no findings are read. A headline of all texts together
    (micro F1) is replaced by its score per text; texts without a score are left out.
    features: of all images, by the id of the image (a text's id without its question)
    Raises InputError for images without features, and texts with neither findings nor labels.
    """
    scored = text_sample(generations, scores)
    metric = ranking_metrics(scored, report.headline)[0]
    values = scored.scores(metric)
    rows = np.flatnonzero(~np.isnan(values))
    alike, kinds = _kinds(generations, scores)
    asked = np.unique(np.array(generations.questions, dtype=str), return_inverse=True)[1]
    both = np.column_stack([kinds, asked])[rows]
    images = image_ids(generations)
    facts = report.metrics[metric]
    judged = Judged(
        metric=facts.title,
        is_rate=facts.kind == "rate",
        scores=values[rows],
        alike=alike,
        kinds=np.unique(both, axis=0, return_inverse=True)[1].ravel(),
        groups={name: generations.group_names(name)[rows] for name in listed_names(attributes)},
    )
    found = features.of(tuple(images[row] for row in rows))
    return matched_gaps(judged, found, minimum_similarity, report.bootstrap, report.seed)


def _kinds(generations: Generations, scores: TextScores) -> tuple[str, np.ndarray]:
    """What makes two images alike, and (N,) ints that are equal where they are."""
    if scores.findings is not None:
        rows = scores.findings.reference
        return "findings", np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    if any(label is None for label in generations.labels):
        raise InputError(
            "Matched pairs need the findings of the references (--text-metric findings) or a label of "
            "every text; these texts have neither."
        )
    return "label", np.unique(np.array(generations.labels, dtype=str), return_inverse=True)[1]
