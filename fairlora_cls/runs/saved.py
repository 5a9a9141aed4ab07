"""A finished run at work: on another split, on other data, on images.

N images, K classes, V visual tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from fairlora_cls.data.batching import ordered_batches
from fairlora_cls.data.columns import read_texts
from fairlora_cls.data.examples import Splits
from fairlora_cls.data.images import find_unreadable
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.prompts import cut_text, fill_prompt, find_fields
from fairlora_cls.data.questions import Turn
from fairlora_cls.data.tables import open_table
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.baseline_table import (
    add_baseline_table,
    people_of_splits,
    read_development,
)
from fairlora_cls.evaluation.features import Features
from fairlora_cls.evaluation.report import write_report
from fairlora_cls.models.backbones import DTYPES, load_backbone
from fairlora_cls.objectives.objectives import OBJECTIVES
from fairlora_cls.recipe import DataSection, Recipe, changed
from fairlora_cls.runs.assembly import load_data, require_same_data, treat_splits
from fairlora_cls.runs.classify import ask_about_images, predict_logits, softmax
from fairlora_cls.runs.compared import site_columns, trained_sites
from fairlora_cls.runs.context import Outcome, RunContext, cut_long_words, read_images
from fairlora_cls.runs.engine import (
    Engine,
    build_engine,
    live_features,
    prepare_features,
    raise_unreadable,
    start_accelerator,
)
from fairlora_cls.runs.folder import claim_report_folder, recipe_of
from fairlora_cls.runs.generate import prompt_encoder, write_texts
from fairlora_cls.runs.missing_groups import mean_visual_tokens
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.runs.task import SavedSettings
from fairlora_cls.runs.train import TASKS
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
    settings = read_settings(run, recipe, model)
    folder = output or run / "evaluations" / split
    claim_report_folder(folder / "report")
    recipe, loaded, lacking = load_asked(run, recipe, settings, split, data, allow_urls)
    if threshold:
        recipe = changed(recipe, {"report": {"threshold": threshold}})
    validation = task.read_validation(run, recipe, loaded)
    splits, notes = treat_splits(recipe, loaded, only=split)
    task.require_reportable(recipe, splits, split)
    notes = (*lacking, *notes)
    if not data:
        notes = (*_reuse_notes(recipe, split), *notes)
    engine = load_engine(run, recipe, settings)
    context = cut_long_words(RunContext(recipe, splits, engine, folder, display, notes))
    context = read_images(context, use_vision_cache, skip_unreadable)
    predictions = task.predict(context, split)
    if not engine.accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    task.write(predictions, folder / "predictions")
    predicted = {"validation": validation, split: predictions}
    seen = None if data else trained_sites(recipe, loaded.train)
    report = task.report(recipe, predicted, split, context.notes, seen)
    if not data:  # ids of other data say nothing of these examples
        report = task.beside_baselines(report, predictions, run / "predictions")
    known = splits if data else treat_splits(recipe, loaded)[0]
    people = people_of_splits(known, report.attributes)
    development = {}
    if data:
        people = {f"other data ({name})": own for name, own in people.items()}
        development = read_development(run)
    report = add_baseline_table(report, people, development)
    write_report(report, folder / "report")
    return Outcome(folder, recipe.objective.method, report, {})


def load_asked(
    run: Path,
    recipe: Recipe,
    settings: SavedSettings,
    split: str,
    data: Mapping[str, Any] | None,
    allow_urls: bool,
) -> tuple[Recipe, Splits, tuple[str, ...]]:
    """The data that a finished run is asked about, the recipe under which it is, and what a report on
    them lacks.

    `data` as in `evaluate`. Raises InputError for an empty split, for data of its own that are no
    longer those of the run, and for others that do not fit the model.
    """
    recipe = changed(recipe, {"data": data or {}})
    loaded = load_data(recipe, SharedParts(), allow_urls)
    if not loaded.split(split):
        raise InputError(f"The {split} split of '{loaded.source}' is empty.")
    if not data:
        require_same_data(run, recipe, loaded)
    recipe = TASKS[recipe.task].fit(recipe, settings, loaded)
    lacking = set(site_columns(recipe)) - set(loaded.attributes)
    if not lacking or not data:
        return recipe, loaded, ()
    recipe = changed(recipe, {"report": {"site": None}})  # other data need not have it
    return recipe, loaded, (f"These data have no '{min(lacking)}', so there is no view of sites.",)


def predict(
    run: Path,
    images: Sequence[Path],
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    words: Sequence[Mapping[str, str | None]] | None = None,
    model: str | None = None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and probabilities (N, K) for image files; needs no labels and no attributes.

    `words`: of each image, what is known of the patient, by field of the run's prompt. `model` is
    where the run's backbone lies now, if it was moved. Raises InputError for a field without words
    where the recipe does not say `missing_words: blank`, and UnreadableImageError naming the first of
    the files that cannot be read, and how many there are.
    """
    settings, engine, questions = _open(run, images, "classify", model, words)
    display.stage("Predicting", len(images))
    backbone = engine.model.backbone
    logits = predict_logits(
        engine,
        ask_about_images(backbone, questions, live_features(backbone, images)),
        [str(path) for path in images],
        len(settings.labels),
        display.advance,
    )
    return settings.labels, softmax(logits)


