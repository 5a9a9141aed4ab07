"""Paths as users write them, or one sentence that says why none can be meant."""

from __future__ import annotations

from pathlib import Path

from fairlora_cls.errors import InputError

LONGEST_SHOWN = 80  # characters of a path in a message


def user_path(text: str | Path) -> Path:
    """A path as a user wrote it, `~` replaced by the home folder; nothing need be there.

    Raises InputError for one that no file can have or nobody here can look at: empty, too long,
    with a NUL, in the home of an unknown user, a loop of links.
    """
    try:
        if not str(text).strip():
            raise ValueError("it is empty")
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        shown = str(text) if len(str(text)) <= LONGEST_SHOWN else f"{str(text)[:LONGEST_SHOWN]}…"
        raise InputError(f"'{shown}' is no possible path here ({reason}); name another.") from error
    return path
