"""The task `generate`: texts about images, and the report on them.

N examples of a split, M texts: one for each question about each example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch, ordered_batches, pad
from fairlora_cls.data.conversations import PromptEncoder, render_conversation
from fairlora_cls.data.examples import SPLIT_NAMES, UNLABELLED, Example, Splits, validate_splits
from fairlora_cls.data.prompts import question_of, tokenise
from fairlora_cls.data.questions import Turn, ask_all
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.results import TextReport
from fairlora_cls.evaluation.text_sample import given_metrics
from fairlora_cls.evaluation.verdicts import require_endpoints
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
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import build_generator
from fairlora_cls.runs.compared import declared_endpoints, report_attributes, written_columns
from fairlora_cls.runs.context import RunContext
from fairlora_cls.runs.engine import BatchMaker, Engine, predict_split, require_finite
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.runs.task import Task
from fairlora_cls.runs.unfinished_texts import discard_unfinished, keep_unfinished, read_unfinished
from fairlora_cls.texts.generations import (
    Generations,
    generations_of,
    lines_of,
    write_generations,
)


class Generate(Task[GeneratorSettings, Generations]):
    """The model is taught answers to questions about its images, and writes them greedily."""

    predicted = ("test",)
    save = staticmethod(save_generator)
    read_settings = staticmethod(read_generator_settings)
    load = staticmethod(load_generator)

    def check(self, recipe: Recipe, splits: Splits) -> tuple[str, ...]:
        validate_splits(splits, classifies=False)
        asked = question_of(recipe.data.prompt, splits)
        everyone = tuple(splits.everything())
        ask_all(everyone, recipe.data.questions, splits.classes, asked)
        return ()

    def require_reportable(self, recipe: Recipe, splits: Splits, split: str) -> None:
        """Makes the table that the split's texts will be, all of them blank."""
        asked = _ask(recipe, splits, split)
        table = generations_of(_row(recipe, splits.classes, one, "", True) for one in asked)
        lines_of(table)
        require_endpoints(given_metrics(recipe.report.text_metrics), recipe.report.endpoints or ())
        for name in report_attributes(recipe):
            grouping_of(table, name)

    def build(
        self, recipe: Recipe, splits: Splits, shared: SharedParts
    ) -> tuple[Generator, GeneratorSettings]:
        """Raises InputError also where the chat template cannot write the longest conversation."""
        generator, settings = build_generator(recipe, splits, shared)
        conversations = [turns for name in SPLIT_NAMES for turns in _teach(recipe, splits, name)]
        render_conversation(generator.backbone.processor, max(conversations, key=len))
        return generator, settings

    def fit(self, recipe: Recipe, settings: GeneratorSettings, splits: Splits) -> Recipe:
        return recipe

    def batch_maker(self, context: RunContext, split: str) -> BatchMaker:
        features, turns = context.features[split], _teach(context.recipe, context.splits, split)
        encoder = prompt_encoder(context.engine.model.backbone)

        def make(indices: Sequence[int]) -> Batch:
            images = features(indices)
            texts = [
                encoder.conversation(turns[i], grid)
                for i, (_, grid) in zip(indices, images, strict=True)
            ]
            return pad(indices, images, texts)

        return make

    def word_counts(self, context: RunContext, split: str) -> np.ndarray:
        tokenizer = context.engine.model.backbone.processor.tokenizer
        texts = [
            "\n".join(f"{turn.question}\n{turn.answer}" for turn in turns)
            for turns in _teach(context.recipe, context.splits, split)
        ]
        return np.array([len(tokenise(tokenizer, text)) for text in texts], dtype=np.int64)

    def validate(self, context: RunContext, make_batch: BatchMaker) -> dict[str, float]:
        """Mean loss of the answers, nats a token; each attribute's largest difference."""
        ids = [e.id for e in context.splits.validation]
        losses = predict_split(
            context.engine, make_batch, lambda outputs: outputs.losses, len(ids), ()
        )
        require_finite(losses, ids, "losses")
        values = {"loss": float(losses.mean())}
        for attribute, codes in context.groups.protected_codes("validation").items():
            means = [losses[codes == code].mean() for code in np.unique(codes)]
            values[f"loss_gap/{attribute}"] = float(max(means) - min(means))
        return {**values, "score": -values["loss"]}

    def predict(self, context: RunContext, split: str) -> Generations:
        """Goes on where a killed process of the same model stopped."""
        recipe, engine, section = context.recipe, context.engine, context.recipe.generation
        asked = _ask(recipe, context.splits, split)
        stem = context.folder / "predictions" / split
        fingerprint = _fingerprint(engine.model, asked, section.max_new_tokens)
        known = read_unfinished(stem, fingerprint)
        waiting = [one for one in asked if one.id not in known]
        accelerator = engine.accelerator
        accelerator.wait_for_everyone()  # nobody writes before all have read
        context.display.stage("Writing texts", len(asked), len(asked) - len(waiting))
        encoder = prompt_encoder(engine.model.backbone)
        engine.model.eval()
        with keep_unfinished(stem, fingerprint, accelerator.process_index) as keep:
            batches = ordered_batches(range(len(waiting)), section.batch_size)
            for number, places in enumerate(batches):
                chosen = [waiting[place] for place in places]
                if number % accelerator.num_processes == accelerator.process_index:
                    images = context.features[split]([one.place for one in chosen])
                    turns = [one.turn for one in chosen]
                    texts = write_texts(engine, encoder, turns, images, section.max_new_tokens)
                    keep(
                        [
                            _row(recipe, context.splits.classes, one, text, complete)
                            for one, (text, complete) in zip(chosen, texts, strict=True)
                        ]
                    )
                context.display.advance(len(chosen))
        accelerator.wait_for_everyone()
        rows = read_unfinished(stem, fingerprint)
        return generations_of(rows[one.id] for one in asked)

    def write(self, predictions: Generations, stem: Path) -> None:
        write_generations(predictions, stem.with_suffix(".jsonl"))
        discard_unfinished(stem)

    def read_validation(self, run: Path, recipe: Recipe, splits: Splits) -> None:
        return None

    def report(
        self,
        recipe: Recipe,
        predicted: Mapping[str, Generations],
        split: str,
        notes: Sequence[str],
        trained_sites: Collection[str] | None = None,
    ) -> TextReport:
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
            site=recipe.report.site,
            trained_sites=trained_sites,
            **declared_endpoints(recipe),
        )


