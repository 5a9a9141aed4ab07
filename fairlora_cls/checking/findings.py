"""What `check` found: findings, tables and facts, on their way to terminal, JSON and page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fairlora_cls.errors import InputError
from fairlora_cls.presentation.document import Table, text_table

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
SHOWN = 3  # names listed in a message; the rest is counted
LISTED = 8  # groups and cells listed in a message


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, risky or worth knowing: the value seen and the way out."""

    severity: Severity  # error: train would refuse or mislead; warning: look at it; note: know it
    code: str  # stable, for machines
    message: str
    examples: tuple[str, ...] = ()  # ids or rows that it speaks of, all of them


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check, or of one part of it; `facts` are plain values that JSON can hold."""

    findings: Sequence[Finding] = ()
    tables: Sequence[Table] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether any finding is an error."""
        return any(f.severity == "error" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "status": "failed" if self.failed else "passed",
            "counts": {s: sum(f.severity == s for f in self.findings) for s in SEVERITIES},
            "findings": [
                {
                    "severity": f.severity,
                    "code": f.code,
                    "message": f.message,
                    "examples": list(f.examples),
                }
                for f in self.findings
            ],
            "facts": dict(self.facts),
            "tables": [
                {"title": t.caption, "header": list(t.header), "rows": t.texts()}
                for t in self.tables
            ],
        }


def tabulate_spread(caption: str, rows: Iterable[tuple[str, np.ndarray, int]]) -> Table:
    """Least, median and most of each row's values, all of them values that there are, with as many
    decimals as it says."""
    return text_table(
        caption,
        ("", "least", "median", "most"),
        (
            (name, *(f"{value:,.{digits}f}" for value in spread_of(values)))
            for name, values, digits in rows
        ),
    )


def spread_of(values: np.ndarray) -> list[Any]:
    """Least, median and most."""
    return np.percentile(values, (0, 50, 100), method="lower").tolist()


def list_errors(code: str, error: InputError) -> list[Finding]:
    """One finding for each problem of an error."""
    return [Finding("error", code, problem) for problem in error.problems]


def join_parts(parts: Sequence[CheckReport]) -> CheckReport:
    """The whole: errors first, then warnings, then notes, each in the order found."""
    findings = [f for part in parts for f in part.findings]
    return CheckReport(
        sorted(findings, key=lambda f: SEVERITIES.index(f.severity)),
        [t for part in parts for t in part.tables],
        {k: v for part in parts for k, v in part.facts.items()},
    )


def name_some(names: Sequence[str]) -> str:
    """`'a', 'b', 'c' and 4 more`."""
    return list_some([f"'{name}'" for name in names], SHOWN)


def list_some(texts: Sequence[str], most: int = LISTED) -> str:
    """Up to `most` of them: `a, b and 4 more`."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `2,000 images`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
