"""Which findings does the model write more often, or less often, than the references, and for whom?

N texts, F findings, G groups, R resamples. After FairLLaVA's analysis of prevalence shift: generated
minus reference rate, per finding and group.
"""

from dataclasses import replace

import numpy as np

from fairlora_cls.evaluation.attribute_results import gap_result, plain_estimate
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.intervals import holm
from fairlora_cls.evaluation.metrics import Gap
from fairlora_cls.evaluation.text_attributes import Texts
from fairlora_cls.evaluation.text_draws import ScoredTexts, bootstrap_texts, null_texts
from fairlora_cls.evaluation.text_results import FindingShare, FindingShifts
from fairlora_cls.texts.finding_f1 import finding_f1


def finding_shifts(
    texts: Texts, grouping: Grouping, minimum: int, resamples: int, generator: np.random.Generator
) -> FindingShifts:
    """The shift of every finding in the groups of at least `minimum` images with a report, and how
    far the groups' shifts lie apart, beside what equal groups would show.

    `texts` must have findings; those that neither side states anywhere are left out.
    """
    with_report = np.flatnonzero(texts.scored.findings.applies)
    part, codes = texts.rows(with_report), grouping.codes[with_report]
    sizes = part.examples_of(codes, len(grouping.names))
    large = np.flatnonzero(sizes >= minimum)
    left_out = tuple(
        name for name, size in zip(grouping.names, sizes, strict=True) if size < minimum
    )
    rows = np.flatnonzero(np.isin(codes, large))
    part, own = part.rows(rows), np.searchsorted(large, codes[rows])
    names = tuple(grouping.names[code] for code in large)
    findings = part.scored.findings
    stated = np.flatnonzero((findings.reference | findings.generated).any(axis=0))
    if not len(stated):
        return FindingShifts(minimum, left_out, {name: {} for name in names}, {})
    labels = tuple(findings.names[k] for k in stated)
    reference, generated = (
        side[:, stated].astype(float) for side in (findings.reference, findings.generated)
    )
    shifted = ScoredTexts(labels, generated - reference, np.ones_like(reference))
    drawn = bootstrap_texts(shifted, part.units, own, len(names), resamples, generator).by_group
    members = [np.flatnonzero(own == code) for code in range(len(names))]
    f1 = [finding_f1(part.scored.rows(rows).findings).each[0, stated] for rows in members]
    shares = {
        name: {
            label: _share(
                reference[rows, k], generated[rows, k], drawn[label][:, code], f1[code][k]
            )
            for k, label in enumerate(labels)
        }
        for code, (name, rows) in enumerate(zip(names, members, strict=True))
    }
    null = None
    if resamples and len(names) > 1:
        null = null_texts(shifted, part.units, own, len(names), part.kinds, resamples, generator)
    values = {label: np.array([shares[name][label].shift for name in names]) for label in labels}
    gaps = {
        label: gap_result(
            Gap(label, (label,)), names, values, drawn, null, None, {label: "neither"}
        )
        for label in labels
    }
    return FindingShifts(minimum, left_out, shares, gaps)


def correct_shifts(shifts: dict[str, FindingShifts]) -> dict[str, FindingShifts]:
    """With p-values corrected (Holm) for all findings of all attributes."""
    corrected = holm(
        {
            (attribute, finding): gap.p_value
            for attribute, found in shifts.items()
            for finding, gap in found.gaps.items()
            if gap.p_value is not None
        }
    )
    return {
        attribute: replace(
            found,
            gaps={
                finding: replace(gap, p_value_holm=corrected.get((attribute, finding)))
                for finding, gap in found.gaps.items()
            },
        )
        for attribute, found in shifts.items()
    }


def _share(
    reference: np.ndarray, generated: np.ndarray, draws: np.ndarray, f1: float
) -> FindingShare:
    """reference, generated: (n,) 0 or 1 of a group's texts; draws: (R,) of the shift."""
    shift = plain_estimate(float((generated - reference).mean()), draws)
    return FindingShare(
        reference=float(reference.mean()),
        generated=float(generated.mean()),
        shift=shift.value,
        shift_interval=shift.interval,
        f1=None if np.isnan(f1) else float(f1),
    )