GENERATE = Generate()


@dataclass(frozen=True)
class Asked:
    """One question about one example of a split."""

    id: str  # "<example id>#<question name>"
    place: int  # of the example in its split
    example: Example
    turn: Turn


def _ask(recipe: Recipe, splits: Splits, split: str) -> list[Asked]:
    """Every question about every example of a split, phrased as it is outside training."""
    examples = splits.split(split)
    asked = question_of(recipe.data.prompt, splits)
    turns = ask_all(examples, recipe.data.questions, splits.classes, asked)
    return [
        Asked(f"{example.id}#{turn.name}", place, example, turn)
        for place, example in enumerate(examples)
        for turn in turns[place]
    ]


def _teach(recipe: Recipe, splits: Splits, split: str) -> list[tuple[Turn, ...]]:
    """Questions and answers of each example of a split, N; their phrasing varies in training only."""
    seed = recipe.seed if split == "train" else None
    asked = question_of(recipe.data.prompt, splits)
    return ask_all(splits.split(split), recipe.data.questions, splits.classes, asked, seed)


def prompt_encoder(backbone: Backbone) -> PromptEncoder:
    return PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)


def write_texts(
    engine: Engine,
    encoder: PromptEncoder,
    turns: Sequence[Turn],
    images: Sequence[tuple[torch.Tensor, torch.Tensor]],
    max_new_tokens: int,
) -> list[tuple[str, bool]]:
    """The answer to one question about each image, and whether it came to its end."""
    questions = [
        encoder.question(turn.question, grid) for turn, (_, grid) in zip(turns, images, strict=True)
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
    recipe: Recipe, classes: tuple[str, ...], asked: Asked, text: str, complete: bool
) -> dict[str, Any]:
    example = asked.example
    return {
        "id": asked.id,
        "unit": example.unit,
        "question": asked.turn.name,
        "prompt": asked.turn.shown,
        "reference": asked.turn.answer,
        "text": text,
        "label": None if classes == (UNLABELLED,) else classes[example.label],
        "complete": complete,
        "attributes": {
            name: example.attributes.get(name) or "" for name in written_columns(recipe)
        },
    }


def _fingerprint(model: Generator, asked: Sequence[Asked], max_new_tokens: int) -> str:
    """Of all that decides the texts besides the backbone and the images, which a run keeps."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{max_new_tokens}".encode())
    for one in asked:
        digest.update(f"{one.id}\x1e{one.turn.question}\x1e{one.turn.answer}\n".encode())
    # A loaded adapter is frozen, so that `trainable_state` does not name it.
    adapter = [(n, p.detach()) for n, p in model.network.named_parameters() if "lora_" in n]
    for name, tensor in [*trainable_state(model).items(), *adapter]:
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
