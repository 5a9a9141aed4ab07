"""Jobs → workers: who does which job next, and when; the same for processes here and on Ray."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from fairlora_cls.ablations.plan import Job

# Until one run has come beyond these, the others wait: cohort and vision features are made once.
SHARED_STAGES = ("Vision features",)


class Listener(Protocol):
    """Who hears how the whole ablation goes on. `worker` counts from 0."""

    def job_begins(self, worker: int, job: Job) -> None: ...

    def stage(self, worker: int, name: str, total: int) -> None: ...

    def advance(self, worker: int, count: int) -> None: ...

    def job_ends(self, worker: int, job: Job, error: str | None, seconds: float) -> None: ...


class Worker(ABC):
    """Something that does one job after the other."""

    job: Job | None = None  # what it is doing
    began = 0.0
    news: Hashable  # what `run_jobs` waits for while it works

    @abstractmethod
    def begin(self, job: Job, skip_unreadable: bool) -> None:
        """Set it to work."""

    @abstractmethod
    def read(self) -> tuple[Any, ...]:
        """What it has to say: ("stage", name, total), ("advance", count) or ("end", error or None)."""


def run_jobs(
    jobs: Iterable[Job],
    workers: Sequence[Worker],
    wait: Callable[[list[Any]], Iterable[Any]],
    listener: Listener,
    skip_unreadable: bool,
) -> dict[Path, str]:
    """Run jobs on `workers`; run folder → why it failed.

    wait: the `news` of working workers → those of them that have something to say
    """
    waiting, failures = deque(jobs), {}
    warm = False  # one run has come beyond the stages whose work is shared
    while waiting or any(worker.job for worker in workers):
        for number, worker in enumerate(workers):
            alone = not any(other.job for other in workers)
            if waiting and worker.job is None and (warm or alone):
                worker.job, worker.began = waiting.popleft(), time.monotonic()
                worker.begin(worker.job, skip_unreadable)
                listener.job_begins(number, worker.job)
        working = {worker.news: number for number, worker in enumerate(workers) if worker.job}
        for news in wait(list(working)):
            number = working[news]
            worker = workers[number]
            kind, *values = worker.read()
            if kind == "stage":
                warm = warm or values[0] not in SHARED_STAGES
                listener.stage(number, *values)
            elif kind == "advance":
                listener.advance(number, *values)
            else:
                (error,) = values
                warm = warm or error is None
                job, worker.job = worker.job, None
                if error is not None:
                    failures[job.folder] = error
                listener.job_ends(number, job, error, time.monotonic() - worker.began)
    return failures
