"""How close are the words of a text to those of its reference? Exact match, BLEU and ROUGE-L.

Each function scores one pair in [0, 1]. A reference without a word is no reference: NaN. A text
without a word, where the reference has some, scores 0. Words are those of any script: runs of
letters, digits and the marks that belong to them; where a script sets no spaces between words
(Chinese, Japanese, Thai …) each character is one. In English they are the published ones.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np

UNSPACED = (  # scripts without spaces between words, as ranges of characters
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Japanese kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
_UNSPACED = re.compile(f"[{UNSPACED}]")
_LOSES_ACCENTS = re.compile("[a-zͰ-Ͽ]")  # Latin and Greek, where capitals are often without


def normalise(text: str) -> str:
    """Words alone: compatibility forms unified (NFKC), case folded, every run of characters that
    are no letters, digits or marks of letters one space, outer spaces stripped."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if _is_of_a_word(c) else " " for c in folded).split())


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
    over texts is not corpus BLEU, which has no value for a single text. Characters of scripts
    without spaces are set apart first, as sacrebleu's tokenizer for Chinese does.
    """
    if not normalise(reference):
        return np.nan
    if not normalise(text):
        return 0.0
    text, reference = (_UNSPACED.sub(r" \g<0> ", part) for part in (text, reference))
    return min(_bleu_scorer(order).sentence_score(text, [reference]).score / 100, 1.0)


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F-measure by rouge-score (Lin 2004): 2 P R / (P + R), P and R the longest common
    subsequence of words over the text's and the reference's length.

    Lower case, no stemming; Latin and Greek letters lose their accents. rouge-score's own tokens
    are a to z and digits alone, so that opposite texts of another script would agree in their
    numbers; these are words of any script, and the same in English.
    """
    if not words(reference):
        return np.nan
    return float(_rouge_scorer().score(reference, text)["rougeL"].fmeasure)


def words(text: str) -> list[str]:
    """The words that ROUGE-L compares."""
    plain = []
    for character in unicodedata.normalize("NFKD", text.casefold()):
        if not (unicodedata.combining(character) and plain and _LOSES_ACCENTS.match(plain[-1])):
            plain.append(character)
    spaced = _UNSPACED.sub(r" \g<0> ", unicodedata.normalize("NFC", "".join(plain)))
    return normalise(spaced).split()


def _is_of_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


class _Words:
    """What rouge-score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


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

    return RougeScorer(["rougeL"], tokenizer=_Words())
