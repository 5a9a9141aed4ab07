"""How a spread between groups is punished: (G,) → scalar.

G groups. Absent groups take no part; fewer than two present groups have no spread: exactly 0,
with a zero gradient.
"""

from __future__ import annotations

import torch

from fairlora_cls.objectives.group_statistics import GroupStatistic


def spread_range(statistic: GroupStatistic) -> torch.Tensor:
    """max_s a_s − min_s a_s over the present groups (glaucoma paper eq. 5: soft MaxAccGap)."""
    present = statistic.values[statistic.present]
    if len(present) < 2:
        return statistic.values.sum() * 0.0
    return present.max() - present.min()
