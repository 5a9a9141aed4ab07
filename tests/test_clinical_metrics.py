"""The clinical scorers, with stand-ins for the packages that have the interfaces of the real ones."""

import sys
from pathlib import Path
from types import ModuleType

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants

from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.errors import InputError
from fairlora_cls.texts import clinical_metrics
from fairlora_cls.texts.clinical_metrics import (
    chexbert_findings,
    fetch_weights,
    green,
    radgraph_f1,
)

SCORERS = {
    "radgraph": lambda: radgraph_f1(["a"], ["b"]),
    "f1chexbert": lambda: chexbert_findings(["a"]),
    "green_score": lambda: green(["a"], ["b"]),
}
# f1chexbert's own order, with which get_label answers.
TARGET_NAMES = [
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices", "No Finding"),
]


def is_offline() -> bool:
    return constants.is_offline_mode()


@pytest.fixture(autouse=True)
def _hub_online(monkeypatch):
    """So that a test sees the hub switched off by the code under test, not by the test session."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def install(monkeypatch, name: str, cache: Path, **scorers) -> None:
    """A package `name` with its scorers, and a submodule of the same name that has CACHE_DIR."""
    package, module = ModuleType(name), ModuleType(f"{name}.{name}")
    vars(package).update(scorers)
    module.CACHE_DIR = str(cache)
    monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setitem(sys.modules, f"{name}.{name}", module)


class F1RadGraph:
    def __init__(self, reward_level, model_type=None, **options):
        assert (reward_level, model_type) == ("partial", "radgraph")
        assert is_offline()

    def __call__(self, refs, hyps):
        scores = [float(ref == hyp) for ref, hyp in zip(refs, hyps, strict=True)]
        return np.mean(scores), scores, [], []


class F1CheXbert:
    target_names = TARGET_NAMES

    def __init__(self):
        assert is_offline()
        self.read = []

    def get_label(self, report, mode="rrg"):
        assert report not in self.read, "each text is read once"
        self.read.append(report)
        return [int(name.lower() in report) for name in TARGET_NAMES]


class Green:
    def __init__(self, model_name, output_dir="."):
        assert model_name == "StanfordAIMI/GREEN-radllama2-7b"
        assert is_offline()

    def __call__(self, refs, hyps):
        assert (refs, hyps) == (["r1", "r2"], ["t1", "t2"])
        return 0.5, 0.0, [0.5, None], "summary", None


@pytest.mark.parametrize("package", SCORERS)
def test_a_missing_package_is_one_sentence_with_two_ways_out(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=rf"needs the package {package} .*fairlora-cls\[.*--scores"
    ):
        SCORERS[package]()


def test_missing_weights_are_said_before_anything_loads(monkeypatch, tmp_path):
    install(monkeypatch, "radgraph", tmp_path)
    install(monkeypatch, "f1chexbert", tmp_path)
    monkeypatch.setitem(sys.modules, "green_score", ModuleType("green_score"))
    for package in SCORERS:
        with pytest.raises(InputError, match=r"needs .*weights.*--scores"):
            SCORERS[package]()


def test_radgraph(monkeypatch, tmp_path):
    (tmp_path / "radgraph").mkdir()
    (tmp_path / "radgraph" / "weights.th").touch()
    install(monkeypatch, "radgraph", tmp_path, F1RadGraph=F1RadGraph)
    np.testing.assert_array_equal(radgraph_f1(["a", "b"], ["a", "c"]), [1.0, 0.0])
    assert not is_offline()


def test_chexbert_answers_in_the_order_of_our_findings(monkeypatch, tmp_path):
    (tmp_path / "chexbert.pth").touch()
    install(monkeypatch, "f1chexbert", tmp_path, F1CheXbert=F1CheXbert)
    found = chexbert_findings(["edema and fracture", "no finding", "edema and fracture"])
    names = [{FINDINGS[k] for k in np.flatnonzero(row)} for row in found]
    assert names == [{"Edema", "Fracture"}, {"No Finding"}, {"Edema", "Fracture"}]
    assert sorted(TARGET_NAMES) == sorted(FINDINGS)


def test_green_has_no_score_where_its_answer_cannot_be_read(monkeypatch):
    module = ModuleType("green_score")
    module.GREEN = Green
    monkeypatch.setitem(sys.modules, "green_score", module)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: "config.json")
    np.testing.assert_array_equal(green(["r1", "r2"], ["t1", "t2"]), [0.5, np.nan])


def test_what_a_package_would_download_is_refused(monkeypatch):
    with (
        pytest.raises(InputError, match=r"x misses a file .*offline.*--scores"),
        clinical_metrics._from_disk_alone("x"),
    ):
        raise OSError("we are offline")
    assert not is_offline()


def test_weights_are_fetched_on_request_alone(monkeypatch, tmp_path):
    fetched = []
    install(
        monkeypatch,
        "radgraph",
        tmp_path,
        RadGraph=lambda model_type: fetched.append(model_type),
    )
    install(monkeypatch, "f1chexbert", tmp_path)
    monkeypatch.setitem(sys.modules, "green_score", ModuleType("green_score"))
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda repository, file, local_dir: fetched.append((repository, file, local_dir)),
    )
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda repository, **_: fetched.append(repository)
    )
    for metric in clinical_metrics.PACKAGES:
        fetch_weights(metric)
    assert fetched == [
        "radgraph",
        ("StanfordAIMI/RRG_scorers", "chexbert.pth", str(tmp_path)),
        "bert-base-uncased",
        "StanfordAIMI/GREEN-radllama2-7b",
    ]
    with pytest.raises(InputError, match="'bleu_1' has no weights to fetch"):
        fetch_weights("bleu_1")
