"""recipe → the splits of a run, and what a reader of its report must know of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.data.batching import ImageFeatures
from fairlora_cls.data.datasets import load_splits, permitted_options
from fairlora_cls.data.examples import Splits, fingerprint, limit_splits
from fairlora_cls.data.groups import apply_missing_policy, merge_rare_groups, single_attributes
from fairlora_cls.errors import InputError
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import RunGroups
from fairlora_cls.runs.folder import read_state
from fairlora_cls.runs.missing_groups import fill_missing_groups, mean_visual_tokens
from fairlora_cls.runs.shared_parts import SharedParts


def load_run_data(
    recipe: Recipe, shared: SharedParts, allow_urls: bool = False
) -> tuple[Splits, tuple[str, ...]]:
    """The splits that a recipe names, limited, with rare and missing groups treated, and notes."""
    source, place = recipe.data.source, recipe.data.place
    options = permitted_options(source, recipe.data.options, allow_urls)
    loaded = shared.once(
        ("splits", source, place, repr(options)), lambda: load_splits(source, place, options)
    )
    return treat_splits(recipe, loaded)


def treat_splits(recipe: Recipe, loaded: Splits) -> tuple[Splits, tuple[str, ...]]:
    """Loaded splits, limited, with rare and missing groups treated, and notes."""
    splits = limit_splits(loaded, recipe.data.limit)
    sensitive = single_attributes(recipe.data.sensitive)
    splits, merged = merge_rare_groups(splits, sensitive, recipe.data.merge_groups_below)
    splits, touched = apply_missing_policy(splits, sensitive, recipe.data.missing_groups)
    return splits, (*missing_notes(recipe, touched), *merged)


def require_same_data(run: Path, recipe: Recipe, loaded: Splits) -> None:
    """Raises InputError where the data that a run's own recipe names are no longer those of the run."""
    state = read_state(run)
    known = state.get("loaded_fingerprint", state.get("data_fingerprint"))
    if fingerprint(treat_splits(recipe, loaded)[0]) != known:
        change = "have changed since it was trained"
        if "loaded_fingerprint" not in state:
            change = "have changed, or an earlier version, which trained it, read them otherwise"
        raise InputError(
            f"The data of '{run}' ({recipe.data.source}, {recipe.data.place or 'drawn'}) {change}; name "
            "the data to use with --data SOURCE:PATH."
        )


def predict_missing_groups(
    recipe: Recipe, splits: Splits, features: ImageFeatures
) -> tuple[Splits, tuple[str, ...]]:
    return fill_missing_groups(
        splits,
        single_attributes(recipe.data.sensitive),
        mean_visual_tokens(features, len(splits.train)),
        recipe.data.predict_confidence,
        recipe.seed,
    )


def missing_notes(recipe: Recipe, touched: int) -> tuple[str, ...]:
    if not touched:
        return ()
    policy = recipe.data.missing_groups
    treated = "left out" if policy == "drop" else "kept as the group Unknown"
    return (
        f"{touched} examples lack a sensitive attribute and were {treated} (data.missing_groups).",
    )


def absent_notes(groups: RunGroups) -> tuple[str, ...]:
    return tuple(
        f"The group {name} ({attribute}) is absent from training; the objective never saw it."
        for attribute, found in groups.protected.items()
        for name in found.absent_from_training
    )


def skipped_note(dropped: Sequence[Path]) -> str:
    return f"{len(dropped)} unreadable images were skipped, the first: {dropped[0].name}."
