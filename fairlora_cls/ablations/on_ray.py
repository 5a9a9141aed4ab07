"""Jobs → actors on a Ray cluster, each a process that does many runs (the optional extra `ray`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.scheduling import Listener, Worker, run_jobs
from fairlora_cls.ablations.worker import JobRunner
from fairlora_cls.errors import InputError


def run_on_ray(
    jobs: Sequence[Job],
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
        workers = [RayWorker(actor.remote()) for _ in range(count)]
        return run_jobs(jobs, workers, lambda news: ray.wait(news)[0], listener, skip_unreadable)
    finally:
        ray.shutdown()


class RayWorker(Worker):
    """An actor of the cluster; it speaks at the end of a job only."""

    def __init__(self, actor: Any):
        self.actor = actor

    def begin(self, job: Job, skip_unreadable: bool) -> None:
        there = replace(job, folder=job.folder.resolve())
        self.news = self.actor.__call__.remote(there, skip_unreadable)

    def read(self) -> tuple[Any, ...]:
        """How the job ended; of an actor that died, that."""
        import ray

        try:
            return "end", ray.get(self.news)
        except ray.exceptions.RayError as error:
            return "end", f"The process of this run ended: {str(error).strip().splitlines()[0]}"
