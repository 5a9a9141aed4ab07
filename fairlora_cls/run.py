"""recipe → run folder; the only place that wires all the parts.

N examples of a split, K classes, G groups.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.assembly import (
    RunGroups,
    build_classifier,
    build_run_objective,
    dependence_sections,
    encode_run_groups,
)
from fairlora_cls.checking.check import quick_check
from fairlora_cls.compared_runs import report_attributes
from fairlora_cls.data.batching import SAMPLERS, ImageFeatures
from fairlora_cls.data.datasets import load_splits
from fairlora_cls.data.examples import (
    SPLIT_NAMES,
    Splits,
    fingerprint,
    limit_splits,
    validate_splits,
)
from fairlora_cls.data.groups import apply_missing_policy, merge_rare_groups, single_attributes
from fairlora_cls.data.images import find_unreadable
from fairlora_cls.data.missing_groups import fill_missing_groups, mean_visual_tokens
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.tables import read_table, require_columns
from fairlora_cls.engine import (
    Engine,
    build_engine,
    live_features,
    make_batch,
    predict_logits,
    predict_split,
    predict_states,
    prepare_features,
    raise_unreadable,
    start_accelerator,
)
from fairlora_cls.errors import InputError, RunError
from fairlora_cls.evaluation.prediction import softmax, validation_metrics
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    write_predictions,
)
from fairlora_cls.evaluation.probe_section import probe_section
from fairlora_cls.evaluation.report import FairnessReport, fairness_report, write_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.evaluation.thresholds import judge_by_rule, parse_threshold, require_two_classes
from fairlora_cls.files import read_json, remove_leftovers, write_text
from fairlora_cls.model_card import model_card
from fairlora_cls.models.backbones import DTYPES
from fairlora_cls.models.classifier import (
    ClassifierSettings,
    load_classifier,
    read_classifier_settings,
    save_classifier,
)
from fairlora_cls.objectives.objectives import OBJECTIVES, Objective
from fairlora_cls.probing import probe_run
from fairlora_cls.recipe import Recipe
from fairlora_cls.run_folder import (
    claim_report_folder,
    create_run_folder,
    hold_run_folder,
    inspect_run_folder,
    recipe_of,
    split_predictions,
    update_state,
)
from fairlora_cls.run_state import append_to_log, initial_state, training_state
from fairlora_cls.shared_parts import SharedParts
from fairlora_cls.training.attribute_pretraining import pretrain_attribute_classifier
from fairlora_cls.training.checkpoints import Progress
from fairlora_cls.training.loop import (
    Display,
    LoopSettings,
    SilentDisplay,
    fine_tune,
)

FIRST_POOLING = (
    "model.pooling is first: under causal attention the first token sees neither image nor question, "
    "so every image gets the same prediction. Use last."
)


@dataclass(frozen=True)
class Outcome:
    """What a finished run or evaluation gives its caller."""

    folder: Path
    method: str
    report: FairnessReport
    state: Mapping[str, Any]  # of run.json


def train(
    recipe: Recipe,
    folder: Path,
    display: Display = SilentDisplay(),  # noqa: B008, it keeps no state
    *,
    resume: bool = False,
    overwrite: bool = False,
    use_vision_cache: bool = True,
    skip_unreadable: bool = False,
    shared: SharedParts | None = None,
) -> Outcome:
    """Run a whole recipe: train, predict validation and test, report, and write the run folder.

    Every check that needs no training is made before `folder` is created or touched. `shared`
    holds what further runs of this process need not load again; it changes no result. Raises
    InputError for bad input and RunError for a run that failed.
    """
    shared = shared or SharedParts()
    going_on = inspect_run_folder(folder, recipe, resume=resume, overwrite=overwrite)
    timings: dict[str, float] = {}
    accelerator = start_accelerator(recipe.training.precision, recipe.training.trackers, folder)
    if going_on and read_json(folder / "run.json")["status"] == "complete":
        display.say(f"The run in {folder} is complete; its report is made again.")
    with _timed(timings, "data"):
        splits, groups, notes = _load_data(recipe, shared)
        for finding in quick_check(splits, recipe.data.sensitive, skip_unreadable):
            display.say(f"! {finding.message}")
    with _timed(timings, "model"):
        classifier, settings = build_classifier(recipe, splits, shared)
        classifier.to(accelerator.device)
    backbone = classifier.backbone
    with _timed(timings, "vision_features"):
        splits, dropped, features = prepare_features(
            splits, backbone, use_vision_cache, skip_unreadable, accelerator, display, shared
        )
        if dropped:
            validate_splits(splits)
            notes = (*notes, _skipped_note(dropped))
    data = fingerprint(splits)
    if recipe.data.missing_groups == "predict":
        with _timed(timings, "missing_groups"):
            splits, filled = _predict_missing_groups(recipe, splits, features["train"])
            notes = (*notes, *filled)
    if dropped or recipe.data.missing_groups == "predict":
        groups = encode_run_groups(recipe, splits)
    notes = (*notes, *_absent_notes(groups))
    if going_on and read_json(folder / "run.json")["data_fingerprint"] != data:
        raise InputError(
            f"The data has changed since the run in '{folder}' began; start anew with --overwrite."
        )
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and going_on:
        remove_leftovers(folder)
    if accelerator.is_main_process and not going_on:
        create_run_folder(
            folder,
            recipe,
            initial_state(recipe, splits, groups, classifier, accelerator, data, notes),
            overwrite=overwrite,
        )
    accelerator.wait_for_everyone()
    engine = build_engine(classifier, recipe.data.prompt, accelerator)
    with hold_run_folder(folder) if accelerator.is_main_process else nullcontext():
        outcome = _carry_out(
            recipe, engine, settings, splits, groups, features, folder, notes, timings, display
        )
    shared.give_back(classifier)
    return outcome


def evaluate(
    run: Path,
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    split: str = "test",
    data: Mapping[str, Any] | None = None,
    output: Path | None = None,
    threshold: str | None = None,
    use_vision_cache: bool = True,
    skip_unreadable: bool = False,
) -> Outcome:
    """Predict a split again, of the run's own data or of another source, and report on it.

    `data` replaces keys of the recipe's data section, `threshold` its report.threshold, which is
    chosen on the run's own validation predictions. Writes `predictions.csv` and `report/` into
    `output` (default `<run>/evaluations/<split>`). Raises InputError when classes differ from those
    trained on.
    """
    recipe = recipe_of(run)
    settings = read_classifier_settings(run / "adapter")
    folder = output or run / "evaluations" / split
    claim_report_folder(folder / "report")
    if data:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=dict(data))})
    loaded = load_splits(recipe.data.source, recipe.data.place, recipe.data.options)
    examples = loaded.split(split)
    if loaded.classes != settings.labels:
        raise InputError(
            f"The data has the classes {', '.join(loaded.classes)}; the model was trained on "
            f"{', '.join(settings.labels)}. Name them with data.options.classes."
        )
    if not examples:
        raise InputError(f"The {split} split of '{loaded.source}' is empty.")
    if threshold:
        report_section = recipe.report.model_copy(update={"threshold": threshold})
        recipe = recipe.model_copy(update={"report": report_section})
    validation = _validation_of(run, recipe, loaded.classes)
    sensitive = single_attributes(recipe.data.sensitive)
    loaded = limit_splits(loaded, recipe.data.limit)
    if loaded.train:  # which values are rare is told by training alone, here as in the run
        loaded, _ = merge_rare_groups(loaded, sensitive, recipe.data.merge_groups_below)
    only = replace(loaded, **{n: loaded.split(n) if n == split else () for n in SPLIT_NAMES})
    only, touched = apply_missing_policy(only, sensitive, recipe.data.missing_groups)
    notes = (*(_reuse_notes(recipe, split) if not data else ()), *_missing_notes(recipe, touched))
    accelerator = start_accelerator(settings.precision, [], folder)
    classifier = load_classifier(settings, run / "adapter", DTYPES[settings.precision])
    classifier.to(accelerator.device)
    only, dropped, features = prepare_features(
        only, classifier.backbone, use_vision_cache, skip_unreadable, accelerator, display
    )
    if dropped:
        notes = (*notes, _skipped_note(dropped))
    engine = build_engine(classifier, settings.prompt, accelerator)
    predictions = predict_split(
        engine, only.split(split), features[split], settings.labels, loaded.attributes, display
    )
    if not accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    write_predictions(predictions, folder / "predictions.csv")
    report = _report_on(predictions, recipe, notes, validation)
    write_report(report, folder / "report")
    return Outcome(folder, recipe.objective.method, report, {})


def predict(
    run: Path,
    images: Sequence[Path],
    display: Display = SilentDisplay(),  # noqa: B008
) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and probabilities (N, K) for image files; needs no labels and no attributes.

    Raises UnreadableImageError naming every count of files that cannot be read.
    """
    recipe_of(run)
    settings = read_classifier_settings(run / "adapter")
    raise_unreadable(find_unreadable(images))
    accelerator = start_accelerator(settings.precision, [], run)
    classifier = load_classifier(settings, run / "adapter", DTYPES[settings.precision])
    classifier.to(accelerator.device)
    engine = build_engine(classifier, settings.prompt, accelerator)
    display.stage("Predicting", len(images))
    logits = predict_logits(
        engine,
        live_features(classifier.backbone, images),
        len(images),
        len(settings.labels),
        display.advance,
    )
    return settings.labels, softmax(logits)


