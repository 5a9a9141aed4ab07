"""What would a model score that says the same of every image?

N texts, R resamples.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fairlora_cls.evaluation.measuring import plain_estimate
from fairlora_cls.evaluation.results import ConstantAnswer, ConstantScore
from fairlora_cls.evaluation.text_sample import TextSample, text_sample
from fairlora_cls.statistics.draws import bootstrap
from fairlora_cls.texts.generations import Generations
from fairlora_cls.texts.scores import POOLED, TEXT_METRICS, score_texts

MOST_CANDIDATES = 100  # distinct references that are tried, the most frequent ones
MOST_COMPARED = 400  # distinct references that each is compared with, the most frequent ones


def constant_answers(generations: Generations) -> dict[str, str]:
    """For each question the reference that shares most words with all references of the question.

    Sharing is the F1 of the words' counts, averaged over the references (the MOST_COMPARED most
    frequent distinct ones, by their frequency). Where references repeat, that is mostly the most
    frequent one. Blank references are left out.
    """
    answers = {}
    for question in dict.fromkeys(generations.questions):
        counts = Counter(
            reference.strip()
            for reference, asked in zip(generations.references, generations.questions, strict=True)
            if asked == question and reference.strip()
        )
        if counts:
            answers[question] = _most_central(counts)
    return answers


def constant_answer(
    generations: Generations, sample: TextSample, resamples: int, seed: int
) -> ConstantAnswer:
    """The constant answers, their scores, and how far the model's texts are above them.

    Both are drawn alike, so that the difference is paired. Metrics from outside and those that need
    a downloaded model are left out, and questions whose references are all blank keep the texts.
    """
    answers = constant_answers(generations)
    texts = tuple(
        answers.get(question, text)
        for question, text in zip(generations.questions, generations.texts, strict=True)
    )
    names = [
        name for name in sample.names if name in TEXT_METRICS and TEXT_METRICS[name].needs is None
    ]
    if not names:
        return ConstantAnswer(answers, {})
    texts_alike = replace(generations, texts=texts)
    constant = text_sample(texts_alike, score_texts(texts_alike, names), names)
    both, codes = (sample.quick(), constant), np.zeros(len(texts), dtype=int)
    draws = [
        bootstrap(each, codes, 1, resamples, np.random.default_rng([seed, 0])).overall
        for each in both
    ]
    own, other = (each.everyone() for each in both)
    labellers = {each.findings.labeller for each in both if each.findings}
    if len(labellers) != 1:
        other = {name: value for name, value in other.items() if name not in POOLED}
    return ConstantAnswer(
        answers,
        {
            name: ConstantScore(
                None if np.isnan(other[name]) else other[name],
                plain_estimate(own[name] - other[name], draws[0][name] - draws[1][name]),
            )
            for name in other
        },
    )


def _most_central(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    words = {text: Counter(text.lower().split()) for text in ranked[:MOST_COMPARED]}
    sizes = {text: sum(counted.values()) for text, counted in words.items()}

    def shared(candidate: str) -> float:
        own = words[candidate]
        return sum(
            counts[text] * 2 * sum((own & other).values()) / (sizes[candidate] + sizes[text])
            for text, other in words.items()
        )

    return max(ranked[:MOST_CANDIDATES], key=shared)
