"""The chest cohort: reproducible, as stated, calibrated, its words true of its conditions."""

import csv
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fairlora_cls.data.datasets import load_splits
from fairlora_cls.data.simulated.chest import (
    CHEST,
    CONDITIONS,
    TASKS,
    ChestMechanism,
    Condition,
    bayes_probabilities,
    describe_findings,
    simulate_chest,
)
from fairlora_cls.data.simulated.cohorts import write_cohort
from fairlora_cls.errors import InputError

COUNT = 500


@pytest.fixture(scope="module")
def chests():
    return [simulate_chest(i, 5, side=56) for i in range(COUNT)]


def truth(chest, task):
    return any(chest.present.values()) if task == "abnormal" else chest.present[task]


def test_a_chest_depends_on_seed_stream_and_index_alone():
    first, again = simulate_chest(3, 11), simulate_chest(3, 11)
    assert np.array_equal(first.image, again.image)
    assert first.image.shape == (112, 112, 3)
    assert (first.findings, first.bayes) == (again.findings, again.bayes)
    for other in (simulate_chest(4, 11), simulate_chest(3, 12), simulate_chest(3, 11, stream=1)):
        assert not np.array_equal(first.image, other.image)
        assert first.patient != other.patient


def test_prevalences_are_as_stated(chests):
    for name, share in {"cardiomegaly": 0.12, "effusion": 0.35, "pneumothorax": 0.08}.items():
        seen = np.mean([chest.present[name] for chest in chests])
        assert abs(seen - share) < 4 * math.sqrt(share * (1 - share) / COUNT), name


def test_bayes_probabilities_by_hand():
    wide = (-9.0, 9.0)  # nothing is cut off
    silent = Condition(0.5, (0.0, 0.1), (0.0, 0.1), wide)  # its latent says nothing
    mechanism = ChestMechanism(
        cardiomegaly=Condition(0.2, (0.4, 0.1), (0.6, 0.1), wide),
        effusion=silent,
        pneumothorax=Condition(0.1, (0.0, 0.1), (0.0, 0.1), wide),
        prevalence_log_odds_shift={"Female": math.log(2)},
    )
    latents = {"cardiomegaly": 0.6, "effusion": 0.3, "pneumothorax": 0.1}
    found = bayes_probabilities(latents, "Male", mechanism)
    odds = math.exp(2.0) / 4  # log f1/f0 at 0.6 is 0.2² / (2 · 0.1²) = 2
    heart = odds / (1 + odds)
    assert found["cardiomegaly"] == pytest.approx(heart)
    assert found["effusion"] == pytest.approx(0.5)
    assert found["pneumothorax"] == pytest.approx(0.1)
    assert found["abnormal"] == pytest.approx(1 - (1 - heart) * 0.5 * 0.9)
    assert bayes_probabilities(latents, "Female", mechanism)["effusion"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("task", TASKS)
def test_bayes_probabilities_are_calibrated(chests, task):
    labels = np.array([truth(chest, task) for chest in chests])
    bayes = np.array([chest.bayes[task] for chest in chests])
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        inside = (low <= bayes) & (bayes < high)
        spread = math.sqrt((bayes[inside] * (1 - bayes[inside])).sum()) / inside.sum()
        assert abs(labels[inside].mean() - bayes[inside].mean()) < 4 * spread
    assert 0.92 < roc_auc_score(labels, bayes) < 0.998


def test_brightness_does_not_tell_the_diagnosis(chests):
    light = [chest.image.mean() for chest in chests]
    for task in TASKS:
        labels = [truth(chest, task) for chest in chests]
        assert abs(roc_auc_score(labels, light) - 0.5) < 0.1, task


def test_findings_say_what_is_there():
    nothing = dict.fromkeys(CONDITIONS, False)
    latents = {"cardiomegaly": 0.45, "effusion": 0.35, "pneumothorax": 0.15}
    sides = {"effusion": "left", "pneumothorax": "right"}
    assert describe_findings(nothing, latents, sides) == (
        "The heart size is normal. There is no pleural effusion. There is no pneumothorax."
    )
    assert describe_findings(dict.fromkeys(CONDITIONS, True), latents, sides) == (
        "The heart is enlarged. There is a large left pleural effusion. "
        "There is a moderate right pneumothorax."
    )


def test_an_effusion_whitens_the_side_that_the_findings_name():
    """The patient's right is on the image's left."""
    mechanism = ChestMechanism(
        cardiomegaly=Condition(0.01, (0.42, 0.01), (0.6, 0.01), (0.4, 0.7)),
        effusion=Condition(0.99, (0.0, 0.01), (0.4, 0.01), (0.0, 0.5)),
        pneumothorax=Condition(0.01, (0.0, 0.001), (0.2, 0.01), (0.0, 0.3)),
        sex={"Male": 1.0},
    )
    for index in range(6):
        chest = simulate_chest(index, 8, mechanism)
        if chest.present["effusion"]:
            light = chest.image[72:84].mean(axis=(0, 2))
            right_is_whiter = light[14:28].mean() > light[84:98].mean()
            assert right_is_whiter == ("right pleural effusion" in chest.findings)


def test_the_stated_bias_lowers_the_contrast_of_findings():
    def whitening(sex):
        """Of the lower lungs by an effusion, in the same films."""

        def lower(height):
            mechanism = ChestMechanism(
                sex={sex: 1.0},
                breast={sex: (0.0, 0.0)},
                effusion=Condition(0.99, (height, 0.001), (height, 0.001), (0.0, 0.5)),
            )
            films = [simulate_chest(i, 4, mechanism).image[72:84] for i in range(20)]
            return np.mean([f[:, 14:28].mean() + f[:, 84:98].mean() - f.mean() for f in films])

        return lower(0.4) - lower(0.001)

    assert 0 < whitening("Female") < 0.75 * whitening("Male")


def test_cohort_on_disk_and_as_a_source(tmp_path):
    folder = write_cohort(CHEST, tmp_path / "c", train=8, validation=3, test=3, seed=1)
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for task in TASKS:
        splits = load_splits("simulated-chest", folder, {"task": task})
        assert splits.classes == ("no", "yes")
        assert splits.attributes == ("sex", "race", "age_group")
        for example in splits.everything():
            assert splits.classes[example.label] == rows[example.id][task]
            assert example.text == rows[example.id]["findings"]
    first = simulate_chest(0, 1)
    kept = float(rows[first.id]["bayes_effusion"])
    assert kept == pytest.approx(first.bayes["effusion"], abs=1e-6)
    with pytest.raises(InputError, match="did you mean 'effusion'"):
        load_splits("simulated-chest", folder, {"task": "efusion"})
