"""Greedy decoding with a key-value cache: Batch of prompts → token ids of the answers.

B prompts, T tokens of the longest, D hidden size.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch

from fairlora_cls.data.batching import Batch
from fairlora_cls.errors import RunError
from fairlora_cls.models.backbones import Backbone


@dataclass(frozen=True)
class Answer:
    """One decoded text, as token ids without the token that ended it."""

    tokens: tuple[int, ...]
    complete: bool  # False: cut off at the largest number of new tokens


def decode_greedily(
    backbone: Backbone, batch: Batch, end_tokens: Collection[int], max_new_tokens: int
) -> list[Answer]:
    """The likeliest next token, again and again, until an end token or `max_new_tokens`.

    `batch` holds left-padded prompts. What is padding never enters attention and positions are
    each prompt's own, so a text does not depend on what it is decoded with, up to float rounding.
    Raises RunError for scores that are not finite.
    """
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=backbone.model.config.get_text_config())
    count = len(batch.lengths)
    mask = batch.attention_mask
    if mask is None:
        mask = torch.ones_like(batch.input_ids)
    ends = torch.tensor(sorted(end_tokens), device=mask.device)
    positions = batch.position_ids  # (P, B, T)
    token_ids, features = batch.input_ids, batch.image_features
    next_position = positions.amax(dim=(0, 2)) + 1  # (B,)
    written: list[torch.Tensor] = []
    finite = torch.ones((), dtype=torch.bool, device=mask.device)
    running = torch.ones(count, dtype=torch.bool, device=mask.device)
    with torch.inference_mode():
        while True:
            hidden = backbone.hidden_states(token_ids, features, positions, mask, cache)
            scores = backbone.language_head(hidden[:, -1]).float()  # (B, vocabulary)
            chosen = scores.argmax(dim=-1)  # (B,)
            finite = finite & scores.isfinite().all()
            written.append(chosen)
            running = running & ~torch.isin(chosen, ends)
            if len(written) == max_new_tokens or not running.any():
                break
            token_ids, features = chosen[:, None], None
            positions = next_position.expand(len(batch.position_ids), -1)[..., None]
            next_position = next_position + 1
            mask = torch.cat([mask, mask.new_ones(count, 1)], dim=1)
    if not finite:
        raise RunError(
            f"The backbone '{backbone.name}' gives token scores that are not finite. Its weights are "
            "broken, or its numbers too large for training.precision; check its files, or train with "
            "fp32 or bf16."
        )
    rows = torch.stack(written, dim=1).tolist()
    return [_until_end(row, set(end_tokens)) for row in rows]


def _until_end(tokens: list[int], end_tokens: Collection[int]) -> Answer:
    for place, token in enumerate(tokens):
        if token in end_tokens:
            return Answer(tuple(tokens[:place]), complete=True)
    return Answer(tuple(tokens), complete=False)