def images_of_table(
    path: Path, column: str = "image", *, allow_urls: bool = False
) -> list[tuple[str, Path]]:
    """Name and file of each image that a table names, relative to it. Raises InputError."""
    frame = read_table(path)
    require_columns(frame, [column], path)
    named = frame[column].dropna()
    files = resolve_images(path, named, allow_outside=True, allow_urls=allow_urls)
    ids = [name if "://" in name else str(path.parent / name) for name in named]
    return list(zip(ids, files, strict=True))


def _load_data(recipe: Recipe, shared: SharedParts) -> tuple[Splits, RunGroups, tuple[str, ...]]:
    source, place, options = recipe.data.source, recipe.data.place, recipe.data.options
    loaded = shared.once(
        ("splits", source, place, repr(options)), lambda: load_splits(source, place, options)
    )
    splits = limit_splits(loaded, recipe.data.limit)
    sensitive = single_attributes(recipe.data.sensitive)
    splits, merged = merge_rare_groups(splits, sensitive, recipe.data.merge_groups_below)
    splits, touched = apply_missing_policy(splits, sensitive, recipe.data.missing_groups)
    validate_splits(splits)
    require_two_classes(parse_threshold(recipe.report.threshold), splits.classes)
    notes = (*_missing_notes(recipe, touched), *merged)
    if recipe.model.pooling == "first":
        notes = (*notes, FIRST_POOLING)
    return splits, encode_run_groups(recipe, splits), notes


