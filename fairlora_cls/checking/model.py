"""What a backbone's configuration and processor tell without its weights: shape, tokens, prompt.

T tokens, V visual tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fairlora_cls.checking.findings import Finding, counted, name_some
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.data.images import LARGEST_RATIO, Rescaling, read_image
from fairlora_cls.data.prompts import render_prompt
from fairlora_cls.errors import InputError
from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.backbones import (
    Backbone,
    build_shapes,
    load_model,
    read_configuration,
    read_processor,
    wrap_model,
)
from fairlora_cls.models.loading import find_folder, is_cached
from fairlora_cls.presentation.document import Table, text_table


@dataclass(frozen=True)
class Skeleton:
    """A backbone without weights, and LoRA on it."""

    backbone: Backbone  # on the meta device; its processor is None where that is not here
    network: Any  # PeftModel around it


def build_skeleton(
    name: str,
    lora: LoraSettings,
    maximum_pixels: int,
    rescaling: Rescaling,
    *,
    train_projector: bool = False,
) -> tuple[Skeleton | None, list[Finding]]:
    """The backbone from files on this machine alone; nothing is downloaded.

    No Skeleton, and a finding that says why, where the configuration is not here or cannot be used.
    """
    findings: list[Finding] = []
    try:
        folder = find_folder(name)
        if folder is None and not is_cached(name, "config.json"):
            return None, [
                Finding(
                    "warning",
                    "model-unknown",
                    f"model.backbone: '{name}' is neither a folder nor in this machine's model cache, so "
                    "tokens, memory and time cannot be known here; training would have to download it.",
                )
            ]
        architecture, config = read_configuration(name, cached_only=True)
    except InputError as error:
        return None, [_error(error)]
    processor = None
    if folder is None and not is_cached(name, "tokenizer_config.json"):
        findings.append(
            Finding(
                "warning",
                "processor-unknown",
                f"model.backbone: '{name}' has a configuration here but no processor, so its prompt "
                "cannot be shown; training would have to download it.",
            )
        )
    else:
        try:
            processor = read_processor(name, architecture, config, cached_only=True)
        except InputError as error:
            findings.append(_error(error))
    model = None
    if folder is not None:
        try:
            model, _ = load_model(name, architecture, torch.float32, on_meta=True)
        except InputError as error:
            findings.append(_error(error))
    if model is None:
        try:
            model = build_shapes(name, architecture, config)
        except InputError as error:  # of a folder, said above of its weights
            return None, findings if folder is not None else [*findings, _error(error)]
    try:
        backbone = wrap_model(
            name,
            architecture,
            model,
            processor,
            maximum_pixels,
            rescaling=rescaling,
            train_projector=train_projector,
        )
        network = attach_lora(backbone, lora)
    except InputError as error:
        return None, [*findings, _error(error)]
    return Skeleton(backbone, network), findings


def _error(error: InputError) -> Finding:
    return Finding("error", "model", str(error))


def visual_tokens(facts: ImageFacts, backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """V of each readable image (N,), and whether its sides shrink below 70 % to fit (N,).

    Images too narrow for the model have 0.
    """
    readable = facts.take(facts.readable)
    sizes = np.stack([readable.height, readable.width], axis=1)
    distinct, places = np.unique(sizes, axis=0, return_inverse=True)
    tokens, shrunk = np.zeros(len(distinct), np.int64), np.zeros(len(distinct), bool)
    for i, (height, width) in enumerate(distinct.tolist()):
        try:
            grid = backbone.grid_of_size((width, height))
        except ValueError:
            continue
        fitted_width, fitted_height = backbone.fitted_size(grid)
        tokens[i] = backbone.visual_tokens(grid)
        shrunk[i] = fitted_width * fitted_height < 0.5 * height * width
    return tokens[places.reshape(-1)], shrunk[places.reshape(-1)]


def find_slivers(
    names: Sequence[str], facts: ImageFacts, tokens: np.ndarray, backbone: Backbone
) -> list[Finding]:
    """Images of which this model would see nothing, besides those too long for any.

    `names`, `facts` and `tokens` (N,) are of readable images.
    """
    long = np.maximum(facts.width, facts.height) > LARGEST_RATIO * np.minimum(
        facts.width, facts.height
    )
    slivers = [names[i] for i in np.flatnonzero((tokens == 0) & ~long)]
    if not slivers:
        return []
    sentence = (
        f"{counted(len(slivers), 'image')} too narrow for {backbone.name}: {name_some(slivers)}; crop, "
        "or train with --skip-unreadable."
    )
    return [Finding("error", "too-narrow-image", sentence, tuple(slivers))]


@dataclass(frozen=True)
class FirstExample:
    """One example exactly as the model will read it."""

    id: str
    image: Image.Image  # after the resize
    stored: tuple[int, int]  # (width, height) of the file, upright
    text: str  # the chat template's text, one placeholder for all visual tokens
    placeholder: str
    visual_tokens: int
    image_token: int  # id of a visual token
    token_ids: tuple[int, ...]  # (T,)
    tokens: tuple[str, ...]  # (T,) as the tokenizer spells them


def decode_example(example_id: str, path: Path, text: str, backbone: Backbone) -> FirstExample:
    """Read, resize and tokenise one example by the functions that training uses; `text` is the chat
    template's."""
    image = read_image(path, backbone.rescaling)
    grid = backbone.grid_of_size(image.size)
    ids = backbone.encode_text(text, grid).tolist()
    return FirstExample(
        id=example_id,
        image=backbone.fit_image(image),
        stored=image.size,
        text=text,
        placeholder=backbone.image_placeholder,
        visual_tokens=backbone.visual_tokens(grid),
        image_token=backbone.image_token,
        token_ids=tuple(ids),
        tokens=tuple(backbone.processor.tokenizer.decode([i]) for i in ids),
    )


