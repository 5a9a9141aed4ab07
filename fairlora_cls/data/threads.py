"""One function over many files in threads, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 512  # items handed out before the first of the next is: memory stays flat


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Results in order. Threads, because decoding, hashing and reading let go of Python's lock."""
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), AT_ONCE):
            yield from pool.map(function, items[start : start + AT_ONCE])
