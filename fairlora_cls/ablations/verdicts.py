"""What the runs of a setting say of each declared endpoint, seed by seed: nothing is pooled.

S seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fairlora_cls.ablations.runs import RunResult


@dataclass(frozen=True)
class EndpointOverSeeds:
    """One endpoint of one attribute in the runs of one setting; each run corrects for its own tests
    only."""

    attribute: str
    endpoint: str
    title: str
    verdicts: tuple[str | None, ...]  # (S,); None: the run did not ask
    worse: tuple[str | None, ...]  # (S,) the group served worst

    def counts(self) -> Counter[str]:
        """Verdict → in how many seeds."""
        return Counter(verdict for verdict in self.verdicts if verdict)

    def harmed(self) -> Counter[str]:
        """Group → in how many seeds there is evidence that it is served worst."""
        both = zip(self.verdicts, self.worse, strict=True)
        return Counter(group for verdict, group in both if verdict == "evidence")


def gather_verdicts(runs: Sequence[RunResult]) -> tuple[EndpointOverSeeds, ...]:
    """Every endpoint that a run of the setting judged. runs: (S,) the setting's finished ones."""
    by_run = [{(v.attribute, v.endpoint): v for v in run.verdicts} for run in runs]
    order = dict.fromkeys(key for each in by_run for key in each)
    return tuple(
        EndpointOverSeeds(
            *key,
            runs[0].endpoint_title(key[1]),
            tuple(each[key].verdict if key in each else None for each in by_run),
            tuple(each[key].worse if key in each else None for each in by_run),
        )
        for key in order
    )
