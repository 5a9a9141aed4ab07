"""The simulated fundus cohort with as many eyes of every ethnicity.

Of 2,000 eyes drawn as in the population some 85 are Hispanic: one of them is more than a point of
the gap, and who they are moves it more than any method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairlora_cls.data.simulated.fundus import DEFAULT_FUNDUS_MECHANISM

ATTRIBUTE = "ethnicity"  # the planted bias
POPULATION = DEFAULT_FUNDUS_MECHANISM.ethnicity  # frequencies
EQUAL_GROUPS = replace(DEFAULT_FUNDUS_MECHANISM, ethnicity=dict.fromkeys(POPULATION, 1 / 3))
TEST = 3000  # eyes, a third of each group


def group_numbers(report: Mapping[str, Any]) -> dict[str, float]:
    """What a report on such eyes says, with `hispanic_auroc` and the like for each group.

    `accuracy` weights the groups as in the population; `auroc` is of the eyes as they are.
    """
    found = report["attributes"][ATTRIBUTE]
    groups, gaps = found["groups"], found["gaps"]
    return {
        "accuracy": sum(p * groups[g]["accuracy"]["value"] for g, p in POPULATION.items()),
        "auroc": report["overall"]["auroc"]["value"],
        "max_acc_gap": gaps["max_acc_gap"]["value"],
        "equalized_odds_difference": gaps["equalized_odds_difference"]["value"],
        "worst_group_accuracy": min(group["accuracy"]["value"] for group in groups.values()),
        **{
            f"{name.lower().replace('-', '_')}_{metric}": group[metric]["value"]
            for name, group in groups.items()
            for metric in ("accuracy", "auroc", "sensitivity", "specificity")
        },
    }
