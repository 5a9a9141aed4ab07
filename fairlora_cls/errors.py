"""The two ways a command ends badly: the input is wrong (exit 2), or the run failed (exit 1)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """Something the user gave cannot be used; the message names it and the way out (exit 2)."""


class RunError(RuntimeError):
    """A run started and could not go on; the message says what remains and the way on (exit 1)."""


def several(what: str, problems: Sequence[str]) -> InputError:
    """One error that lists all that is wrong with something."""
    count = f"{len(problems)} errors" if len(problems) > 1 else "1 error"
    return InputError(f"{what} has {count}:\n" + "\n".join(f"  {p}" for p in problems))


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint for a misspelt name: `; did you mean 'x'?`, or the list of what there is."""
    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    shown = ", ".join(choices[:20]) + (", …" if len(choices) > 20 else "")
    return f"; there is: {shown}" if choices else ""
