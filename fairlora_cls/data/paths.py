"""Image names in a table → files: inside the data folder, unless the user allows otherwise."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.data.downloads import CONNECTIONS, download_image, fetched_file, is_url
from fairlora_cls.data.tables import Table
from fairlora_cls.data.threads import attempt, map_in_threads
from fairlora_cls.errors import InputError


def resolve_images(
    table: Table,
    names: Sequence[str | None],
    *,
    folder: Path | None = None,
    allow_outside: bool = False,
    allow_urls: bool = False,
) -> list[Path | None]:
    """The file that each row of `table` names, relative to `folder` (the table's own by default).

    A name with backslashes, as Windows writes them, is taken as one with slashes unless a file is
    called so. A row is refused, and its file None, for a name that leaves the folder, by `..`, an
    absolute path or a link, unless `allow_outside`; for an URL that is not in the cache unless
    `allow_urls`, which fetches it. Whether a local file exists is not asked: 100,000 rows would take
    seconds on a network disk.
    """
    root = os.path.realpath(folder or table.file.parent)
    inside = os.path.join(root, "")
    parents: dict[str, str] = {}
    urls: dict[int, str] = {}
    faults: dict[int, str] = {}
    files: list[Path | None] = [None] * len(names)
    for row, name in enumerate(names):
        if name is None:
            continue
        name = name.strip()
        if "://" in name:
            urls[row] = name
            if not is_url(name) or not (allow_urls or fetched_file(name).is_file()):
                faults[row] = (
                    f"names the image '{name}'; only local files are read "
                    "(a recipe alone fetches nothing; `fairlora-cls check` with --allow-urls fetches "
                    "http and https once for every verb)."
                )
            continue
        if "\0" in name:
            faults[row] = f"names the image {name!r}, which no file can be."
            continue
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
            faults[row] = (
                f"names the image '{name}', which lies outside the data folder '{root}'; move it "
                "there, or set data.options.allow_outside=true."
            )
            continue
        files[row] = Path(path)
    urls = {row: url for row, url in urls.items() if row not in faults}
    wanted = list(dict.fromkeys(urls.values()))
    fetched = dict(
        zip(
            wanted,
            map_in_threads(attempt(download_image, InputError), wanted, CONNECTIONS),
            strict=True,
        )
    )
    for row, url in urls.items():
        if isinstance(fetched[url], InputError):
            faults[row] = f"names an image that cannot be had. {fetched[url]}"
        else:
            files[row] = fetched[url]
    table.refuse(faults)
    return files


def _other_accents(path: str) -> str:
    """The same name with its accents composed or decomposed, whichever is on the disk."""
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next((other for other in forms if os.path.exists(other)), path)
