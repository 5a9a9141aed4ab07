"""The dermoscopy cohort: reproducible, as stated, calibrated, without a way around the picture."""

import csv
import json
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fairlora_cls.data.datasets import load_splits
from fairlora_cls.data.simulated.cohorts import prevalence_of, write_cohort
from fairlora_cls.data.simulated.dermoscopy import (
    DERMOSCOPY,
    DermoscopyMechanism,
    malignant_probability,
    simulate_lesion,
)
from fairlora_cls.data.simulated.skin import ITA_RANGES, skin_colour

COUNT = 500


@pytest.fixture(scope="module")
def lesions():
    return [simulate_lesion(i, 5, height=84, width=112) for i in range(COUNT)]


def test_a_lesion_depends_on_seed_stream_and_index_alone():
    first = simulate_lesion(3, 11)
    again = simulate_lesion(3, 11)
    assert np.array_equal(first.image, again.image)
    assert first.image.shape == (112, 140, 3)
    assert first.bayes_probability == again.bayes_probability
    for other in (simulate_lesion(4, 11), simulate_lesion(3, 12), simulate_lesion(3, 11, stream=1)):
        assert not np.array_equal(first.image, other.image)
        assert first.patient != other.patient


def test_frequencies_and_skin_tones_are_as_stated(lesions):
    for name, share in {"I-II": 0.70, "III-IV": 0.22, "V-VI": 0.08}.items():
        members = [lesion for lesion in lesions if lesion.skin_tone == name]
        assert abs(len(members) / COUNT - share) < 4 * math.sqrt(share * (1 - share) / COUNT)
        low, high = ITA_RANGES[name]
        assert all(low <= lesion.ita <= high for lesion in members)
    malignant = np.mean([lesion.label for lesion in lesions])
    assert abs(malignant - 0.35) < 4 * math.sqrt(0.35 * 0.65 / COUNT)


def test_skin_colour_has_the_stated_angle():
    # Without chroma L* = 50 is the grey of luminance ((50 + 16) / 116)³ = 0.18419, which is
    # 1.055 · 0.18419^(1/2.4) − 0.055 = 0.4663 in sRGB.
    assert skin_colour(0.0, 0.0, 0.0) == pytest.approx((0.4663,) * 3, abs=2e-3)
    light, dark = skin_colour(55.0, 10.0, 14.0), skin_colour(-30.0, 10.0, 14.0)
    assert all(a > b for a, b in zip(light, dark, strict=True))
    assert light[0] > light[1] > light[2]


def test_bayes_probability_by_hand():
    wide = (-9.0, 9.0)  # nothing is cut off
    mechanism = DermoscopyMechanism(
        prevalence=0.2,
        asymmetry={"benign": (0.0, 0.1), "malignant": (0.1, 0.1)},
        asymmetry_limits=wide,
        irregularity={"benign": (0.0, 0.1), "malignant": (0.0, 0.1)},
        irregularity_limits=wide,
        colours={"benign": {1: 0.8, 2: 0.2}, "malignant": {1: 0.4, 2: 0.6}},
        radius={"benign": (0.2, 0.1), "malignant": (0.4, 0.1)},
        radius_limits=wide,
    )
    # log f1/f0 at a = 0.1: 0.5; r = 0.4: 2; the border says nothing; two colours: ratio 3; odds 1/4.
    odds = math.exp(0.5 + 2.0) * 3 / 4
    latents = {"asymmetry": 0.1, "irregularity": 0.07, "colours": 2, "radius": 0.4}
    found = malignant_probability(latents, "I-II", mechanism)
    assert found == pytest.approx(odds / (1 + odds))


def test_a_stated_shift_of_prevalence_moves_that_group_alone():
    mechanism = DermoscopyMechanism(prevalence=0.5, prevalence_log_odds_shift={"V-VI": math.log(3)})
    assert prevalence_of(mechanism, "V-VI") == pytest.approx(0.75)
    assert prevalence_of(mechanism, "I-II") == pytest.approx(0.5)


def test_bayes_probability_is_calibrated(lesions):
    labels = np.array([lesion.label for lesion in lesions])
    bayes = np.array([lesion.bayes_probability for lesion in lesions])
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        inside = (low <= bayes) & (bayes < high)
        spread = math.sqrt((bayes[inside] * (1 - bayes[inside])).sum()) / inside.sum()
        assert abs(labels[inside].mean() - bayes[inside].mean()) < 4 * spread
    assert 0.93 < roc_auc_score(labels, bayes) < 0.99


def test_brightness_does_not_tell_the_diagnosis(lesions):
    labels = [lesion.label for lesion in lesions]
    assert abs(roc_auc_score(labels, [lesion.image.mean() for lesion in lesions]) - 0.5) < 0.1


def test_the_stated_bias_lowers_the_contrast_of_the_lesion():
    """The same lesions on the same skin: only the factor differs."""

    def depth(factor):
        mechanism = DermoscopyMechanism(
            skin_tone={"V-VI": 1.0},
            contrast_factor={"V-VI": factor},
            hair_share={"benign": 0.0, "malignant": 0.0},
            vignette=(0.0, 0.0),
        )
        images = [simulate_lesion(i, 3, mechanism).image.astype(float) for i in range(20)]
        return np.mean([im[:14].mean() - im[46:66, 60:80].mean() for im in images])

    assert depth(0.5) < 0.75 * depth(1.0)


def test_cohort_on_disk_and_as_a_source(tmp_path):
    folder = write_cohort(DERMOSCOPY, tmp_path / "c", train=6, validation=3, test=3, seed=1)
    splits = load_splits("simulated-dermoscopy", folder, {})
    assert splits.classes == ("benign", "malignant")
    assert splits.attributes == ("skin_tone", "sex", "age_group")
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [6, 3, 3]
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    first = simulate_lesion(0, 1)
    kept = float(rows[first.id]["bayes_probability"])
    assert kept == pytest.approx(first.bayes_probability, abs=1e-6)
    facts = json.loads((folder / "mechanism.json").read_text(encoding="utf-8"))
    assert facts["mechanism"]["contrast_factor"]["V-VI"] == 0.5
    larger = write_cohort(DERMOSCOPY, tmp_path / "d", train=7, validation=3, test=3, seed=1)
    name = f"images/{first.id}.jpg"
    assert (folder / name).read_bytes() == (larger / name).read_bytes()
