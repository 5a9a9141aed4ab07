"""What radgraph and f1chexbert still call of tokenizers, and transformers 5 no longer has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def older_tokenizers() -> Iterator[None]:
    """Inside, every tokenizer has `encode_plus` and `build_inputs_with_special_tokens` as before
    transformers 5, for tokenizers of BERT's kind ([CLS] … [SEP]), which the two packages use
    (radgraph 0.1.18, f1chexbert 0.0.2)."""
    from transformers import PreTrainedTokenizerBase

    methods = {
        "encode_plus": _encode_plus,
        "build_inputs_with_special_tokens": _build_inputs_with_special_tokens,
    }
    for name, method in methods.items():
        setattr(PreTrainedTokenizerBase, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(PreTrainedTokenizerBase, name)


def _encode_plus(tokenizer: Any, text: Any, text_pair: Any = None, **options: Any) -> Any:
    if isinstance(text, list):  # tokens, not a batch of texts as it would be today
        ids = tokenizer.convert_tokens_to_ids(text)
        return {"input_ids": tokenizer.build_inputs_with_special_tokens(ids)}
    return tokenizer(text, text_pair, **options)


def _build_inputs_with_special_tokens(tokenizer: Any, ids: Sequence[int]) -> list[int]:
    return [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
