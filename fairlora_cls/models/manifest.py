"""Digests of a saved model's files and of the backbone it was trained on: what loading holds it to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json, write_json

MANIFEST = "manifest.json"
WAY_OUT = "copy the run again from where it was trained, or train it anew"


def write_manifest(folder: Path, backbone: str) -> None:
    """Note every file that stands in `folder`, and the digest of the backbone's weights."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    write_json(
        folder / MANIFEST,
        {
            "schema": 1,
            "backbone": backbone,
            "files": {p.relative_to(folder).as_posix(): _digest(p) for p in files},
        },
    )


def require_unchanged(folder: Path) -> None:
    """Raise InputError for a file that was lost or changed since it was saved.

    Files that came later are not looked at. Runs saved before there were manifests have none.
    """
    for name, digest in _read(folder).get("files", {}).items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"'{folder}' lacks '{name}', which was saved with it; {WAY_OUT}.")
        if _digest(path) != digest:
            raise InputError(f"'{path}' has changed since it was saved; {WAY_OUT}.")


def require_same_backbone(folder: Path, name: str, digest: str) -> None:
    """Raise InputError where a backbone's weights are not those that the saved model was trained on."""
    if _read(folder).get("backbone", digest) != digest:
        raise InputError(
            f"The weights of the backbone '{name}' are not those that '{folder}' was trained on; name "
            "the place of that checkpoint with --model."
        )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    values = read_json(path, WAY_OUT)
    if not isinstance(values.get("files"), dict) or not isinstance(values.get("backbone"), str):
        raise InputError(f"'{path}' names no files; {WAY_OUT}.")
    return values


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}).") from error