def _absent_notes(groups: RunGroups) -> tuple[str, ...]:
    return tuple(
        f"The group {name} ({attribute}) is absent from training; the objective never saw it."
        for attribute, found in groups.protected.items()
        for name in found.absent_from_training
    )


def _predict_missing_groups(
    recipe: Recipe, splits: Splits, features: ImageFeatures
) -> tuple[Splits, tuple[str, ...]]:
    return fill_missing_groups(
        splits,
        single_attributes(recipe.data.sensitive),
        mean_visual_tokens(features, len(splits.train)),
        recipe.data.predict_confidence,
        recipe.seed,
    )


def _missing_notes(recipe: Recipe, touched: int) -> tuple[str, ...]:
    if not touched:
        return ()
    policy = recipe.data.missing_groups
    treated = "left out" if policy == "drop" else "kept as the group Unknown"
    return (
        f"{touched} examples lack a sensitive attribute and were {treated} (data.missing_groups).",
    )


def _reuse_notes(recipe: Recipe, split: str) -> tuple[str, ...]:
    """What a reader must know of an evaluation on examples that training or selection saw."""
    saw = {"train": "The model was trained on", "validation": "The best epoch was chosen on"}
    if split not in saw or not OBJECTIVES[recipe.objective.method].trains:
        return ()
    return (f"{saw[split]} the {split} split, so these numbers are too good.",)


