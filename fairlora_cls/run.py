"""recipe → run folder; the only place that wires all the parts.

N examples of a split, K classes, G groups.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import SAMPLERS, Batch, ImageFeatures, PromptEncoder, collate
from fairlora_cls.data.datasets import load_splits
from fairlora_cls.data.examples import (
    SPLIT_NAMES,
    Example,
    Splits,
    fingerprint,
    limit_splits,
    validate_splits,
)
from fairlora_cls.data.groups import Groups, apply_missing_policy, encode_groups
from fairlora_cls.data.images import UnreadableImageError, content_digest, find_unreadable
from fairlora_cls.data.prompts import render_prompt
from fairlora_cls.data.tables import read_table, require_columns
from fairlora_cls.data.vision_cache import CachedFeatures, LiveFeatures, fill_cache, open_cache
from fairlora_cls.errors import InputError, RunError
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction import collect_predictions, predict_logits, softmax
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from fairlora_cls.evaluation.report import FairnessReport, fairness_report, write_report
from fairlora_cls.files import cache_folder, read_json, write_text
from fairlora_cls.model_card import model_card
from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.backbones import Backbone, load_backbone
from fairlora_cls.models.classifier import (
    Classifier,
    ClassifierSettings,
    load_classifier,
    read_classifier_settings,
    save_classifier,
)
from fairlora_cls.models.zero_shot import load_label_word_classifier
from fairlora_cls.objectives.objectives import OBJECTIVES, build_objective
from fairlora_cls.recipe import Recipe, load_recipe
from fairlora_cls.run_folder import (
    claim_report_folder,
    create_run_folder,
    inspect_run_folder,
    installed_versions,
    is_run_folder,
    update_state,
)
from fairlora_cls.training.loop import Display, LoopSettings, TrainingSummary, fine_tune

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
FIRST_POOLING = (
    "model.pooling is first: under causal attention the first token sees neither image nor question, "
    "so every image gets the same prediction. Use last."
)
PREDICTION_BATCH = 16  # examples in one forward pass without gradients


@dataclass(frozen=True)
class Outcome:
    """What a finished run or evaluation gives its caller."""

    folder: Path
    method: str
    report: FairnessReport
    state: Mapping[str, Any]  # of run.json


@dataclass(frozen=True)
class Engine:
    """A classifier on its device, and how a split's examples become its batches."""

    classifier: torch.nn.Module
    forward: Callable[[Batch], torch.Tensor]  # under accelerate's autocast
    encode_prompt: PromptEncoder
    accelerator: Any


def train(
    recipe: Recipe,
    folder: Path,
    display: Display,
    *,
    resume: bool = False,
    overwrite: bool = False,
    use_vision_cache: bool = True,
    skip_unreadable: bool = False,
) -> Outcome:
    """Run a whole recipe: train, predict validation and test, report, and write the run folder.

    Every check that needs no training is made before `folder` is created or touched. Raises
    InputError for bad input and RunError for a run that failed.
    """
    going_on = inspect_run_folder(folder, recipe, resume=resume, overwrite=overwrite)
    timings: dict[str, float] = {}
    accelerator = start_accelerator(recipe.training.precision, recipe.training.trackers, folder)
    if going_on and read_json(folder / "run.json")["status"] == "complete":
        display.say(f"The run in {folder} is complete; its report is made again.")
    with _timed(timings, "data"):
        splits, groups, notes = _load_data(recipe)
    with _timed(timings, "model"):
        classifier, settings = _build_classifier(recipe, splits)
        classifier.to(accelerator.device)
    backbone = classifier.backbone
    with _timed(timings, "vision_features"):
        splits, dropped, features = _prepare_features(
            splits, backbone, use_vision_cache, skip_unreadable, accelerator, display
        )
        if dropped:
            groups = encode_groups(splits, groups.attribute.split("×")) if groups else None
            notes = (
                *notes,
                f"{len(dropped)} unreadable images were skipped, the first: {dropped[0].name}.",
            )
    data = fingerprint(splits)
    if going_on and read_json(folder / "run.json")["data_fingerprint"] != data:
        raise InputError(
            f"The data has changed since the run in '{folder}' began; start anew with --overwrite."
        )
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not going_on:
        create_run_folder(
            folder,
            recipe,
            _initial_state(recipe, splits, groups, classifier, accelerator, data, notes),
        )
    accelerator.wait_for_everyone()
    engine = _build_engine(classifier, recipe.data.prompt, accelerator)
    summary = None
    if OBJECTIVES[recipe.objective.method].trains:
        with _timed(timings, "training"), _failure_noted(folder, accelerator.is_main_process):
            summary = _train(recipe, engine, splits, groups, features, folder, display)
    if accelerator.is_main_process:
        save_classifier(classifier, settings, folder / "adapter")
    with _timed(timings, "prediction"):
        predicted = {
            name: _predict_split(
                engine,
                splits.split(name),
                features[name],
                splits.classes,
                splits.attributes,
                display,
            )
            for name in ("validation", "test")
        }
    if not accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    for name, predictions in predicted.items():
        write_predictions(predictions, folder / "predictions" / f"{name}.csv")
    with _timed(timings, "report"):
        display.stage("Report", 1)
        report = fairness_report(
            predicted["test"],
            _reported_attributes(recipe),
            bootstrap=recipe.report.bootstrap,
            minimum_group_size=recipe.report.minimum_group_size,
            seed=recipe.seed,
            notes=notes,
        )
        write_report(report, folder / "report")
        display.advance(1)
    state = update_state(
        folder,
        status="complete",
        timings={"seconds": {k: round(v, 2) for k, v in timings.items()}},
        **(_training_state(folder, summary, groups) if summary else {}),
    )
    write_text(folder / "README.md", model_card(recipe, state, report))
    accelerator.end_training()
    return Outcome(folder, recipe.objective.method, report, state)


