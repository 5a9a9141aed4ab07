"""Recipe, data, images and model, looked at in this order; each part as far as the ones before allow.

N examples of all splits together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlora_cls.checking.batches import check_groups_in_steps
from fairlora_cls.checking.counts import count_cells, find_small_cells, tabulate_cells
from fairlora_cls.checking.duplicates import check_duplicates
from fairlora_cls.checking.findings import CheckReport, Finding, join_parts, list_errors
from fairlora_cls.checking.image_facts import ImageFacts, gather_image_facts
from fairlora_cls.checking.images import check_images
from fairlora_cls.checking.model import check_model
from fairlora_cls.checking.page import check_document, draw_contact_sheet
from fairlora_cls.checking.recipe_errors import read_recipe
from fairlora_cls.checking.shortcuts import Cohort, check_shortcuts
from fairlora_cls.checking.structure import (
    find_attributes,
    find_loader_notes,
    find_structure,
    groupable,
)
from fairlora_cls.checking.words import check_words
from fairlora_cls.data.datasets import load_splits, permitted_options
from fairlora_cls.data.demographic_words import demographic_words, worded_attributes
from fairlora_cls.data.examples import SPLIT_NAMES, BadRowsError, Example, Splits, limit_splits
from fairlora_cls.data.groups import apply_missing_policy, require_attributes, single_attributes
from fairlora_cls.data.images import read_image
from fairlora_cls.data.prompts import keep_words, question_of
from fairlora_cls.errors import InputError
from fairlora_cls.presentation.document import Document, Table, text_table
from fairlora_cls.presentation.writing import write_document
from fairlora_cls.recipe import Recipe

if TYPE_CHECKING:
    from fairlora_cls.training.loop import Display

FIRST_IMAGES = 3  # of each split, read by the quick form


@dataclass(frozen=True)
class Checked:
    """A check's outcome, and the document that shows it."""

    name: str  # of the recipe
    report: CheckReport
    document: Document


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
    parts = [CheckReport(findings)]
    first, sheet, title = None, (), "recipe"
    if recipe is not None:
        title = f"{recipe.data.source} with {recipe.model.backbone}"
        splits, part = _load(recipe, allow_urls)
        parts.append(part)
        facts = None
        if splits is not None:
            splits, part = _structure(recipe, splits)
            parts += [part, _words(recipe, splits)]
        if splits is not None and any(splits.split(name) for name in SPLIT_NAMES):
            facts, looked_at = _images(recipe, splits, display)
            parts += looked_at
            named = groupable(splits, single_attributes(recipe.data.sensitive))
            sheet = draw_contact_sheet(_everyone(splits)[0], facts.readable, named, splits.classes)
        first, part = check_model(recipe, splits, facts)
        parts.append(part)
    report = join_parts(parts)
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
    found += check_groups_in_steps(recipe, splits, recipe.objective.protect).findings
    if not skip_unreadable:
        for split in SPLIT_NAMES:
            for example in splits.split(split)[:FIRST_IMAGES]:
                read_image(example.image)
    return [f for f in found if f.severity == "warning"]


def _load(recipe: Recipe, allow_urls: bool) -> tuple[Splits | None, CheckReport]:
    """The splits, or those of the rows that can be used, and what the loader says of the others."""
    data = recipe.data
    findings: list[Finding] = []
    try:
        options = permitted_options(data.source, data.options, allow_urls)
        splits = load_splits(data.source, data.place, options)
    except BadRowsError as error:
        splits = error.rest
        findings = list_errors("row", error)
    except InputError as error:
        return None, CheckReport(list_errors("data", error))
    return limit_splits(splits, data.limit), CheckReport(findings)


def _find_endpoints(recipe: Recipe, splits: Splits) -> list[Finding]:
    """Endpoints that the report would not know after hours of training."""
    from fairlora_cls.evaluation.text_sample import given_metrics
    from fairlora_cls.evaluation.verdicts import class_endpoints, require_endpoints

    names = recipe.report.endpoints or ()
    try:
        if recipe.task == "classify":
            class_endpoints(splits.classes, names)
        else:
            require_endpoints(given_metrics(recipe.report.text_metrics), names)
    except InputError as error:
        return list_errors("endpoint", error)
    return []


