"""A few texts for the reader to judge: among the best, in the middle, and among the worst.

N texts.
"""

import numpy as np

from fairlora_cls.evaluation.results import TextExample
from fairlora_cls.texts.generations import Generations
from fairlora_cls.texts.scores import TextScores

PER_TEXT = {  # what ranks single texts where all texts together give the headline
    "findings_f1_micro": ("findings", "chexbert_f1"),
    "findings_f1_macro": ("findings", "chexbert_f1"),
}
GRADED = ("rouge_l", "bleu_4", "bleu_1")  # what decides between texts of one headline score


def text_examples(
    generations: Generations, scores: TextScores, headline: str, each: int
) -> tuple[TextExample, ...]:
    """`each` texts of every place: best, median, worst, by the headline score and then by the first
    metric of GRADED. No pair of text and reference comes twice."""
    keys = ranking_metrics(scores, headline)
    if not keys or not each:
        return ()
    columns = {name: scores.per_text[name] for name in keys}
    ranked = np.flatnonzero(~np.any([np.isnan(column) for column in columns.values()], axis=0))
    order = ranked[np.lexsort([-columns[name][ranked] for name in reversed(keys)])]
    middle = order[np.argsort(np.abs(np.arange(len(order)) - (len(order) - 1) / 2), kind="stable")]
    seen: set[tuple[str, str]] = set()
    examples = []
    for place, rows in (("best", order), ("worst", order[::-1]), ("median", middle)):
        taken = 0
        for row in rows:
            pair = generations.references[row], generations.texts[row]
            if taken == each or pair in seen:
                continue
            seen.add(pair)
            taken += 1
            examples.append(_example(generations, int(row), place, keys[0], columns[keys[0]][row]))
    places = ("best", "median", "worst")
    return tuple(sorted(examples, key=lambda example: places.index(example.place)))


def ranking_metrics(scores: TextScores, headline: str) -> list[str]:
    """What ranks single texts: the headline or what stands for it, then one of word overlap."""
    first = [name for name in PER_TEXT.get(headline, (headline,)) if name in scores.defined]
    graded = [name for name in GRADED if name in scores.defined]
    return list(dict.fromkeys([*first[:1], *graded[:1]]))


def _example(
    generations: Generations, row: int, place: str, metric: str, score: float
) -> TextExample:
    return TextExample(
        place=place,
        ranked_by=metric,
        score=float(score),
        id=generations.ids[row],
        question=generations.questions[row],
        reference=generations.references[row],
        text=generations.texts[row],
    )