def evaluate(
    run: Path,
    display: Display,
    *,
    split: str = "test",
    data: Mapping[str, Any] | None = None,
    output: Path | None = None,
    use_vision_cache: bool = True,
    skip_unreadable: bool = False,
) -> Outcome:
    """Predict a split again, of the run's own data or of another source, and report on it.

    `data` replaces keys of the recipe's data section. Writes `predictions.csv` and `report/` into
    `output` (default `<run>/evaluations/<split>`). Raises InputError when classes differ from those
    trained on.
    """
    recipe = _recipe_of(run)
    settings = read_classifier_settings(run / "adapter")
    folder = output or run / "evaluations" / split
    claim_report_folder(folder / "report")
    if data:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=dict(data))})
    loaded = load_splits(recipe.data.source, _path(recipe), recipe.data.options)
    examples = loaded.split(split)
    if loaded.classes != settings.labels:
        raise InputError(
            f"The data has the classes {', '.join(loaded.classes)}; the model was trained on "
            f"{', '.join(settings.labels)}. Name them with data.options.classes."
        )
    if not examples:
        raise InputError(f"The {split} split of '{loaded.source}' is empty.")
    only = replace(loaded, **{name: examples if name == split else () for name in SPLIT_NAMES})
    only = limit_splits(only, recipe.data.limit)
    only, touched = apply_missing_policy(only, recipe.data.sensitive, recipe.data.missing_groups)
    notes = _missing_notes(recipe, touched)
    accelerator = start_accelerator(settings.precision, [], folder)
    classifier = load_classifier(settings, run / "adapter", DTYPES[settings.precision])
    classifier.to(accelerator.device)
    only, dropped, features = _prepare_features(
        only, classifier.backbone, use_vision_cache, skip_unreadable, accelerator, display
    )
    if dropped:
        notes = (
            *notes,
            f"{len(dropped)} unreadable images were skipped, the first: {dropped[0].name}.",
        )
    engine = _build_engine(classifier, settings.prompt, accelerator)
    predictions = _predict_split(
        engine, only.split(split), features[split], settings.labels, loaded.attributes, display
    )
    if not accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    write_predictions(predictions, folder / "predictions.csv")
    report = fairness_report(
        predictions,
        _reported_attributes(recipe),
        bootstrap=recipe.report.bootstrap,
        minimum_group_size=recipe.report.minimum_group_size,
        seed=recipe.seed,
        notes=notes,
    )
    write_report(report, folder / "report")
    return Outcome(folder, recipe.objective.method, report, {})