def _carry_out(
    recipe: Recipe,
    engine: Engine,
    settings: ClassifierSettings,
    splits: Splits,
    groups: RunGroups,
    features: Mapping[str, ImageFeatures],
    folder: Path,
    notes: Sequence[str],
    timings: dict[str, float],
    display: Display,
) -> Outcome:
    """Everything that writes into a run folder that stands."""
    accelerator = engine.accelerator
    progress = None
    if OBJECTIVES[recipe.objective.method].trains:
        with _timed(timings, "training"), _failure_noted(folder, accelerator.is_main_process):
            progress = _train(recipe, engine, splits, groups, features, folder, display)
        if recipe.training.select_by.startswith("bounded_") and progress.best_score < 0:
            notes = (*notes, _unbounded_note(recipe, progress))
            display.say(f"! {notes[-1]}")
    if accelerator.is_main_process:
        save_classifier(engine.classifier, settings, folder / "adapter")
    with _timed(timings, "prediction"):
        predicted = {
            name: predict_split(
                engine,
                splits.split(name),
                features[name],
                splits.classes,
                splits.attributes,
                display,
            )
            for name in ("validation", "test")
        }
    probes = {}
    if recipe.report.probes and progress is not None:
        with _timed(timings, "probes"):
            probes = probe_run(recipe, engine, splits, features, display)
    if not accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    if probes:
        append_to_log(folder, {"step": progress.step, "probes": probes})
    for name, predictions in predicted.items():
        write_predictions(predictions, folder / "predictions" / f"{name}.csv")
    with _timed(timings, "report"):
        display.stage("Report", 1)
        report = _report_on(predicted["test"], recipe, notes, predicted["validation"])
        if probes:
            report = add_sections(report, [probe_section(probes)])
        write_report(report, folder / "report")
        display.advance(1)
    state = update_state(
        folder,
        status="complete",
        timings={"seconds": {k: round(v, 2) for k, v in timings.items()}},
        **(training_state(folder, progress, groups, recipe.training) if progress else {}),
        **({"probes": probes} if probes else {}),
    )
    write_text(folder / "README.md", model_card(recipe, state, report))
    accelerator.end_training()
    return Outcome(folder, recipe.objective.method, report, state)


