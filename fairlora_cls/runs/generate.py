"""The task `generate`: texts about images, and the report on them.

N examples of a split, M texts: one for each question about each example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch, ImageFeatures, ordered_batches, pad
from fairlora_cls.data.conversations import ConversationEncoder, render_conversation
from fairlora_cls.data.examples import SPLIT_NAMES, UNLABELLED, Example, Splits, validate_splits
from fairlora_cls.data.groups import single_attributes
from fairlora_cls.data.questions import Turn, ask_all
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.models.adapters import trainable_state
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.decoding import decode_greedily
from fairlora_cls.models.generator import (
    Generator,
    GeneratorSettings,
    load_generator,
    read_generator_settings,
    save_generator,
)
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import RunGroups, build_generator
from fairlora_cls.runs.compared import report_attributes
from fairlora_cls.runs.engine import BatchMaker, Engine, predict_split
from fairlora_cls.runs.prediction import require_finite
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.runs.task import Task
from fairlora_cls.runs.unfinished_texts import discard_unfinished, keep_unfinished, read_unfinished
from fairlora_cls.texts.generations import (
    Generations,
    generations_of,
    lines_of,
    write_generations,
)
from fairlora_cls.training.loop import Display


@dataclass(frozen=True)
class Asked:
    """One question about one example of a split."""

    id: str  # "<example id>#<question name>"
    place: int  # of the example in its split
    turn: Turn


def conversation_encoder(backbone: Backbone) -> ConversationEncoder:
    return ConversationEncoder(backbone.processor, backbone.encode_text, backbone.positions)


def read_losses(outputs: Outputs) -> torch.Tensor:
    """The examples' losses (B,)."""
    return outputs.losses


def ask(recipe: Recipe, splits: Splits, split: str) -> list[tuple[Turn, ...]]:
    """Questions and answers of each example of a split, N; their phrasing varies in training only."""
    return ask_all(
        splits.split(split),
        recipe.data.questions,
        splits.classes,
        recipe.data.prompt,
        recipe.seed if split == "train" else None,
    )


