"""Jobs → worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.worker import RunOptions, work
from fairlora_cls.files import hold

# Until one run has come beyond these, the others wait: cohort and vision features are made once.
SHARED_STAGES = ("Vision features",)


class Listener(Protocol):
    """Who hears how the whole ablation goes on. `worker` counts from 0."""

    def job_begins(self, worker: int, job: Job) -> None: ...

    def stage(self, worker: int, name: str, total: int) -> None: ...

    def advance(self, worker: int, count: int) -> None: ...

    def job_ends(self, worker: int, job: Job, error: str | None, seconds: float) -> None: ...


def hold_ablation(folder: Path) -> AbstractContextManager[None]:
    """Keep a second `ablate` out of the folder. Raises InputError when one works there."""
    return hold(folder / ".lock", f"Another ablate is working in '{folder}'; wait for it.")


def run_here(
    jobs: Sequence[tuple[Job, bool]],
    folder: Path,
    listener: Listener,
    *,
    processes: int | None = None,
    skip_unreadable: bool = False,
) -> dict[Path, str]:
    """Run jobs in `processes` processes of this machine; run folder → why it failed.

    jobs: each with whether it replaces a run of another recipe
    processes: None: one per GPU, or one
    A process that dies (out of memory) fails its job only.
    """
    gpus = visible_gpus()
    count = min(processes or max(len(gpus), 1), len(jobs))
    waiting = deque(
        (job, RunOptions(overwrite=replaces, skip_unreadable=skip_unreadable))
        for job, replaces in jobs
    )
    workers = [
        LocalWorker(
            place, folder / "workers" / f"{place + 1}.log", _environment(place, count, gpus)
        )
        for place in range(count)
    ]
    failures: dict[Path, str] = {}
    warm = False  # one run has come beyond the stages whose work is shared
    try:
        while waiting or any(worker.job for worker in workers):
            for worker in workers:
                alone = not any(other.job for other in workers)
                if waiting and worker.job is None and (warm or alone):
                    worker.give(*waiting.popleft())
                    listener.job_begins(worker.place, worker.job)
            busy = {worker.pipe: worker for worker in workers if worker.job}
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]
                kind, *values = worker.read()
                if kind == "stage":
                    warm = warm or values[0] not in SHARED_STAGES
                    listener.stage(worker.place, *values)
                elif kind == "advance":
                    listener.advance(worker.place, *values)
                else:
                    job, worker.job = worker.job, None
                    if values[0] is not None:
                        failures[job.folder] = values[0]
                    seconds = time.monotonic() - worker.began
                    listener.job_ends(worker.place, job, values[0], seconds)
    finally:
        for worker in workers:
            worker.stop()
    return failures


class LocalWorker:
    """A worker process of this machine, started anew when it dies."""

    def __init__(self, place: int, log: Path, environment: Mapping[str, str]):
        self.place = place
        self.log = log
        self.environment = environment
        self.job: Job | None = None
        self.began = 0.0
        self._start()

    def give(self, job: Job, options: RunOptions) -> None:
        self.job, self.began = job, time.monotonic()
        self.pipe.send((job, options))

    def read(self) -> tuple[Any, ...]:
        """The next message of a working process; of one that died, the end of its job."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            self._start()
            reason = f"signal {-code}, perhaps for want of memory" if code < 0 else f"code {code}"
            return "end", f"The process of this run ended by {reason}; {self.log} holds its words."

    def stop(self) -> None:
        """End the process: at once if it works, as when the user interrupts."""
        if self.job:
            self.process.terminate()
        else:
            with suppress(BrokenPipeError):  # an interrupt has ended it already
                self.pipe.send(None)
        self.process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.log))
        with _surroundings(self.environment):
            self.process.start()
        other.close()


def visible_gpus() -> list[str]:
    """Identifiers of the GPUs that a run here may use, as CUDA_VISIBLE_DEVICES takes them."""
    if shutil.which("nvidia-smi") is None:
        return []
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    places = range(torch.cuda.device_count())
    return named.split(",")[: len(places)] if named else [str(place) for place in places]


def _environment(place: int, count: int, gpus: Sequence[str]) -> dict[str, str]:
    """Several processes share cores and GPUs; one alone has what the user's own command has."""
    if count == 1:
        return {}
    threads = max((os.cpu_count() or 1) // count, 1)
    chosen = {
        name: os.environ.get(name, str(threads))
        for name in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")  # of torch and numpy, of joblib
    }
    if gpus:
        chosen["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
    return chosen


@contextmanager
def _surroundings(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
