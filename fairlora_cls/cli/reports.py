"""The verbs that judge predictions: report, compare, postprocess. They load no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora_cls.cli import options
from fairlora_cls.cli.display import open_display
from fairlora_cls.cli.terminal import exit_codes, show_numbers, show_report, terminal
from fairlora_cls.errors import InputError

if TYPE_CHECKING:
    from fairlora_cls.evaluation.features import Features
    from fairlora_cls.evaluation.results import FairnessReport, TextReport
    from fairlora_cls.presentation.document import Section


def report(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="Predictions of any model: a .csv of classes, or a .jsonl of generated texts.",
        ),
    ],
    attribute: options.Attributes = None,
    positive: options.Positive = None,
    bootstrap: options.Bootstrap = 1000,
    unit: options.Unit = None,
    minimum_group_size: Annotated[
        int, typer.Option(min=1, help="Smaller groups are named in a warning.")
    ] = 20,
    minimum_stratum_size: Annotated[
        int, typer.Option(min=2, help="Of the strata in which an attribute is compared.")
    ] = 30,
    suppress_below: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="N", help="For publishing: hide whatever reveals a count of 1 to N-1."
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="What is judged between groups, declared in advance: a metric, such as sensitivity. "
            "Repeatable. Default, of two classes: sensitivity, specificity, auroc, accuracy; of more: "
            "accuracy, auroc and each class's sensitivity; of texts: the headline metric."
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option(help="The largest difference that counts as equal, as 0.05.")
    ] = 0.05,
    site: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Hospital, device or clinic: each site, how far they differ, and what a new one may "
            "expect.",
        ),
    ] = None,
    seed: options.Seed = 42,
    threshold: options.Threshold = None,
    validation: options.Validation = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE_OR_RUN",
            help="Match images of different groups by features: a CSV (id, numbers), an .npz (ids, "
            "features), or the run folder whose vision tower gives them.",
        ),
    ] = None,
    minimum_similarity: Annotated[
        float, typer.Option(min=-1, max=1, help="Cosine that a matched pair needs.")
    ] = 0.7,
    text_metric: options.TextMetrics = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="For texts: scores of other tools, with the columns id, metric, value.",
        ),
    ] = None,
    excerpts: Annotated[
        int, typer.Option(min=0, help="Texts shown: so many of the best, median and worst.")
    ] = 2,
    png: options.Png = False,
    output: Annotated[Path | None, options.output("Folder", "runs/<file name>")] = None,
    debug: options.Debug = False,
) -> None:
    """The fairness report for predictions of any model, from any tool."""
    with exit_codes(debug):
        from fairlora_cls.evaluation.other_splits import other_splits, training_sites
        from fairlora_cls.evaluation.report import write_report
        from fairlora_cls.evaluation.sections import add_sections
        from fairlora_cls.runs.folder import claim_report_folder

        of_texts = predictions.suffix.lower() == ".jsonl"
        if of_texts:
            _require_absent(
                "are for classes, and these are texts",
                positive=positive,
                unit=unit,
                threshold=threshold,
                validation=validation,
            )
        else:
            _require_absent(
                "are for texts (.jsonl), and these are classes",
                text_metric=text_metric,
                scores=scores,
            )
        if features and suppress_below:
            raise InputError(
                "Matched pairs show counts of single images, so --features and --suppress-below do "
                "not go together; leave one of them out."
            )
        folder = output or Path("runs") / predictions.stem
        claim_report_folder(folder)
        seen, unread = other_splits(predictions, unit)
        measured = {
            "bootstrap": bootstrap,
            "minimum_group_size": minimum_group_size,
            "minimum_stratum_size": minimum_stratum_size,
            "suppress_below": suppress_below,
            "seed": seed,
            "notes": unread,
            "seen": seen,
            "endpoints": endpoint,
            "margin": margin,
            "declared": "command line" if endpoint else "default",
            "site": site,
            "trained_sites": training_sites(predictions, site) if site else None,
        }
        pairs = Pairs(features, minimum_similarity)
        if of_texts:
            found, sections = _report_texts(
                predictions, attribute, text_metric, scores, excerpts, pairs, measured
            )
        else:
            found, sections = _report_classes(
                predictions, attribute, positive, unit, threshold, validation, pairs, measured
            )
        found = add_sections(found, sections)
        write_report(found, folder, png)
        show_report(predictions.stem, found, folder)


@dataclass(frozen=True)
class Pairs:
    """How images of different groups are matched."""

    features: Path | None  # a file, or a run whose vision tower gives them; None: not at all
    minimum_similarity: float

    def section(self, ids: tuple[str, ...], gaps: Callable[..., Any]) -> list[Section]:
        """The report's section on matched pairs. gaps: features, the least similarity → the gaps."""
        if self.features is None:
            return []
        from fairlora_cls.evaluation.matching_section import counterfactual_section

        given = _load_features(self.features, ids)
        found = gaps(given, minimum_similarity=self.minimum_similarity)
        return [counterfactual_section(found, given.source)]


