"""Many computations of arrays at once, on all cores."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def side_by_side(function: Callable, *arguments: Iterable) -> list:
    """Like map, on all cores: NumPy leaves the interpreter to other threads while it computes."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, *arguments))
