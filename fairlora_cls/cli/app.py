"""The command line: verbs, each a thin way to a function of a run, of its checks or of a report."""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from fairlora_cls import __version__
from fairlora_cls.cli import options
from fairlora_cls.cli.ablate import ablate
from fairlora_cls.cli.display import open_display
from fairlora_cls.cli.reports import compare, postprocess, report
from fairlora_cls.cli.terminal import (
    IS_MAIN,
    exit_codes,
    show_check,
    show_numbers,
    show_report,
    speak_any_encoding,
    terminal,
    write_data,
)
from fairlora_cls.errors import InputError

if TYPE_CHECKING:
    from fairlora_cls.recipe import Recipe
    from fairlora_cls.runs.context import Outcome
    from fairlora_cls.runs.saved import Patient
    from fairlora_cls.training.loop import Display

app = typer.Typer(
    name="fairlora-cls",
    help="Fairness-aware LoRA fine-tuning of vision-language models for medical image classification.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
recipes_app = typer.Typer(help="The shipped recipes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(recipes_app, name="recipes")

RESUMES = "The same command with --resume goes on from the last checkpoint."


@app.command()
def train(
    recipe: options.RecipeFile = None,
    method: options.Method = None,
    mutual_information: options.MutualInformation = None,
    data: options.Data = None,
    model: options.Model = None,
    prompt: options.Prompt = None,
    settings: options.Settings = None,
    output: Annotated[Path | None, options.output("Folder", "runs/<name>")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the output folder.")
    ] = False,
    no_vision_cache: options.NoCache = False,
    skip_unreadable: options.SkipUnreadable = False,
    allow_urls: options.AllowUrls = False,
    quick: options.Quick = False,
    debug: options.Debug = False,
) -> None:
    """Train, predict validation and test, report. Without a recipe: the embedded default, no download."""
    with exit_codes(debug):
        from fairlora_cls.recipe import build_recipe, merge

        shortcuts = options.shortcut_values(data, model, method, mutual_information, prompt)
        values = _recipe_values(recipe, shortcuts)
        if quick:
            from fairlora_cls.runs.quick import quick_values

            values = merge(quick_values(values), shortcuts)
        chosen = build_recipe(values, settings or ())
        folder = output or Path("runs") / chosen.name
        if resume and overwrite:
            raise InputError(
                "--resume goes on with a run and --overwrite replaces it; give one of them."
            )
        from fairlora_cls.runs import train as run
        from fairlora_cls.runs.folder import is_run_folder, read_state

        with open_display() as display:
            display.say(_headline(chosen, folder))
            try:
                outcome = run.train(
                    chosen,
                    folder,
                    display,
                    resume=resume,
                    overwrite=overwrite,
                    use_vision_cache=not no_vision_cache,
                    skip_unreadable=skip_unreadable,
                    allow_urls=allow_urls,
                )
            except KeyboardInterrupt as error:
                began = is_run_folder(folder) and read_state(folder)["status"] == "interrupted"
                raise KeyboardInterrupt(RESUMES if began else "") from error
        _show_outcome(outcome)


@app.command()
def check(
    recipe: options.RecipeFile = None,
    method: options.Method = None,
    mutual_information: options.MutualInformation = None,
    data: options.Data = None,
    model: options.Model = None,
    prompt: options.Prompt = None,
    settings: options.Settings = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of findings and tables.")
    ] = False,
    output: Annotated[Path | None, options.output("Folder", "runs/<name>-check")] = None,
    allow_urls: options.AllowUrls = False,
    debug: options.Debug = False,
) -> None:
    """Everything that can go wrong, before any GPU hour: recipe, data, images, leakage, memory. Exit 2 on errors."""
    with exit_codes(debug):
        from fairlora_cls.checking.check import run_check, write_check
        from fairlora_cls.files import require_writable

        require_writable(output or Path("runs"))
        shortcuts = options.shortcut_values(data, model, method, mutual_information, prompt)
        values = _recipe_values(recipe, shortcuts)
        with open_display() as display:
            checked = run_check(values, settings or (), display, allow_urls=allow_urls)
        folder = output or Path("runs") / f"{checked.name}-check"
        write_check(checked, folder)
        if as_json:
            import json

            write_data(json.dumps(checked.report.to_dict(), indent=2, ensure_ascii=False) + "\n")
        else:
            show_check(checked.report, folder)
    if checked.report.failed:
        raise typer.Exit(2)


@app.command()
def evaluate(
    run_folder: options.Run,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    data: options.Data = None,
    settings: options.Settings = None,
    output: Annotated[Path | None, options.output("Folder", "RUN/evaluations/<split>")] = None,
    threshold: options.Threshold = None,
    model: options.MovedModel = None,
    no_vision_cache: options.NoCache = False,
    skip_unreadable: options.SkipUnreadable = False,
    allow_urls: options.AllowUrls = False,
    debug: options.Debug = False,
) -> None:
    """Predict and report again, on another split or other data (--set data.… changes the source)."""
    with exit_codes(debug):
        from fairlora_cls.recipe import data_section
        from fairlora_cls.runs import saved as saved_run
        from fairlora_cls.runs.folder import recipe_of

        section = data_section(recipe_of(run_folder), options.shortcut_values(data), settings or ())
        with open_display() as display:
            outcome = saved_run.evaluate(
                run_folder,
                display,
                split=split,
                data=section,
                output=output,
                threshold=threshold,
                model=model,
                use_vision_cache=not no_vision_cache,
                skip_unreadable=skip_unreadable,
                allow_urls=allow_urls,
            )
        _show_outcome(outcome)


@app.command()
def predict(
    run_folder: options.Run,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE...", help="Image files.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="A CSV whose column 'image' names files, relative to it.")
    ] = None,
    column: Annotated[str, typer.Option(help="That column, if it is named otherwise.")] = "image",
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TEXT",
            help="What is known of the patient, for a field of the run's prompt. Repeatable; with "
            "--table a column of that name says it, unless it is given here for all.",
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="What a generative run is asked (default: its own prompt).")
    ] = None,
    output: Annotated[Path | None, options.output("CSV file", "the terminal")] = None,
    model: options.MovedModel = None,
    allow_urls: options.AllowUrls = False,
    debug: options.Debug = False,
) -> None:
    """Class probabilities of images, or what a generative run writes of them, as CSV; needs no labels."""
    with exit_codes(debug):
        if bool(images) == (table is not None):
            raise InputError("Give image files or --table CSV, one of the two.")
        from fairlora_cls.files import require_writable_file, write_text
        from fairlora_cls.runs import saved as saved_run

        if output:
            require_writable_file(output)
        fields = saved_run.fields_of(run_folder, question) if table or field else ()
        given = _given_words(field or (), fields)
        if table:
            patients = saved_run.patients_of_table(
                table, column, fields, given, allow_urls=allow_urls
            )
        else:
            patients = [saved_run.Patient(str(path), path, given) for path in images]
        with open_display() as display:
            rows = _answer_rows(run_folder, patients, question, model, display)
        text = _csv_text(rows)
        if output:
            write_text(output, text)
        else:
            write_data(text)


