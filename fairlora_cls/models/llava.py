"""LLaVA 1.5: a CLIP tower at one image size, two linear layers between it and a Llama.

T tokens, V visual tokens, C width of the vision tower, D hidden size.

Visual tokens are the patches of the tower's layer `vision_feature_layer` (the last but one in
LLaVA 1.5) without the class token: 24 × 24 for images of 336 px and patches of 14 px (Liu et al.
2023, arXiv 2310.03744). The checkpoint's processor decides how an image gets to this size:
`do_pad` makes it a square first; without it the shorter side is resized and the middle square cut
out, so that the ends of a long image are not seen. LLaVA-Rad and FairLLaVA are of this family.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from fairlora_cls.models.architecture import Budget, Grid, read_language_model
from fairlora_cls.models.fixed_size import fixed_size, patch_count, refuse_other_size

CLASS_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0}  # besides the patches, by tower


def refusal(config: Any, processor: Any) -> str:
    tower = config.vision_config.model_type
    if tower in CLASS_TOKENS:
        return refuse_other_size(config, processor)
    return f"is a LLaVA with a {tower} as tower; there is: {', '.join(CLASS_TOKENS)}."


def grid_of_size(config: Any, size: tuple[int, int], budget: Budget) -> Grid:
    side = config.vision_config.image_size // config.vision_config.patch_size
    return 1, side, side


def visual_tokens(config: Any, grid: Sequence[int]) -> int:
    frames, rows, columns = (int(n) for n in grid)
    extra = CLASS_TOKENS[config.vision_config.model_type]
    if config.vision_feature_select_strategy == "default":
        extra -= 1  # the first token of the tower is left out
    return frames * rows * columns + extra


def bypass_projector(model: Any) -> None:
    model.multi_modal_projector = nn.Identity()


def patches(vision: Any, visual_tokens: int) -> tuple[int, float]:
    count = patch_count(vision) + CLASS_TOKENS[vision.model_type]
    return count, vision.num_hidden_layers * count


LLAVA = fixed_size(
    model_class="LlavaModel",
    whole_class="LlavaForConditionalGeneration",
    processor_class="LlavaProcessor",
    vision_settings=("vision_feature_layer", "vision_feature_select_strategy"),
    refusal=refusal,
    grid_of_size=grid_of_size,
    visual_tokens=visual_tokens,
    placeholder=lambda processor: processor.image_token,
    expanded=lambda processor, count: processor.image_token * count,
    bypass_projector=bypass_projector,
    project=lambda projector, features: projector(features),
    read=read_language_model,
    patches=patches,
)
