"""What the frozen vision tower says of each image, computed once and reused by every run.

V visual tokens, F numbers of a row of features.

A cache is a folder of shards, one per few hundred images, each a safetensors file (memory-mapped
on reading): a tensor `features` (ΣV, F) and, in its header, for every image its content digest,
rows, grid and CRC-32. A shard is written to a temporary name and renamed, so processes and runs
may fill one cache at once and a killed one loses at most a shard. The folder's name is the
fingerprint of tower, processor, pixel budget and numeric type: stale features cannot be served.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fairlora_cls.data.images import Rescaling, UnreadableImageError, read_fitted
from fairlora_cls.data.threads import attempt
from fairlora_cls.files import write_atomically

SHARD_BYTES = 256 * 2**20  # a shard is closed at this size …
SHARD_IMAGES = 512  # … or at this many images
ENCODE_IMAGES = 16  # images that pass through the tower at once

ImageEncoder = Callable[[Sequence[Image.Image]], list[tuple[torch.Tensor, torch.Tensor]]]
ImageFitter = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Entry:
    """Where one image's features lie."""

    shard: Any  # an open slice of the shard's `features`
    start: int
    stop: int
    grid: tuple[int, ...]
    checksum: int

    def read(self) -> torch.Tensor:
        return self.shard[self.start : self.stop]


def checksum(features: torch.Tensor) -> int:
    """CRC-32 of the bytes of a contiguous CPU tensor."""
    return zlib.crc32(features.contiguous().view(torch.uint8).numpy())


def open_cache(folder: Path, digests: Iterable[str]) -> dict[str, Entry]:
    """The entries of `folder` for the images asked for, every one checked against its CRC.

    Damaged shards (truncated, foreign) are deleted, damaged entries are left out; both are then
    computed anew. A shard that may not be read is another user's, and stays as it is.
    """
    wanted = set(digests)
    entries: dict[str, Entry] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for digest, entry in _open_shard(path).items():
            is_new = digest in wanted and digest not in entries
            if is_new and checksum(entry.read()) == entry.checksum:
                entries[digest] = entry
    return entries


def _open_shard(path: Path) -> dict[str, Entry]:
    try:
        with path.open(
            "rb"
        ):  # safetensors does not tell a lack of permission from a lack of a file
            shard = safe_open(path, framework="pt")
        listing = json.loads(shard.metadata()["entries"])
        features = shard.get_slice("features")
        rows = features.get_shape()[0]
        entries = {
            digest: Entry(features, start, stop, tuple(grid), crc)
            for digest, start, stop, grid, crc in listing
            if 0 <= start < stop <= rows
        }
    except OSError:
        return {}
    except (SafetensorError, KeyError, TypeError, ValueError):
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return {}
    return entries


def write_shard(folder: Path, items: Sequence[tuple[str, torch.Tensor, torch.Tensor]]) -> None:
    """Write (digest, features (V, F), grid (3,)) of some images as one new shard."""
    listing, start = [], 0
    for digest, features, grid in items:
        stop = start + len(features)
        listing.append([digest, start, stop, grid.tolist(), checksum(features)])
        start = stop
    tensors = {"features": torch.cat([features for _, features, _ in items])}
    metadata = {"entries": json.dumps(listing)}
    path = folder / f"{uuid4().hex}.safetensors"
    write_atomically(path, lambda temporary: save_file(tensors, str(temporary), metadata))


def encode_files(
    paths: Sequence[Path],
    encode: ImageEncoder,
    fit: ImageFitter,
    rescaling: Rescaling = "percentile",
) -> Iterator[tuple[int, tuple[torch.Tensor, torch.Tensor] | UnreadableImageError]]:
    """Yield (place in `paths`, (features on the CPU, grid) or why the file cannot be read).

    Files are decoded in threads while the tower works on the ones before.
    """

    load = attempt(lambda path: read_fitted(path, fit, rescaling), UnreadableImageError)
    chunks = [
        range(i, min(i + ENCODE_IMAGES, len(paths))) for i in range(0, len(paths), ENCODE_IMAGES)
    ]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.map(load, [paths[i] for i in chunk]) for chunk in chunks[:2]]
        for number, chunk in enumerate(chunks):
            loaded = list(waiting.pop(0))
            if number + 2 < len(chunks):
                waiting.append(pool.map(load, [paths[i] for i in chunks[number + 2]]))
            readable = [image for image in loaded if isinstance(image, Image.Image)]
            encoded = iter(encode(readable) if readable else [])
            for place, image in zip(chunk, loaded, strict=True):
                if isinstance(image, Image.Image):
                    features, grid = next(encoded)
                    yield place, (features.cpu(), grid.cpu())
                else:
                    yield place, image


def fill_cache(
    folder: Path,
    images: Sequence[tuple[str, Path]],
    encode: ImageEncoder,
    fit: ImageFitter,
    advance: Callable[[int], None],
    rescaling: Rescaling = "percentile",
) -> None:
    """Compute the features of (digest, path) images into new shards; `advance` hears each image.

    Unreadable images are passed over: they get no entry, which the caller sees and reports.
    """
    pending: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    size = 0
    for place, result in encode_files([p for _, p in images], encode, fit, rescaling):
        advance(1)
        if isinstance(result, UnreadableImageError):
            continue
        features, grid = result
        pending.append((images[place][0], features, grid))
        size += features.numel() * features.element_size()
        if len(pending) >= SHARD_IMAGES or size >= SHARD_BYTES:
            write_shard(folder, pending)
            pending, size = [], 0
    if pending:
        write_shard(folder, pending)


class CachedFeatures:
    """Features of a split from the cache: index → (features (V, F), grid (3,))."""

    def __init__(self, entries: Sequence[Entry]):
        self.entries = entries

    def __call__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(self.entries[i].read(), torch.tensor(self.entries[i].grid)) for i in indices]


class LiveFeatures:
    """Features of a split from the tower itself, every time (--no-vision-cache)."""

    def __init__(
        self,
        paths: Sequence[Path],
        encode: ImageEncoder,
        fit: ImageFitter,
        rescaling: Rescaling = "percentile",
    ):
        self.paths = paths
        self.encode = encode
        self.reading = (fit, rescaling)

    def __call__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        features = []
        for _, result in encode_files([self.paths[i] for i in indices], self.encode, *self.reading):
            if isinstance(result, UnreadableImageError):
                raise result
            features.append(result)
        return features
