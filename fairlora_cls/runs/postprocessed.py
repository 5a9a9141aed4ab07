"""A run folder or a prediction table given by path → what is post-processed, and where it is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.class_parts import describe_decision
from fairlora_cls.evaluation.postprocessing import (
    CONSTRAINT,
    CONSTRAINTS,
    METHODS,
    Task,
    build_task,
)
from fairlora_cls.evaluation.postprocessing_page import STEM
from fairlora_cls.evaluation.prediction_table import Predictions, read_predictions
from fairlora_cls.evaluation.thresholds import ARGMAX, judge_by_rule, load_validation
from fairlora_cls.files import file_stem, require_writable_file
from fairlora_cls.runs.compared import predictions_of, texts_of
from fairlora_cls.runs.folder import claim_report_folder, recipe_of

TABLE_RULES = {  # the predictions that a table holds, in a sentence
    "argmax": "Those of the table, the most probable class of every image.",
    "threshold": "Those of the table, which one threshold gives.",
    "given": "Those of the table, which follow no threshold that can be told from it.",
}


@dataclass(frozen=True)
class Places:
    """Where rows and page are written."""

    file: Path | None  # of the one row that is asked for; None: `folder` and `page` hold all
    folder: Path  # of the tables
    page: Path | None  # the page's folder; None: no page
    stem: str  # of the test table
    attribute: str

    def table(self, row: str) -> Path:
        """The table of a row."""
        return self.file or self.folder / f"{self.stem}-{row}-{file_stem(self.attribute)}.csv"

    def links(self, tables: Mapping[str, Path]) -> dict[str, str]:
        """Tables as the page names them: from its folder."""
        start = self.page or self.folder
        return {row: Path(os.path.relpath(path, start)).as_posix() for row, path in tables.items()}


def load_task(
    run: Path,
    attribute: str,
    *,
    threshold: str | None,
    validation: Path | None,
    positive: str | None,
    unit: str | None,
    **options,
) -> tuple[Task, Predictions, str]:
    """What is post-processed, the test predictions as the run decides, and that rule in a sentence.

    threshold: the rule; None: of a run its recipe's report.threshold, as `compare` has it, of a table
        the predictions that it holds, while recalibrated probabilities are decided by the most
        probable class
    options: further fields of `Task`
    Raises InputError for texts, and where validation predictions are neither there nor named.
    """
    if texts_of(run):
        raise InputError(
            f"'{run}' holds generated texts; post-processing needs the probabilities of a classifier."
        )
    table = predictions_of(run)
    test = read_predictions(table, positive=positive, unit=unit)
    known = load_validation(table, validation, positive)
    if known is None:
        raise InputError("Name the table of validation predictions with --validation.")
    rule = threshold or (str(recipe_of(run).report.threshold) if run.is_dir() else None)
    task = build_task(test, known, attribute, rule=rule or ARGMAX, **options)
    if rule is None:
        return task, test, TABLE_RULES[describe_decision(test).rule]
    own, section = judge_by_rule(test, rule, task.validation)
    return task, own, section.sentences[0]


def claim_places(
    run: Path, attribute: str, methods: Iterable[str] | None, output: Path | None
) -> tuple[Places, list[str] | None]:
    """Where all goes, which must be writable, and the methods: of a .csv file one, the constraint's
    where none is named.

    Raises InputError for a .csv file and several methods, and for a folder that holds anything else.
    """
    table, named = predictions_of(run), list(methods) if methods else None
    if output is not None and output.suffix.lower() == ".csv":
        named = named or [CONSTRAINT]
        if len(set(named)) > 1:
            raise InputError(
                f"'{output}' is one table, and {len(set(named))} methods are asked for; name one "
                "method, or a folder with --output."
            )
        if output.resolve() == table.resolve():
            raise InputError(f"'{output}' is the table that is post-processed; name another file.")
        require_writable_file(output)
        return Places(output, output.parent, None, table.stem, attribute), named
    page = output or table.with_name(f"{table.stem}-{STEM}-{file_stem(attribute)}")
    places = Places(None, output or table.parent, page, table.stem, attribute)
    tables = [places.table(row) for row in (*METHODS, *CONSTRAINTS)]
    claim_report_folder(page, STEM, {path.name for path in tables} if output else ())
    for path in tables:
        require_writable_file(path)
    return places, named
