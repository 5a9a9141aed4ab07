"""What a saved model is held to when it is loaded: its files, its tensors, its backbone."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from fairlora_cls.errors import InputError
from fairlora_cls.models.classifier import load_classifier, read_classifier_settings
from fairlora_cls.models.manifest import require_unchanged, write_manifest
from fairlora_cls.runs import saved as saved_run
from tests.test_backbones import copy_of_miniature, edit, lose, write

ADAPTER = "adapter_model.safetensors"
HEAD = "head.safetensors"


def test_files_that_were_saved_must_be_there_unchanged(tmp_path):
    for name in ("weights", "settings"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path, "digest")
    (tmp_path / "README.md").write_text("added later")
    require_unchanged(tmp_path)
    (tmp_path / "weights").write_text("other")
    with pytest.raises(InputError, match="weights"):
        require_unchanged(tmp_path)
    (tmp_path / "weights").unlink()
    with pytest.raises(InputError, match="lacks 'weights'"):
        require_unchanged(tmp_path)
    (tmp_path / "manifest.json").write_text('{"files": ')
    with pytest.raises(InputError, match=r"manifest\.json"):
        require_unchanged(tmp_path)
    (tmp_path / "manifest.json").unlink()  # as of runs saved before there were any
    require_unchanged(tmp_path)


def tensors(file, change):
    def apply(folder):
        save_file(change(load_file(folder / file)), folder / file)

    return apply


BROKEN = {  # how an adapter folder is broken, and the file or the word that is told
    "no lora_B": (
        tensors(ADAPTER, lambda t: {n: v for n, v in t.items() if "lora_B" not in n}),
        "lora_B",
    ),
    "renamed": (tensors(ADAPTER, lambda t: {f"x.{n}": v for n, v in t.items()}), ADAPTER),
    "one more": (tensors(ADAPTER, lambda t: {**t, "odd": torch.ones(1)}), "odd"),
    "no adapter": (lose(ADAPTER), ADAPTER),
    "a cut adapter": (write(ADAPTER, "cut"), ADAPTER),
    "no head": (lose(HEAD), HEAD),
    "a head of NaN": (tensors(HEAD, lambda t: {**t, "bias": t["bias"] * torch.nan}), "not finite"),
    "another rank": (edit("adapter_config.json", r=4), "shape"),
    "other targets": (edit("adapter_config.json", target_modules=".*q_proj"), ADAPTER),
    "cut settings of PEFT": (write("adapter_config.json", "{"), "adapter_config.json"),
    "cut settings": (write("classifier.json", '{"backbone": "mini'), "classifier.json"),
    "another class": (edit("classifier.json", labels=["a", "b", "c"]), HEAD),
    "an unknown key": (edit("classifier.json", odd=1), "odd"),
    "a lost key": (edit("classifier.json", prompt=None), "prompt"),
    "a wrong value": (edit("classifier.json", precision=["fp32"]), "classifier.json"),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_adapter_never_predicts(small_run, tmp_path, case):
    """By the manifest, and without one by what the files must hold."""
    break_it, word = BROKEN[case]
    folder = tmp_path / "adapter"
    shutil.copytree(small_run[0] / "adapter", folder)
    break_it(folder)
    with pytest.raises(InputError, match=r"\.(json|safetensors)"):
        read_classifier_settings(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError) as refused:
        load_classifier(read_classifier_settings(folder), folder, torch.float32)
    assert word in str(refused.value).replace(str(tmp_path), "")


def test_a_run_without_manifest_loads(small_run, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(small_run[0] / "adapter", folder)
    settings = read_classifier_settings(folder)
    kept = load_classifier(settings, folder, torch.float32).state_dict()
    (folder / "manifest.json").unlink()
    again = load_classifier(read_classifier_settings(folder), folder, torch.float32).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in kept.items())


def test_a_moved_backbone_is_told_by_its_weights(small_run, cohort, tmp_path):
    """The same weights in another place predict the same; one changed number is another backbone."""
    run, _ = small_run
    images = sorted(p for p in cohort.rglob("*") if p.suffix in (".png", ".jpg", ".npz"))[:3]
    assert len(images) == 3
    moved = copy_of_miniature(tmp_path / "moved")
    expected = saved_run.predict(run, images)
    found = saved_run.predict(run, images, model=str(moved))
    assert found[0] == expected[0]
    assert found[1].tolist() == expected[1].tolist()
    weights = load_file(moved / "model.safetensors")
    name = next(n for n in sorted(weights) if "layers.0" in n and weights[n].ndim == 2)
    weights[name][3, 5] += 0.25
    save_file(weights, moved / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="weights of the backbone"):
        saved_run.predict(run, images, model=str(moved))
    settings = replace(read_classifier_settings(run / "adapter"), backbone=str(moved))
    with pytest.raises(InputError, match="weights of the backbone"):
        load_classifier(settings, run / "adapter", torch.float32)


def test_the_manifest_names_every_file_of_the_adapter(small_run):
    folder = small_run[0] / "adapter"
    named = json.loads((folder / "manifest.json").read_text())["files"]
    assert {*named, "manifest.json"} == {p.name for p in folder.iterdir()}
