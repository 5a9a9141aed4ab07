"""typer verbs; the only place that writes to the terminal and turns errors into exit codes."""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fairlora_cls import __version__
from fairlora_cls.errors import InputError, RunError

if TYPE_CHECKING:
    from fairlora_cls.evaluation.features import Features
    from fairlora_cls.evaluation.prediction_table import Predictions
    from fairlora_cls.recipe import Recipe
    from fairlora_cls.run import Outcome

app = typer.Typer(
    name="fairlora-cls",
    help="Fairness-aware LoRA fine-tuning of vision-language models for medical image classification.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
recipes_app = typer.Typer(help="The shipped recipes.", no_args_is_help=True)
app.add_typer(recipes_app, name="recipes")

Output = Annotated[
    Path | None, typer.Option("--output", help="Folder to write (default runs/<name>).")
]
SetOptions = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any recipe key, e.g. training.epochs=1."),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="SOURCE[:PATH]", help="Short for data.source and data.path."),
]
NoCache = Annotated[
    bool, typer.Option("--no-vision-cache", help="Run the vision tower on every image every time.")
]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Leave out images that cannot be read; the report counts them."
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="When an image is called positive: argmax, 0.3, youden or sensitivity=0.9; the last two "
        "are chosen on validation predictions.",
    ),
]
Validation = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV", help="Validation predictions (default: validation.csv beside the table)."
    ),
]
AllowUrls = Annotated[
    bool,
    typer.Option(
        "--allow-urls", help="Fetch images that a table names by URL; data.options.allow_urls=true."
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

IS_MAIN = os.environ.get("RANK", "0") == "0"
errors = Console(stderr=True, highlight=False, soft_wrap=True)
terminal = Console(highlight=False)


@app.command()
def train(
    recipe: Annotated[
        Path | None, typer.Argument(help="Recipe file; none: the embedded default.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="vanilla, fr, gr, hybrid, zero-shot … (a wrong name lists all); short for objective.method."
        ),
    ] = None,
    mutual_information: Annotated[
        str | None,
        typer.Option(
            metavar="ATTRIBUTE=λ,…",
            help="Join FairLLaVA's regularizer, e.g. race=0.2,age=0.6; short for objective.mutual_information.weights.",
        ),
    ] = None,
    data: DataOption = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME-OR-FOLDER", help="Backbone; short for model.backbone."),
    ] = None,
    settings: SetOptions = None,
    output: Output = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the output folder.")
    ] = False,
    no_vision_cache: NoCache = False,
    skip_unreadable: SkipUnreadable = False,
    allow_urls: AllowUrls = False,
    debug: Debug = False,
) -> None:
    """Train, predict validation and test, report. Without a recipe: the embedded default, no download."""
    with _exit_codes(debug):
        from fairlora_cls.recipe import build_recipe, merge, read_yaml

        shortcuts = merge(
            _data_values(data, allow_urls), {"model": {"backbone": model}} if model else {}
        )
        shortcuts = merge(shortcuts, {"objective": {"method": method}} if method else {})
        shortcuts = merge(shortcuts, _mutual_information_values(mutual_information))
        chosen = build_recipe(merge(read_yaml(recipe) if recipe else {}, shortcuts), settings or ())
        folder = output or Path("runs") / chosen.name
        if resume and overwrite:
            raise InputError(
                "--resume goes on with a run and --overwrite replaces it; give one of them."
            )
        from fairlora_cls import run

        with _display() as display:
            display.say(_headline(chosen, folder))
            outcome = run.train(
                chosen,
                folder,
                display,
                resume=resume,
                overwrite=overwrite,
                use_vision_cache=not no_vision_cache,
                skip_unreadable=skip_unreadable,
            )
        _show_outcome(outcome)


