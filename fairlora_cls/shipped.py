"""Where the recipes that ship with the package lie."""

from __future__ import annotations

from pathlib import Path


def shipped_recipes() -> dict[str, Path]:
    """Name (folder/stem) → file of every shipped recipe, sorted."""
    package = Path(__file__).parent
    installed, checkout = package / "shipped_recipes", package.parent / "recipes"
    folder = installed if installed.is_dir() else checkout
    return {str(p.relative_to(folder).with_suffix("")): p for p in sorted(folder.rglob("*.yaml"))}
