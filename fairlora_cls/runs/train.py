"""recipe → run folder; the only place that wires all the parts.

N examples of a split, K classes, G groups.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.checking.check import quick_check
from fairlora_cls.data.batching import SAMPLERS, order_by_length
from fairlora_cls.data.examples import SPLIT_NAMES, Splits, fingerprint
from fairlora_cls.errors import InputError, sentence
from fairlora_cls.evaluation.baseline_table import add_baseline_table, people_of_splits
from fairlora_cls.evaluation.probe_section import probe_section
from fairlora_cls.evaluation.report import write_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.evaluation.selection import rank_candidates
from fairlora_cls.files import remove_leftovers, write_text
from fairlora_cls.objectives.objectives import OBJECTIVES, Objective
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import (
    build_run_objective,
    encode_run_groups,
    load_data,
    predict_missing_groups,
    treat_splits,
)
from fairlora_cls.runs.card import model_card
from fairlora_cls.runs.classify import CLASSIFY
from fairlora_cls.runs.compared import trained_sites
from fairlora_cls.runs.context import Outcome, RunContext, cut_long_words, read_images
from fairlora_cls.runs.engine import (
    BatchMaker,
    build_engine,
    predict_states,
    start_accelerator,
)
from fairlora_cls.runs.folder import (
    create_run_folder,
    hold_run_folder,
    inspect_run_folder,
    update_state,
)
from fairlora_cls.runs.generate import GENERATE
from fairlora_cls.runs.probing import probe_run
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.runs.state import (
    append_to_log,
    initial_state,
    log_notes,
    runaway_notes,
    training_state,
)
from fairlora_cls.runs.task import SavedSettings, Task
from fairlora_cls.training.attribute_pretraining import pretrain_attribute_classifier
from fairlora_cls.training.checkpoints import Progress
from fairlora_cls.training.loop import Display, LoopSettings, SilentDisplay, fine_tune

TASKS: Mapping[str, Task] = {"classify": CLASSIFY, "generate": GENERATE}


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
    shared, watch = shared or SharedParts(), Stopwatch()
    known = inspect_run_folder(folder, recipe, resume=resume, overwrite=overwrite)
    accelerator = start_accelerator(recipe.training.precision, recipe.training.trackers, folder)
    if known.get("status") == "complete":
        display.say(f"The run in {folder} is complete; its report is made again.")
    with watch("data"):
        splits, notes = _load_checked(recipe, shared, allow_urls)
        groups = encode_run_groups(recipe, splits)
        for finding in quick_check(recipe, splits, skip_unreadable):
            display.say(f"! {finding.message}")
    fingerprints = {"loaded_fingerprint": fingerprint(splits)}
    _require_unchanged(folder, known, fingerprints)
    with watch("model"):
        model, settings = TASKS[recipe.task].build(recipe, splits, shared)
        engine = build_engine(model, accelerator)
    context = RunContext(recipe, splits, engine, folder, display, notes, groups)
    context = cut_long_words(context)
    with watch("vision_features"):
        context = read_images(context, use_vision_cache, skip_unreadable, shared)
    fingerprints["data_fingerprint"] = fingerprint(context.splits)
    context = _settle_groups(context, watch)
    _require_unchanged(folder, known, fingerprints)
    with _working_folder(context, known, fingerprints, overwrite=overwrite):
        outcome = _carry_out(context, settings, watch)
    shared.give_back(model)
    return outcome


class Stopwatch:
    """How long each stage of a run took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - started


def _load_checked(
    recipe: Recipe, shared: SharedParts, allow_urls: bool
) -> tuple[Splits, tuple[str, ...]]:
    """The splits of a run and notes. Raises InputError for those that its task cannot use or report."""
    task = TASKS[recipe.task]
    splits, notes = treat_splits(recipe, load_data(recipe, shared, allow_urls))
    notes += task.check(recipe, splits)
    for split in task.predicted:
        task.require_reportable(recipe, splits, split)
    return splits, notes