def _report_classes(
    file: Path,
    attribute: list[str] | None,
    positive: str | None,
    unit: str | None,
    threshold: str | None,
    validation: Path | None,
    pairs: Pairs,
    measured: dict[str, Any],
) -> tuple[FairnessReport, list[Section]]:
    from fairlora_cls.data.groups import single_attributes
    from fairlora_cls.evaluation.baseline_table import add_baseline_table, people_beside
    from fairlora_cls.evaluation.baselines import add_baselines
    from fairlora_cls.evaluation.matching import counterfactual_gaps
    from fairlora_cls.evaluation.prediction_table import read_predictions
    from fairlora_cls.evaluation.report import fairness_report
    from fairlora_cls.evaluation.thresholds import judge_file

    site = measured["site"]
    columns = single_attributes([*attribute, *([site] if site else [])]) if attribute else []
    table = read_predictions(file, attributes=columns or None, positive=positive, unit=unit)
    sections = []
    if threshold:
        table, section = judge_file(table, threshold, file, validation)
        sections.append(section)
    matched = partial(
        counterfactual_gaps,
        table,
        attributes=attribute
        or [n for n in table.attributes if n not in single_attributes(site or ())],
        bootstrap=measured["bootstrap"],
        seed=measured["seed"],
    )
    sections += pairs.section(table.ids, matched)
    found = add_baselines(fairness_report(table, attribute, **measured), table, file.parent)
    return add_baseline_table(found, people_beside(file, table, unit)), sections


def _report_texts(
    file: Path,
    attribute: list[str] | None,
    metrics: list[str] | None,
    scores: Path | None,
    excerpts: int,
    pairs: Pairs,
    measured: dict[str, Any],
) -> tuple[TextReport, list[Section]]:
    from fairlora_cls.evaluation.baseline_table import add_baseline_table, people_beside
    from fairlora_cls.evaluation.matching import counterfactual_text_gaps
    from fairlora_cls.evaluation.report import text_report
    from fairlora_cls.texts.generations import image_ids, read_generations
    from fairlora_cls.texts.outside_scores import read_scores
    from fairlora_cls.texts.scores import needed_metrics, score_texts, usual_metrics

    texts = read_generations(file)
    outside = read_scores(scores, texts.ids) if scores else {}
    own = [name for name in needed_metrics(metrics or usual_metrics(texts)) if name not in outside]
    scored = score_texts(texts, own, outside)
    headline = metrics[0] if metrics else None
    found = text_report(texts, scored, attribute, headline=headline, excerpts=excerpts, **measured)
    matched = partial(counterfactual_text_gaps, texts, scored, found, attributes=found.attributes)
    found = add_baseline_table(found, people_beside(file, texts, None))
    return found, pairs.section(tuple(dict.fromkeys(image_ids(texts))), matched)


def _load_features(path: Path, ids: tuple[str, ...]) -> Features:
    """Features of a file, or of a run's vision tower for the images with these ids."""
    if path.is_dir():
        from fairlora_cls.runs.saved import visual_features

        with open_display() as display:
            return visual_features(path, ids, display)
    from fairlora_cls.evaluation.features import read_features

    return read_features(path)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_FILE...", help="Run folders, prediction tables, or files of texts."
        ),
    ],
    attribute: options.Attributes = None,
    positive: options.Positive = None,
    bootstrap: options.Bootstrap = 1000,
    unit: options.Unit = None,
    seed: options.Seed = 42,
    threshold: options.Threshold = None,
    text_metric: options.TextMetrics = None,
    png: options.Png = False,
    output: Annotated[Path | None, options.output("Folder", "runs/comparison")] = None,
    debug: options.Debug = False,
) -> None:
    """Compare runs, or tables, on the same test images with the first, seeds of a recipe together; or
    two without an image in common as two cohorts: which gaps carry over."""
    with exit_codes(debug):
        from fairlora_cls.evaluation.alignment import are_two_cohorts
        from fairlora_cls.evaluation.cohort_page import describe_cohorts, write_cohorts
        from fairlora_cls.evaluation.cohorts import compare_cohorts
        from fairlora_cls.evaluation.comparison import compare_predictions, compare_texts
        from fairlora_cls.evaluation.comparison_files import describe_comparison, write_comparison
        from fairlora_cls.runs.compared import load_compared_runs, load_compared_texts, texts_of
        from fairlora_cls.runs.folder import claim_report_folder

        folder = output or Path("runs/comparison")
        claim_report_folder(folder, "comparison")
        if any(texts_of(path) for path in runs):
            _require_absent(
                "are for classes, and these are texts",
                positive=positive,
                unit=unit,
                threshold=threshold,
            )
            given = load_compared_texts(runs, text_metric)
            judge = partial(
                compare_texts, scores=given.scores, headline=text_metric[0] if text_metric else None
            )
        else:
            _require_absent("are for texts, and these are classes", text_metric=text_metric)
            given = load_compared_runs(runs, positive, threshold, unit)
            judge = compare_predictions
        asked = {"bootstrap": bootstrap, "seed": seed, "notes": given.notes}
        attributes = attribute or given.attributes
        if are_two_cohorts(given.tables):
            found = compare_cohorts(
                given.tables,
                attributes,
                scores=given.scores or None,
                headline=text_metric[0] if text_metric else None,
                **asked,
                **given.declared,
            )
            write_cohorts(found, folder)
            told = [*describe_cohorts(found), *found.notes]
        else:
            found = judge(given.tables, attributes=attributes, recipes=given.recipes, **asked)
            write_comparison(found, folder, png)
            told = describe_comparison(found)
        for text in told:
            terminal.print(text)
        terminal.print(f"Comparison: {folder / 'comparison.html'}")