def _given_words(texts: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    """Field → words of `NAME=TEXT`. Raises InputError for a name that the prompt does not have."""
    from fairlora_cls.errors import nearest

    words = dict(text.partition("=")[::2] for text in texts)
    problems = [f"--field '{t}' is not NAME=TEXT, such as note=…." for t in texts if "=" not in t]
    problems += [
        f"The run's prompt has no field '{name}'{nearest(name, fields)}"
        for name in words
        if name not in fields and not problems
    ]
    if problems:
        raise InputError(problems)
    return words


def _answer_rows(
    run_folder: Path,
    patients: Sequence[Patient],
    question: str | None,
    model: str | None,
    display: Display,
) -> list[list[str]]:
    """The table that `predict` gives, with its header."""
    from fairlora_cls.runs import saved as saved_run
    from fairlora_cls.runs.folder import recipe_of

    names, images = [one.name for one in patients], [one.image for one in patients]
    words = [one.words for one in patients]
    if recipe_of(run_folder).task == "generate":
        texts = saved_run.answer(run_folder, images, question, display, words=words, model=model)
        return [["id", "text"], *([name, text] for name, text in zip(names, texts, strict=True))]
    if question is not None:
        raise InputError(
            f"--question is for generative runs; '{run_folder}' classifies by the question it was trained on."
        )
    classes, probabilities = saved_run.predict(
        run_folder, images, display, words=words, model=model
    )
    rows = [
        [name, classes[row.argmax()], *(f"{value:.6f}" for value in row)]
        for name, row in zip(names, probabilities, strict=True)
    ]
    return [["id", "prediction", *(f"prob_{c}" for c in classes)], *rows]


@app.command()
def wording(
    run_folder: options.Run,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    data: options.Data = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="sex, race, ethnicity, age, or several joined: sex×race. Repeatable (default: each "
            "that there are words for)."
        ),
    ] = None,
    phrases: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Words that say who a patient is, attribute → group → phrases, in place of the "
            "English ones.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many images, spread over the split.")
    ] = None,
    bootstrap: options.Bootstrap = 1000,
    seed: options.Seed = 42,
    model: options.MovedModel = None,
    output: Annotated[Path | None, options.output("Folder", "RUN/wording")] = None,
    allow_urls: options.AllowUrls = False,
    debug: options.Debug = False,
) -> None:
    """Does the answer depend on how the patient is described? The same images, in other words."""
    with exit_codes(debug):
        from fairlora_cls.evaluation.rewording_page import (
            describe_attribute,
            describe_notes,
            printed_table,
        )
        from fairlora_cls.recipe import data_section
        from fairlora_cls.runs.folder import recipe_of
        from fairlora_cls.runs.rewording import reword

        section = data_section(recipe_of(run_folder), options.shortcut_values(data))
        with open_display() as display:
            done = reword(
                run_folder,
                display,
                split=split,
                data=section,
                attributes=attribute,
                phrases=phrases,
                limit=limit,
                output=output,
                bootstrap=bootstrap,
                seed=seed,
                model=model,
                allow_urls=allow_urls,
            )
        if IS_MAIN:
            show_numbers(printed_table(done), no_wrap=True)
            for name in done.neutral:
                terminal.print(describe_attribute(done, name), soft_wrap=True)
            for note in describe_notes(done):
                terminal.print(f"! {note}", soft_wrap=True)
            terminal.print(f"Page: {(output or run_folder / 'wording') / 'wording.html'}")


