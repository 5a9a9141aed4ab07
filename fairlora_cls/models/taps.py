"""Reads the hidden states of chosen layers while the model runs, pooled over tokens.

B examples, T tokens, S taps, D hidden size, L language layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fairlora_cls.data.batching import Batch
from fairlora_cls.errors import InputError


@dataclass(frozen=True)
class TapSettings:
    """Where a hidden state is read and how its tokens become one vector."""

    layers: tuple[int, ...]  # 1 … L, counted as transformers does: 0 would be the embeddings
    tokens: str = "image"  # of TOKENS
    pooling: str = "mean"  # of TOKEN_POOLINGS
    normalise: bool = False  # to L2 norm 1, after pooling


def tap_layers(tap: str | Sequence[int], layer_count: int) -> tuple[int, ...]:
    """Layers of a named tap or of explicit numbers, each once.

    `middle` is int((L + 1)·0.5) as in FairLLaVA's released code: 14 of Qwen2.5-VL-7B's 28, 16 of
    Vicuna-7B's 32. `mean` averages first, middle and last (paper Table 6). Layer 0, the embeddings,
    is refused: nothing that LoRA trains lies before it. Raises InputError.
    """
    named = {"first": [1], "middle": [int((layer_count + 1) * 0.5)], "last": [layer_count]}
    named["mean"] = [*named["first"], *named["middle"], *named["last"]]
    layers = named[tap] if isinstance(tap, str) else list(tap)
    if wrong := [layer for layer in layers if not 1 <= layer <= layer_count]:
        raise InputError(
            f"The tap names layer {wrong[0]}; this backbone has the layers 1 to {layer_count}."
        )
    return tuple(sorted(set(layers)))


def _image(is_image: torch.Tensor, is_real: torch.Tensor) -> torch.Tensor:
    return is_image


def _text(is_image: torch.Tensor, is_real: torch.Tensor) -> torch.Tensor:
    return is_real & ~is_image


def _all(is_image: torch.Tensor, is_real: torch.Tensor) -> torch.Tensor:
    return is_real


TOKENS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "image": _image,
    "text": _text,
    "all": _all,
}


def pool_tokens_mean(
    hidden: torch.Tensor, chosen: torch.Tensor, draws: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean over the chosen tokens (B, T)."""
    counts = chosen.sum(dim=1, keepdim=True).clamp(min=1)
    return (hidden * chosen[..., None]).sum(dim=1) / counts


def pool_tokens_random(
    hidden: torch.Tensor, chosen: torch.Tensor, draws: torch.Tensor | None
) -> torch.Tensor:
    """One of the chosen tokens, by the batch's `draws` (B,) in [0, 1); without draws, their mean.

    FairLLaVA's released code, where the token is uniform over the image. A trained model is probed
    without draws.
    """
    if draws is None:
        return pool_tokens_mean(hidden, chosen, draws)
    counts = chosen.sum(dim=1)
    wanted = (draws * counts).floor().clamp(max=counts - 1).to(counts.dtype)
    place = (chosen.cumsum(dim=1) <= wanted[:, None]).sum(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), place]


def pool_tokens_first(
    hidden: torch.Tensor, chosen: torch.Tensor, draws: torch.Tensor | None = None
) -> torch.Tensor:
    """The first of the chosen tokens."""
    first = chosen.to(torch.int64).argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), first]


def pool_tokens_last(
    hidden: torch.Tensor, chosen: torch.Tensor, draws: torch.Tensor | None = None
) -> torch.Tensor:
    """The last of the chosen tokens."""
    places = torch.arange(hidden.shape[1], device=hidden.device)
    last = torch.where(chosen, places, -1).amax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


TOKEN_POOLINGS: dict[str, Callable[..., torch.Tensor]] = {
    "mean": pool_tokens_mean,
    "random": pool_tokens_random,
    "last": pool_tokens_last,
}


def real_tokens(hidden: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """(B, T) bool: False on padding."""
    places = torch.arange(hidden.shape[1], device=hidden.device)[None]
    return (places >= first[:, None]) & (places <= last[:, None])


class HiddenTaps:
    """Hooks on the tapped layers only; nothing is kept of the others."""

    def __init__(self, layers: nn.ModuleList, settings: Sequence[TapSettings], image_token: int):
        self.settings = tuple(settings)
        self.image_token = image_token
        self.kept: dict[int, torch.Tensor] = {}
        self.open = False
        self.hooks: list[Any] = []
        for number in sorted({layer for tap in settings for layer in tap.layers}):
            self.hooks.append(layers[number - 1].register_forward_hook(self._hook(number)))

    def _hook(self, number: int) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if self.open:  # not while gradient checkpointing computes the layer again
                self.kept[number] = output[0] if isinstance(output, tuple) else output

        return keep

    def remove(self) -> None:
        """Take the hooks off, where the layers go on to another model."""
        for hook in self.hooks:
            hook.remove()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the tapped layers' outputs of the forward pass inside."""
        self.open = True
        try:
            yield
        finally:
            self.open = False

    def read(self, batch: Batch, is_real: torch.Tensor) -> torch.Tensor | None:
        """The tapped states of the pass just made, (B, S, D) float32; None without taps.

        `is_real` (B, T) is False on padding.
        """
        if not self.settings:
            return None
        is_image = batch.input_ids == self.image_token
        states = []
        for tap in self.settings:
            chosen = TOKENS[tap.tokens](is_image & is_real, is_real)
            pool = TOKEN_POOLINGS[tap.pooling]
            layers = [pool(self.kept[n].float(), chosen, batch.draws) for n in tap.layers]
            state = torch.stack(layers).mean(dim=0)
            states.append(functional.normalize(state, dim=-1) if tap.normalise else state)
        self.kept.clear()
        return torch.stack(states, dim=1)
