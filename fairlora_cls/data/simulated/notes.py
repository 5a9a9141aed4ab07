"""A short clinical note on each simulated eye, from stated mechanisms: how much it tells is known exactly.

Given the diagnosis, what a note says is independent of the image: Bayes' rule adds their log odds. A
note has a random stream of its own, so that images stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fairlora_cls.data.simulated.cohorts import (
    NOTES_NAMESPACE,
    sample_category,
    sample_truncated_normal,
    stream_generator,
    truncated_share,
)

PEOPLE = {"Female": "woman", "Male": "man"}


@dataclass(frozen=True)
class NoteMechanism:
    """Every knob of the process that writes a note; pairs are (without, with glaucoma)."""

    complaints: Mapping[str, tuple[float, float]] = field(  # shares
        default_factory=lambda: {
            "none": (0.50, 0.35),
            "blurred vision": (0.20, 0.23),
            "loss of side vision": (0.03, 0.20),
            "headache": (0.14, 0.12),
            "dry eyes": (0.13, 0.10),
        }
    )
    family_history: tuple[float, float] = (0.15, 0.40)  # shares
    medication: Mapping[str, tuple[float, float]] = field(  # shares
        default_factory=lambda: {
            "none": (0.62, 0.48),
            "aspirin": (0.18, 0.16),
            "a statin": (0.18, 0.18),
            "latanoprost drops": (0.02, 0.18),
        }
    )
    # Of the eye, mmHg: mean and sd of a normal that is cut off at the limits.
    pressure: tuple[tuple[float, float], tuple[float, float]] = ((15.5, 2.8), (20.0, 4.5))
    pressure_limits: tuple[float, float] = (8.0, 40.0)
    demographic_share: float = 0.5  # of notes that say sex, race and ethnicity
    leak: float = 0.0  # share of notes that state the diagnosis itself


@dataclass(frozen=True)
class Note:
    """What one note says."""

    text: str
    bayes_log_odds: (
        float  # ln P(findings | glaucoma) / P(findings | none); not of a stated diagnosis
    )


def write_note(
    seed: int,
    stream: int,
    index: int,
    label: int,
    person: Mapping[str, str | None],
    mechanism: NoteMechanism,
) -> Note:
    """The note on record (seed, stream, index) of a cohort, whose label is 1 with glaucoma.

    person: sex, race, ethnicity and age (years) as the table has them
    """
    generator = stream_generator(seed, NOTES_NAMESPACE, stream, index)

    def draw(shares: Mapping[str, tuple[float, float]]) -> tuple[str, float]:
        name = sample_category(generator, {n: pair[label] for n, pair in shares.items()})
        return name, math.log(shares[name][1] / shares[name][0])

    complaint, of_complaint = draw(mechanism.complaints)
    absent, present = mechanism.family_history
    history, of_history = draw({"no": (1 - absent, 1 - present), "yes": mechanism.family_history})
    medication, of_medication = draw(mechanism.medication)
    limits = mechanism.pressure_limits
    pressure = round(sample_truncated_normal(generator, mechanism.pressure[label], limits))
    bounds = max(pressure - 0.5, limits[0]), min(pressure + 0.5, limits[1])
    without, with_it = (truncated_share(bounds, own, limits) for own in mechanism.pressure)
    says_who, leaks = generator.random(2) < (mechanism.demographic_share, mechanism.leak)
    who = "The patient"
    if says_who:
        words = (person.get("ethnicity"), person.get("race"), PEOPLE.get(person.get("sex")))
        who = f"{' '.join(word for word in words if word and word != 'Unknown')}"
        who = f"A {who or 'person'}".replace("A A", "An A")
    sentences = [
        f"{who}, {float(person['age']):.0f} years old.",
        f"Complaint: {complaint}.",
        f"Family history of glaucoma: {history}.",
        f"Pressure {pressure} mmHg.",
        f"Medication: {medication}.",
    ]
    if leaks:
        sentences.append(f"Diagnosis: {'glaucoma' if label else 'no glaucoma'}.")
    return Note(
        " ".join(sentences), of_complaint + of_history + of_medication + math.log(with_it / without)
    )


def bayes_probability(image_probability: np.ndarray, note_log_odds: np.ndarray) -> np.ndarray:
    """P(glaucoma | image and note), (N,), from P(glaucoma | image) and each note's log odds."""
    odds = np.log(image_probability) - np.log1p(-image_probability) + note_log_odds
    return 1 / (1 + np.exp(-odds))
