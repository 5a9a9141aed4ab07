"""The model card of a run: README.md in its folder, from the recipe, run.json and the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora_cls.data.prompts import find_fields
from fairlora_cls.evaluation.results import Report
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.objectives.objectives import OBJECTIVES
from fairlora_cls.presentation.numbers import RATE, SCORE
from fairlora_cls.presentation.rendering import markdown_text
from fairlora_cls.recipe import Recipe


def model_card(recipe: Recipe, state: Mapping[str, Any], report: Report) -> str:
    """Markdown: what the model is, what it was trained on, how it does, and its limits."""
    numbers = report.to_dict()
    overall = numbers["overall"]
    training = state.get("training", {})
    lines = [
        f"# {recipe.name}",
        "",
        f"{_what_it_does(recipe, state)} on `{recipe.model.backbone}`, "
        f"method `{recipe.objective.method}`: {OBJECTIVES[recipe.objective.method].summary}.",
        "Research software: not a medical device, not for diagnosis.",
        "",
        "## Training",
        f"- Data: `{recipe.data.source}`, "
        + ", ".join(f"{n} {name}" for name, n in state["examples"].items())
        + f" examples; fingerprint `{state['data_fingerprint']}`",
        f"- Question: “{state.get('question') or recipe.data.prompt}”, pooling `{recipe.model.pooling}`, at most {recipe.model.max_pixels} px² an image",
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
    lines += _dependence_lines(recipe)
    lines += [
        f"- Fresh probe of {attribute} from {where.replace('_', ' ')}: AUROC "
        f"{_auroc(moments['before'])} before training, {_auroc(moments['after'])} after"
        for attribute, states in state.get("probes", {}).items()
        for where, moments in states.items()
    ]
    lines += [
        "",
        f"## Test ({numbers['n']} examples)",
        f"{_headline(recipe, overall)} "
        "Intervals, groups and what chance alone would give: [report](report/report.md).",
        "",
        *(f"- {markdown_text(text)}" for text in describe_in_short(report)),
        *_gap_lines(recipe, numbers["attributes"]),
    ]
    if numbers["warnings"]:
        lines += ["", "## Warnings", *(f"- {markdown_text(text)}" for text in numbers["warnings"])]
    lines += [
        "",
        "## Use",
        "```",
        " ".join(
            [
                "fairlora-cls predict <this folder> image.jpg",
                *(f'--field {name}="…"' for name in find_fields(recipe.data.prompt or "")),
            ]
        ),
        "fairlora-cls train <this folder>/recipe.yaml --output another   # repeats the run",
        "```",
        "",
    ]
    return "\n".join(lines)


def _what_it_does(recipe: Recipe, state: Mapping[str, Any]) -> str:
    if recipe.task == "generate":
        return f"A writer of texts about images (data.questions: {recipe.data.questions})"
    return f"A classifier of {', '.join(state['classes'])}"


def _headline(recipe: Recipe, overall: Mapping[str, Any]) -> str:
    """The first metrics of the report in a sentence."""
    if recipe.task == "generate":
        defined = [name for name in overall if overall[name]["value"] is not None][:4]
        return ", ".join(f"{name} {SCORE.show(overall[name]['value'])}" for name in defined) + "."
    accuracy, auroc = (overall[name]["value"] for name in ("accuracy", "auroc"))
    return f"Accuracy {RATE.show(accuracy)}, AUROC {SCORE.show(auroc)}."


def _gap_lines(recipe: Recipe, attributes: Mapping[str, Any]) -> list[str]:
    """A table of the attributes' gaps: of a classifier the two best known, of texts the first two."""
    if not attributes:
        return []
    gaps = {"max_acc_gap": "largest accuracy gap", "equalized_odds_difference": None}
    shown = RATE
    if recipe.task == "generate":
        gaps = dict.fromkeys(list(next(iter(attributes.values()))["gaps"])[:2])
        shown = SCORE
    titles = [title or name.replace("_", " ") for name, title in gaps.items()]
    lines = ["", f"| attribute | {' | '.join(titles)} |", "|---" * (1 + len(gaps)) + "|"]
    for name, attribute in attributes.items():
        values = [shown.show_gap(attribute["gaps"][gap]["value"]) for gap in gaps]
        lines.append(f"| {name.replace('|', chr(92) + '|')} | {' | '.join(values)} |")
    return lines


def _dependence_lines(recipe: Recipe) -> list[str]:
    """What the training kept out of which hidden state."""
    return [
        f"- {key.replace('_', ' ').capitalize()}: "
        + ", ".join(f"{attribute} λ {weight:g}" for attribute, weight in section.weights.items())
        + f" (variant {section.variant}, tap {section.tap}, {section.tokens} tokens)"
        for key, section in recipe.objective.dependences.items()
    ]


def _auroc(probe: Mapping[str, Any]) -> str:
    interval = f" [{SCORE.show_range(probe['interval'])}]" if probe["interval"] else ""
    return SCORE.show(probe["auroc"]) + interval
