"""How a command ends badly, in words: the input is wrong (exit 2), the run failed (exit 1), or the
user ended it (exit 130)."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """Something the user gave cannot be used; each problem names it and the way out (exit 2).

    `problems` lists them; as text, one alone is the sentence itself, several are a line each below
    a first line. `what` has them, such as "The recipe", and is then named in front of one, too.
    """

    def __init__(self, problems: str | Iterable[str], what: str = ""):
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        count = len(self.problems)
        if count == 1 and not what:
            super().__init__(self.problems[0])
            return
        subject = f"{what} has" if what else "There are"
        errors = "1 error" if count == 1 else f"{count} errors"
        super().__init__("\n".join([f"{subject} {errors}:", *(f"  {p}" for p in self.problems)]))


class RunError(RuntimeError):
    """A run started and could not go on; the message says what remains and the way on (exit 1)."""


# Tokens as they are made, unlike columns such as hf_ejection_fraction; names in addresses.
SECRETS = re.compile(r"\b(?:hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,})|(?<=://)[^/\s@]+(?=@)")
LONGEST = 500  # characters of what a library says
LISTED = 10  # problems of one kind that are said
SPACE = "No space is left on the disk (or your quota is used up); make room and run the same command again"
MEMORY = (
    "Not enough memory; lower training.micro_batch_size or model.max_pixels, or set "
    "training.gradient_checkpointing=true"
)


def sentence(error: BaseException, hint: str = "") -> str:
    """What went wrong, for the terminal and for run.json; `hint` follows the kind of an error that
    was not foreseen. Tokens and passwords are left out."""
    if isinstance(error, InputError | RunError):
        return SECRETS.sub("…", str(error).strip())
    if isinstance(error, KeyboardInterrupt):
        return f"Interrupted. {error}".strip()
    kind = type(error).__name__
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        text = MEMORY
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"{SPACE}: {error.filename}" if error.filename else SPACE
    elif os.strerror(errno.ENOSPC) in text:  # safetensors says it in its own kind of error
        text = SPACE
    elif isinstance(error, KeyError):
        text = f"{text} was looked for and is not there"
    text = SECRETS.sub("…", text) or "It ended without a reason"
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return f"{text} ({kind}{hint})"


def first_few(sentences: Sequence[str]) -> list[str]:
    """The first ten of problems of one kind, and how many more there are."""
    more = len(sentences) - LISTED
    return [*sentences[:LISTED], *([f"… and {more:,} more like it."] if more > 0 else [])]


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint for a misspelt name: `; did you mean 'x'?`, or the list of what there is."""
    choices = [str(choice) for choice in choices]
    plain = {choice.lower(): choice for choice in reversed(choices)}
    wanted = str(name).lower()
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.6)
    close = close or [other for other in plain if wanted in other.split("_")]  # image_id for id
    if close:
        return f"; did you mean '{plain[close[0]]}'?"
    shown = ", ".join(choices[:20]) + (", …" if len(choices) > 20 else "")
    return f"; there is: {shown}" if choices else ""
