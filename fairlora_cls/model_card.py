"""The model card of a run: README.md in its folder, from the recipe, run.json and the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora_cls.evaluation.report import FairnessReport
from fairlora_cls.objectives.objectives import OBJECTIVES
from fairlora_cls.recipe import Recipe


def percent(value: float | None) -> str:
    """A fraction as '53.2 %', or 'undefined'."""
    return "undefined" if value is None else f"{100 * value:.1f} %"


def model_card(recipe: Recipe, state: Mapping[str, Any], report: FairnessReport) -> str:
    """Markdown: what the model is, what it was trained on, how it does, and its limits."""
    numbers = report.to_dict()
    overall = numbers["overall"]
    training = state.get("training", {})
    lines = [
        f"# {recipe.name}",
        "",
        f"A classifier of {', '.join(state['classes'])} on `{recipe.model.backbone}`, "
        f"method `{recipe.objective.method}`: {OBJECTIVES[recipe.objective.method].summary}.",
        "Research software: not a medical device, not for diagnosis.",
        "",
        "## Training",
        f"- Data: `{recipe.data.source}`, "
        + ", ".join(f"{n} {name}" for name, n in state["examples"].items())
        + f" examples; fingerprint `{state['data_fingerprint']}`",
        f"- Question: “{recipe.data.prompt}”, pooling `{recipe.model.pooling}`, at most {recipe.model.max_pixels} px² an image",
        f"- Trainable parameters: {state['trainable_parameters']:,} of {state['parameters']:,}",
        f"- Seed {recipe.seed}, device {state['device']}, {state['processes']} process(es)",
    ]
    if training:
        lines.append(
            f"- {training['steps']} steps; kept epoch {training['best_epoch']} of {recipe.training.epochs} "
            f"({state['selection_rule']})"
        )
    for attribute, sizes in state["protected"].items():
        counts = ", ".join(f"{group} {n}" for group, n in sizes.items())
        lines.append(f"- Groups of the objective: {attribute} ({counts})")
    lines += [
        f"- Fresh probe of {attribute} from {where.replace('_', ' ')}: AUROC "
        f"{_auroc(moments['before'])} before training, {_auroc(moments['after'])} after"
        for attribute, states in state.get("probes", {}).items()
        for where, moments in states.items()
    ]
    lines += [
        "",
        f"## Test ({numbers['n']} examples)",
        f"Accuracy {percent(overall['accuracy']['value'])}, AUROC {percent(overall['auroc']['value'])}. "
        "Intervals, groups and what chance alone would give: [report](report/report.md).",
        "",
        "| attribute | largest accuracy gap | equalized odds difference |",
        "|---|---|---|",
    ]
    for name, attribute in numbers["attributes"].items():
        gaps = attribute["gaps"]
        lines.append(
            f"| {name.replace('|', chr(92) + '|')} | {percent(gaps['max_acc_gap']['value'])} "
            f"| {percent(gaps['equalized_odds_difference']['value'])} |"
        )
    if numbers["warnings"]:
        lines += ["", "## Warnings", *(f"- {warning}" for warning in numbers["warnings"])]
    lines += [
        "",
        "## Use",
        "```",
        "fairlora-cls predict <this folder> image.jpg",
        "fairlora-cls train <this folder>/recipe.yaml --output another   # repeats the run",
        "```",
        "",
    ]
    return "\n".join(lines)


def _auroc(probe: Mapping[str, Any]) -> str:
    if probe["auroc"] is None:
        return "undefined"
    if probe["interval"] is None:
        return f"{probe['auroc']:.3f}"
    low, high = probe["interval"]
    return f"{probe['auroc']:.3f} [{low:.3f}, {high:.3f}]"
