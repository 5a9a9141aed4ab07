"""Jobs → actors on a Ray cluster, each a process that does many runs (the optional extra `ray`)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.execution import Listener
from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.worker import JobRunner, RunOptions
from fairlora_cls.errors import InputError


def run_on_ray(
    jobs: Sequence[tuple[Job, bool]],
    address: str,
    listener: Listener,
    *,
    processes: int | None = None,
    skip_unreadable: bool = False,
) -> dict[Path, str]:
    """Run jobs on a Ray cluster; run folder → why it failed.

    address: of the cluster, `auto`, or `local` for one that is started on this machine
    processes: actors at a time; None: one per GPU of the cluster, or one per node
    The run folders must lie on storage that every node sees. Raises InputError without Ray.
    """
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs Ray: pip install 'fairlora-cls[ray]'.") from None
    ray.init(
        address=None if address == "local" else address,
        include_dashboard=False,
        log_to_driver=False,
    )
    try:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        count = min(processes or gpus or len(ray.nodes()), len(jobs))
        actor = ray.remote(num_cpus=1, num_gpus=min(gpus, 1), max_restarts=-1)(JobRunner)
        idle = deque((place, actor.remote()) for place in range(count))
        waiting = deque(jobs)
        working: dict[Any, tuple[int, Any, Job, float]] = {}
        failures: dict[Path, str] = {}
        warm = False  # the first run goes alone: cohort and vision features are made once
        while waiting or working:
            while waiting and idle and (warm or not working):
                place, handle = idle.popleft()
                job, replaces = waiting.popleft()
                options = RunOptions(overwrite=replaces, skip_unreadable=skip_unreadable)
                there = replace(job, folder=job.folder.resolve())
                result = handle.__call__.remote(there, options)
                working[result] = (place, handle, job, time.monotonic())
                listener.job_begins(place, job)
            (ready,), _ = ray.wait(list(working))
            place, handle, job, began = working.pop(ready)
            error, warm = _end(ready), True
            if error is not None:
                failures[job.folder] = error
            listener.job_ends(place, job, error, time.monotonic() - began)
            idle.append((place, handle))
        return failures
    finally:
        ray.shutdown()


def _end(result: Any) -> str | None:
    """Why a run failed; of an actor that died, that."""
    import ray

    try:
        return ray.get(result)
    except ray.exceptions.RayError as error:
        return f"The process of this run ended: {str(error).strip().splitlines()[0]}"
