"""The simulated cohorts: reproducible, calibrated, biased as stated and in no other way."""

import csv
import io
import json
import math
import multiprocessing

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlora_cls.data.simulated.cohorts import (
    FUNDUS_NAMESPACE,
    PRETRAINING_NAMESPACE,
    prevalence_of,
    sample_category,
    stream_generator,
    write_cohort,
)
from fairlora_cls.data.simulated.fundus import (
    DEFAULT_FUNDUS_MECHANISM,
    FUNDUS,
    FundusMechanism,
    glaucoma_probability,
    simulate_eye,
)

EYES = 1500


def simulate_fundus(count, seed, **options):
    return [simulate_eye(index, seed, **options) for index in range(count)]


@pytest.fixture(scope="module")
def eyes():
    return simulate_fundus(EYES, seed=5)


def read_table(folder):
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cross_validated_auroc(features, labels):
    """AUROC of a logistic regression's out-of-fold scores."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_predict(model, features, labels, cv=5, method="decision_function")
    return roc_auc_score(labels, scores)


def test_same_seed_same_eyes_and_a_prefix_of_any_larger_cohort():
    few = simulate_fundus(3, seed=11)
    more = simulate_fundus(6, seed=11)
    for one, other in zip(few, more[:3], strict=True):
        assert np.array_equal(one.image, other.image)
        assert one.bayes_probability == other.bayes_probability
        assert (one.id, one.age, one.sex) == (other.id, other.age, other.sex)
    other_seed = simulate_eye(0, seed=12)
    other_stream = simulate_eye(0, seed=11, stream=1)
    assert not np.array_equal(few[0].image, other_seed.image)
    assert not np.array_equal(few[0].image, other_stream.image)
    assert len({eye.patient for eye in (few[0], other_seed, other_stream)}) == 3


def test_images_are_of_the_asked_size():
    image = simulate_eye(0, seed=0, side=84).image
    assert image.shape == (84, 84, 3)
    assert image.dtype == np.uint8


def test_random_streams_of_different_namespaces_never_meet():
    keys = [(FUNDUS_NAMESPACE, 0, 1), (FUNDUS_NAMESPACE, 1, 0), (PRETRAINING_NAMESPACE, 0, 1)]
    # A seed that spills into a second word must not be taken for a longer key.
    draws = [stream_generator(seed, *key).integers(2**62) for key in keys for seed in (0, 2**32)]
    assert len(set(draws)) == 6


def test_frequencies_are_as_stated(eyes):
    tables = {
        "ethnicity": {"Non-Hispanic": 0.903, "Hispanic": 0.043, "Unknown": 0.054},
        "sex": {"Female": 0.548, "Male": 0.452},
        "race": {"White": 0.769, "Black": 0.149, "Asian": 0.082},
    }
    for attribute, frequencies in tables.items():
        for name, share in frequencies.items():
            seen = sum(getattr(eye, attribute) == name for eye in eyes) / EYES
            assert abs(seen - share) < 4 * math.sqrt(share * (1 - share) / EYES), (attribute, name)
    ages = np.array([eye.age for eye in eyes])
    assert 57 < ages.mean() < 63
    assert ages.min() >= 18
    assert ages.max() <= 95


def test_categories_follow_their_weights():
    generator = stream_generator(0, 99)
    draws = [sample_category(generator, {"a": 3.0, "b": 1.0}) for _ in range(4000)]
    assert 0.72 < draws.count("a") / 4000 < 0.78


def test_bayes_probability_by_hand():
    mechanism = FundusMechanism(
        prevalence=0.2,
        healthy_ratio=(0.4, 0.1),
        glaucoma_ratio=(0.7, 0.1),
        ratio_limits=(-9.0, 9.0),  # nothing is cut off
    )
    # log f1/f0 at 0.6 = (0.2² − 0.1²) / (2 · 0.1²) = 1.5; prior odds 1/4.
    odds = math.exp(1.5) / 4
    assert glaucoma_probability(0.6, "Unknown", mechanism) == pytest.approx(odds / (1 + odds))
    # Cut off at 0.4, the healthy normal keeps half its mass and so doubles in height; the other
    # keeps Φ(3) = 0.99865.
    cut = FundusMechanism(
        prevalence=0.2,
        healthy_ratio=(0.4, 0.1),
        glaucoma_ratio=(0.7, 0.1),
        ratio_limits=(0.4, 9.0),
    )
    odds = math.exp(1.5) / 4 / 2 / 0.9986501
    assert glaucoma_probability(0.6, "Unknown", cut) == pytest.approx(odds / (1 + odds), rel=1e-6)


def test_a_stated_shift_of_prevalence_moves_that_group_alone():
    mechanism = FundusMechanism(prevalence_log_odds_shift={"Hispanic": math.log(3)})
    assert prevalence_of(mechanism, "Hispanic") == pytest.approx(0.75)
    assert prevalence_of(mechanism, "Unknown") == pytest.approx(0.5)


def test_bayes_probability_is_calibrated_and_leaves_realistic_overlap(eyes):
    labels = np.array([eye.label for eye in eyes])
    bayes = np.array([eye.bayes_probability for eye in eyes])
    assert abs(bayes.mean() - 0.5) < 0.04
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
        inside = (low <= bayes) & (bayes < high)
        spread = math.sqrt((bayes[inside] * (1 - bayes[inside])).sum()) / inside.sum()
        assert abs(labels[inside].mean() - bayes[inside].mean()) < 4 * spread
    assert 0.95 < roc_auc_score(labels, bayes) < 0.985


def test_no_shortcut_carries_the_label(eyes):
    labels = np.array([eye.label for eye in eyes])
    sizes = np.array([[jpeg_bytes(eye.image)] for eye in eyes], float)
    light = np.array([[eye.image.mean()] for eye in eyes])
    colour = np.array([eye.image.mean(axis=(0, 1)) for eye in eyes])
    people = np.array(
        [
            [
                eye.sex == "Male",
                eye.race == "Black",
                eye.race == "Asian",
                eye.ethnicity == "Hispanic",
                eye.ethnicity == "Unknown",
                eye.age,
            ]
            for eye in eyes
        ],
        float,
    )
    latent = np.array([[eye.vertical_cup_to_disc_ratio] for eye in eyes])
    assert cross_validated_auroc(latent, labels) > 0.95  # the yardstick itself can see a label
    assert cross_validated_auroc(sizes, labels) < 0.60
    assert cross_validated_auroc(light, labels) < 0.60
    assert cross_validated_auroc(people, labels) < 0.56
    assert cross_validated_auroc(colour, labels) < 0.65


def jpeg_bytes(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return file.tell()


def test_the_stated_bias_lowers_the_contrast_of_the_cup():
    """The same eyes, all of one ethnicity or all of the other: only the cup's pallor differs."""

    def cup_minus_rim(ethnicity):
        mechanism = FundusMechanism(ethnicity={ethnicity: 1.0})
        differences = []
        for eye in simulate_fundus(40, seed=3, mechanism=mechanism):
            if 0.4 < eye.vertical_cup_to_disc_ratio < 0.7:
                blue = eye.image[..., 2].astype(float)
                differences.append(blue[52:60, 52:60].mean() - blue[52:60, 80:83].mean())
        return np.mean(differences)

    assert cup_minus_rim("Hispanic") < cup_minus_rim("Non-Hispanic") - 10


