"""What one family of vision-language models does in its own way, as plain functions.

B examples, T tokens, V visual tokens, P rows of positions, D hidden size, F numbers of a row of
image features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import nn

Grid = tuple[int, int, int]  # frames, rows, columns of an image's patches or visual tokens
Budget = tuple[int, int]  # least and most px² of a resized image


@dataclass(frozen=True)
class Architecture:
    """The stock classes of transformers, and the functions in which families differ.

    `config` is the whole model's configuration, `model` an instance of `model_class`, and the sizes
    of images are in pixels, (width, height).
    """

    model_class: str  # in transformers, without a language head
    whole_class: str  # with it
    processor_class: str
    follows_budget: bool  # images keep their shape within a pixel budget; else one size for all
    vision_settings: tuple[str, ...]  # of `config` outside of its vision_config that shape features

    # (config, processor or None) → why such a model cannot be used; "" where it can
    refusal: Callable[[Any, Any], str]
    # (config, processor or None) → px² of the smallest image within a budget; 0 without one
    minimum_pixels: Callable[[Any, Any], int]
    # (config, processor, image, budget) → the image as the tower sees it
    fit_image: Callable[[Any, Any, Image.Image, Budget], Image.Image]
    # (config, size, budget) → the grid of an image stored with this size
    grid_of_size: Callable[[Any, tuple[int, int], Budget], Grid]
    # (config, grid) → V
    visual_tokens: Callable[[Any, Sequence[int]], int]
    # (config, grid) → the size of the fitted image
    fitted_size: Callable[[Any, Sequence[int]], tuple[int, int]]

    # (processor) → what the chat template writes for an image
    placeholder: Callable[[Any], str]
    # (processor, V) → what the processor makes of it
    expanded: Callable[[Any, int], str]
    # (model, input_ids (T,), grid (3,)) → (P, T)
    positions: Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]

    # (model, processor, fitted images) → of each image its features (V, F) and grid (3,)
    encode: Callable[[Any, Any, Sequence[Image.Image]], list[tuple[torch.Tensor, torch.Tensor]]]
    # (model) → the modules between tower and language layers
    projector: Callable[[Any], nn.Module]
    # (model) → None; puts in their place what only orders features, so that `encode` gives those
    # that `project` takes
    bypass_projector: Callable[[Any], None]
    # (projector, features before it (ΣV, F)) → features after it
    project: Callable[[nn.Module, torch.Tensor], torch.Tensor]

    # (model, embeddings (B, T, D), is_image (B, T), image features after the projector or None,
    #  arguments for the language model) → (B, T, D)
    read: Callable[..., torch.Tensor]

    # (vision config, patches of an image) → patches and, summed over layers, keys that each sees
    patches: Callable[[Any, int], tuple[int, float]]


def read_language_model(
    model: Any,
    embeddings: torch.Tensor,
    is_image: torch.Tensor,
    image_features: torch.Tensor | None,
    arguments: dict[str, Any],
) -> torch.Tensor:
    """`read` of architectures whose visual tokens are words like others: the language model's own."""
    return model.language_model(inputs_embeds=embeddings, **arguments).last_hidden_state
