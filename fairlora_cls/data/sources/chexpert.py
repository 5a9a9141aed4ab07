"""CheXpert's 14 labels in {1, 0, −1, blank} → one finding's yes or no, by a stated rule."""

from __future__ import annotations

from fairlora_cls.data.columns import read_codes
from fairlora_cls.data.tables import Table
from fairlora_cls.errors import InputError, nearest

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
CODES = {"1": "positive", "0": "negative", "-1": "uncertain"}
RULES = {"drop": None, "negative": 0, "positive": 1}


def label_finding(table: Table, column: str, *, uncertain: str, blank: str) -> list[int | None]:
    """1 where the finding is there, 0 where it is not, None where the rule leaves the image out.

    `uncertain` and `blank`: `drop`, `negative` or `positive`; InputError for another. A row with any
    label but 1, 0, −1 and blank is refused.
    """
    for option, rule in (("uncertain", uncertain), ("blank", blank)):
        if rule not in RULES:
            raise InputError(f"data.options.{option} is '{rule}'{nearest(rule, RULES)}")
    meaning = {"positive": 1, "negative": 0, "uncertain": RULES[uncertain], None: RULES[blank]}
    names = read_codes(table, column, CODES)
    return [None if row in table.bad else meaning[name] for row, name in enumerate(names)]
