"""Which examples share an optimizer step, and how they become tensors.

B examples, T tokens, V visual tokens, P rows of positions, F numbers of a row of image features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch


@dataclass(frozen=True)
class Batch:
    """Examples as the model reads them, padded to the longest."""

    indices: torch.Tensor  # (B,) int64, places in the split
    input_ids: torch.Tensor  # (B, T) int64
    position_ids: torch.Tensor  # (P, B, T) int64
    lengths: torch.Tensor  # (B,) int64, real tokens
    image_features: torch.Tensor  # (ΣV, F), in reading order
    attention_mask: torch.Tensor | None = None  # (B, T); None where right padding makes it needless
    draws: torch.Tensor | None = None  # (B,) float in [0, 1), decide a random token of each example
    answers: torch.Tensor | None = None  # (B, T) bool, the tokens that a generator is taught

    def to(self, device: torch.device) -> Batch:
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


class ImageFeatures(Protocol):
    """Where a split's visual features come from: the cache on disk, or the tower itself."""

    def __call__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Features (V, F) and grid (3,) of each example asked for."""


@dataclass(frozen=True)
class EncodedPrompt:
    """Token ids (T,) and positions (P, T) of the text around one image."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    answers: torch.Tensor | None = None  # (T,) bool, the tokens that a generator is taught


def pad(
    indices: Sequence[int],
    features: Sequence[tuple[torch.Tensor, torch.Tensor]],
    prompts: Sequence[EncodedPrompt],
    *,
    padding_side: str = "right",
) -> Batch:
    """Encoded examples and their visual features as one Batch.

    Right padding needs no attention mask: causal attention never looks to the right, and padding
    is never pooled. Left padding (as generation wants it) gets one. Padding ids are 0, an ordinary
    token that nothing reads; their positions go on counting, because transformers takes positions
    that start anew for another sequence in the same row and builds a mask against it.
    """
    lengths = [len(p.input_ids) for p in prompts]
    longest = max(lengths)
    input_ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
    rows = len(prompts[0].position_ids)
    position_ids = torch.zeros(rows, len(prompts), longest, dtype=torch.int64)
    mask = torch.zeros(len(prompts), longest, dtype=torch.int64)
    taught = any(p.answers is not None for p in prompts)
    answers = torch.zeros(len(prompts), longest, dtype=torch.bool) if taught else None
    for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        place = slice(0, length) if padding_side == "right" else slice(longest - length, longest)
        input_ids[row, place] = prompt.input_ids
        position_ids[:, row, place] = prompt.position_ids
        if padding_side == "right":
            beyond = torch.arange(1, longest - length + 1)
            position_ids[:, row, length:] = prompt.position_ids[:, -1:] + beyond
        mask[row, place] = 1
        if answers is not None:
            answers[row, place] = prompt.answers
    return Batch(
        indices=torch.tensor(list(indices), dtype=torch.int64),
        input_ids=input_ids,
        position_ids=position_ids,
        lengths=torch.tensor(lengths, dtype=torch.int64),
        image_features=torch.cat([f for f, _ in features]),
        attention_mask=mask if padding_side == "left" and min(lengths) < longest else None,
        answers=answers,
    )


def cut_steps(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """An order of examples cut into effective batches; the last may be smaller."""
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def shuffled_steps(codes: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Every example once, in random order. `codes` (N,) only count the examples."""
    return cut_steps(np.random.default_rng([seed, epoch]).permutation(len(codes)), batch_size)


def stratified_steps(codes: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Every example once; each effective batch holds the groups in their proportions.

    The examples of a group, in random order, are spread evenly over the epoch from a random start,
    so that a group too rare for every batch takes part in turn.
    """
    random = np.random.default_rng([seed, epoch])
    moments = np.empty(len(codes))  # in [0, 1), of the epoch
    for group in np.unique(codes):
        members = random.permutation(np.flatnonzero(codes == group))
        moments[members] = (np.arange(len(members)) + random.random()) / len(members)
    return cut_steps(np.argsort(moments, kind="stable"), batch_size)


def balanced_steps(codes: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """As many examples as there are, every group as often as any other, in random order.

    Rare groups are over-sampled (each member as often as any other, up to one), common ones
    under-sampled: the resampling baseline of FairLLaVA.
    """
    random = np.random.default_rng([seed, epoch])
    groups = np.unique(codes)
    # N rarely divides by G: the groups that get one example more change with the epoch.
    shares = np.full(len(groups), len(codes) // len(groups))
    shares[random.permutation(len(groups))[: len(codes) % len(groups)]] += 1
    chosen = []
    for group, share in zip(groups, shares, strict=True):
        members = np.flatnonzero(codes == group)
        rounds = -(-share // len(members))
        repeated = np.concatenate([random.permutation(members) for _ in range(rounds)])
        chosen.append(repeated[:share])
    return cut_steps(random.permutation(np.concatenate(chosen)), batch_size)


def order_by_length(steps: Sequence[np.ndarray], lengths: np.ndarray) -> list[np.ndarray]:
    """The same effective batches, in each the examples of like length (N,) side by side, so that its
    micro-batches need less padding."""
    return [step[np.argsort(lengths[step], kind="stable")] for step in steps]


def micro_batches(step: np.ndarray, size: int) -> list[np.ndarray]:
    """Positions within one effective batch, cut into micro-batches: [0..size), [size..2·size), …"""
    places = np.arange(len(step))
    return [places[i : i + size] for i in range(0, len(step), size)]


def ordered_batches(indices: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in order, cut into batches, for prediction."""
    for start in range(0, len(indices), size):
        yield list(indices[start : start + size])


# (codes (N,) of the protected groups, B, seed, epoch) → the effective batches of one epoch, arrays
# of indices. A sampler depends on nothing but its arguments, so every process and every resumed run
# sees the same.
SAMPLERS: dict[str, Callable[[np.ndarray, int, int, int], list[np.ndarray]]] = {
    "shuffle": shuffled_steps,
    "stratified": stratified_steps,
    "balanced": balanced_steps,
}