def answer(
    run: Path,
    images: Sequence[Path],
    question: str | None = None,
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    words: Sequence[Mapping[str, str | None]] | None = None,
    model: str | None = None,
) -> list[str]:
    """What a generative run writes about image files, asked `question` or what it was trained on.

    `words`, `model` and what is raised are as in `predict`.
    """
    section = recipe_of(run).generation
    _, engine, questions = _open(run, images, "generate", model, words, question)
    display.stage("Writing texts", len(images))
    encoder = prompt_encoder(engine.model.backbone)
    features = live_features(engine.model.backbone, images)
    texts = []
    for places in ordered_batches(range(len(images)), section.batch_size):
        turns = [Turn("question", questions[place], "") for place in places]
        written = write_texts(engine, encoder, turns, features(places), section.max_new_tokens)
        texts += [text for text, _ in written]
        display.advance(len(places))
    return texts


def visual_features(run: Path, ids: Collection[str], display: Display) -> Features:
    """The mean over an image's V visual tokens, for the images of the run's data that have these
    ids: (N, D). Tokens come from the vision cache; images that are not in it pass the tower once.

    The tower is frozen, so the features are those of the backbone: training changed only what is
    made of them. Raises InputError where `run` is no run folder or none of the ids is in its data.
    """
    recipe = recipe_of(run)
    splits = load_data(recipe, SharedParts())
    require_same_data(run, recipe, splits)
    wanted = set(ids)
    examples = tuple(e for e in splits.everything() if e.id in wanted)
    if not examples:
        raise InputError(
            f"None of the {len(wanted)} ids is in the data of '{run}' ({recipe.data.source}); name "
            "the run that made these predictions, or a file of features."
        )
    accelerator = start_accelerator(recipe.training.precision, [], run)
    backbone = load_backbone(
        recipe.model.backbone,
        DTYPES[recipe.training.precision],
        recipe.model.max_pixels,
        rescaling=recipe.model.rescaling,
    )
    backbone.model.to(accelerator.device)
    only = replace(splits, train=(), validation=(), test=examples)
    _, _, features = prepare_features(only, backbone, True, False, accelerator, display)
    means = mean_visual_tokens(features["test"], len(examples))
    source = f"mean visual tokens of {recipe.model.backbone}"
    return Features(tuple(e.id for e in examples), means, source)


@dataclass(frozen=True)
class Patient:
    """An image to predict, and what is known of whom it shows."""

    name: str
    image: Path
    words: Mapping[str, str | None]  # by field of the prompt


def fields_of(run: Path, question: str | None = None) -> tuple[str, ...]:
    """The fields of a run's prompt, or of the question that it is asked instead."""
    recipe = recipe_of(run)
    return find_fields(question or TASKS[recipe.task].read_settings(run / "adapter").prompt)