@app.command()
def check(
    recipe: Annotated[
        Path | None, typer.Argument(help="Recipe file; none: the embedded default.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Short for objective.method.")] = None,
    data: DataOption = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME-OR-FOLDER", help="Backbone; short for model.backbone."),
    ] = None,
    settings: SetOptions = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of findings and tables.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder to write (default runs/<name>-check).")
    ] = None,
    allow_urls: AllowUrls = False,
    debug: Debug = False,
) -> None:
    """Everything that can go wrong, before any GPU hour: recipe, data, images, leakage, memory. Exit 2 on errors."""
    with _exit_codes(debug):
        from fairlora_cls.checking.check import run_check, write_check
        from fairlora_cls.recipe import merge, read_yaml

        shortcuts = merge(
            _data_values(data, allow_urls), {"model": {"backbone": model}} if model else {}
        )
        shortcuts = merge(shortcuts, {"objective": {"method": method}} if method else {})
        values = merge(read_yaml(recipe) if recipe else {}, shortcuts)
        with _display() as display:
            checked = run_check(values, settings or (), display)
        folder = output or Path("runs") / f"{checked.name}-check"
        write_check(checked, folder)
        if as_json:
            import json

            sys.stdout.write(json.dumps(checked.report.to_dict(), indent=2, ensure_ascii=False))
            sys.stdout.write("\n")
        else:
            _show_check(checked.report, folder)
    if checked.report.failed:
        raise typer.Exit(2)


@app.command()
def evaluate(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    data: DataOption = None,
    settings: SetOptions = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder to write (default RUN/evaluations/<split>)."),
    ] = None,
    threshold: Threshold = None,
    no_vision_cache: NoCache = False,
    skip_unreadable: SkipUnreadable = False,
    allow_urls: AllowUrls = False,
    debug: Debug = False,
) -> None:
    """Predict and report again, on another split or other data (--set data.… changes the source)."""
    with _exit_codes(debug):
        from fairlora_cls import run
        from fairlora_cls.recipe import data_section

        values = _data_values(data, allow_urls)
        section = data_section(run_folder / "recipe.yaml", values, settings or ())
        with _display() as display:
            outcome = run.evaluate(
                run_folder,
                display,
                split=split,
                data=section,
                output=output,
                threshold=threshold,
                use_vision_cache=not no_vision_cache,
                skip_unreadable=skip_unreadable,
            )
        _show_outcome(outcome)


@app.command()
def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE...", help="Image files.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="A CSV whose column 'image' names files, relative to it.")
    ] = None,
    column: Annotated[str, typer.Option(help="That column, if it is named otherwise.")] = "image",
    output: Annotated[
        Path | None, typer.Option("--output", help="CSV file to write (default: the terminal).")
    ] = None,
    allow_urls: AllowUrls = False,
    debug: Debug = False,
) -> None:
    """Class probabilities of images as CSV; needs no labels and no attributes."""
    with _exit_codes(debug):
        if bool(images) == (table is not None):
            raise InputError("Give image files or --table CSV, one of the two.")
        from fairlora_cls import run
        from fairlora_cls.files import write_text

        found = (
            run.images_of_table(table, column, allow_urls=allow_urls)
            if table
            else [(str(path), path) for path in images]
        )
        with _display() as display:
            classes, probabilities = run.predict(run_folder, [path for _, path in found], display)
        rows = [
            [name, classes[row.argmax()], *(f"{value:.6f}" for value in row)]
            for (name, _), row in zip(found, probabilities, strict=True)
        ]
        text = _csv_text([["id", "prediction", *(f"prob_{c}" for c in classes)], *rows])
        if output:
            write_text(output, text)
        else:
            sys.stdout.write(text)