def predict(
    run: Path, images: Sequence[Path], display: Display
) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and probabilities (N, K) for image files; needs no labels and no attributes.

    Raises UnreadableImageError naming every count of files that cannot be read.
    """
    _recipe_of(run)
    settings = read_classifier_settings(run / "adapter")
    _raise_unreadable(find_unreadable(images))
    accelerator = start_accelerator(settings.precision, [], run)
    classifier = load_classifier(settings, run / "adapter", DTYPES[settings.precision])
    classifier.to(accelerator.device)
    engine = _build_engine(classifier, settings.prompt, accelerator)
    display.stage("Predicting", len(images))
    logits = predict_logits(
        engine.forward,
        partial(
            _make_batch,
            features=_live(classifier.backbone, images),
            encode_prompt=engine.encode_prompt,
        ),
        len(images),
        len(settings.labels),
        PREDICTION_BATCH,
        accelerator,
        display.advance,
    )
    return settings.labels, softmax(logits)


def images_of_table(path: Path, column: str = "image") -> list[Path]:
    """The image files that a CSV names, relative to it. Raises InputError."""
    frame = read_table(path)
    require_columns(frame, [column], path)
    return [path.parent / name for name in frame[column].dropna()]


def start_accelerator(precision: str, trackers: Sequence[str], folder: Path) -> Any:
    """accelerate with the recipe's precision on the best device that there is.

    Raises InputError for fp16 without a GPU, which accelerate does not offer.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # A process may run several recipes (an ablation, a notebook); accelerate keeps the first
    # precision for all of them unless its shared state is cleared.
    AcceleratorState._reset_state()
    mixed = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}[precision]
    if mixed == "fp16" and not torch.cuda.is_available():
        raise InputError("training.precision is fp16, which needs a GPU; use bf16 or fp32 here.")
    return Accelerator(
        mixed_precision=mixed,
        log_with=list(trackers) or None,
        project_dir=str(folder) if trackers else None,
    )


def _recipe_of(run: Path) -> Recipe:
    if not is_run_folder(run):
        raise InputError(f"'{run}' is not a run folder (no recipe.yaml and run.json).")
    return load_recipe(run / "recipe.yaml")


def _path(recipe: Recipe) -> Path | None:
    return Path(recipe.data.path).expanduser() if recipe.data.path else None


def _load_data(recipe: Recipe) -> tuple[Splits, Groups | None, tuple[str, ...]]:
    splits = limit_splits(
        load_splits(recipe.data.source, _path(recipe), recipe.data.options), recipe.data.limit
    )
    splits, touched = apply_missing_policy(
        splits, recipe.data.sensitive, recipe.data.missing_groups
    )
    validate_splits(splits)
    notes = _missing_notes(recipe, touched)
    if recipe.model.pooling == "first":
        notes = (*notes, FIRST_POOLING)
    groups = encode_groups(splits, recipe.objective.protect) if recipe.objective.protect else None
    for name in groups.absent_from_training if groups else ():
        notes = (
            *notes,
            f"The group {name} ({groups.attribute}) is absent from training; the objective never saw it.",
        )
    return splits, groups, notes


def _missing_notes(recipe: Recipe, touched: int) -> tuple[str, ...]:
    if not touched:
        return ()
    treated = {"keep": "kept as the group Unknown", "drop": "left out"}[recipe.data.missing_groups]
    return (
        f"{touched} examples lack a sensitive attribute and were {treated} (data.missing_groups).",
    )


def _build_classifier(recipe: Recipe, splits: Splits) -> tuple[torch.nn.Module, ClassifierSettings]:
    model, objective = recipe.model, recipe.objective
    words = None
    if objective.method == "zero-shot" and objective.zero_shot == "label_words":
        words = tuple(objective.label_words or splits.classes)
        if len(words) != len(splits.classes):
            raise InputError(
                f"objective.label_words has {len(words)} entries for {len(splits.classes)} classes "
                f"({', '.join(splits.classes)})."
            )
    settings = ClassifierSettings(
        backbone=model.backbone,
        labels=splits.classes,
        prompt=recipe.data.prompt,
        pooling=model.pooling,
        maximum_pixels=model.max_pixels,
        precision=recipe.training.precision,
        label_words=words,
    )
    dtype = DTYPES[recipe.training.precision]
    if words is not None:
        return load_label_word_classifier(model.backbone, dtype, model.max_pixels, words), settings
    backbone = load_backbone(model.backbone, dtype, model.max_pixels)
    torch.manual_seed(recipe.seed)
    network = attach_lora(backbone, LoraSettings(**model.lora.model_dump()))
    if recipe.training.gradient_checkpointing:
        backbone.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    return Classifier(backbone, network, len(splits.classes), model.pooling), settings


def _build_engine(classifier: torch.nn.Module, prompt: str, accelerator: Any) -> Engine:
    backbone = classifier.backbone
    encoder = PromptEncoder(
        render_prompt(backbone.processor, prompt),
        backbone.processor.tokenizer,
        backbone.visual_tokens,
        backbone.positions,
    )
    # evaluation_mode: autocast only. Gradients are summed by hand, over the whole effective batch.
    forward = accelerator.prepare_model(classifier, evaluation_mode=True)
    return Engine(classifier, forward, encoder, accelerator)


