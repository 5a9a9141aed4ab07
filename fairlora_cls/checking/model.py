"""What a backbone's configuration and processor tell without its weights: shape, tokens, prompt.

T tokens, V visual tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairlora_cls.checking.estimate import check_estimate, estimate_run, plan_run
from fairlora_cls.checking.findings import (
    CheckReport,
    Finding,
    counted,
    list_errors,
    name_some,
    spread_of,
    tabulate_spread,
)
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.checking.page import show_first_example
from fairlora_cls.checking.texts import (
    ask_everyone,
    count_tokens,
    find_long_answers,
    tabulate_texts,
)
from fairlora_cls.data.conversations import render_conversation
from fairlora_cls.data.examples import Splits
from fairlora_cls.data.images import Rescaling
from fairlora_cls.data.prompts import (
    cut_words,
    fill_prompt,
    find_fields,
    question_of,
    render_prompt,
    tokenise,
)
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
from fairlora_cls.presentation.document import Part
from fairlora_cls.recipe import Recipe


@dataclass(frozen=True)
class Skeleton:
    """A backbone without weights, and LoRA on it."""

    backbone: Backbone  # on the meta device; its processor is None where that is not here
    network: Any  # PeftModel around it


def check_model(
    recipe: Recipe, splits: Splits | None, facts: ImageFacts | None
) -> tuple[Part | None, CheckReport]:
    """Tokens, memory, time and the first example, as far as configuration and processor are here.

    `facts` are of all examples of `splits`, in their order.
    """
    skeleton, findings = build_skeleton(
        recipe.model.backbone,
        LoraSettings(**recipe.model.lora.model_dump()),
        recipe.model.max_pixels,
        recipe.model.rescaling,
        train_projector=bool(recipe.model.train_projector),
    )
    generates = recipe.task == "generate"
    asked: dict[str, Any] = {}
    if generates and splits is not None:
        asked, silent = ask_everyone(recipe, splits)
        findings += silent
    if skeleton is None or splits is None or facts is None or not facts.readable.any():
        return None, CheckReport(findings)
    backbone = skeleton.backbone
    if backbone.processor is not None:
        limit = recipe.data.max_words_tokens
        splits, cuts = cut_words(splits, limit, backbone.processor.tokenizer)
        findings += [Finding("warning", "words-cut", note) for note in cuts]
    examples = [e for e, ok in zip(splits.everything(), facts.readable, strict=True) if ok]
    facts = facts.take(facts.readable)
    tokens, shrunk = visual_tokens(facts, backbone)
    findings += _find_slivers([e.id for e in examples], facts, tokens, backbone)
    if not tokens.any():
        return None, CheckReport(findings)
    first, words, texts, tables = None, None, None, []
    question = question_of(recipe.data.prompt, splits)
    fields = set(find_fields(question))
    is_filled = all(fields <= set(e.words) for e in examples)  # else an error was already found
    if backbone.processor is not None and bool(asked) == generates and is_filled:
        try:
            example = examples[int(np.argmax(tokens > 0))]
            filled = fill_prompt(question, example.words)
            text = render_prompt(backbone.processor, filled)
            counts = count_words((fill_prompt(question, e.words) for e in examples), backbone)
            words = _prompt_tokens(text, backbone) + max(counts.values()) - counts[filled]
            if fields:
                lengths = [counts[fill_prompt(question, e.words)] for e in examples]
                tables.append(
                    tabulate_spread(
                        "Tokens of a question", (("question with words", np.array(lengths), 0),)
                    )
                )
            if generates:
                texts = count_tokens(asked, backbone)
                words = int(texts.words.max())
                findings += find_long_answers(texts, recipe.generation.max_new_tokens)
                tables += tabulate_texts(texts, asked)
                turns = next(iter(asked["train"] or asked["validation"] or asked["test"]))
                text = "".join(p.text for p in render_conversation(backbone.processor, turns))
            first = show_first_example(example, text, backbone)
        except InputError as error:  # of a template, or words that it takes for an image
            return None, CheckReport([*findings, *list_errors("model", error)], tables)
        findings += _find_token_problems(tokens, shrunk, words, backbone)
    rows = [("visual tokens", tokens, 0)]
    if words is not None:
        rows.append(("whole sequence", tokens + words, 0))
    head_numbers = 0 if generates else (backbone.hidden_size + 1) * len(splits.classes)
    if backbone.train_projector:
        head_numbers += sum(p.numel() for p in backbone.projector.parameters())
    plan = plan_run(recipe, splits, tokens, words or 0, texts)
    needs = check_estimate(
        estimate_run(skeleton.network, backbone, plan, head_numbers), recipe.training.precision
    )
    spread = dict(zip(("least", "median", "most"), spread_of(tokens), strict=True))
    return first, CheckReport(
        [*findings, *needs.findings],
        [*tables, tabulate_spread("Tokens per image", rows), *needs.tables],
        {"visual_tokens": spread, **needs.facts},
    )


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
    architecture = processor = model = network = None
    with _noting(findings):
        folder = find_folder(name)
        if folder is None and not is_cached(name, "config.json"):
            message = (
                f"model.backbone: '{name}' is neither a folder nor in this machine's model cache, so "
                "tokens, memory and time cannot be known here; training would have to download it."
            )
            return None, [Finding("warning", "model-unknown", message)]
        architecture, config = read_configuration(name, cached_only=True)
    if architecture is None:
        return None, findings
    if folder is None and not is_cached(name, "tokenizer_config.json"):
        message = (
            f"model.backbone: '{name}' has a configuration here but no processor, so its prompt "
            "cannot be shown; training would have to download it."
        )
        findings.append(Finding("warning", "processor-unknown", message))
    else:
        with _noting(findings):
            processor = read_processor(name, architecture, config, cached_only=True)
    if folder is not None:
        with _noting(findings):
            model, _ = load_model(name, architecture, torch.float32, on_meta=True)
    if model is None:
        # What is wrong with a folder was said above, of its weights.
        with _noting([] if folder is not None else findings):
            model = build_shapes(name, architecture, config)
    if model is None:
        return None, findings
    with _noting(findings):
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
    return (Skeleton(backbone, network) if network is not None else None), findings


@contextmanager
def _noting(findings: list[Finding]) -> Iterator[None]:
    """What is wrong with the model becomes a finding."""
    try:
        yield
    except InputError as error:
        findings += list_errors("model", error)


def visual_tokens(facts: ImageFacts, backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """V of each image (N,), and whether its sides shrink below 70 % to fit (N,).

    `facts` (N,) are of readable images. Those too narrow for the model have 0.
    """
    sizes = np.stack([facts.height, facts.width], axis=1)
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


def _find_slivers(
    names: Sequence[str], facts: ImageFacts, tokens: np.ndarray, backbone: Backbone
) -> list[Finding]:
    """Images of which this model would see nothing, besides those too long for any.

    `names`, `facts` and `tokens` (N,) are of readable images.
    """
    slivers = [names[i] for i in np.flatnonzero((tokens == 0) & ~facts.too_long)]
    if not slivers:
        return []
    sentence = (
        f"{counted(len(slivers), 'image')} too narrow for {backbone.name}: {name_some(slivers)}; crop, "
        "or train with --skip-unreadable."
    )
    return [Finding("error", "too-narrow-image", sentence, tuple(slivers))]


def _prompt_tokens(text: str, backbone: Backbone) -> int:
    """Tokens of the chat template's text besides the visual ones."""
    grid = backbone.grid_of_size((1, 1))
    return len(backbone.encode_text(text, grid)) - backbone.visual_tokens(grid)


def count_words(texts: Iterable[str], backbone: Backbone) -> dict[str, int]:
    """The tokens of each distinct text by itself."""
    tokenizer = backbone.processor.tokenizer
    return {text: len(tokenise(tokenizer, text)) for text in dict.fromkeys(texts)}


def _find_token_problems(
    tokens: np.ndarray, shrunk: np.ndarray, words: int, backbone: Backbone
) -> list[Finding]:
    """Whether sequences fit the model, and how many images lose detail to the pixel budget."""
    longest = backbone.config.text_config.max_position_embeddings
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