@app.command()
def report(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS.csv", help="Predictions of any model.")
    ],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="A sensitive column, or several joined: sex×race. Repeatable."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class (default: the last prob_ column's).")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples behind intervals and nulls.")
    ] = 1000,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Patient or lesion; its examples are resampled together (default: a column 'unit').",
        ),
    ] = None,
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
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = 42,
    threshold: Threshold = None,
    validation: Validation = None,
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
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder to write (default runs/<file name>).")
    ] = None,
    debug: Debug = False,
) -> None:
    """The fairness report for predictions of any model, from any tool."""
    with _exit_codes(debug):
        from fairlora_cls.evaluation.prediction_table import other_splits, read_predictions
        from fairlora_cls.evaluation.report import fairness_report, write_report
        from fairlora_cls.evaluation.sections import add_sections
        from fairlora_cls.run_folder import claim_report_folder

        if features and suppress_below:
            raise InputError(
                "--features lists matched pairs of small groups, which --suppress-below would have "
                "to hide; give one of them."
            )
        folder = output or Path("runs") / predictions.stem
        claim_report_folder(folder)
        if features and suppress_below:
            raise InputError(
                "Matched pairs show counts of single images, so --features and --suppress-below do "
                "not go together; leave one of them out."
            )
        columns = [part for name in attribute or [] for part in name.split("×")]
        table = read_predictions(
            predictions, attributes=columns or None, positive=positive, unit=unit
        )
        sections = []
        if threshold:
            from fairlora_cls.evaluation.thresholds import judge_by_rule, load_validation

            known = load_validation(predictions, validation)
            table, section = judge_by_rule(table, threshold, known)
            sections.append(section)
        if features:
            from fairlora_cls.evaluation.matching import counterfactual_gaps
            from fairlora_cls.evaluation.matching_section import counterfactual_section

            given = _features(features, table)
            gaps = counterfactual_gaps(
                table,
                given,
                attribute or table.attributes,
                minimum_similarity=minimum_similarity,
                bootstrap=bootstrap,
                seed=seed,
            )
            sections.append(counterfactual_section(gaps, given.source))
        found = fairness_report(
            table,
            attribute,
            bootstrap=bootstrap,
            minimum_group_size=minimum_group_size,
            minimum_stratum_size=minimum_stratum_size,
            suppress_below=suppress_below,
            seed=seed,
            seen=other_splits(predictions, unit),
        )
        found = add_sections(found, sections)
        write_report(found, folder)
        _show_report(predictions.stem, found, folder)


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_CSV...", help="Run folders or prediction tables."),
    ],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="A sensitive column, or several joined: sex×race. Repeatable."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class (default: the last prob_ column's).")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples behind intervals, swaps behind p-values.")
    ] = 1000,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Patient or lesion; its examples are resampled together (default: a column 'unit').",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = 42,
    threshold: Threshold = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder to write (default runs/comparison).")
    ] = None,
    debug: Debug = False,
) -> None:
    """Compare runs, or tables, on the same test images with the first; seeds of a recipe together."""
    with _exit_codes(debug):
        from fairlora_cls.compared_runs import load_compared_runs
        from fairlora_cls.evaluation.comparison import compare_predictions
        from fairlora_cls.evaluation.comparison_files import (
            COMPARISON_FILES,
            describe_comparison,
            write_comparison,
        )
        from fairlora_cls.run_folder import claim_report_folder

        folder = output or Path("runs/comparison")
        claim_report_folder(folder, COMPARISON_FILES)
        given = load_compared_runs(runs, positive, threshold, unit)
        found = compare_predictions(
            given.tables,
            attribute or given.attributes,
            recipes=given.recipes,
            bootstrap=bootstrap,
            seed=seed,
            notes=given.notes,
        )
        write_comparison(found, folder)
        for text in describe_comparison(found):
            terminal.print(text, markup=False)
        terminal.print(f"Comparison: {folder / 'comparison.html'}", markup=False)