def test_cohort_on_disk(tmp_path):
    folder = write_cohort(FUNDUS, tmp_path / "cohort", train=6, validation=4, test=5, seed=1)
    rows = read_table(folder)
    assert [row["split"] for row in rows] == ["train"] * 6 + ["validation"] * 4 + ["test"] * 5
    for key in ("id", "patient", "image"):
        assert len({row[key] for row in rows}) == 15
    contents = {(folder / row["image"]).read_bytes() for row in rows}
    assert len(contents) == 15
    assert {row["label"] for row in rows} <= {"no", "yes"}
    first = simulate_eye(0, seed=1)
    assert float(rows[0]["bayes_probability"]) == pytest.approx(first.bayes_probability, abs=1e-6)
    with Image.open(folder / rows[0]["image"]) as image:
        assert image.size == (112, 112)
        assert np.abs(np.asarray(image, float) - first.image).mean() < 4
    facts = json.loads((folder / "mechanism.json").read_text(encoding="utf-8"))
    assert facts["seed"] == 1
    assert facts["mechanism"]["prevalence"] == DEFAULT_FUNDUS_MECHANISM.prevalence
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_a_larger_cohort_begins_with_the_smaller(tmp_path):
    small = write_cohort(FUNDUS, tmp_path / "small", train=2, validation=1, test=1)
    large = write_cohort(FUNDUS, tmp_path / "large", train=4, validation=1, test=2)
    ids = {row["id"]: row for row in read_table(large)}
    for row in read_table(small):
        assert ids[row["id"]] == row
        assert (small / row["image"]).read_bytes() == (large / row["image"]).read_bytes()


def test_drawing_in_processes_gives_the_same_and_leaves_none_behind(tmp_path, monkeypatch):
    alone = write_cohort(FUNDUS, tmp_path / "alone", train=6, validation=2, test=2, side=32)
    monkeypatch.setattr("fairlora_cls.data.simulated.cohorts.PIECE", 4)
    shared = write_cohort(FUNDUS, tmp_path / "shared", train=6, validation=2, test=2, side=32)
    # A worker of `ablate` joins what it has begun: idle ones would hold it up for minutes.
    assert multiprocessing.active_children() == []
    for path in sorted(p for p in alone.rglob("*") if p.is_file()):
        assert path.read_bytes() == (shared / path.relative_to(alone)).read_bytes()