def postprocess(
    run: Annotated[
        Path, typer.Argument(metavar="RUN_OR_CSV", help="A run folder or a prediction table.")
    ],
    attribute: Annotated[
        str, typer.Option(help="The sensitive column, or several joined: sex×race.")
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="temperature, intercept, isotonic, youden or minimum-sensitivity, each also as "
            "NAME-by-group, or constraint. Repeatable (default: all)."
        ),
    ] = None,
    minimum_sensitivity: Annotated[
        float, typer.Option(help="That every group reaches on validation, by the methods named so.")
    ] = 0.9,
    constraint: Annotated[
        str, typer.Option(help="Of fairlearn's ThresholdOptimizer, e.g. demographic_parity.")
    ] = "equalized_odds",
    objective: Annotated[
        str, typer.Option(help="accuracy_score or balanced_accuracy_score.")
    ] = "accuracy_score",
    threshold: options.Threshold = None,
    validation: options.Validation = None,
    positive: options.Positive = None,
    unit: options.Unit = None,
    bootstrap: options.Bootstrap = 1000,
    seed: options.Seed = 42,
    output: Annotated[
        Path | None,
        options.output(
            "Folder, or .csv file of one method (the constraint's, where none is named),",
            "tables and a folder of the page beside the table",
        ),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Recalibration and thresholds, fitted on validation: tables to compare, and what each costs whom."""
    with exit_codes(debug):
        from fairlora_cls.evaluation.postprocessing import postprocess as answer
        from fairlora_cls.evaluation.postprocessing_costs import costs_of
        from fairlora_cls.evaluation.postprocessing_page import (
            Postprocessing,
            describe_notes,
            printed_table,
            write_postprocessing,
        )
        from fairlora_cls.evaluation.prediction_table import UNLABELLED, write_predictions
        from fairlora_cls.runs.compared import run_names
        from fairlora_cls.runs.postprocessed import claim_places, load_task

        task, own, own_rule = load_task(
            run,
            attribute,
            threshold=threshold,
            validation=validation,
            positive=positive,
            unit=unit,
            constraint=constraint,
            objective=objective,
            minimum_sensitivity=minimum_sensitivity,
            seed=seed,
        )
        places, methods = claim_places(run, attribute, method, output)
        rows = answer(task, methods)
        # Without every label nothing can be counted, and the tables are all there is to have.
        labelled = (own.labels != UNLABELLED).all()
        costs = costs_of(task, own, rows, bootstrap=bootstrap, seed=seed) if labelled else []
        tables = {row.name: places.table(row.name) for row in rows if row.answers}
        found = Postprocessing(
            run_names([run])[0], task, own, own_rule, rows, costs, bootstrap, places.links(tables)
        )
        for row in rows:
            if row.answers:
                write_predictions(row.answers.test, tables[row.name])
        if places.page:
            write_postprocessing(found, places.page)
        if costs:
            show_numbers(printed_table(found), no_wrap=True)
        for note in describe_notes(found):
            terminal.print(f"! {note}", soft_wrap=True)
        for table in tables.values():
            terminal.print(f"Wrote {table}", soft_wrap=True)
        if places.page:
            terminal.print(f"Page: {places.page / 'postprocess.html'}")


def _require_absent(why: str, **options: object) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise InputError(f"{', '.join(given)}: such options {why}; leave them out.")
