"""A vision-language model ready to be adapted, and the table BACKBONES: one row per architecture.

B examples, T tokens, V visual tokens, P rows of positions, D hidden size, F numbers of a row of
image features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import nn

from fairlora_cls.data.images import LARGEST_RATIO, READING, Rescaling
from fairlora_cls.data.prompts import render_prompt, tokenise
from fairlora_cls.errors import InputError
from fairlora_cls.models.architecture import Architecture, Budget
from fairlora_cls.models.gemma3 import GEMMA3
from fairlora_cls.models.llava import LLAVA
from fairlora_cls.models.loading import (
    explained,
    load_pretrained,
    load_stock_model,
    read_settings,
    require_processor,
)
from fairlora_cls.models.qwen2_5_vl import QWEN2_5_VL
from fairlora_cls.models.qwen3_vl import QWEN3_VL

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}  # by precision

BACKBONES: dict[str, Architecture] = {  # by the `model_type` of a configuration
    "qwen2_5_vl": QWEN2_5_VL,
    "llava": LLAVA,
    "qwen3_vl": QWEN3_VL,
    "gemma3": GEMMA3,
}


@dataclass(frozen=True)
class Backbone:
    """A frozen vision-language model, the processor that feeds it, and what its family does.

    `model` holds vision tower and language layers, and the projector between them unless that is
    trained. Then the projector stands beside the model, in float32 with gradients, image features
    are those from before it, and `hidden_states` applies it. Whoever trains registers `projector`
    and `language_head`, which also stands beside, as modules of their own.
    """

    name: str  # as the recipe names it
    architecture: Architecture
    model: Any  # a stock transformers model: vision tower + language layers
    processor: Any
    projector: nn.Module
    maximum_pixels: int  # px² of a resized image, where the architecture follows a budget
    rescaling: Rescaling = "percentile"  # of pixels deeper than 8 bits
    language_head: nn.Module | None = None  # (B, T, D) → (B, T, vocabulary)
    train_projector: bool = False

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """D of the language layers."""
        return self.config.text_config.hidden_size

    @property
    def minimum_pixels(self) -> int:
        """px² of the smallest resized image; 0 where the architecture follows no budget."""
        return self.architecture.minimum_pixels(self.config, self.processor)

    @property
    def budget(self) -> Budget:
        """Least and most px² of a resized image."""
        return self.minimum_pixels, self.maximum_pixels

    @property
    def image_token(self) -> int:
        """The id that stands at every visual token."""
        return self.config.image_token_id

    @property
    def image_placeholder(self) -> str:
        """What the chat template writes for an image."""
        return self.architecture.placeholder(self.processor)

    @property
    def language_model(self) -> Any:
        return self.model.language_model

    @property
    def language_layers(self) -> nn.ModuleList:
        """The language model's layers, in order."""
        return self.language_model.layers

    @property
    def lora_pattern(self) -> str:
        """A regular expression for linear layers of the language model alone; {targets} is replaced."""
        return r".*language_model.*\.({targets})"

    def fit_image(self, image: Image.Image) -> Image.Image:
        """The image as the tower sees it: resized, and cropped where the architecture crops.

        Raises ValueError for a sliver, as `grid_of_size` does.
        """
        self.grid_of_size(image.size)
        return self.architecture.fit_image(self.config, self.processor, image, self.budget)

    def grid_of_size(self, size: tuple[int, int]) -> torch.Tensor:
        """The grid (3,) that an image of `size` (width, height) px will have.

        Raises ValueError for a sliver, of which less than one visual token would be left.
        """
        grid: Sequence[int] = ()
        if max(size) <= LARGEST_RATIO * min(size):
            grid = self.architecture.grid_of_size(self.config, size, self.budget)
        if not all(grid) or not grid:
            raise ValueError(f"{size[0]} × {size[1]} px is too narrow for {self.name}")
        return torch.tensor(grid, device="cpu")

    def fitted_size(self, grid: torch.Tensor) -> tuple[int, int]:
        """(width, height) in px of a fitted image with this grid."""
        return self.architecture.fitted_size(self.config, grid.tolist())

    def encode_images(
        self, images: Sequence[Image.Image]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The frozen tower's features of each fitted image: (V, F), and its grid (3,).

        A row per visual token, in reading order; after the projector, or, where that is trained,
        all that it takes of this token.
        """
        with torch.no_grad():
            return self.architecture.encode(self.model, self.processor, images)

    def visual_tokens(self, grid: torch.Tensor) -> int:
        """V for a grid of (frames, rows, columns)."""
        return self.architecture.visual_tokens(self.config, grid.tolist())

    def encode_text(self, text: str, grid: torch.Tensor) -> torch.Tensor:
        """Token ids (T,) of a chat template's text with one image of this grid, as the processor
        makes them. Raises InputError where the words besides hold an image token."""
        image = self.architecture.expanded(self.processor, self.visual_tokens(grid))
        tokenizer = self.processor.tokenizer
        # Some chat templates write the token that begins a text, others leave it to the tokenizer.
        begun = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
        expanded = text.replace(self.image_placeholder, image, 1)
        ids = tokenise(tokenizer, expanded, begins=not begun)
        if ids.count(self.image_token) != self.visual_tokens(grid):
            raise InputError(
                f"The text must hold one image and no other image token of '{self.name}': {text!r}."
            )
        return torch.tensor(ids, dtype=torch.int64)

    def positions(self, input_ids: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Positions (P, T) of one example with one image; P is 3 (time, row, column) for Qwen's
        rotary positions, 1 elsewhere."""
        return self.architecture.positions(self.model, input_ids, grid)

    def hidden_states(
        self,
        input_ids: torch.Tensor,
        image_features: torch.Tensor | None,
        position_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        cache: Any | None = None,
    ) -> torch.Tensor:
        """The last layer's normalised hidden states, (B, T, D).

        `input_ids` (B, T), `image_features` (ΣV, F) in reading order, `position_ids` (P, B, T).
        Without `attention_mask` no token sees what stands right of it (in Gemma 3: of its image),
        which is exact for every token left of the padding, and SDPA may take its fastest kernel.

        To decode, give an empty `DynamicCache`, which is filled in place, then the new tokens alone
        with the same cache, no image features, and the mask over all tokens so far (B, past + T).
        """
        embed = self.language_model.get_input_embeddings()
        is_image = input_ids == self.image_token
        if image_features is None:
            embeddings = embed(input_ids)
        else:
            if self.train_projector:
                image_features = self.project(image_features)
            # The image token need not be in the vocabulary.
            embeddings = embed(input_ids.masked_fill(is_image, 0))
            rows = image_features[:, : self.hidden_size].to(embeddings.dtype)
            embeddings = embeddings.masked_scatter(is_image[..., None], rows)
        arguments = {
            "position_ids": position_ids if len(position_ids) > 1 else position_ids[0],
            "attention_mask": attention_mask,
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        return self.architecture.read(self.model, embeddings, is_image, image_features, arguments)

    def project(self, image_features: torch.Tensor) -> torch.Tensor:
        """Features from before the projector (ΣV, F) → after it, as `encode_images` would give them."""
        dtype = next(self.projector.parameters()).dtype
        return self.architecture.project(self.projector, image_features.to(dtype))

    def weights_digest(self) -> str:
        """A hash of the frozen weights, whatever they are called and wherever they lie.

        Of each tensor its shape, the sum of its numbers' bits, which any changed number changes, and a
        thousand of them in order. A trained projector and LoRA are left out.
        """
        parts = []
        head = self.language_head.parameters() if self.language_head is not None else ()
        frozen = [p for n, p in self.model.named_parameters() if "lora_" not in n]
        for tensor in {id(t): t for t in (*frozen, *head)}.values():  # a tied head stands twice
            flat = tensor.detach().reshape(-1)
            bits = flat.view({2: torch.int16, 4: torch.int32}[flat.element_size()])
            some = bits[:: max(1, len(bits) // 1000)].cpu().numpy().tobytes()
            part = hashlib.blake2b(some, digest_size=16)
            part.update(f"{tuple(tensor.shape)} {tensor.dtype} {int(bits.sum())}".encode())
            parts.append(part.digest())
        return hashlib.blake2b(b"".join(sorted(parts)), digest_size=16).hexdigest()

    def vision_fingerprint(self) -> str:
        """A hash of all that decides the features of an image besides the image itself.

        Weights and numeric type of the vision tower and, unless it is trained, the projector, the
        processor's settings, the pixel budget and the rescaling of deep pixels: a changed one is
        another key in the vision cache.
        """
        digest = hashlib.blake2b(digest_size=16)
        budget = self.budget if self.architecture.follows_budget else ()
        settings = {
            "processor": self.processor.image_processor.to_dict(),
            "pixels": [*budget, self.rescaling, READING],
            "config": self.config.vision_config.to_dict(),
            "settings": {n: getattr(self.config, n) for n in self.architecture.vision_settings},
            "before the projector": self.train_projector,
        }
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            if name.startswith("language_model."):
                continue
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            if flat.numel():
                digest.update(flat.view(torch.uint8).numpy())
        return digest.hexdigest()


def load_backbone(
    name: str,
    dtype: torch.dtype,
    maximum_pixels: int,
    *,
    rescaling: Rescaling = "percentile",
    language_head: bool = False,
    train_projector: bool = False,
) -> Backbone:
    """The backbone that a recipe names, by the `model_type` its configuration states.

    `name`: `miniature`, a local folder or a Hub name. With `language_head`, for words: the head is
    loaded too. Raises InputError for an architecture that is not in BACKBONES, and where any weight
    is missing: transformers itself would go on with random numbers in its place.
    """
    architecture, config = read_configuration(name)
    processor = read_processor(name, architecture, config)  # before gigabytes are read
    model, head = load_model(name, architecture, dtype, language_head=language_head)
    return wrap_model(
        name,
        architecture,
        model,
        processor,
        maximum_pixels,
        rescaling=rescaling,
        language_head=head,
        train_projector=train_projector,
    )


def read_configuration(name: str, *, cached_only: bool = False) -> tuple[Architecture, Any]:
    """The row of BACKBONES and the configuration of a named backbone.

    Raises InputError where it cannot be read, or is not of a model that is served.
    """
    import transformers

    model_type = read_settings(name, cached_only=cached_only)["model_type"]
    if model_type not in BACKBONES:
        raise InputError(f"'{name}' is a {model_type} model; there is: {', '.join(BACKBONES)}.")
    config = load_pretrained(transformers.AutoConfig, name, local_files_only=cached_only)
    return BACKBONES[model_type], config


def read_processor(
    name: str, architecture: Architecture, config: Any, *, cached_only: bool = False
) -> Any:
    """The stock processor of a backbone, tried on a question.

    Raises InputError where a part is missing, or does not fit the configuration.
    """
    import transformers

    require_processor(name)
    loader = getattr(transformers, architecture.processor_class)
    processor = load_pretrained(loader, name, local_files_only=cached_only)
    refuse_variants(name, architecture, config, processor)
    _try_tokenizer(name, architecture, config, processor)
    _try_template(name, architecture, processor)
    _try_images(name, architecture, config, processor)
    return processor


def _try_tokenizer(name: str, architecture: Architecture, config: Any, processor: Any) -> None:
    with explained(
        f"The tokenizer of '{name}' cannot be used", "use the files that came with the checkpoint"
    ):
        tokenizer, wanted = processor.tokenizer, config.image_token_id
        ids = tokenizer(architecture.expanded(processor, 1), add_special_tokens=False)["input_ids"]
    if ids.count(wanted) != 1:
        raise InputError(
            f"The tokenizer of '{name}' writes an image as the tokens {ids}, without the image token "
            f"{wanted} of its config.json; use tokenizer and configuration of one checkpoint."
        )
    words = config.text_config.vocab_size
    if tokenizer.vocab_size > words:
        raise InputError(
            f"The tokenizer of '{name}' has {tokenizer.vocab_size:,} words and the model {words:,}; use "
            "tokenizer and weights of one checkpoint."
        )


def _try_template(name: str, architecture: Architecture, processor: Any) -> None:
    question, image = "Is it there?", architecture.placeholder(processor)
    way_out = "use the one that came with the checkpoint (chat_template.jinja)"
    with explained(f"The chat template of '{name}' cannot be used", way_out):
        text = render_prompt(processor, question)
    if text.count(image) != 1 or question not in text:
        raise InputError(
            f"The chat template of '{name}' does not write one image ({image}) and the question: "
            f"{text!r}; {way_out}."
        )


def _try_images(name: str, architecture: Architecture, config: Any, processor: Any) -> None:
    with _explained_images(name):
        least = architecture.minimum_pixels(config, processor)
        image = architecture.fit_image(
            config, processor, Image.new("RGB", (64, 48)), (least, 2 * least)
        )
        pixels = processor.image_processor(images=[image], do_resize=False, return_tensors="pt")
        if not torch.isfinite(pixels["pixel_values"]).all():
            raise ValueError("its numbers make pixels that are not finite")


def _explained_images(name: str) -> AbstractContextManager[None]:
    return explained(
        f"The image processor of '{name}' cannot be used",
        "use the one that came with the checkpoint (preprocessor_config.json)",
    )


def load_model(
    name: str,
    architecture: Architecture,
    dtype: torch.dtype,
    *,
    language_head: bool = False,
    on_meta: bool = False,
) -> tuple[Any, nn.Module | None]:
    """The stock model, and its language head where that is asked for; `on_meta` without numbers.

    Raises InputError where any weight is missing.
    """
    import transformers

    whole = getattr(transformers, architecture.whole_class)
    # Which names transformers translates depends on the class: of some checkpoints the whole model
    # finds every weight, and the one without a head does not.
    classes = [whole] if language_head else [getattr(transformers, architecture.model_class), whole]
    loaded = load_stock_model(classes, name, dtype, on_meta=on_meta)
    model = loaded.model if isinstance(loaded, whole) else loaded
    return model, loaded.lm_head if language_head else None


def build_shapes(name: str, architecture: Architecture, config: Any) -> Any:
    """The model that a configuration describes, on the meta device. Raises InputError."""
    import transformers

    what = f"The config.json of '{name}' describes no model"
    with explained(what, "use the file that came with the checkpoint"), torch.device("meta"):
        return getattr(transformers, architecture.model_class)(config)


def refuse_variants(name: str, architecture: Architecture, config: Any, processor: Any) -> None:
    """Raise InputError for a variant of the architecture that is not served, and for an image
    processor that cannot be asked which it is."""
    with _explained_images(name):
        refusal = architecture.refusal(config, processor)
    if refusal:
        raise InputError(f"'{name}' {refusal}")


def wrap_model(
    name: str,
    architecture: Architecture,
    model: Any,
    processor: Any,
    maximum_pixels: int,
    *,
    rescaling: Rescaling = "percentile",
    language_head: nn.Module | None = None,
    train_projector: bool = False,
) -> Backbone:
    """A Backbone around a stock model in memory (or on the meta device, to count), frozen in place.

    With `train_projector` the projector leaves the model. Raises InputError for too few pixels, and
    for a variant of the architecture that is not served.
    """
    refuse_variants(name, architecture, model.config, processor)
    least = architecture.minimum_pixels(model.config, processor)
    if maximum_pixels < least:
        raise InputError(
            f"model.max_pixels is {maximum_pixels}; '{name}' makes no image smaller than {least} px²."
        )
    model.requires_grad_(False)
    model.eval()
    if language_head is not None:
        language_head.requires_grad_(False)
    projector = architecture.projector(model)
    if train_projector:
        architecture.bypass_projector(model)
        # bf16 would swallow most updates at usual learning rates.
        projector.float().requires_grad_(True)
    return Backbone(
        name=name,
        architecture=architecture,
        model=model,
        processor=processor,
        projector=projector,
        maximum_pixels=maximum_pixels,
        rescaling=rescaling,
        language_head=language_head,
        train_projector=train_projector,
    )
