"""Recipe, data, images and model, looked at in this order; each part as far as the ones before allow.

N examples of all splits together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlora_cls.checking.batches import (
    count_presence,
    find_seldom_present,
    outline_objective,
    tabulate_presence,
)
from fairlora_cls.checking.counts import count_cells, find_small_cells, tabulate_cells
from fairlora_cls.checking.duplicates import find_duplicates, find_pairs
from fairlora_cls.checking.findings import CheckReport, Finding, by_severity
from fairlora_cls.checking.image_facts import ImageFacts, gather_image_facts
from fairlora_cls.checking.images import find_bad_images, tabulate_images
from fairlora_cls.checking.page import check_document, draw_contact_sheet
from fairlora_cls.checking.recipe_errors import read_recipe
from fairlora_cls.checking.shortcuts import (
    describe_baselines,
    find_shortcuts,
    find_telling_blanks,
    fit_baselines,
    tabulate_baselines,
)
from fairlora_cls.checking.structure import (
    find_attributes,
    find_loader_notes,
    find_structure,
    groupable,
)
from fairlora_cls.data.datasets import load_splits, permitted_options
from fairlora_cls.data.examples import SPLIT_NAMES, BadRowsError, Example, Splits, limit_splits
from fairlora_cls.data.groups import apply_missing_policy, single_attributes
from fairlora_cls.data.images import read_image
from fairlora_cls.errors import InputError
from fairlora_cls.presentation.document import Document, Table, text_table
from fairlora_cls.presentation.writing import write_document
from fairlora_cls.recipe import Recipe

if TYPE_CHECKING:
    from fairlora_cls.checking.texts import TextFacts
    from fairlora_cls.training.loop import Display

FIRST_IMAGES = 3  # of each split, read by the quick form


@dataclass(frozen=True)
class Checked:
    """A check's outcome, and the document that shows it."""

    name: str  # of the recipe
    report: CheckReport
    document: Document


@dataclass(frozen=True)
class Part:
    """What one part of the check adds to the report."""

    findings: Sequence[Finding] = ()
    tables: Sequence[Table] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def run_check(
    values: Mapping[str, Any],
    overrides: Iterable[str],
    display: Display,
    *,
    allow_urls: bool = False,
) -> Checked:
    """Check everything that a recipe's values (and `key=value` overrides) ask for.

    With `allow_urls` images that a table names by URL are fetched; the recipe alone does not. Bad
    input becomes findings, not exceptions.
    """
    overrides = tuple(overrides)
    recipe, findings = read_recipe(values, overrides)
    parts = [Part(findings)]
    first, sheet, title = None, (), "recipe"
    if recipe is not None:
        title = f"{recipe.data.source} with {recipe.model.backbone}"
        splits, part = _load(recipe, allow_urls)
        parts.append(part)
        facts = None
        if splits is not None:
            splits, part = _structure(recipe, splits)
            parts.append(part)
        if splits is not None and any(splits.split(name) for name in SPLIT_NAMES):
            facts, part = _images(recipe, splits, display)
            parts.append(part)
            named = groupable(splits, single_attributes(recipe.data.sensitive))
            sheet = draw_contact_sheet(_everyone(splits)[0], facts.readable, named, splits.classes)
        first, part = _model(recipe, splits, facts)
        parts.append(part)
    report = CheckReport(
        findings=by_severity(f for part in parts for f in part.findings),
        tables=tuple(t for part in parts for t in part.tables),
        facts={k: v for part in parts for k, v in part.facts.items()},
    )
    name = recipe.name if recipe else "recipe"
    return Checked(name, report, check_document(title, report, first, sheet))


def write_check(checked: Checked, folder: Path) -> None:
    """Write check.html, check.md and check.json into `folder`, as `write_document`."""
    write_document(checked.document, checked.report.to_dict(), folder, "check")


def quick_check(recipe: Recipe, splits: Splits, skip_unreadable: bool) -> list[Finding]:
    """What can be told of loaded splits in a moment: cells and steps of groups, the first images.

    Raises InputError for a first image that cannot be read, unless such are to be skipped.
    """
    found = find_loader_notes(splits)
    for name in groupable(splits, recipe.data.sensitive):
        cells = count_cells(splits, name)
        found += find_small_cells(name, cells, minimum=1)
    found += find_seldom_present(recipe, count_presence(recipe, splits, recipe.objective.protect))
    if not skip_unreadable:
        for split in SPLIT_NAMES:
            for example in splits.split(split)[:FIRST_IMAGES]:
                read_image(example.image)
    return [f for f in found if f.severity == "warning"]


def _load(recipe: Recipe, allow_urls: bool) -> tuple[Splits | None, Part]:
    """The splits, or those of the rows that can be used, and what the loader says of the others."""
    data = recipe.data
    findings: list[Finding] = []
    try:
        options = permitted_options(data.source, data.options, allow_urls)
        splits = load_splits(data.source, data.place, options)
    except BadRowsError as error:
        splits = error.rest
        findings = [Finding("error", "row", problem) for problem in error.problems]
    except InputError as error:
        return None, Part([Finding("error", "data", problem) for problem in error.problems])
    return limit_splits(splits, data.limit), Part(findings)


