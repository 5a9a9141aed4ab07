"""One function per architecture → Backbone, and the table BACKBONES.

B examples, T tokens, V visual tokens, D hidden size.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from fairlora_cls.data.images import Rescaling
from fairlora_cls.errors import InputError
from fairlora_cls.models import miniature

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}  # by precision
MERGED_PIXEL = 28  # one visual token covers 28×28 px (patch 14, merge 2)
MINIMUM_PIXELS = 4 * MERGED_PIXEL**2


@dataclass(frozen=True)
class Backbone:
    """A vision-language model without its language head, and the processor that feeds it."""

    name: str  # as the recipe names it
    model: Any  # a stock transformers model: vision tower + language layers
    processor: Any
    maximum_pixels: int  # px² of a resized image
    minimum_pixels: int
    lora_pattern: str  # regular expression; {targets} is replaced by the alternatives
    hidden_size: int  # D
    rescaling: Rescaling = "percentile"  # of pixels deeper than 8 bits

    @property
    def image_token(self) -> int:
        return self.model.config.image_token_id

    @property
    def language_layers(self) -> nn.ModuleList:
        """The language model's layers, in order."""
        return self.model.language_model.layers

    def encode_images(
        self, images: Sequence[Image.Image]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The frozen tower's features of each resized image: (V, D), and its grid (3,) in patches."""
        inputs = self.processor.image_processor(
            images=list(images), do_resize=False, return_tensors="pt"
        )
        device = self.model.visual.device
        with torch.no_grad():
            outputs = self.model.get_image_features(
                inputs["pixel_values"].to(device), inputs["image_grid_thw"].to(device)
            )
        return list(zip(outputs.pooler_output, inputs["image_grid_thw"], strict=True))

    def visual_tokens(self, grid: torch.Tensor) -> int:
        """V for a grid of (frames, rows, columns) patches."""
        return int(grid.prod()) // self.model.visual.spatial_merge_size**2

    def positions(self, input_ids: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Rotary positions (3, T) of one example with one image (time, row, column)."""
        token_types = (input_ids == self.image_token).to(torch.int32)
        positions, _ = self.model.get_rope_index(
            input_ids[None], mm_token_type_ids=token_types[None], image_grid_thw=grid[None]
        )
        return positions[:, 0]

    def hidden_states(
        self,
        input_ids: torch.Tensor,
        image_features: torch.Tensor,
        position_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The last layer's normalised hidden states, (B, T, D).

        `input_ids` (B, T), `image_features` (ΣV, D) in reading order, `position_ids` (3, B, T).
        Without `attention_mask`, attention is causal only: exact for every token left of the
        padding, and SDPA may take its fastest kernel.
        """
        language_model = self.model.language_model
        embeddings = language_model.embed_tokens(input_ids)
        is_image = (input_ids == self.image_token)[..., None]
        embeddings = embeddings.masked_scatter(is_image, image_features.to(embeddings.dtype))
        return language_model(
            inputs_embeds=embeddings,
            position_ids=position_ids,
            attention_mask=attention_mask,
            use_cache=False,
        ).last_hidden_state

    def vision_fingerprint(self) -> str:
        """A hash of all that decides the features of an image besides the image itself.

        Weights and numeric type of the vision tower, the processor's settings, the pixel budget
        and the rescaling of deep pixels: a changed one is another key in the vision cache.
        """
        digest = hashlib.blake2b(digest_size=16)
        settings = {
            "processor": self.processor.image_processor.to_dict(),
            "pixels": [self.minimum_pixels, self.maximum_pixels, self.rescaling],
            "config": self.model.config.vision_config.to_dict(),
        }
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, tensor in sorted(self.model.visual.state_dict().items()):
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            if flat.numel():
                digest.update(flat.view(torch.uint8).numpy())
        return digest.hexdigest()


def load_qwen2_5_vl(name: str, dtype: torch.dtype, maximum_pixels: int) -> Backbone:
    """Qwen2.5-VL from a Hub name or a local folder, as `Qwen2_5_VLModel`, vision tower frozen.

    Raises InputError when it cannot be found or any weight is missing: transformers itself would
    go on with random numbers in its place.
    """
    from transformers import Qwen2_5_VLModel, Qwen2_5_VLProcessor

    model = load_stock_model(Qwen2_5_VLModel, name, dtype)
    processor = _load_pretrained(Qwen2_5_VLProcessor, name)
    return wrap_qwen2_5_vl(name, model, processor, maximum_pixels)


def load_language_head(
    name: str, dtype: torch.dtype, maximum_pixels: int
) -> tuple[Backbone, nn.Module]:
    """The backbone together with its language head, for label-word zero-shot only."""
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

    whole = load_stock_model(Qwen2_5_VLForConditionalGeneration, name, dtype).requires_grad_(False)
    processor = _load_pretrained(Qwen2_5_VLProcessor, name)
    return wrap_qwen2_5_vl(name, whole.model, processor, maximum_pixels), whole.lm_head


def wrap_qwen2_5_vl(name: str, model: Any, processor: Any, maximum_pixels: int) -> Backbone:
    """A Backbone around a `Qwen2_5_VLModel` in memory (or on the meta device, to count)."""
    if maximum_pixels < MINIMUM_PIXELS:
        raise InputError(
            f"model.max_pixels is {maximum_pixels}; at least {MINIMUM_PIXELS} px² (four visual tokens) are needed."
        )
    model.requires_grad_(False)
    model.eval()
    return Backbone(
        name=name,
        model=model,
        processor=processor,
        maximum_pixels=maximum_pixels,
        minimum_pixels=MINIMUM_PIXELS,
        lora_pattern=r".*language_model.*\.({targets})",
        hidden_size=model.config.text_config.hidden_size,
    )


def load_stock_model(model_class: Any, name: str, dtype: torch.dtype) -> Any:
    """A stock transformers model with every weight found, or InputError."""
    with _quiet_load_report():
        model, loading = _load_pretrained(model_class, name, dtype=dtype, output_loading_info=True)
    missing = sorted(loading["missing_keys"]) + sorted(str(k) for k in loading["mismatched_keys"])
    if missing:
        raise InputError(
            f"The checkpoint '{name}' lacks {len(missing)} weights that {model_class.__name__} needs "
            f"(first: {missing[0]}); it would start from random numbers. Use a complete Qwen2.5-VL checkpoint."
        )
    return model


def _load_pretrained(loader: Any, name: str, **options: Any) -> Any:
    folder = miniature.FOLDER if name == "miniature" else Path(name)
    source = str(folder) if folder.is_dir() else name
    try:
        return loader.from_pretrained(source, **options)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"The backbone '{name}' cannot be loaded ({reason}); give 'miniature', a local folder, "
            "or a Hub name such as Qwen/Qwen2.5-VL-7B-Instruct that this machine can reach or has cached."
        ) from error


@contextmanager
def _quiet_load_report() -> Iterator[None]:
    """Silence transformers' table of unexpected keys (lm_head), which we leave out on purpose."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


BACKBONES: dict[str, Callable[[str, torch.dtype, int], Backbone]] = {
    "qwen2_5_vl": load_qwen2_5_vl,
}


def load_backbone(name: str, dtype: torch.dtype, maximum_pixels: int) -> Backbone:
    """The backbone that a recipe names, by the `model_type` its configuration states.

    `name`: `miniature`, a local folder or a Hub name. Raises InputError for an architecture that
    is not in BACKBONES.
    """
    from transformers import AutoConfig

    architecture = _load_pretrained(AutoConfig, name).model_type
    if architecture not in BACKBONES:
        raise InputError(f"'{name}' is a {architecture} model; there is: {', '.join(BACKBONES)}.")
    return BACKBONES[architecture](name, dtype, maximum_pixels)
