"""The options that more than one verb has, each said once, and what the short ones stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlora_cls.data.examples import LARGEST_SEED
from fairlora_cls.errors import InputError


def output(what: str, default: str) -> Any:
    """The option `--output` of a verb that writes a folder or a file."""
    return typer.Option("--output", help=f"{what} to write (default: {default}).")


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
# What a run is made of.
RecipeFile = Annotated[Path | None, typer.Argument(help="Recipe file; none: the embedded default.")]
Method = Annotated[
    str | None,
    typer.Option(
        help="vanilla, fr, gr, hybrid, zero-shot or another of the README's Methods; short for objective.method."
    ),
]
MutualInformation = Annotated[
    str | None,
    typer.Option(
        metavar="ATTRIBUTE=λ,…",
        help="Join FairLLaVA's regularizer, e.g. race=0.2,age=0.6; short for objective.mutual_information.weights.",
    ),
]
Data = Annotated[
    str | None, typer.Option(metavar="SOURCE[:PATH]", help="Short for data.source and data.path.")
]
Model = Annotated[
    str | None, typer.Option(metavar="NAME-OR-FOLDER", help="Backbone; short for model.backbone.")
]
Prompt = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="The question, taken as it is; {note} stands for what the data's field 'note' says of a "
        "patient. Short for data.prompt.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any recipe key, e.g. training.epochs=1."),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="A trial on a CPU: the miniature, 256 images (a simulated cohort where no path is given), one epoch.",
    ),
]
# How images are read.
NoCache = Annotated[
    bool, typer.Option("--no-vision-cache", help="Run the vision tower on every image every time.")
]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Leave out images that cannot be read; the report counts them."
    ),
]
AllowUrls = Annotated[
    bool,
    typer.Option(
        "--allow-urls", help="Fetch images that a table names by URL; a recipe alone may not."
    ),
]
# A finished run.
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
MovedModel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME-OR-FOLDER", help="Where the run's backbone lies now, if it was moved."
    ),
]
# How predictions are judged.
Attributes = Annotated[
    list[str] | None,
    typer.Option(help="A sensitive column, or several joined: sex×race. Repeatable."),
]
Positive = Annotated[
    str | None, typer.Option(help="The positive class (default: the last prob_ column's).")
]
Unit = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Patient or lesion; its examples are resampled together (default: a column 'unit').",
    ),
]
Bootstrap = Annotated[int, typer.Option(min=0, help="Resamples behind intervals and p-values.")]
Seed = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of all that is drawn at random.")]
Png = Annotated[bool, typer.Option("--png", help="Write each figure as PNG too, beside its SVG.")]
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
TextMetrics = Annotated[
    list[str] | None,
    typer.Option(
        help="For texts: a metric, such as rouge_l. Repeatable; the first one's gap is judged "
        "(default: all that need no other package)."
    ),
]


def shortcut_values(
    data: str | None,
    model: str | None = None,
    method: str | None = None,
    mutual_information: str | None = None,
    prompt: str | None = None,
) -> dict[str, Any]:
    """What the short options stand for, as nested recipe values. Raises InputError."""
    values: dict[str, Any] = {}
    if data is not None:
        source, _, path = data.partition(":")
        if not source:
            raise InputError(f"--data '{data}' names no source; write SOURCE or SOURCE:PATH.")
        values["data"] = {"source": source, **({"path": path} if path else {})}
    if prompt is not None:
        values.setdefault("data", {})["prompt"] = prompt
    if model is not None:
        values["model"] = {"backbone": model}
    if method is not None:
        values["objective"] = {"method": method}
    if mutual_information is not None:
        weights = {"weights": _weights(mutual_information)}
        values.setdefault("objective", {})["mutual_information"] = weights
    return values


def _weights(text: str) -> dict[str, float]:
    """Attribute → λ of `race=0.2,age=0.6`."""
    weights = {}
    for pair in text.split(","):
        name, _, weight = (part.strip() for part in pair.partition("="))
        try:
            weights[name] = float(weight)
        except ValueError:
            name = ""
        if not name:
            raise InputError(
                f"--mutual-information '{text}' is not ATTRIBUTE=λ,…, such as race=0.2,age=0.6."
            )
    return weights