for verb in (ablate, report, compare, postprocess):
    app.command()(verb)


@app.command()
def doctor(debug: options.Debug = False) -> None:
    """Versions, devices, and what a run would use."""
    with exit_codes(debug):
        import platform

        import torch

        from fairlora_cls.files import cache_folder
        from fairlora_cls.runs.folder import installed_versions

        gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        offline = os.environ.get("HF_HUB_OFFLINE") == "1"
        rows = {
            "Python": platform.python_version(),
            **installed_versions(),
            **{
                f"GPU {i}": f"{g.name}, {g.total_memory / 2**30:.0f} GiB"
                for i, g in enumerate(gpus)
            },
            "Device of a run": "cuda" if torch.cuda.is_available() else "cpu",
            "CPU threads": str(torch.get_num_threads()),
            "Precisions": "bf16, fp16, fp32" if torch.cuda.is_available() else "bf16, fp32",
            "Cache": str(cache_folder()),
            "Model hub": "offline" if offline else "as configured; asked only for a Hub name",
        }
        _print_rows(rows)


@recipes_app.command("list")
def recipes_list(debug: options.Debug = False) -> None:
    """Names and first lines of the shipped recipes."""
    with exit_codes(debug):
        from fairlora_cls.recipe import shipped_recipes

        first = {
            n: p.read_text(encoding="utf-8").splitlines()[0] for n, p in shipped_recipes().items()
        }
        _print_rows({name: line.removeprefix("#").strip() for name, line in first.items()})


@recipes_app.command("copy")
def recipes_copy(
    name: Annotated[str, typer.Argument(help="As `recipes list` shows it.")],
    output: Annotated[Path | None, options.output("File", "the recipe's own name here")] = None,
    debug: options.Debug = False,
) -> None:
    """Copy a shipped recipe, to change it."""
    with exit_codes(debug):
        from fairlora_cls.errors import nearest
        from fairlora_cls.files import require_writable_file, write_text
        from fairlora_cls.recipe import shipped_recipes

        known = shipped_recipes()
        if name not in known:
            raise InputError(f"There is no shipped recipe '{name}'{nearest(name, known)}")
        target = output or Path(f"{Path(name).name}.yaml")
        if target.exists():
            raise InputError(f"'{target}' exists; name another file with --output.")
        require_writable_file(target)
        write_text(target, known[name].read_text(encoding="utf-8"))
        terminal.print(f"Wrote {target}")


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Fairness-aware LoRA fine-tuning of vision-language models for medical image classification."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    speak_any_encoding()
    if "--debug" not in sys.argv:
        # Libraries warn of their own deprecations: nothing a user can act on.
        warnings.simplefilter("ignore", FutureWarning)
    app()


def _recipe_values(recipe: Path | None, shortcuts: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe file's values under those of the short options."""
    from fairlora_cls.recipe import merge, recipe_values

    return merge(recipe_values(recipe) if recipe else {}, shortcuts)


def _headline(recipe: Recipe, folder: Path) -> str:
    protected = ", ".join(recipe.objective.protect or []) or "none"
    return (
        f"{recipe.objective.method} on {recipe.data.source} with {recipe.model.backbone} "
        f"(protected groups: {protected}) → {folder}"
    )


def _show_outcome(outcome: Outcome) -> None:
    if outcome.report is not None:  # else another process than the first
        show_report(outcome.method, outcome.report, outcome.folder / "report")


def _print_rows(rows: Mapping[str, str]) -> None:
    table = Table(show_header=False, box=None)
    for name, text in rows.items():
        table.add_row(name, text)
    terminal.print(table)


def _csv_text(rows: list[list[str]]) -> str:
    import io

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
