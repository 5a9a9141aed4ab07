"""A finished run at work: on another split, on other data, on images.

N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.batching import ordered_batches
from fairlora_cls.data.datasets import load_splits, permitted_options
from fairlora_cls.data.examples import SPLIT_NAMES, limit_splits
from fairlora_cls.data.groups import apply_missing_policy, merge_rare_groups, single_attributes
from fairlora_cls.data.images import find_unreadable
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.questions import Turn
from fairlora_cls.data.tables import open_table
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.report import write_report
from fairlora_cls.models.backbones import DTYPES
from fairlora_cls.objectives.objectives import OBJECTIVES
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.classify import batch_maker, predict_logits, prompt_encoder
from fairlora_cls.runs.engine import (
    Engine,
    build_engine,
    live_features,
    prepare_features,
    raise_unreadable,
    start_accelerator,
)
from fairlora_cls.runs.folder import claim_report_folder, recipe_of
from fairlora_cls.runs.generate import conversation_encoder, write_texts
from fairlora_cls.runs.prediction import softmax
from fairlora_cls.runs.run_data import missing_notes, require_same_data, skipped_note
from fairlora_cls.runs.task import Outcome
from fairlora_cls.runs.tasks import TASKS
from fairlora_cls.training.loop import Display, SilentDisplay


def evaluate(
    run: Path,
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    split: str = "test",
    data: Mapping[str, Any] | None = None,
    output: Path | None = None,
    threshold: str | None = None,
    model: str | None = None,
    use_vision_cache: bool = True,
    skip_unreadable: bool = False,
    allow_urls: bool = False,
) -> Outcome:
    """Predict a split again, of the run's own data or of another source, and report on it.

    `data` replaces keys of the recipe's data section, `threshold` its report.threshold, which is
    chosen on the run's own validation predictions; `model` is where the run's backbone lies now.
    Writes `predictions.csv` (of a generative run `.jsonl`) and `report/` into `output` (default
    `<run>/evaluations/<split>`). Raises InputError when classes differ from those trained on.
    """
    recipe = recipe_of(run)
    task = TASKS[recipe.task]
    settings = _saved_settings(run, recipe, model)
    folder = output or run / "evaluations" / split
    claim_report_folder(folder / "report")
    if data:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=dict(data))})
    options = permitted_options(recipe.data.source, recipe.data.options, allow_urls)
    loaded = load_splits(recipe.data.source, recipe.data.place, options)
    examples = loaded.split(split)
    if not data:
        require_same_data(run, recipe, loaded)
    recipe = task.fit(recipe, settings, loaded)
    if not examples:
        raise InputError(f"The {split} split of '{loaded.source}' is empty.")
    if threshold:
        report_section = recipe.report.model_copy(update={"threshold": threshold})
        recipe = recipe.model_copy(update={"report": report_section})
    validation = task.read_validation(run, recipe, loaded)
    sensitive = single_attributes(recipe.data.sensitive)
    loaded = limit_splits(loaded, recipe.data.limit)
    if loaded.train:  # which values are rare is told by training alone, here as in the run
        loaded, _ = merge_rare_groups(loaded, sensitive, recipe.data.merge_groups_below)
    only = replace(loaded, **{n: loaded.split(n) if n == split else () for n in SPLIT_NAMES})
    only, touched = apply_missing_policy(only, sensitive, recipe.data.missing_groups)
    task.require_reportable(recipe, only, split)
    notes = (*(_reuse_notes(recipe, split) if not data else ()), *missing_notes(recipe, touched))
    accelerator = start_accelerator(settings.precision, [], folder)
    network = task.load(settings, run / "adapter", DTYPES[settings.precision])
    network.to(accelerator.device)
    only, dropped, features = prepare_features(
        only, network.backbone, use_vision_cache, skip_unreadable, accelerator, display
    )
    if dropped:
        notes = (*notes, skipped_note(dropped))
    engine = build_engine(network, accelerator)
    predictions = task.predict(recipe, engine, only, split, features[split], folder, display)
    if not accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    task.write(predictions, folder / "predictions")
    report = task.report(recipe, {"validation": validation, split: predictions}, split, notes)
    write_report(report, folder / "report")
    return Outcome(folder, recipe.objective.method, report, {})


def predict(
    run: Path,
    images: Sequence[Path],
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    model: str | None = None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and probabilities (N, K) for image files; needs no labels and no attributes.

    `model` is where the run's backbone lies now, if it was moved. Raises UnreadableImageError naming
    the first of the files that cannot be read, and how many there are.
    """
    settings, engine = _open(run, images, "classify", model)
    display.stage("Predicting", len(images))
    encoder = prompt_encoder(engine.model.backbone, settings.prompt)
    logits = predict_logits(
        engine,
        batch_maker(encoder, live_features(engine.model.backbone, images)),
        [str(path) for path in images],
        len(settings.labels),
        advance=display.advance,
    )
    return settings.labels, softmax(logits)


def answer(
    run: Path,
    images: Sequence[Path],
    question: str | None = None,
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    model: str | None = None,
) -> list[str]:
    """What a generative run writes about image files, asked `question` or what it was trained on.

    `model` and what is raised are as in `predict`.
    """
    section = recipe_of(run).generation
    settings, engine = _open(run, images, "generate", model)
    display.stage("Writing texts", len(images))
    encoder = conversation_encoder(engine.model.backbone)
    features = live_features(engine.model.backbone, images)
    turn = Turn("question", question or settings.prompt, "")
    texts = []
    for places in ordered_batches(range(len(images)), section.batch_size):
        found = write_texts(
            engine, encoder, [turn] * len(places), features(places), section.max_new_tokens
        )
        texts += [text for text, _ in found]
        display.advance(len(places))
    return texts


def _saved_settings(run: Path, recipe: Recipe, model: str | None) -> Any:
    """What was saved with a run's model; `model` replaces the place of its backbone."""
    settings = TASKS[recipe.task].read_settings(run / "adapter")
    return settings if model is None else replace(settings, backbone=model)


def _open(run: Path, images: Sequence[Path], task: str, model: str | None) -> tuple[Any, Engine]:
    """A run's settings and its model on the best device, for images that can all be read."""
    recipe = recipe_of(run)
    if recipe.task != task:
        raise InputError(f"'{run}' is a run of task {recipe.task}, not of {task}.")
    settings = _saved_settings(run, recipe, model)
    raise_unreadable(find_unreadable(images))
    accelerator = start_accelerator(settings.precision, [], run)
    network = TASKS[task].load(settings, run / "adapter", DTYPES[settings.precision])
    return settings, build_engine(network.to(accelerator.device), accelerator)


def images_of_table(
    path: Path, column: str = "image", *, allow_urls: bool = False
) -> list[tuple[str, Path]]:
    """Name and file of each image that a table names, relative to it. Raises InputError."""
    table = open_table(path, needed=[column])
    names = table.cells(column)
    files = resolve_images(table, names, allow_outside=True, allow_urls=allow_urls)
    if table.problems:
        raise InputError(table.problems)
    named = [(name, file) for name, file in zip(names, files, strict=True) if name]
    return [(name if "://" in name else str(path.parent / name), file) for name, file in named]


def _reuse_notes(recipe: Recipe, split: str) -> tuple[str, ...]:
    """What a reader must know of an evaluation on examples that training or selection saw."""
    saw = {"train": "The model was trained on", "validation": "The best epoch was chosen on"}
    if split not in saw or not OBJECTIVES[recipe.objective.method].trains:
        return ()
    return (f"{saw[split]} the {split} split, so these numbers are too good.",)