def patients_of_table(
    path: Path,
    column: str = "image",
    fields: Sequence[str] = (),
    given: Mapping[str, str] = MappingProxyType({}),
    *,
    allow_urls: bool = False,
) -> list[Patient]:
    """Each image that a table names, relative to it, with the words of `fields` in columns of that
    name, but for those `given` for all images. Raises InputError."""
    columns = [name for name in fields if name not in given]
    table = open_table(path, needed=[column, *columns])
    names = table.cells(column)
    files = resolve_images(table, names, allow_outside=True, allow_urls=allow_urls)
    if table.problems:
        raise InputError(table.problems)
    words = {name: read_texts(table, name) for name in columns}
    return [
        Patient(
            name if "://" in name else str(path.parent / name),
            file,
            {**given, **{field: own[row] for field, own in words.items()}},
        )
        for row, (name, file) in enumerate(zip(names, files, strict=True))
        if name
    ]


def _require_words(
    run: Path, data: DataSection, prompt: str, words: Sequence[Mapping[str, str | None]]
) -> None:
    """Raises InputError for images without words for a field; a blank cell is words where the recipe
    leaves missing ones blank."""
    may_be_blank = data.missing_words == "blank"
    lacking = {
        name: sum(name not in own if may_be_blank else not own.get(name) for own in words)
        for name in find_fields(prompt)
    }
    problems = [
        f"The model of '{run}' is asked with the field '{name}', and {count} of {len(words)} images "
        f'have none; give it with --field {name}="…", or as a column of --table.'
        for name, count in lacking.items()
        if count
    ]
    if problems:
        raise InputError(problems)


def _ask_patients(
    data: DataSection, prompt: str, words: Sequence[Mapping[str, str | None]], engine: Engine
) -> list[str]:
    """The question about each image, N; words are taken out and cut as in training."""
    fields, taken_out = find_fields(prompt), data.taken_out()
    tokenizer = engine.model.backbone.processor.tokenizer

    def fitted(text: str) -> str:
        return cut_text(taken_out.take_out(text)[0], data.max_words_tokens, tokenizer)

    return [
        fill_prompt(prompt, {name: fitted(own[name] or "") for name in fields}) for own in words
    ]


def _open(
    run: Path,
    images: Sequence[Path],
    task: str,
    model: str | None,
    words: Sequence[Mapping[str, str | None]] | None,
    question: str | None = None,
) -> tuple[SavedSettings, Engine, list[str]]:
    """A run's settings, its model on the best device, and the question about each image, for images
    that can all be read and have all the words that they need."""
    recipe = recipe_of(run)
    if recipe.task != task:
        raise InputError(f"'{run}' is a run of task {recipe.task}, not of {task}.")
    settings = read_settings(run, recipe, model)
    prompt, words = question or settings.prompt, words or [{}] * len(images)
    _require_words(run, recipe.data, prompt, words)
    raise_unreadable(find_unreadable(images))
    engine = load_engine(run, recipe, settings)
    return settings, engine, _ask_patients(recipe.data, prompt, words, engine)


def read_settings(run: Path, recipe: Recipe, model: str | None) -> SavedSettings:
    """What was saved with a run's model; `model` replaces the place of its backbone."""
    settings = TASKS[recipe.task].read_settings(run / "adapter")
    return settings if model is None else replace(settings, backbone=model)


def load_engine(run: Path, recipe: Recipe, settings: SavedSettings) -> Engine:
    """A run's saved model on the best device."""
    accelerator = start_accelerator(settings.precision, [], run)
    dtype = DTYPES[settings.precision]
    return build_engine(TASKS[recipe.task].load(settings, run / "adapter", dtype), accelerator)


def _reuse_notes(recipe: Recipe, split: str) -> tuple[str, ...]:
    """What a reader must know of an evaluation on examples that training or selection saw."""
    saw = {"train": "The model was trained on", "validation": "The best epoch was chosen on"}
    if split not in saw or not OBJECTIVES[recipe.objective.method].trains:
        return ()
    return (f"{saw[split]} the {split} split, so these numbers are too good.",)
