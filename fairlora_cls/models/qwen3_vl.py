"""Qwen3-VL: as Qwen2.5-VL, and features of several tower layers enter the first language layers.

B examples, T tokens, V visual tokens, D hidden size, C width of the vision tower, k deep layers.

Patches are 16 × 16 px, so that a visual token covers 32 × 32 px, and every layer of the tower sees
the whole image. A merger of its own joins the patches after each of the k `deepstack_visual_indexes`
layers; the results are added to the visual tokens after the language layers 1 … k (DeepStack, Meng
et al. 2024, arXiv 2406.04334). A row of image features therefore holds 1 + k parts side by side: the
tower's last layer, then its deep ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import nn

from fairlora_cls.models.qwen2_5_vl import QWEN2_5_VL, PatchGroups, run_tower


def encode(
    model: Any, processor: Any, images: Sequence[Image.Image]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    outputs, grids = run_tower(model, processor, images)
    counts = [len(rows) for rows in outputs.pooler_output]
    # Newer releases of transformers split the deep features by image, as they do the others.
    deep = [
        part if torch.is_tensor(part) else torch.cat(part) for part in outputs.deepstack_features
    ]
    rows = torch.cat([torch.cat(outputs.pooler_output), *deep], dim=-1)
    return list(zip(rows.split(counts), grids, strict=True))


def projector(model: Any) -> nn.ModuleList:
    """All mergers, in the order of the parts of a row."""
    return nn.ModuleList([model.visual.merger, *model.visual.deepstack_merger_list])


def bypass_mergers(model: Any) -> None:
    visual = model.visual
    visual.merger = PatchGroups(visual.spatial_merge_size)
    visual.deepstack_merger_list = nn.ModuleList(
        PatchGroups(visual.spatial_merge_size) for _ in visual.deepstack_merger_list
    )


def project(mergers: nn.ModuleList, features: torch.Tensor) -> torch.Tensor:
    """(ΣV, (1 + k)·4·C) → (ΣV, (1 + k)·D)."""
    parts = features.chunk(len(mergers), dim=-1)
    # A merger takes the patches one below another.
    width = mergers[0].norm.weight.shape[0]
    return torch.cat(
        [merger(part.reshape(-1, width)) for merger, part in zip(mergers, parts, strict=True)],
        dim=-1,
    )


def read(
    model: Any,
    embeddings: torch.Tensor,
    is_image: torch.Tensor,
    image_features: torch.Tensor | None,
    arguments: dict[str, Any],
) -> torch.Tensor:
    deep = {}
    if image_features is not None:
        _, *parts = image_features.to(embeddings.dtype).split(embeddings.shape[-1], dim=-1)
        deep = {"visual_pos_masks": is_image, "deepstack_visual_embeds": parts}
    return model.language_model(inputs_embeds=embeddings, **deep, **arguments).last_hidden_state


def patches(vision: Any, visual_tokens: int) -> tuple[int, float]:
    count = visual_tokens * vision.spatial_merge_size**2
    return count, vision.depth * count


QWEN3_VL = replace(
    QWEN2_5_VL,
    model_class="Qwen3VLModel",
    whole_class="Qwen3VLForConditionalGeneration",
    processor_class="Qwen3VLProcessor",
    encode=encode,
    projector=projector,
    bypass_projector=bypass_mergers,
    project=project,
    read=read,
    patches=patches,
)
