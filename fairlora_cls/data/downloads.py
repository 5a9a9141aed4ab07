"""Images that a table names by URL, fetched once into the cache; only with --allow-urls."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from fairlora_cls.data.threads import map_in_threads
from fairlora_cls.errors import InputError
from fairlora_cls.files import cache_folder, write_atomically

LARGEST = 64 * 2**20  # bytes of one image
TIMEOUT = 30.0  # seconds without an answer
CONNECTIONS = 8


def is_url(name: str) -> bool:
    """Whether a name is an address that may be fetched: http or https, no other scheme."""
    return name.lower().startswith(("http://", "https://"))


def download_images(urls: Sequence[str]) -> dict[str, Path]:
    """URL → file in the cache; each is fetched once and is whole or absent.

    Raises InputError naming the first address that gives no file of at most 64 MiB.
    """
    return dict(zip(urls, map_in_threads(_download, urls, CONNECTIONS), strict=True))


def _download(url: str) -> Path:
    key = hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
    path = cache_folder() / "downloads" / f"{key}.image"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            content = answer.read(LARGEST + 1)
    except (urllib.error.URLError, OSError, HTTPException, ValueError) as error:
        raise InputError(f"The image '{url}' cannot be fetched ({error}).") from error
    if not content or len(content) > LARGEST:
        size = "is empty" if not content else f"is larger than {LARGEST // 2**20} MiB"
        raise InputError(f"The image '{url}' {size}.")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path