def _make_batch(
    indices: Sequence[int], features: ImageFeatures, encode_prompt: PromptEncoder
) -> Batch:
    return collate(indices, features(indices), encode_prompt)


def _live(backbone: Backbone, paths: Sequence[Path]) -> LiveFeatures:
    return LiveFeatures(
        paths, backbone.encode_images, backbone.minimum_pixels, backbone.maximum_pixels
    )


def _prepare_features(
    splits: Splits,
    backbone: Backbone,
    use_cache: bool,
    skip_unreadable: bool,
    accelerator: Any,
    display: Display,
) -> tuple[Splits, list[Path], dict[str, ImageFeatures]]:
    """Features of every split, from the cache (filled here) or live; and the images left out."""
    paths = list(dict.fromkeys(e.image for e in splits.everything()))
    entries: dict[Path, Any] = {}
    if use_cache:
        entries = _cached_entries(paths, backbone, accelerator, display)
        problems = find_unreadable([p for p in paths if p not in entries])
    else:
        problems = find_unreadable(paths)
    if not skip_unreadable:
        _raise_unreadable(problems)
    dropped = [problem.path for problem in problems]
    if dropped:
        bad = set(dropped)
        kept = {n: tuple(e for e in splits.split(n) if e.image not in bad) for n in SPLIT_NAMES}
        splits = replace(splits, **kept)
    features = {}
    for name in SPLIT_NAMES:
        images = [e.image for e in splits.split(name)]
        features[name] = (
            CachedFeatures([entries[i] for i in images]) if use_cache else _live(backbone, images)
        )
    return splits, dropped, features


def _cached_entries(
    paths: Sequence[Path], backbone: Backbone, accelerator: Any, display: Display
) -> dict[Path, Any]:
    digests = {}
    for path in paths:
        try:
            digests[path] = content_digest(path)
        except UnreadableImageError:
            continue  # no entry: the caller finds and names it
    folder = cache_folder() / "vision" / backbone.vision_fingerprint()
    found = open_cache(folder, digests.values())
    new = sorted({d: p for p, d in digests.items() if d not in found}.items())
    if new:
        display.stage("Vision features", len(new))
        share = new[accelerator.process_index :: accelerator.num_processes]
        fill_cache(
            folder,
            share,
            backbone.encode_images,
            backbone.minimum_pixels,
            backbone.maximum_pixels,
            lambda count: display.advance(count * accelerator.num_processes),
        )
    accelerator.wait_for_everyone()
    if new:
        found |= open_cache(folder, [d for d, _ in new])
    return {path: found[digest] for path, digest in digests.items() if digest in found}


def _raise_unreadable(problems: Sequence[UnreadableImageError]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0]
    raise InputError(f"{len(problems)} images cannot be read. The first: {problems[0]}")