def _find_site(recipe: Recipe, splits: Splits) -> list[Finding]:
    """A column of sites that the data do not have."""
    try:
        require_attributes(splits, single_attributes(recipe.report.site or ()))
    except InputError as error:
        return list_errors("site", error)
    return []


def _structure(recipe: Recipe, splits: Splits) -> tuple[Splits, CheckReport]:
    data = recipe.data
    sensitive = single_attributes(data.sensitive)
    findings = [
        *find_loader_notes(splits),
        *find_structure(splits, classifies=recipe.task == "classify"),
        *find_attributes(splits, sensitive, data.missing_groups),
        *_find_endpoints(recipe, splits),
        *_find_site(recipe, splits),
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
    splits, asked = _fill_prompts(recipe, splits)
    findings += asked
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
        steps = check_groups_in_steps(recipe, splits, protected)
        findings += steps.findings
        tables += steps.tables
        facts |= steps.facts
    return splits, CheckReport(findings, tables, facts)


def _fill_prompts(recipe: Recipe, splits: Splits) -> tuple[Splits, list[Finding]]:
    """Every example with the words of the prompt, and what is asked; words that are missing are left
    blank once they are named."""
    data = recipe.data
    question = question_of(data.prompt, splits)
    findings = [Finding("note", "question", f"Every image is asked: “{question}”.")]
    try:
        splits, notes = keep_words(splits, question, data.missing_words, data.taken_out())
        findings += [Finding("note", "words", note) for note in notes]
    except InputError as error:
        findings += list_errors("prompt", error)
        with suppress(InputError):  # a field that is not there
            splits, _ = keep_words(splits, question, "blank", data.taken_out())
    return splits, findings


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


def _images(
    recipe: Recipe, splits: Splits, display: Display
) -> tuple[ImageFacts, list[CheckReport]]:
    everyone, homes = _everyone(splits)
    display.stage("Images", len(everyone))
    facts = gather_image_facts([e.image for e in everyone], display.advance)
    parts = [check_images([e.id for e in everyone], facts)]
    if facts.readable.any():
        parts.append(check_duplicates(everyone, homes, facts))
        display.stage("Shortcuts", 1)
        sensitive = single_attributes(recipe.data.sensitive)
        people = _demographics(sensitive, splits.attributes)
        train = np.array(homes) == "train"
        cohort = Cohort(everyone, train, splits.classes, recipe.seed)
        parts.append(check_shortcuts(cohort, facts, people, sensitive))
        display.advance(1)
    return facts, parts


def _words(recipe: Recipe, splits: Splits) -> CheckReport:
    """What the prompts' words tell, where they have fields."""
    everyone, homes = _everyone(splits)
    if not any(e.words for e in everyone):
        return CheckReport()
    data = recipe.data
    cohort = Cohort(everyone, np.array(homes) == "train", splits.classes, recipe.seed)
    known = [name for name in single_attributes(data.sensitive) if name in splits.attributes]
    phrases = data.words_of_people()
    return check_words(cohort, known, demographic_words(worded_attributes(phrases), phrases))


def _demographics(sensitive: Sequence[str], known: Sequence[str]) -> list[str]:
    """The sensitive attributes, and age where the data has it: in years, which say more than bands,
    or else the bands that `age_column` makes."""
    ages = [name for name in ("age", "age_group") if name in known][:1]
    return list(dict.fromkeys([*(name for name in sensitive if name in known), *ages]))


def _everyone(splits: Splits) -> tuple[list[Example], list[str]]:
    """All examples, and the split of each."""
    pairs = [(e, name) for name in SPLIT_NAMES for e in splits.split(name)]
    return [e for e, _ in pairs], [name for _, name in pairs]