def _settle_groups(context: RunContext, watch: Stopwatch) -> RunContext:
    """The groups of the examples whose images are there, missing ones predicted where the recipe
    wants that."""
    recipe, splits, notes = context.recipe, context.splits, context.notes
    TASKS[recipe.task].check(recipe, splits)
    if recipe.data.missing_groups == "predict":
        with watch("missing_groups"):
            train_features = context.features["train"]
            splits, filled = predict_missing_groups(recipe, splits, train_features)
        notes += filled
    groups = encode_run_groups(recipe, splits)
    notes += tuple(
        f"The group {name} ({attribute}) is absent from training; the objective never saw it."
        for attribute, encoded in groups.protected.items()
        for name in encoded.absent_from_training
    )
    return replace(context, splits=splits, groups=groups, notes=notes)


def _require_unchanged(
    folder: Path, known: Mapping[str, Any], fingerprints: Mapping[str, str]
) -> None:
    if any(known.get(key, value) != value for key, value in fingerprints.items()):
        raise InputError(
            f"The data has changed since the run in '{folder}' began; start anew with --overwrite."
        )


@contextmanager
def _working_folder(
    context: RunContext,
    known: Mapping[str, Any],
    fingerprints: Mapping[str, str],
    *,
    overwrite: bool,
) -> Iterator[None]:
    """Make the folder of a run that is not `known`, and hold it while the run works in it; run.json
    says how the work ended badly. Other processes than the first wait for it."""
    accelerator, folder = context.engine.accelerator, context.folder
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and known:
        for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            remove_leftovers(place)
    elif accelerator.is_main_process:
        state = initial_state(context, fingerprints)
        create_run_folder(folder, context.recipe, state, overwrite=overwrite)
    accelerator.wait_for_everyone()
    with _keeping_state(folder) if accelerator.is_main_process else nullcontext():
        yield


@contextmanager
def _keeping_state(folder: Path) -> Iterator[None]:
    """The error goes on its way, also where run.json cannot be written (a full disk)."""
    with hold_run_folder(folder):
        update_state(folder, status="running", error=None)
        try:
            yield
        except BaseException as error:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            with suppress(Exception):
                update_state(folder, status=status, error=sentence(error))
            raise


def _carry_out(context: RunContext, settings: SavedSettings, watch: Stopwatch) -> Outcome:
    """Everything that writes into a run folder that stands."""
    recipe, engine, folder = context.recipe, context.engine, context.folder
    task, is_main = TASKS[recipe.task], engine.accelerator.is_main_process
    batch_makers = {name: task.batch_maker(context, name) for name in SPLIT_NAMES}
    progress, probes = None, {}
    if OBJECTIVES[recipe.objective.method].trains:
        with watch("training"):
            progress = _fine_tune(context, batch_makers)
        notes = _training_notes(context, progress)
        context = replace(context, notes=(*context.notes, *notes))
    if is_main:
        task.save(engine.model, settings, folder / "adapter")
    with watch("prediction"):
        predicted = {split: task.predict(context, split) for split in task.predicted}
    if recipe.report.probes and progress is not None:
        with watch("probes"):
            probes = probe_run(context, batch_makers)
    if not is_main:
        return Outcome(folder, recipe.objective.method, None, {})
    if probes:
        append_to_log(folder, {"step": progress.step, "probes": probes})
    for split, predictions in predicted.items():
        task.write(predictions, folder / "predictions" / split)
    with watch("baselines"):
        task.keep_baselines(context, folder / "predictions")
    with watch("report"):
        context.display.stage("Report", 1)
        seen = trained_sites(recipe, context.splits.train)
        report = task.report(recipe, predicted, "test", context.notes, seen)
        report = task.beside_baselines(report, predicted["test"], folder / "predictions")
        people = people_of_splits(context.splits, report.attributes)
        report = add_baseline_table(report, people)
        if probes:
            report = add_sections(report, [probe_section(probes)])
        write_report(report, folder / "report")
        context.display.advance(1)
    state = update_state(
        folder,
        status="complete",
        notes=list(context.notes),
        timings={"seconds": {stage: round(n, 2) for stage, n in watch.seconds.items()}},
        training=training_state(context, progress) if progress else None,
        probes=probes or None,
    )
    write_text(folder / "README.md", model_card(recipe, state, report))
    engine.accelerator.end_training()
    return Outcome(folder, recipe.objective.method, report, state)


