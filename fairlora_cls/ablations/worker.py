"""One process that does many runs, so that imports, the backbone and the data are loaded once.

It reads jobs from a pipe and writes messages into it: ("stage", name, total), ("advance", count),
("end", error or None).
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.plan import Job
from fairlora_cls.errors import InputError, RunError, sentence
from fairlora_cls.runs.folder import is_run_folder

REPORT_EVERY = 0.2  # seconds between messages about progress


class PipeDisplay:
    """The display of a run whose progress another process shows; what is said goes to the log."""

    def __init__(self, pipe: Any):
        self.pipe = pipe
        self.pending = 0
        self.sent = 0.0

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self._flush()
        self.pipe.send(("stage", name, total))
        self.advance(done)

    def advance(self, count: int, note: str = "") -> None:
        self.pending += count
        if time.monotonic() - self.sent > REPORT_EVERY:
            self._flush()

    def say(self, text: str) -> None:
        print(text, flush=True)

    def _flush(self) -> None:
        if self.pending:
            self.pipe.send(("advance", self.pending))
        self.pending, self.sent = 0, time.monotonic()


def work(pipe: Any, log: Path) -> None:
    """The body of a worker process: jobs from `pipe` until it says None or its end is gone."""
    _speak_into(log)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    run = JobRunner()
    while (given := pipe.recv()) is not None:
        job, skip_unreadable = given
        print(f"== {job.setting}, seed {job.seed} → {job.folder}", flush=True)
        pipe.send(("end", run(job, skip_unreadable, PipeDisplay(pipe))))


class JobRunner:
    """Does jobs one after the other and keeps what they share."""

    def __init__(self) -> None:
        from fairlora_cls.runs import train as run
        from fairlora_cls.runs.shared_parts import SharedParts

        self.train = run.train
        self.shared = SharedParts()

    def __call__(self, job: Job, skip_unreadable: bool = False, display: Any = None) -> str | None:
        """Run one job; None, or why it failed in one sentence. A begun run goes on."""
        from fairlora_cls.training.loop import SilentDisplay

        begun = is_run_folder(job.folder) and not job.overwrite
        try:
            self.train(
                job.recipe,
                job.folder,
                display or SilentDisplay(),
                resume=begun,
                overwrite=job.overwrite,
                skip_unreadable=skip_unreadable,
                shared=self.shared,
            )
        except (InputError, RunError) as error:
            return sentence(error)
        except Exception as error:  # whatever it is, the other runs go on
            import traceback

            traceback.print_exc()
            return sentence(error)
        return None


def _speak_into(log: Path) -> None:
    """Send standard output and error of this process, and of C libraries, to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="replace")
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _leave_with_parent() -> None:
    """End at once when the parent was killed: the same command may be started anew already."""
    connection.wait([parent_process().sentinel])
    os._exit(1)