@app.command()
def postprocess(
    run: Annotated[
        Path, typer.Argument(metavar="RUN_OR_CSV", help="A run folder or a prediction table.")
    ],
    attribute: Annotated[
        str, typer.Option(help="The sensitive column, or several joined: sex×race.")
    ],
    constraint: Annotated[
        str, typer.Option(help="Of fairlearn's ThresholdOptimizer, e.g. demographic_parity.")
    ] = "equalized_odds",
    objective: Annotated[
        str, typer.Option(help="accuracy_score or balanced_accuracy_score.")
    ] = "accuracy_score",
    validation: Validation = None,
    positive: Annotated[
        str | None, typer.Option(help="The positive class (default: the last prob_ column's).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the randomised predictions.")] = 42,
    output: Annotated[
        Path | None,
        typer.Option(help="CSV file to write (default: beside the table, named by constraint)."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Group-specific thresholds, fitted on validation, as a prediction table for report and compare."""
    with _exit_codes(debug):
        from fairlora_cls.compared_runs import predictions_of
        from fairlora_cls.evaluation.postprocessing import postprocess_predictions
        from fairlora_cls.evaluation.prediction_table import read_predictions, write_predictions
        from fairlora_cls.evaluation.thresholds import load_validation

        table = predictions_of(run)
        test = read_predictions(table, positive=positive)
        known = load_validation(table, validation, positive)
        if known is None:
            raise InputError("Name the table of validation predictions with --validation.")
        chosen = postprocess_predictions(
            test,
            known,
            attribute,
            constraint,
            objective=objective,
            seed=seed,
        )
        target = output or table.with_name(f"{table.stem}-{constraint}-{attribute}.csv")
        write_predictions(chosen, target)
        terminal.print(f"Wrote {target}", markup=False)


@app.command()
def doctor(debug: Debug = False) -> None:
    """Versions, devices, and what a run would use."""
    with _exit_codes(debug):
        import platform

        import torch

        from fairlora_cls.files import cache_folder
        from fairlora_cls.run_folder import installed_versions

        table = Table(show_header=False, box=None)
        table.add_row("Python", platform.python_version())
        for name, number in installed_versions().items():
            table.add_row(name, number)
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            table.add_row(
                f"GPU {index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
            )
        table.add_row("Device of a run", "cuda" if torch.cuda.is_available() else "cpu")
        table.add_row("CPU threads", str(torch.get_num_threads()))
        table.add_row(
            "Precisions", "bf16, fp16, fp32" if torch.cuda.is_available() else "bf16, fp32"
        )
        table.add_row("Cache", str(cache_folder()))
        table.add_row(
            "Model hub",
            "offline"
            if os.environ.get("HF_HUB_OFFLINE") == "1"
            else "as configured; asked only for a Hub name",
        )
        terminal.print(table)


@recipes_app.command("list")
def recipes_list() -> None:
    """Names and first lines of the shipped recipes."""
    from fairlora_cls.shipped import shipped_recipes

    table = Table(show_header=False, box=None)
    for name, path in shipped_recipes().items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        table.add_row(name, first.removeprefix("#").strip())
    terminal.print(table)


@recipes_app.command("copy")
def recipes_copy(
    name: Annotated[str, typer.Argument(help="As `recipes list` shows it.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write (default: the recipe's own name here)."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Copy a shipped recipe, to change it."""
    with _exit_codes(debug):
        from fairlora_cls.errors import nearest
        from fairlora_cls.files import write_text
        from fairlora_cls.shipped import shipped_recipes

        known = shipped_recipes()
        if name not in known:
            raise InputError(f"There is no shipped recipe '{name}'{nearest(name, known)}")
        target = output or Path(f"{Path(name).name}.yaml")
        if target.exists():
            raise InputError(f"'{target}' exists; name another file with --output.")
        write_text(target, known[name].read_text(encoding="utf-8"))
        terminal.print(f"Wrote {target}", markup=False)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Fairness-aware LoRA fine-tuning of vision-language models for medical image classification."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    if (
        "--debug" not in sys.argv
    ):  # libraries warn of their own deprecations: nothing a user can act on
        warnings.simplefilter("ignore", FutureWarning)
    app()


@contextmanager
def _exit_codes(debug: bool) -> Iterator[None]:
    """One clear sentence instead of a traceback: exit 2 for bad input, 1 for a failed run."""
    try:
        yield
    except (InputError, RunError, OSError, KeyboardInterrupt, RuntimeError, ValueError) as error:
        if debug:
            raise
        is_input = isinstance(error, InputError)
        if IS_MAIN:
            errors.print(f"Error: {_sentence(error)}", markup=False)
        raise typer.Exit(2 if is_input else 1) from None


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted. The same command with --resume goes on from the last checkpoint."
    text = str(error).strip() or type(error).__name__
    if isinstance(error, InputError | RunError):
        return text
    return f"{text} ({type(error).__name__}; --debug shows where)"


def _mutual_information_values(text: str | None) -> dict[str, Any]:
    """`race=0.2,age=0.6` as recipe values."""
    if text is None:
        return {}
    weights = {}
    for pair in text.split(","):
        name, separator, value = (part.strip() for part in pair.partition("="))
        try:
            weights[name] = float(value)
        except ValueError:
            separator = ""
        if not (name and separator):
            raise InputError(
                f"--mutual-information '{text}' is not ATTRIBUTE=λ,…, such as race=0.2,age=0.6."
            )
    return {"objective": {"mutual_information": {"weights": weights}}}


def _data_values(data: str | None, allow_urls: bool = False) -> dict[str, Any]:
    values: dict[str, Any] = {"options": {"allow_urls": True}} if allow_urls else {}
    if data is not None:
        source, _, path = data.partition(":")
        values |= {"source": source, **({"path": path} if path else {})}
    return {"data": values} if values else {}


def _features(path: Path, table: Predictions) -> Features:
    if path.is_dir():
        from fairlora_cls.image_features import visual_features

        with _display() as display:
            return visual_features(path, table.ids, display)
    from fairlora_cls.evaluation.features import read_features

    return read_features(path)


def _headline(recipe: Recipe, folder: Path) -> str:
    protected = ", ".join(recipe.objective.protect or []) or "none"
    return (
        f"{recipe.objective.method} on {recipe.data.source} with {recipe.model.backbone} "
        f"(protected groups: {protected}) → {folder}"
    )


def _csv_text(rows: list[list[str]]) -> str:
    import io

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


class _Terminal:
    """Progress on a terminal: a bar with images/s and time left per stage; plain lines elsewhere."""

    def __init__(self, progress: Any):
        self.progress = progress
        self.task: Any = None

    def stage(self, name: str, total: int, done: int = 0) -> None:
        if self.task is not None:
            self.progress.update(self.task, completed=self.progress.tasks[-1].total)
        self.task = self.progress.add_task(name, total=total, completed=done, note="")

    def advance(self, count: int, note: str = "") -> None:
        self.progress.update(self.task, advance=count, **({"note": note} if note else {}))

    def say(self, text: str) -> None:
        self.progress.console.print(text, markup=False)


@contextmanager
def _display() -> Iterator[_Terminal]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f} images/s" if speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    # stderr, so that `predict` can be piped.
    console = Console(stderr=True, quiet=not IS_MAIN, highlight=False)
    with Progress(*columns, console=console) as progress:
        yield _Terminal(progress)


def _show_outcome(outcome: Outcome) -> None:
    if outcome.report is None:  # another process than the first
        return
    where = outcome.folder / "report"
    _show_report(outcome.method, outcome.report, where)


def _show_report(method: str, found: Any, folder: Path) -> None:
    numbers = found.to_dict()
    overall = numbers["overall"]
    table = Table(title_justify="left")
    for heading in (
        "method",
        "accuracy",
        "AUROC",
        "attribute",
        "MaxAccGap",
        "by chance",
        "eq. odds diff.",
    ):
        table.add_column(heading, justify="left" if heading in ("method", "attribute") else "right")
    first = [method, _three(overall["accuracy"]["value"]), _three(overall["auroc"]["value"])]
    for name, attribute in numbers["attributes"].items() or {"": None}.items():
        gaps = attribute["gaps"] if attribute else {}
        gap, odds = gaps.get("max_acc_gap", {}), gaps.get("equalized_odds_difference", {})
        table.add_row(
            *first,
            name,
            _three(gap.get("value")),
            _three(gap.get("null_mean")),
            _three(odds.get("value")),
        )
        first = ["", "", ""]
    terminal.print(table)
    for warning in numbers["warnings"]:
        terminal.print(f"! {warning}", markup=False, no_wrap=True, overflow="ellipsis")
    terminal.print(f"Report: {folder / 'report.html'}", markup=False)


def _show_check(report: Any, folder: Path) -> None:
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    for finding in report.findings:
        terminal.print(f"{finding.severity:>7}", style=colours[finding.severity], end="  ")
        terminal.print(f"{finding.message} ({finding.code})", markup=False, soft_wrap=True)
    for numbers in report.tables:
        table = Table(title=numbers.title, title_justify="left")
        for place, heading in enumerate(numbers.header):
            table.add_column(heading, justify="right" if place else "left")
        for row in numbers.rows:
            table.add_row(*row)
        terminal.print(table)
    terminal.print(f"Page: {folder / 'check.html'}", markup=False)


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
