"""Qwen2.5-VL: images of any size within a pixel budget, rotary positions in time, row and column.

B examples, T tokens, V visual tokens, D hidden size, C width of the vision tower.

The vision tower works on patches of 14 × 14 px, in windows of 8 × 8 patches except in a few layers;
the merger joins 2 × 2 patches to a visual token, so that one covers 28 × 28 px (Bai et al. 2025,
arXiv 2502.13923). Depth and widths come from the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import nn

from fairlora_cls.data.images import fit_to_budget, fitted_size
from fairlora_cls.models.architecture import Architecture, Budget, Grid, read_language_model

PLACEHOLDER = "<|image_pad|>"
LEAST_VISUAL_TOKENS = 4  # smaller images are enlarged to this, as by qwen-vl-utils


class PatchGroups(nn.Module):
    """In the merger's place: the patches of each visual token side by side, (ΣP, C) → (ΣV, k·C)."""

    def __init__(self, merge: int):
        super().__init__()
        self.patches = merge**2

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.reshape(-1, self.patches * patches.shape[-1])


def refusal(config: Any, processor: Any) -> str:
    if processor is None:
        return ""
    images, vision = processor.image_processor, config.vision_config
    if "image_grid_thw" not in images.model_input_names:
        return (
            f"has a {type(images).__name__}, which makes no patches for this tower; use the "
            "preprocessor_config.json that came with the checkpoint."
        )
    told = (images.patch_size, images.merge_size)
    if told == (vision.patch_size, vision.spatial_merge_size):
        return ""
    return (
        f"has an image processor with patches of {told[0]} px, {told[1]} × {told[1]} to a token, and a "
        f"tower with {vision.patch_size} px, {vision.spatial_merge_size} × {vision.spatial_merge_size}; "
        "use the files of one checkpoint."
    )


def token_side(config: Any) -> int:
    """Pixels on a side of the square that one visual token covers."""
    return config.vision_config.patch_size * config.vision_config.spatial_merge_size


def minimum_pixels(config: Any, processor: Any) -> int:
    """What the checkpoint's image processor says, and never less than four visual tokens."""
    least = LEAST_VISUAL_TOKENS * token_side(config) ** 2
    if processor is None:
        return least
    return max(least, processor.image_processor.size["shortest_edge"])


def fit_image(config: Any, processor: Any, image: Image.Image, budget: Budget) -> Image.Image:
    return fit_to_budget(image, *budget, token_side(config))


def grid_of_size(config: Any, size: tuple[int, int], budget: Budget) -> Grid:
    width, height = fitted_size(size, *budget, token_side(config))
    patch = config.vision_config.patch_size
    return 1, height // patch, width // patch


def size_of_grid(config: Any, grid: Sequence[int]) -> tuple[int, int]:
    patch = config.vision_config.patch_size
    return int(grid[2]) * patch, int(grid[1]) * patch


def visual_tokens(config: Any, grid: Sequence[int]) -> int:
    frames, rows, columns = (int(n) for n in grid)
    return frames * rows * columns // config.vision_config.spatial_merge_size**2


def positions(model: Any, input_ids: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Rotary positions (3, T): time, row, column."""
    token_types = (input_ids == model.config.image_token_id).to(torch.int32)
    found, _ = model.get_rope_index(
        input_ids[None], mm_token_type_ids=token_types[None], image_grid_thw=grid[None]
    )
    return found[:, 0]


def run_tower(
    model: Any, processor: Any, images: Sequence[Image.Image]
) -> tuple[Any, torch.Tensor]:
    """The stock model's outputs for fitted images, and their grids (N, 3)."""
    inputs = processor.image_processor(images=list(images), do_resize=False, return_tensors="pt")
    grids = inputs["image_grid_thw"]
    outputs = model.get_image_features(
        inputs["pixel_values"].to(model.device), grids.to(model.device)
    )
    return outputs, grids


def encode(
    model: Any, processor: Any, images: Sequence[Image.Image]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    outputs, grids = run_tower(model, processor, images)
    return list(zip(outputs.pooler_output, grids, strict=True))


def bypass_merger(model: Any) -> None:
    # The stock forward brings the merger's output from window order to reading order, and so also
    # the patches that are left as they are.
    model.visual.merger = PatchGroups(model.visual.spatial_merge_size)


def project(merger: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """(ΣV, k·C) → (ΣV, D)."""
    return merger(features.reshape(-1, merger.ln_q.weight.shape[0]))


def patches(vision: Any, visual_tokens: int) -> tuple[int, float]:
    """Windows of `window_size` px in all layers but `fullatt_block_indexes`."""
    count = visual_tokens * vision.spatial_merge_size**2
    window = min(count, (vision.window_size / vision.patch_size) ** 2)
    whole = len(vision.fullatt_block_indexes)
    return count, whole * count + (vision.depth - whole) * window


QWEN2_5_VL = Architecture(
    model_class="Qwen2_5_VLModel",
    whole_class="Qwen2_5_VLForConditionalGeneration",
    processor_class="Qwen2_5_VLProcessor",
    follows_budget=True,
    vision_settings=(),
    refusal=refusal,
    minimum_pixels=minimum_pixels,
    fit_image=fit_image,
    grid_of_size=grid_of_size,
    visual_tokens=visual_tokens,
    fitted_size=size_of_grid,
    placeholder=lambda processor: PLACEHOLDER,
    expanded=lambda processor, count: PLACEHOLDER * count,
    positions=positions,
    encode=encode,
    projector=lambda model: model.visual.merger,
    bypass_projector=bypass_merger,
    project=project,
    read=read_language_model,
    patches=patches,
)