def _structure(recipe: Recipe, splits: Splits) -> tuple[Splits, Part]:
    data = recipe.data
    sensitive = single_attributes(data.sensitive)
    findings = [
        *find_loader_notes(splits),
        *find_structure(splits, classifies=recipe.task == "classify"),
        *find_attributes(splits, sensitive, data.missing_groups),
    ]
    present = [name for name in sensitive if name in splits.attributes]
    crossed = [
        name
        for name in data.sensitive
        if name not in present and set(single_attributes([name])) <= set(present)
    ]
    facts = _facts(splits, present)
    # An error was already found; the rest is looked at with unknown values as a group.
    policy = "keep" if data.missing_groups == "error" else data.missing_groups
    splits, _ = apply_missing_policy(splits, present, policy)
    tables = [_split_table(splits)]
    if any(True for _ in splits.everything()):
        for name in (*groupable(splits, present), *crossed):
            cells = count_cells(splits, name)
            tables.append(tabulate_cells(name, cells))
            findings += find_small_cells(name, cells, recipe.report.minimum_group_size)
            facts["cells"] = facts.get("cells", {}) | {
                name: {s: {f"{g} × {c}": n for (g, c), n in k.items()} for s, k in cells.items()}
            }
        protected = [n for n in recipe.objective.protect if n in facts.get("cells", {})]
        presence = count_presence(recipe, splits, protected)
        tables += tabulate_presence(recipe, presence)
        findings += find_seldom_present(recipe, presence)
        if presence:
            facts["groups_in_steps"] = {f"{p.attribute} {p.group}": p.share for p in presence}
    return splits, Part(findings, tables, facts)


def _facts(splits: Splits, sensitive: Sequence[str]) -> dict[str, Any]:
    everyone = list(splits.everything())
    sizes = Counter(e.unit for e in everyone)
    return {
        "source": splits.source,
        "classes": list(splits.classes),
        "examples": len(everyone),
        "examples_by_split": {name: len(splits.split(name)) for name in SPLIT_NAMES},
        "units": len(sizes),
        "units_with_several_images": sum(n > 1 for n in sizes.values()),
        "unknown": {
            name: sum(e.attributes.get(name) is None for e in everyone) for name in sensitive
        },
    }


def _split_table(splits: Splits) -> Table:
    """Splits side by side; below examples and units, one row per class."""
    parts = [splits.split(name) for name in SPLIT_NAMES]
    labels = [Counter(e.label for e in examples) for examples in parts]
    rows = [
        ("examples", *(f"{len(examples):,}" for examples in parts)),
        ("patients or lesions", *(f"{len({e.unit for e in examples}):,}" for examples in parts)),
        *((name, *(f"{n[k]:,}" for n in labels)) for k, name in enumerate(splits.classes)),
    ]
    return text_table("Splits", ("", *SPLIT_NAMES), tuple(rows))


def _images(recipe: Recipe, splits: Splits, display: Display) -> tuple[ImageFacts, Part]:
    everyone, homes = _everyone(splits)
    paths = [e.image for e in everyone]
    display.stage("Images", len(paths))
    facts = gather_image_facts(paths, display.advance)
    findings = find_bad_images([e.id for e in everyone], facts)
    tables = []
    numbers: dict[str, Any] = {"unreadable_images": int((~facts.readable).sum())}
    if facts.readable.any():
        pairs = find_pairs(facts, paths)
        findings += find_duplicates(everyone, homes, pairs)
        numbers |= {
            "identical_pairs": len(pairs.identical),
            "near_identical_pairs": len(pairs.near),
        }
        tables.append(tabulate_images(facts))
        display.stage("Shortcuts", 1)
        sensitive = single_attributes(recipe.data.sensitive)
        people = _demographics(sensitive, splits.attributes)
        baselines = fit_baselines(everyone, homes, facts, people, len(splits.classes), recipe.seed)
        display.advance(1)
        findings += find_shortcuts(baselines)
        findings += find_telling_blanks(
            everyone, homes, people, sensitive, splits.classes, recipe.seed
        )
        tables.append(tabulate_baselines(baselines))
        numbers["shortcuts"] = describe_baselines(baselines)
    return facts, Part(findings, tables, numbers)


def _demographics(sensitive: Sequence[str], known: Sequence[str]) -> list[str]:
    """The sensitive attributes, and age where the data has it: in years, which say more than bands,
    or else the bands that `age_column` makes."""
    ages = [name for name in ("age", "age_group") if name in known][:1]
    return list(dict.fromkeys([*(name for name in sensitive if name in known), *ages]))


