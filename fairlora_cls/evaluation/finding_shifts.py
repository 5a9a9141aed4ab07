"""Which findings does the model write more often, or less often, than the references, and for whom?

N texts, F findings, G groups, R resamples. After FairLLaVA's analysis of prevalence shift: generated
minus reference rate, per finding and group.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.measuring import (
    gap_results,
    measure_groups,
    only_larger,
)
from fairlora_cls.evaluation.results import FindingShare, FindingShifts
from fairlora_cls.evaluation.text_sample import TextMetric, TextSample
from fairlora_cls.statistics.intervals import holm, wide_interval
from fairlora_cls.texts.finding_f1 import finding_f1


def finding_shifts(
    sample: TextSample,
    grouping: Grouping,
    minimum: int,
    resamples: int,
    generator: np.random.Generator,
) -> FindingShifts:
    """The shift of every finding in the groups of at least `minimum` images with a report, and how
    far the groups' shifts lie apart, beside what equal groups would show.

    `sample` must have findings; those that neither side states anywhere are left out.
    """
    with_report = np.flatnonzero(sample.findings.applies)
    of_reports = Grouping(grouping.names, grouping.codes[with_report])
    part = only_larger(sample.rows(with_report), of_reports, minimum)
    findings, names = part.sample.findings, part.grouping.names
    stated = np.flatnonzero((findings.reference | findings.generated).any(axis=0))
    if not len(stated):
        return FindingShifts(minimum, part.left_out, {name: {} for name in names}, {})
    labels = [findings.names[k] for k in stated]
    reference, generated = (
        side[:, stated].astype(float) for side in (findings.reference, findings.generated)
    )
    shifted = replace(
        part.sample,
        metrics={label: TextMetric(label, "", "neither", "shift", False) for label in labels},
        values=generated - reference,
        defined=np.ones_like(reference),
        findings=None,
        medians=False,
    )
    measured = measure_groups(shifted, part.grouping, resamples, generator)

    def share(code: int, k: int, f1: float) -> FindingShare:
        rows = measured.members(code)
        return FindingShare(
            reference=float(reference[rows, k].mean()),
            generated=float(generated[rows, k].mean()),
            shift=float(measured.values[labels[k]][code]),
            shift_interval=wide_interval(measured.draws.by_group[labels[k]][:, code]),
            f1=None if np.isnan(f1) else float(f1),
        )

    groups = {}
    for code, name in enumerate(names):
        each = finding_f1(part.sample.rows(measured.members(code)).findings).each[0, stated]
        groups[name] = {label: share(code, k, each[k]) for k, label in enumerate(labels)}
    gaps = {name.removesuffix("_gap"): gap for name, gap in gap_results(measured).items()}
    return FindingShifts(minimum, part.left_out, groups, gaps)


def correct_shifts(shifts: dict[str, FindingShifts]) -> dict[str, FindingShifts]:
    """With p-values corrected (Holm) for all findings of all attributes."""
    corrected = holm(
        {
            (attribute, finding): gap.p_value
            for attribute, of_attribute in shifts.items()
            for finding, gap in of_attribute.gaps.items()
            if gap.p_value is not None
        }
    )
    return {
        attribute: replace(
            of_attribute,
            gaps={
                finding: replace(gap, p_value_holm=corrected.get((attribute, finding)))
                for finding, gap in of_attribute.gaps.items()
            },
        )
        for attribute, of_attribute in shifts.items()
    }
