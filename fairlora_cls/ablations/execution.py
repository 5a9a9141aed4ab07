"""Jobs → worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.scheduling import Listener, Worker, run_jobs
from fairlora_cls.ablations.worker import work
from fairlora_cls.files import hold


def hold_ablation(folder: Path) -> AbstractContextManager[None]:
    """Keep a second `ablate` out of the folder. Raises InputError when one works there."""
    return hold(folder / ".lock", f"Another ablate is working in '{folder}'; wait for it.")


def run_here(
    jobs: Sequence[Job],
    folder: Path,
    listener: Listener,
    *,
    processes: int | None = None,
    skip_unreadable: bool = False,
) -> dict[Path, str]:
    """Run jobs in `processes` processes of this machine; run folder → why it failed.

    processes: None: one per GPU, or one
    A process that dies (out of memory) fails its job only.
    """
    gpus = visible_gpus()
    count = min(processes or max(len(gpus), 1), len(jobs))
    logs = [folder / "workers" / f"{number + 1}.log" for number in range(count)]
    workers = [
        LocalWorker(log, _environment(number, count, gpus)) for number, log in enumerate(logs)
    ]
    try:
        return run_jobs(jobs, workers, connection.wait, listener, skip_unreadable)
    finally:
        for worker in workers:
            worker.stop()


class LocalWorker(Worker):
    """A worker process of this machine, started anew when it dies."""

    def __init__(self, log: Path, environment: Mapping[str, str]):
        self.log = log
        self.environment = environment
        self._start()

    def begin(self, job: Job, skip_unreadable: bool) -> None:
        self.news.send((job, skip_unreadable))

    def read(self) -> tuple[Any, ...]:
        """The next message; of a process that died, the end of its job."""
        try:
            return self.news.recv()
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
                self.news.send(None)
        self.process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.news, other = context.Pipe()
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
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def _environment(number: int, count: int, gpus: Sequence[str]) -> dict[str, str]:
    """Several processes share cores and GPUs; one alone has what the user's own command has."""
    if count == 1:
        return {}
    threads = max((os.cpu_count() or 1) // count, 1)
    chosen = {
        name: os.environ.get(name, str(threads))
        for name in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")  # of torch and numpy, of joblib
    }
    if gpus:
        chosen["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
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