def _train(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    groups: RunGroups,
    features: Mapping[str, ImageFeatures],
    folder: Path,
    display: Display,
) -> Progress:
    training = recipe.training
    labels = {n: np.array([e.label for e in splits.split(n)], dtype=np.int64) for n in SPLIT_NAMES}
    objective = build_run_objective(
        recipe, groups, engine.classifier.backbone.hidden_size, engine.accelerator.device
    )
    _pretrain_attribute_classifiers(recipe, engine, objective, groups, features["train"], display)
    if training.trackers:
        engine.accelerator.init_trackers("tracking")
    sampled = groups.crossed("train", len(splits.train))

    def validate() -> dict[str, float]:
        engine.classifier.eval()
        logits = predict_logits(
            engine,
            features["validation"],
            len(splits.validation),
            len(splits.classes),
            lambda count: None,
        )
        return validation_metrics(
            logits,
            labels["validation"],
            groups.protected_codes("validation"),
            training.select_by,
            training.gap_bound,
        )

    return fine_tune(
        engine.classifier,
        engine.forward,
        objective,
        lambda epoch: SAMPLERS[training.sampler](sampled, training.batch_size, recipe.seed, epoch),
        partial(make_batch, features=features["train"], encode_prompt=engine.encode_prompt),
        labels["train"],
        groups.protected_codes("train"),
        groups.recorded_codes("train"),
        LoopSettings(
            epochs=training.epochs,
            micro_batch_size=training.micro_batch_size,
            learning_rate=training.learning_rate,
            head_learning_rate=training.head_learning_rate,
            attribute_learning_rates={
                key: section.learning_rate for key, section in dependence_sections(recipe).items()
            },
            weight_decay=training.weight_decay,
            warmup_steps=training.warmup_steps,
            schedule=training.schedule,
            gradient_clip=training.gradient_clip,
            checkpoint_every=training.checkpoint_every,
            seed=recipe.seed,
        ),
        engine.accelerator,
        folder,
        validate,
        display,
    )


def _pretrain_attribute_classifiers(
    recipe: Recipe,
    engine: Engine,
    objective: Objective,
    groups: RunGroups,
    features: ImageFeatures,
    display: Display,
) -> None:
    """Train those that the recipe wants frozen, on the training states of the model as it is."""
    waiting = [d for d in objective.dependences if not d.trains]
    if not waiting:
        return
    engine.classifier.eval()
    codes = groups.recorded_codes("train")
    count = len(codes[waiting[0].attribute])
    draws = np.random.default_rng([recipe.seed, 2]).random(count)
    states = predict_states(engine, features, count, display, draws)
    hidden = torch.from_numpy(states[:, 1:]).to(engine.accelerator.device)
    for dependence in waiting:
        section = dependence_sections(recipe)[dependence.kind]
        loss = pretrain_attribute_classifier(
            dependence,
            hidden,
            codes[dependence.attribute],
            epochs=section.pretrain_epochs,
            batch_size=recipe.training.batch_size,
            learning_rate=section.learning_rate,
            seed=recipe.seed,
        )
        display.say(
            f"Attribute classifier of {dependence.attribute}: loss {loss:.3f} nats, now frozen"
        )


def _validation_of(run: Path, recipe: Recipe, classes: tuple[str, ...]) -> Predictions | None:
    """The run's validation predictions, where its threshold is chosen on them."""
    rule = parse_threshold(recipe.report.threshold)
    require_two_classes(rule, classes)
    if not rule.needs_validation:
        return None
    return read_predictions(split_predictions(run, "validation"))


def _report_on(
    predictions: Predictions,
    recipe: Recipe,
    notes: Sequence[str],
    validation: Predictions | None,
) -> FairnessReport:
    judged, operating_point = judge_by_rule(predictions, recipe.report.threshold, validation)
    report = fairness_report(
        judged,
        report_attributes(recipe),
        bootstrap=recipe.report.bootstrap,
        minimum_group_size=recipe.report.minimum_group_size,
        seed=recipe.seed,
        notes=notes,
    )
    return add_sections(report, [operating_point])


def _unbounded_note(recipe: Recipe, progress: Progress) -> str:
    return (
        f"No epoch had a validation MaxAccGap within training.gap_bound {recipe.training.gap_bound}; "
        f"epoch {progress.best_epoch} has the smallest, {-progress.best_score:.3f}, and was taken."
    )


def _skipped_note(dropped: Sequence[Path]) -> str:
    return f"{len(dropped)} unreadable images were skipped, the first: {dropped[0].name}."


@contextmanager
def _failure_noted(folder: Path, is_main: bool) -> Iterator[None]:
    """Write a failed run's reason into run.json; the error goes on its way."""
    try:
        yield
    except RunError as error:
        if is_main:
            update_state(folder, status="failed", error=str(error))
        raise


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - started