def _train(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    groups: Groups | None,
    features: Mapping[str, ImageFeatures],
    folder: Path,
    display: Display,
) -> TrainingSummary:
    training, objective = recipe.training, recipe.objective
    labels = {n: np.array([e.label for e in splits.split(n)], dtype=np.int64) for n in SPLIT_NAMES}
    codes = groups.codes if groups else {n: np.zeros_like(labels[n]) for n in SPLIT_NAMES}
    counts = groups.counts if groups else (len(splits.train),)
    if training.trackers:
        engine.accelerator.init_trackers("tracking")
    sampler = SAMPLERS[training.sampler]

    def validate() -> dict[str, float]:
        engine.classifier.eval()
        logits = predict_logits(
            engine.forward,
            partial(
                _make_batch, features=features["validation"], encode_prompt=engine.encode_prompt
            ),
            len(splits.validation),
            len(splits.classes),
            PREDICTION_BATCH,
            engine.accelerator,
            lambda count: None,
        )
        return validation_metrics(
            logits, labels["validation"], codes["validation"], training.select_by
        )

    return fine_tune(
        engine.classifier,
        engine.forward,
        build_objective(
            objective.method,
            counts,
            weight_cap=objective.weight_cap,
            gap_weight=objective.gap_weight,
            weighting=objective.weighting,
        ),
        lambda epoch: sampler(len(splits.train), training.batch_size, recipe.seed, epoch),
        partial(_make_batch, features=features["train"], encode_prompt=engine.encode_prompt),
        labels["train"],
        codes["train"],
        LoopSettings(
            epochs=training.epochs,
            micro_batch_size=training.micro_batch_size,
            learning_rate=training.learning_rate,
            head_learning_rate=training.head_learning_rate,
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


def validation_metrics(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, select_by: str
) -> dict[str, float]:
    """Loss (nats), accuracy, AUROC and MaxAccGap of the validation split, and `score`.

    `score` decides the best epoch, higher is better: the metric named by `select_by`, or minus
    the loss where that is asked for or the AUROC is undefined (one class only). Undefined values
    are left out.
    """
    probabilities = softmax(logits)
    predictions = logits.argmax(axis=1)
    picked = probabilities[np.arange(len(labels)), labels]
    accuracy = [(predictions == labels)[groups == g].mean() for g in np.unique(groups)]
    values = {
        "loss": float(-np.log(np.maximum(picked, 1e-12)).mean()),
        "accuracy": float((predictions == labels).mean()),
        "auroc": float(
            METRICS["auroc"].function(labels, predictions, probabilities, logits.shape[1] - 1)
        ),
        "max_acc_gap": float(GAPS["max_acc_gap"].values({"accuracy": np.array(accuracy)})),
    }
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    score = -values["loss"] if select_by == "loss" or select_by not in values else values[select_by]
    return {**values, "score": score}


def _predict_split(
    engine: Engine,
    examples: Sequence[Example],
    features: ImageFeatures,
    classes: tuple[str, ...],
    attributes: Sequence[str],
    display: Display,
) -> Predictions:
    display.stage("Predicting", len(examples))
    logits = predict_logits(
        engine.forward,
        partial(_make_batch, features=features, encode_prompt=engine.encode_prompt),
        len(examples),
        len(classes),
        PREDICTION_BATCH,
        engine.accelerator,
        display.advance,
    )
    return collect_predictions(examples, logits, classes, attributes)


def _reported_attributes(recipe: Recipe) -> list[str]:
    """The sensitive attributes, and the intersection that the objective protects if it is one."""
    crossed = "×".join(recipe.objective.protect or [])
    return [*recipe.data.sensitive, *([crossed] if "×" in crossed else [])]


def _initial_state(
    recipe: Recipe,
    splits: Splits,
    groups: Groups | None,
    classifier: torch.nn.Module,
    accelerator: Any,
    data_fingerprint: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    return {
        "schema": 1,
        "status": "running",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": recipe.seed,
        "device": str(accelerator.device),
        "processes": accelerator.num_processes,
        "python": platform.python_version(),
        "versions": installed_versions(),
        "trainable_parameters": sum(p.numel() for p in classifier.parameters() if p.requires_grad),
        "parameters": sum(p.numel() for p in classifier.parameters()),
        "data_fingerprint": data_fingerprint,
        "examples": {name: len(splits.split(name)) for name in SPLIT_NAMES},
        "classes": list(splits.classes),
        "protected": {
            "attribute": groups.attribute,
            "training_counts": dict(zip(groups.names, groups.counts, strict=True)),
        }
        if groups
        else None,
        "selection_rule": f"highest validation {recipe.training.select_by}, earlier epoch on a tie"
        if recipe.training.select_by != "loss"
        else "lowest validation loss, earlier epoch on a tie",
        "notes": list(notes),
    }


def _training_state(
    folder: Path, summary: TrainingSummary, groups: Groups | None
) -> dict[str, Any]:
    progress = summary.progress
    return {
        "training": {
            "steps": progress.step,
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch,
            "best_validation_score": progress.best_score,
            "images_per_second": round(progress.images / max(progress.seconds, 1e-9), 2),
            **_summarise_log(folder / "log.jsonl", groups),
        }
    }


def _summarise_log(path: Path, groups: Groups | None) -> dict[str, Any]:
    """How often each group was present in a step, and how often the penalty was active."""
    with path.open(encoding="utf-8") as file:
        steps = [r for r in map(json.loads, file) if "loss" in r]
    present = (np.array([r["group_counts"] for r in steps]) > 0).mean(axis=0)
    summary: dict[str, Any] = {}
    if groups:
        summary["group_present_in_steps"] = dict(
            zip(groups.names, present.round(4).tolist(), strict=True)
        )
    if "soft_max_acc_gap" in steps[0]:
        active = float(np.mean([r["soft_max_acc_gap"] > 0 for r in steps]))
        summary["penalty_active_in_steps"] = round(active, 4)
    return summary


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