def _check(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    validate_splits(splits, classifies=False)
    ask_all(tuple(splits.everything()), recipe.data.questions, splits.classes, recipe.data.prompt)
    return ()


def _build(
    recipe: Recipe, splits: Splits, shared: SharedParts
) -> tuple[Generator, GeneratorSettings]:
    """As `build_generator`. Raises InputError also where the chat template cannot write the longest
    conversation."""
    generator, settings = build_generator(recipe, splits, shared)
    conversations = [turns for name in SPLIT_NAMES for turns in ask(recipe, splits, name)]
    encoder = conversation_encoder(generator.backbone)
    render_conversation(encoder.processor, max(conversations, key=len))
    return generator, settings


def _require_reportable(recipe: Recipe, splits: Splits, split: str) -> None:
    """Makes the table that the split's texts will be, all of them blank."""
    examples = splits.split(split)
    rows = [
        _row(recipe, one, examples[one.place], "", True, splits)
        for one in _asked(recipe, splits, split)
    ]
    table = generations_of(rows)
    lines_of(table)
    for name in report_attributes(recipe):
        grouping_of(table, name)


def _fit(recipe: Recipe, settings: GeneratorSettings, splits: Splits) -> Recipe:
    return recipe


def _batch_makers(
    recipe: Recipe, engine: Engine, splits: Splits, features: Mapping[str, ImageFeatures]
) -> dict[str, BatchMaker]:
    encoder = conversation_encoder(engine.model.backbone)

    def maker(name: str, found: ImageFeatures) -> BatchMaker:
        turns = ask(recipe, splits, name)

        def make(indices: Sequence[int]) -> Batch:
            images = found(indices)
            texts = [
                encoder.conversation(turns[i], grid)
                for i, (_, grid) in zip(indices, images, strict=True)
            ]
            return pad(indices, images, texts)

        return make

    return {name: maker(name, found) for name, found in features.items()}


def _validate(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    batch_makers: Mapping[str, BatchMaker],
    groups: RunGroups,
) -> dict[str, float]:
    """Mean loss of the validation answers, nats a token; each attribute's largest difference."""
    make = batch_makers["validation"]
    losses = predict_split(engine, make, read_losses, len(splits.validation), ())
    require_finite(losses, [e.id for e in splits.validation], "losses")
    values = {"loss": float(losses.mean())}
    for attribute, codes in groups.protected_codes("validation").items():
        means = [losses[codes == code].mean() for code in np.unique(codes)]
        values[f"loss_gap/{attribute}"] = float(max(means) - min(means))
    return {**values, "score": -values["loss"]}


def _predict(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    split: str,
    features: ImageFeatures,
    folder: Path,
    display: Display,
) -> Generations:
    """Greedy texts of a split; goes on where a killed process of the same model stopped."""
    examples = splits.split(split)
    asked = _asked(recipe, splits, split)
    accelerator, section = engine.accelerator, recipe.generation
    stem = folder / "predictions" / split
    fingerprint = _fingerprint(engine.model, asked, section.max_new_tokens)
    known = read_unfinished(stem, fingerprint)
    waiting = [one for one in asked if one.id not in known]
    accelerator.wait_for_everyone()  # nobody writes before all have read
    display.stage("Writing texts", len(asked), len(asked) - len(waiting))
    encoder = conversation_encoder(engine.model.backbone)
    engine.model.eval()
    with keep_unfinished(stem, fingerprint, accelerator.process_index) as keep:
        for number, places in enumerate(ordered_batches(range(len(waiting)), section.batch_size)):
            chosen = [waiting[place] for place in places]
            if number % accelerator.num_processes == accelerator.process_index:
                images = features([one.place for one in chosen])
                texts = write_texts(
                    engine, encoder, [one.turn for one in chosen], images, section.max_new_tokens
                )
                keep(
                    [
                        _row(recipe, one, examples[one.place], text, complete, splits)
                        for one, (text, complete) in zip(chosen, texts, strict=True)
                    ]
                )
            display.advance(len(chosen))
    accelerator.wait_for_everyone()
    rows = read_unfinished(stem, fingerprint)
    return generations_of(rows[one.id] for one in asked)


def _asked(recipe: Recipe, splits: Splits, split: str) -> list[Asked]:
    """Every question about every example of a split, phrased as it is outside training."""
    examples = splits.split(split)
    canonical = replace(splits, train=(), validation=(), test=examples)
    return [
        Asked(f"{examples[place].id}#{turn.name}", place, turn)
        for place, turns in enumerate(ask(recipe, canonical, "test"))
        for turn in turns
    ]


def write_texts(
    engine: Engine,
    encoder: ConversationEncoder,
    turns: Sequence[Turn],
    images: Sequence[tuple[torch.Tensor, torch.Tensor]],
    max_new_tokens: int,
) -> list[tuple[str, bool]]:
    """The answer to one question about each image, and whether it came to its end."""
    questions = [
        encoder.question(turn, grid) for turn, (_, grid) in zip(turns, images, strict=True)
    ]
    batch = pad(range(len(images)), images, questions, padding_side="left")
    with engine.accelerator.autocast():
        answers = decode_greedily(
            engine.model.backbone,
            batch.to(engine.accelerator.device),
            encoder.end_tokens,
            max_new_tokens,
        )
    return [(encoder.decode(answer.tokens), answer.complete) for answer in answers]


def _row(
    recipe: Recipe, asked: Asked, example: Example, text: str, complete: bool, splits: Splits
) -> dict[str, Any]:
    return {
        "id": asked.id,
        "unit": example.unit,
        "question": asked.turn.name,
        "prompt": asked.turn.question,
        "reference": asked.turn.answer,
        "text": text,
        "label": None if splits.classes == (UNLABELLED,) else splits.classes[example.label],
        "complete": complete,
        "attributes": {
            name: example.attributes.get(name) or ""
            for name in single_attributes(recipe.data.sensitive)
        },
    }


def _fingerprint(model: Generator, asked: Sequence[Asked], max_new_tokens: int) -> str:
    """Of all that decides the texts besides the backbone and the images, which a run keeps."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{max_new_tokens}".encode())
    for one in asked:
        digest.update(f"{one.id}\x1e{one.turn.question}\x1e{one.turn.answer}\n".encode())
    for name, tensor in [*trainable_state(model).items(), *_adapter_tensors(model)]:
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def _adapter_tensors(model: Generator) -> list[tuple[str, torch.Tensor]]:
    """A loaded adapter is frozen, so that `trainable_state` does not name it."""
    return [(n, p.detach()) for n, p in model.network.named_parameters() if "lora_" in n]


def _write(generations: Generations, stem: Path) -> None:
    write_generations(generations, stem.with_suffix(".jsonl"))
    discard_unfinished(stem)


def _report(
    recipe: Recipe, predicted: Mapping[str, Generations], split: str, notes: Sequence[str]
) -> FairnessReport:
    from fairlora_cls.evaluation.report import text_report
    from fairlora_cls.texts.scores import score_texts

    generations = predicted[split]
    return text_report(
        generations,
        score_texts(generations, recipe.report.text_metrics),
        report_attributes(recipe),
        bootstrap=recipe.report.bootstrap,
        minimum_group_size=recipe.report.minimum_group_size,
        seed=recipe.seed,
        notes=notes,
    )


GENERATE = Task(
    check=_check,
    require_reportable=_require_reportable,
    build=_build,
    save=save_generator,
    read_settings=read_generator_settings,
    load=load_generator,
    fit=_fit,
    batch_makers=_batch_makers,
    validate=_validate,
    predict=_predict,
    write=_write,
    read_validation=lambda run, recipe, splits: None,
    report=_report,
    predicted=("test",),
)
