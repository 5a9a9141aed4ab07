"""Image names in a table → files: inside the data folder, unless the user allows otherwise."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.data.downloads import download_images, fetched_file, is_url
from fairlora_cls.data.tables import row_of
from fairlora_cls.errors import InputError


def resolve_images(
    table: Path,
    names: Sequence[str],
    *,
    folder: Path | None = None,
    allow_outside: bool = False,
    allow_urls: bool = False,
) -> list[Path]:
    """The file that each row of `table` names, relative to `folder` (the table's own by default).

    A name with backslashes, as Windows writes them, is taken as one with slashes unless a file is
    called so. Raises InputError for a name that leaves the folder, by `..`, an absolute path or a
    link, unless `allow_outside`; for an URL that is not in the cache unless `allow_urls`, which
    fetches it. Whether a local file exists is not asked: 100,000 rows would take seconds on a
    network disk.
    """
    root = os.path.realpath(folder or table.parent)
    inside = os.path.join(root, "")
    parents: dict[str, str] = {}
    urls = {}
    files: list[Path | None] = []
    for row, name in enumerate(names):
        name = name.strip()
        if "://" in name:
            if not is_url(name) or not (allow_urls or fetched_file(name).is_file()):
                raise InputError(
                    f"{row_of(table, row)} names the image '{name}'; only local files are read "
                    "(a recipe alone fetches nothing; `fairlora-cls check` with --allow-urls fetches "
                    "http and https once for every verb)."
                )
            urls[row] = name
            files.append(None)
            continue
        if "\0" in name:
            raise InputError(
                f"{row_of(table, row)} names the image {name!r}, which no file can be."
            )
        if "\\" in name and not os.path.exists(os.path.join(root, name)):
            name = name.replace("\\", "/")
        path = os.path.normpath(os.path.join(root, name))
        parent, base = os.path.split(path)
        if parent not in parents:
            parents[parent] = os.path.realpath(parent)
        path = os.path.join(parents[parent], base)
        if not name.isascii() and not os.path.exists(path):
            path = _other_accents(path)
        real = os.path.realpath(path) if os.path.islink(path) else path
        if not allow_outside and not real.startswith(inside):
            raise InputError(
                f"{row_of(table, row)} names the image '{name}', which lies outside the data folder "
                f"'{root}'; move it there, or set data.options.allow_outside=true."
            )
        files.append(Path(path))
    if urls:
        fetched = download_images(list(dict.fromkeys(urls.values())))
        for row, url in urls.items():
            files[row] = fetched[url]
    return files


def _other_accents(path: str) -> str:
    """The same name with its accents composed or decomposed, whichever is on the disk."""
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next((other for other in forms if os.path.exists(other)), path)
