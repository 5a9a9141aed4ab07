"""recipe → run folder; the only place that wires all the parts.

N examples of a split, K classes, G groups.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.checking.check import quick_check
from fairlora_cls.data.batching import SAMPLERS, ImageFeatures
from fairlora_cls.data.examples import Splits, fingerprint
from fairlora_cls.errors import InputError, sentence
from fairlora_cls.evaluation.probe_section import probe_section
from fairlora_cls.evaluation.report import write_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.files import remove_leftovers, write_text
from fairlora_cls.objectives.objectives import OBJECTIVES, Objective
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import (
    RunGroups,
    build_run_objective,
    dependence_sections,
    encode_run_groups,
)
from fairlora_cls.runs.card import model_card
from fairlora_cls.runs.engine import (
    BatchMaker,
    Engine,
    build_engine,
    predict_states,
    prepare_features,
    start_accelerator,
)
from fairlora_cls.runs.folder import (
    create_run_folder,
    hold_run_folder,
    inspect_run_folder,
    read_state,
    update_state,
)
from fairlora_cls.runs.probing import probe_run
from fairlora_cls.runs.run_data import (
    absent_notes,
    load_run_data,
    predict_missing_groups,
    skipped_note,
)
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.runs.state import (
    append_to_log,
    initial_state,
    log_notes,
    runaway_notes,
    training_state,
)
from fairlora_cls.runs.task import Outcome
from fairlora_cls.runs.tasks import TASKS
from fairlora_cls.training.attribute_pretraining import pretrain_attribute_classifier
from fairlora_cls.training.checkpoints import Progress
from fairlora_cls.training.loop import (
    Display,
    LoopSettings,
    SilentDisplay,
    fine_tune,
)


def train(
    recipe: Recipe,
    folder: Path,
    display: Display = SilentDisplay(),  # noqa: B008, it keeps no state
    *,
    resume: bool = False,
    overwrite: bool = False,
    use_vision_cache: bool = True,
    skip_unreadable: bool = False,
    allow_urls: bool = False,
    shared: SharedParts | None = None,
) -> Outcome:
    """Run a whole recipe: train, predict validation and test, report, and write the run folder.

    Every check that needs no training is made before `folder` is created or touched. With
    `allow_urls` images that a table names by URL are fetched; the recipe alone does not. `shared`
    holds what further runs of this process need not load again; it changes no result. Raises
    InputError for bad input and RunError for a run that failed.
    """
    task = TASKS[recipe.task]
    shared = shared or SharedParts()
    going_on = inspect_run_folder(folder, recipe, resume=resume, overwrite=overwrite)
    timings: dict[str, float] = {}
    accelerator = start_accelerator(recipe.training.precision, recipe.training.trackers, folder)
    if going_on and read_state(folder)["status"] == "complete":
        display.say(f"The run in {folder} is complete; its report is made again.")
    with _timed(timings, "data"):
        splits, notes = load_run_data(recipe, shared, allow_urls)
        notes = (*notes, *task.check(recipe, splits))
        for split in task.predicted:
            task.require_reportable(recipe, splits, split)
        groups = encode_run_groups(recipe, splits)
        for finding in quick_check(recipe, splits, skip_unreadable):
            display.say(f"! {finding.message}")
    loaded = fingerprint(splits)
    if going_on:
        _require_unchanged(folder, "loaded_fingerprint", loaded)
    with _timed(timings, "model"):
        model, settings = task.build(recipe, splits, shared)
        model.to(accelerator.device)
    with _timed(timings, "vision_features"):
        splits, dropped, features = prepare_features(
            splits, model.backbone, use_vision_cache, skip_unreadable, accelerator, display, shared
        )
        if dropped:
            task.check(recipe, splits)
            notes = (*notes, skipped_note(dropped))
    data = fingerprint(splits) if dropped else loaded
    if recipe.data.missing_groups == "predict":
        with _timed(timings, "missing_groups"):
            splits, filled = predict_missing_groups(recipe, splits, features["train"])
            notes = (*notes, *filled)
    if dropped or recipe.data.missing_groups == "predict":
        groups = encode_run_groups(recipe, splits)
    notes = (*notes, *absent_notes(groups))
    if going_on:
        _require_unchanged(folder, "data_fingerprint", data)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and going_on:
        for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            remove_leftovers(place)
    if accelerator.is_main_process and not going_on:
        create_run_folder(
            folder,
            recipe,
            initial_state(recipe, splits, groups, model, accelerator, loaded, data, notes),
            overwrite=overwrite,
        )
    accelerator.wait_for_everyone()
    engine = build_engine(model, accelerator)
    with _keeping_state(folder) if accelerator.is_main_process else nullcontext():
        outcome = _carry_out(
            recipe, engine, settings, splits, groups, features, folder, notes, timings, display
        )
    shared.give_back(model)
    return outcome


def _carry_out(
    recipe: Recipe,
    engine: Engine,
    settings: Any,
    splits: Splits,
    groups: RunGroups,
    features: Mapping[str, ImageFeatures],
    folder: Path,
    notes: Sequence[str],
    timings: dict[str, float],
    display: Display,
) -> Outcome:
    """Everything that writes into a run folder that stands."""
    task, accelerator = TASKS[recipe.task], engine.accelerator
    batch_makers = task.batch_makers(recipe, engine, splits, features)
    progress = None
    if OBJECTIVES[recipe.objective.method].trains:
        with _timed(timings, "training"):
            progress = _train(recipe, engine, splits, groups, batch_makers, folder, display)
        if recipe.training.select_by.startswith("bounded_") and progress.best_score < 0:
            notes = (*notes, _unbounded_note(recipe, progress))
            display.say(f"! {notes[-1]}")
        if accelerator.is_main_process:
            notes = (*notes, *log_notes(folder, progress.step), *runaway_notes(folder, groups))
    if accelerator.is_main_process:
        task.save(engine.model, settings, folder / "adapter")
    with _timed(timings, "prediction"):
        predicted = {
            name: task.predict(recipe, engine, splits, name, features[name], folder, display)
            for name in task.predicted
        }
    probes = {}
    if recipe.report.probes and progress is not None:
        with _timed(timings, "probes"):
            probes = probe_run(recipe, engine, splits, batch_makers, display)
    if not accelerator.is_main_process:
        return Outcome(folder, recipe.objective.method, None, {})
    if probes:
        append_to_log(folder, {"step": progress.step, "probes": probes})
    for name, predictions in predicted.items():
        task.write(predictions, folder / "predictions" / name)
    with _timed(timings, "report"):
        display.stage("Report", 1)
        report = task.report(recipe, predicted, "test", notes)
        if probes:
            report = add_sections(report, [probe_section(probes)])
        write_report(report, folder / "report")
        display.advance(1)
    state = update_state(
        folder,
        status="complete",
        notes=list(notes),
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
    batch_makers: Mapping[str, BatchMaker],
    folder: Path,
    display: Display,
) -> Progress:
    training, task = recipe.training, TASKS[recipe.task]
    objective = build_run_objective(
        recipe, groups, engine.model.backbone.hidden_size, engine.accelerator.device
    )
    _pretrain_attribute_classifiers(
        recipe, engine, objective, groups, batch_makers["train"], display
    )
    if training.trackers:
        engine.accelerator.init_trackers("tracking")
    sampled = groups.crossed("train", len(splits.train))

    def validate() -> Mapping[str, float]:
        engine.model.eval()
        return task.validate(recipe, engine, splits, batch_makers, groups)

    return fine_tune(
        engine.model,
        engine.forward,
        objective,
        lambda epoch: SAMPLERS[training.sampler](sampled, training.batch_size, recipe.seed, epoch),
        batch_makers["train"],
        np.array([e.label for e in splits.train], dtype=np.int64),
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
    make_batch: BatchMaker,
    display: Display,
) -> None:
    """Train those that the recipe wants frozen, on the training states of the model as it is."""
    waiting = [d for d in objective.dependences if not d.trains]
    if not waiting:
        return
    engine.model.eval()
    codes = groups.recorded_codes("train")
    count = len(codes[waiting[0].attribute])
    draws = np.random.default_rng([recipe.seed, 2]).random(count)
    states = predict_states(engine, make_batch, count, display, draws)
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


def _unbounded_note(recipe: Recipe, progress: Progress) -> str:
    return (
        f"No epoch had a validation MaxAccGap within training.gap_bound {recipe.training.gap_bound}; "
        f"epoch {progress.best_epoch} has the smallest, {-progress.best_score:.3f}, and was taken."
    )


def _require_unchanged(folder: Path, key: str, found: str) -> None:
    if read_state(folder).get(key, found) != found:
        raise InputError(
            f"The data has changed since the run in '{folder}' began; start anew with --overwrite."
        )


@contextmanager
def _keeping_state(folder: Path) -> Iterator[None]:
    """Hold the folder while a run works in it, and leave in run.json how the work ended badly.

    The error goes on its way, also where run.json cannot be written (a full disk).
    """
    with hold_run_folder(folder):
        update_state(folder, status="running", error=None)
        try:
            yield
        except BaseException as error:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            with suppress(Exception):
                update_state(folder, status=status, error=sentence(error))
            raise


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - started
