"""One function over many files in threads, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Error = TypeVar("Error", bound=Exception)

AT_ONCE = 512  # items handed out before the first of the next is: memory stays flat


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Results in order. Threads, because decoding, hashing and reading let go of Python's lock."""
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), AT_ONCE):
            yield from pool.map(function, items[start : start + AT_ONCE])


def attempt(
    function: Callable[[Item], Result], error: type[Error]
) -> Callable[[Item], Result | Error]:
    """The same function, but such an error is what it returns: the other items go on."""

    def attempted(item: Item) -> Result | Error:
        try:
            return function(item)
        except error as raised:
            return raised

    return attempted
