"""How close are the words of a text to those of its reference? Exact match, BLEU and ROUGE-L.

Each function scores one pair in [0, 1]. A reference without a word is no reference: NaN. A text
without a word, where the reference has some, scores 0.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np


def normalise(text: str) -> str:
    """Words alone: compatibility forms unified (NFKC), case folded, every run of characters that
    are no letters or digits one space, outer spaces stripped."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", folded).strip()


def exact_match(text: str, reference: str) -> float:
    """1 where text and reference are the same words in the same order (`normalise`), else 0."""
    wanted = normalise(reference)
    return float(normalise(text) == wanted) if wanted else np.nan


def bleu(text: str, reference: str, order: int) -> float:
    """Sentence BLEU by sacrebleu (Papineni et al. 2002; Post 2018), up to n-grams of `order`, / 100.

    Signature nrefs:1|case:lc|eff:yes|tok:13a|smooth:exp: lower case, mteval-13a tokens, geometric
    mean of the n-gram precisions, those without a hit smoothed exponentially (Chen and Cherry 2014,
    method 3) unless no word hits at all (0), only orders that the text is long enough for, times
    the brevity penalty exp(1 - r / c) where the text's length c is below the reference's r. The mean
    over texts is not corpus BLEU, which has no value for a single text.
    """
    if not normalise(reference):
        return np.nan
    if not normalise(text):
        return 0.0
    return min(_bleu_scorer(order).sentence_score(text, [reference]).score / 100, 1.0)


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F-measure by rouge-score (Lin 2004): 2 P R / (P + R), P and R the longest common
    subsequence of words over the text's and the reference's length.

    Lower case, no stemming. Accents are taken off first, since rouge-score drops every letter but
    a to z: a reference without such a letter or a digit has no score (NaN).
    """
    text, reference = _plain_letters(text), _plain_letters(reference)
    if not re.search(r"[a-z0-9]", reference):
        return np.nan
    return float(_rouge_scorer().score(reference, text)["rougeL"].fmeasure)


def _plain_letters(text: str) -> str:
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


@cache
def _bleu_scorer(order: int) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(
        max_ngram_order=order,
        lowercase=True,
        tokenize="13a",
        smooth_method="exp",
        effective_order=True,
    )


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=False)