def _everyone(splits: Splits) -> tuple[list[Example], list[str]]:
    """All examples, and the split of each."""
    pairs = [(e, name) for name in SPLIT_NAMES for e in splits.split(name)]
    return [e for e, _ in pairs], [name for _, name in pairs]


def _model(recipe: Recipe, splits: Splits | None, facts: ImageFacts | None) -> tuple[Any, Part]:
    """Tokens, memory, time and the first example, as far as configuration and processor are here."""
    from fairlora_cls.checking import estimate, model, texts
    from fairlora_cls.data.conversations import render_conversation
    from fairlora_cls.data.prompts import render_prompt
    from fairlora_cls.models.adapters import LoraSettings

    pixels = recipe.model.max_pixels
    lora = LoraSettings(**recipe.model.lora.model_dump())
    skeleton, findings = model.build_skeleton(
        recipe.model.backbone,
        lora,
        pixels,
        recipe.model.rescaling,
        train_projector=bool(recipe.model.train_projector),
    )
    generates = recipe.task == "generate"
    asked: dict[str, Any] = {}
    if generates and splits is not None:
        asked, silent = texts.ask_everyone(recipe, splits)
        findings += silent
    if skeleton is None or splits is None or facts is None or not facts.readable.any():
        return None, Part(findings)
    backbone = skeleton.backbone
    tokens, shrunk = model.visual_tokens(facts, backbone)
    readable = [e for e, ok in zip(splits.everything(), facts.readable, strict=True) if ok]
    findings += model.find_slivers(
        [e.id for e in readable], facts.take(facts.readable), tokens, backbone
    )
    if not tokens.any():
        return None, Part(findings)
    first, words, answers, tables = None, None, None, []
    if backbone.processor is not None and bool(asked) == generates:
        try:
            text = render_prompt(backbone.processor, recipe.data.prompt)
            words = model.prompt_tokens(recipe.data.prompt, backbone)
            if generates:
                answers = texts.count_tokens(asked, backbone)
                words = int(answers.words.max())
                findings += texts.find_long_answers(answers, recipe.generation.max_new_tokens)
                tables += texts.tabulate_texts(answers, asked)
                turns = next(iter(asked["train"] or asked["validation"] or asked["test"]))
                text = "".join(p.text for p in render_conversation(backbone.processor, turns))
            example = readable[int(np.argmax(tokens > 0))]
            first = model.decode_example(example.id, example.image, text, backbone)
        except InputError as error:  # of a template, or words that it takes for an image
            return None, Part([*findings, Finding("error", "model", str(error))], tables)
        longest = backbone.config.text_config.max_position_embeddings
        findings += model.find_token_problems(tokens, shrunk, words, longest, backbone)
    plan = _plan(recipe, splits, tokens, words or 0, answers)
    head_numbers = 0 if generates else (backbone.hidden_size + 1) * len(splits.classes)
    if backbone.train_projector:
        head_numbers += sum(p.numel() for p in backbone.projector.parameters())
    found = estimate.estimate_run(skeleton.network, backbone, plan, head_numbers)
    findings += estimate.find_too_large(found)
    findings += estimate.find_slow_precision(found, recipe.training.precision)
    tables += [model.tabulate_tokens(tokens, words), estimate.tabulate_estimate(found)]
    numbers = {**_token_facts(tokens), "estimate": {**vars(found), "bytes": found.needed_bytes}}
    return first, Part(findings, tables, numbers)


def _token_facts(tokens: np.ndarray) -> dict[str, Any]:
    low, middle, high = (int(v) for v in np.percentile(tokens, (0, 50, 100), method="lower"))
    return {"visual_tokens": {"least": low, "median": middle, "most": high}}


def _plan(
    recipe: Recipe, splits: Splits, tokens: np.ndarray, words: int, answers: TextFacts | None
) -> Any:
    from fairlora_cls.checking.estimate import Plan
    from fairlora_cls.models.backbones import DTYPES
    from fairlora_cls.objectives.objectives import OBJECTIVES

    training, objective = recipe.training, recipe.objective
    preset = OBJECTIVES[objective.method]
    reads_taps = bool(objective.mutual_information or objective.adversary)
    in_parts = training.micro_batch_size < training.batch_size
    cached_gradient = in_parts and (reads_taps or not outline_objective(recipe).is_separable)
    mean = float(tokens.mean())
    return Plan(
        train=len(splits.train),
        validation=len(splits.validation),
        test=len(splits.test),
        epochs=training.epochs if preset.trains else 0,
        micro_batch=training.micro_batch_size,
        passes=(3.0 if cached_gradient else 2.0)
        + (1.0 if training.gradient_checkpointing else 0.0),
        new_images=len(tokens),
        tokens=mean + words,
        most_tokens=int(tokens.max()) + words,
        visual_tokens=mean,
        checkpointing=training.gradient_checkpointing,
        precision=DTYPES[training.precision],
        answers=float(answers.answers.mean()) if answers else 0.0,
        most_answers=int(answers.answers.max()) if answers else 0,
        texts=answers.texts if answers else 0,
    )
