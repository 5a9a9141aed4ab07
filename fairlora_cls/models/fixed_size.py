"""What architectures share that see every image at one size, by the resize of their own processor.

B images, T tokens, V visual tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from fairlora_cls.models.architecture import Architecture, Budget, Grid


def fit_image(config: Any, processor: Any, image: Image.Image, budget: Budget) -> Image.Image:
    """The processor's own padding, resize and crop; a pixel budget does not apply."""
    inputs = processor.image_processor(
        images=[image], do_rescale=False, do_normalize=False, return_tensors="pt"
    )
    pixels = inputs["pixel_values"][0].round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def refuse_other_size(config: Any, processor: Any) -> str:
    """`refusal` of a processor that gives images another size than the tower takes."""
    if processor is None:
        return ""
    size = fit_image(config, processor, Image.new("RGB", (64, 48)), (0, 0)).size
    side = config.vision_config.image_size
    if size == (side, side):
        return ""
    return (
        f"has an image processor that makes images of {size[0]} × {size[1]} px and a tower that takes "
        f"{side} × {side} px; use the files of one checkpoint."
    )


def pixel_values(model: Any, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
    """(B, 3, height, width) of fitted images, on the model's device."""
    inputs = processor.image_processor(
        images=list(images),
        do_pad=False,
        do_resize=False,
        do_center_crop=False,
        return_tensors="pt",
    )
    return inputs["pixel_values"].to(model.device, model.dtype)


def patch_count(vision: Any) -> int:
    """Patches of an image."""
    return (vision.image_size // vision.patch_size) ** 2


def fixed_size(
    *, grid_of_size: Callable[[Any, tuple[int, int], Budget], Grid], **own: Any
) -> Architecture:
    """An architecture that sees every image at one size; `own` are its other functions."""

    def encode(
        model: Any, processor: Any, images: Sequence[Image.Image]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        outputs = model.get_image_features(pixel_values(model, processor, images))
        grid = torch.tensor(grid_of_size(model.config, images[0].size, (0, 0)))
        return [(features, grid) for features in outputs.pooler_output]

    def fitted_size(config: Any, grid: Sequence[int]) -> tuple[int, int]:
        side = config.vision_config.image_size
        return side, side

    def positions(model: Any, input_ids: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """(1, T): tokens in order, visual ones like words."""
        return torch.arange(len(input_ids))[None]

    return Architecture(
        follows_budget=False,
        minimum_pixels=lambda config, processor: 0,
        fit_image=fit_image,
        grid_of_size=grid_of_size,
        fitted_size=fitted_size,
        positions=positions,
        encode=encode,
        projector=lambda model: model.multi_modal_projector,
        **own,
    )
