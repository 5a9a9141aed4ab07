"""Gemma 3 (and MedGemma): a SigLIP tower at one image size, visual tokens that see each other.

B examples, T tokens, V visual tokens, P patches, C width of the vision tower, D hidden size.

The projector averages the patches of each visual token (64 × 64 patches of an 896 px image to
16 × 16 tokens), normalises and multiplies by one matrix (Gemma Team 2025, arXiv 2503.19786). The
average has no weights, so that image features from before the projector are those after the average:
(V, C), a sixteenth of the patches. In the language layers the tokens of an image see each other in
both directions; most layers see a sliding window of tokens only. Images are resized to a square
without regard to their shape; pan and scan, which adds crops of long images and is off by default,
is refused: an example has one image.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from fairlora_cls.models.architecture import Budget, Grid
from fairlora_cls.models.fixed_size import fixed_size, patch_count, refuse_other_size


class PatchAverage(nn.Module):
    """In the projector's place: its average alone, (B, P, C) → (B, V, C)."""

    def __init__(self, side: int, pool: nn.Module):
        super().__init__()
        self.side = side  # patches on a side of the image
        self.pool = pool

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        plane = patches.transpose(1, 2).unflatten(2, (self.side, self.side)).contiguous()
        return self.pool(plane).flatten(2).transpose(1, 2)


def refusal(config: Any, processor: Any) -> str:
    if processor is not None and processor.image_processor.do_pan_and_scan:
        return "cuts crops out of long images; set do_pan_and_scan to false in its processor."
    return refuse_other_size(config, processor)


def grid_of_size(config: Any, size: tuple[int, int], budget: Budget) -> Grid:
    side = math.isqrt(config.mm_tokens_per_image)
    return 1, side, side


def bypass_projector(model: Any) -> None:
    projector = model.multi_modal_projector
    model.multi_modal_projector = PatchAverage(projector.patches_per_image, projector.avg_pool)


def project(projector: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """(ΣV, C) → (ΣV, D)."""
    return projector.mm_soft_emb_norm(features) @ projector.mm_input_projection_weight


def expanded(processor: Any, visual_tokens: int) -> str:
    """The processor's own sequence, which frames the visual tokens by line breaks and marks."""
    tokenizer = processor.tokenizer
    image = tokenizer.image_token * visual_tokens
    return f"\n\n{tokenizer.boi_token}{image}{tokenizer.eoi_token}\n\n"


def read(
    model: Any,
    embeddings: torch.Tensor,
    is_image: torch.Tensor,
    image_features: torch.Tensor | None,
    arguments: dict[str, Any],
) -> torch.Tensor:
    # The whole model rather than its language model: it builds the masks that let the tokens of an
    # image see each other.
    token_types = None if image_features is None else is_image.to(torch.int64)
    return model(
        inputs_embeds=embeddings, token_type_ids=token_types, **arguments
    ).last_hidden_state


def patches(vision: Any, visual_tokens: int) -> tuple[int, float]:
    count = patch_count(vision)
    return count, vision.num_hidden_layers * count


GEMMA3 = fixed_size(
    model_class="Gemma3Model",
    whole_class="Gemma3ForConditionalGeneration",
    processor_class="Gemma3Processor",
    vision_settings=("mm_tokens_per_image",),
    refusal=refusal,
    grid_of_size=grid_of_size,
    visual_tokens=lambda config, grid: config.mm_tokens_per_image,
    placeholder=lambda processor: processor.boi_token,
    expanded=expanded,
    bypass_projector=bypass_projector,
    project=project,
    read=read,
    patches=patches,
)