def _fine_tune(context: RunContext, batch_makers: Mapping[str, BatchMaker]) -> Progress:
    recipe, engine, groups = context.recipe, context.engine, context.groups
    training, train_split = recipe.training, context.splits.train
    objective = build_run_objective(
        recipe, groups, engine.model.backbone.hidden_size, engine.accelerator.device
    )
    _pretrain_attribute_classifiers(context, objective, batch_makers["train"])
    if training.trackers:
        engine.accelerator.init_trackers("tracking")
    sampled = groups.crossed("train", len(train_split))
    lengths = None
    if training.group_by_length:
        lengths = TASKS[recipe.task].word_counts(context, "train")

    def steps_of(epoch: int) -> list[np.ndarray]:
        steps = SAMPLERS[training.sampler](sampled, training.batch_size, recipe.seed, epoch)
        return steps if lengths is None else order_by_length(steps, lengths)

    def validate() -> Mapping[str, float]:
        engine.model.eval()
        return TASKS[recipe.task].validate(context, batch_makers["validation"])

    return fine_tune(
        engine.model,
        engine.forward,
        objective,
        steps_of,
        batch_makers["train"],
        np.array([e.label for e in train_split], dtype=np.int64),
        groups.protected_codes("train"),
        groups.recorded_codes("train"),
        LoopSettings(
            epochs=training.epochs,
            micro_batch_size=training.micro_batch_size,
            learning_rate=training.learning_rate,
            head_learning_rate=training.head_learning_rate,
            attribute_learning_rates={
                key: section.learning_rate for key, section in recipe.objective.dependences.items()
            },
            weight_decay=training.weight_decay,
            warmup_steps=training.warmup_steps,
            schedule=training.schedule,
            gradient_clip=training.gradient_clip,
            checkpoint_every=training.checkpoint_every,
            seed=recipe.seed,
        ),
        engine.accelerator,
        context.folder,
        validate,
        lambda validations: rank_candidates(validations, training.select_by, training.gap_cost),
        context.display,
    )


def _pretrain_attribute_classifiers(
    context: RunContext, objective: Objective, make_batch: BatchMaker
) -> None:
    """Train those that the recipe wants frozen, on the training states of the model as it is."""
    waiting = [d for d in objective.dependences if not d.trains]
    if not waiting:
        return
    recipe, engine, display = context.recipe, context.engine, context.display
    engine.model.eval()
    codes = context.groups.recorded_codes("train")
    count = len(codes[waiting[0].attribute])
    draws = np.random.default_rng([recipe.seed, 2]).random(count)
    states = predict_states(engine, make_batch, count, display, draws)
    hidden = torch.from_numpy(states[:, 1:]).to(engine.accelerator.device)
    for dependence in waiting:
        section = recipe.objective.dependences[dependence.kind]
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


def _training_notes(context: RunContext, progress: Progress) -> tuple[str, ...]:
    """What a reader must know of how the training went."""
    training, notes = context.recipe.training, ()
    if training.select_by.startswith("bounded_") and progress.best_score < 0:
        notes = (
            f"No epoch had a validation MaxAccGap within training.gap_bound {training.gap_bound} that "
            f"costs no group more than training.gap_cost {training.gap_cost} of its accuracy; of those "
            f"that cost no more, epoch {progress.best_epoch} has the smallest, "
            f"{-progress.best_score:.3f}, and was taken.",
        )
        context.display.say(f"! {notes[0]}")
    if context.engine.accelerator.is_main_process:
        notes += log_notes(context.folder, progress.step)
        notes += runaway_notes(context.folder, context.groups)
    return notes