def prompt_tokens(prompt: str, backbone: Backbone) -> int:
    """Tokens of the prompt besides the visual ones."""
    grid = backbone.grid_of_size((1, 1))
    ids = backbone.encode_text(render_prompt(backbone.processor, prompt), grid)
    return len(ids) - backbone.visual_tokens(grid)


def find_token_problems(
    tokens: np.ndarray, shrunk: np.ndarray, words: int, longest: int, backbone: Backbone
) -> list[Finding]:
    """Whether sequences fit the model, and how many images lose detail to the pixel budget."""
    found = []
    most = int(tokens.max(initial=0)) + words
    over = int((tokens + words > longest).sum())
    if over:
        found.append(
            Finding(
                "error",
                "too-many-tokens",
                f"{counted(over, 'sequence')} are longer than the model's {longest:,} positions (up "
                f"to {most:,}); lower model.max_pixels, or shorten the prompt.",
            )
        )
    else:
        found.append(
            Finding(
                "note",
                "no-truncation",
                f"No sequence is cut: the longest has {most:,} tokens ({words} of words), the model "
                f"takes {longest:,}.",
            )
        )
    if shrunk.any():
        if backbone.architecture.follows_budget:
            cause = f"model.max_pixels ({backbone.maximum_pixels:,} px²); raise it if"
        else:
            width, height = backbone.fitted_size(backbone.grid_of_size((1, 1)))
            cause = (
                f"the only size that this backbone sees ({width} × {height} px); take another if"
            )
        found.append(
            Finding(
                "note",
                "shrunk-images",
                f"{int(shrunk.sum()):,} of {len(shrunk):,} images lose more than half of their pixels "
                f"to {cause} the finding is small.",
            )
        )
    return found


def tabulate_tokens(tokens: np.ndarray, words: int | None) -> Table:
    """Least, median and most visual tokens per image, and whole sequences where words are known."""
    low, middle, high = (int(v) for v in np.percentile(tokens, (0, 50, 100), method="lower"))
    rows = [("visual tokens", f"{low:,}", f"{middle:,}", f"{high:,}")]
    if words is not None:
        rows.append(("whole sequence", *(f"{value + words:,}" for value in (low, middle, high))))
    return text_table("Tokens per image", ("", "least", "median", "most"), tuple(rows))
