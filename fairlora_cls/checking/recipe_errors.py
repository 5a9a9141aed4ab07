"""A recipe's errors, all at once, and what of it is sound enough to go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlora_cls.checking.findings import Finding, list_errors
from fairlora_cls.errors import InputError
from fairlora_cls.recipe import Recipe, build_recipe

# What is kept of a recipe with errors, most first: sections, and keys of `data` left out.
ATTEMPTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("data", "model"), ()),
    (("data",), ()),
    (("data",), ("prompt",)),
)


def read_recipe(
    values: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[Recipe | None, list[Finding]]:
    """The recipe, or its errors and a recipe of its sound sections; None where `data` is not one."""
    try:
        return build_recipe(values, overrides), []
    except InputError as error:
        findings = list_errors("recipe", error)
    for sections, left_out in ATTEMPTS:
        kept = [text for text in overrides if _belongs(text, sections, left_out)]
        try:
            return build_recipe(_part(values, sections, left_out), kept), findings
        except InputError:
            continue
    return None, findings


def _part(
    values: Mapping[str, Any], sections: Sequence[str], left_out: Sequence[str]
) -> dict[str, Any]:
    chosen = {name: values[name] for name in sections if name in values}
    if isinstance(chosen.get("data"), Mapping):
        chosen["data"] = {k: v for k, v in chosen["data"].items() if k not in left_out}
    return {**chosen, "objective": {"method": "vanilla"}}  # the one that needs no attribute


def _belongs(override: str, sections: Sequence[str], left_out: Sequence[str]) -> bool:
    section, _, key = override.partition("=")[0].strip().partition(".")
    return section in sections and key not in left_out
