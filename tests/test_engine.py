"""Features reach every split by the recipe's own reading of the images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fairlora_cls.data.images import UnreadableImageError
from fairlora_cls.data.vision_cache import fill_cache
from fairlora_cls.errors import InputError, RunError
from fairlora_cls.runs.engine import prepare_features, require_finite, start_accelerator
from tests.test_examples import GOOD


def test_deep_pixels_are_rescaled_alike_from_cache_and_live(tmp_path, backbone, display):
    rng = np.random.default_rng(0)
    examples = []
    for example in GOOD.everything():
        path = tmp_path / f"{example.id}.png"
        Image.fromarray(rng.integers(0, 4000, (56, 56)).astype(np.uint16)).save(path)
        examples.append(replace(example, image=path))
    splits = replace(
        GOOD, train=tuple(examples[:3]), validation=tuple(examples[3:5]), test=tuple(examples[5:])
    )
    accelerator = start_accelerator("fp32", [], tmp_path)

    def features(rescaling, use_cache):
        chosen = replace(backbone, rescaling=rescaling)
        _, dropped, found = prepare_features(splits, chosen, use_cache, False, accelerator, display)
        assert dropped == []
        return found["test"]([1])[0][0]

    window = (0.0, 60000.0)
    cached, live = features(window, True), features(window, False)
    torch.testing.assert_close(cached, live, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(cached, features("percentile", True), atol=1e-2)
    assert not torch.allclose(live, features("percentile", False), atol=1e-2)


def in_folder(folder, sizes):
    """GOOD with an image of each size, in the order of its examples."""
    examples = []
    for example, size in zip(GOOD.everything(), sizes, strict=True):
        path = folder / f"{example.id}.png"
        Image.effect_noise(size, 50).save(path)
        examples.append(replace(example, image=path))
    return replace(
        GOOD, train=tuple(examples[:3]), validation=tuple(examples[3:5]), test=tuple(examples[5:])
    )


@pytest.mark.parametrize("use_cache", [True, False])
def test_slivers_are_unreadable_by_name(tmp_path, backbone, display, use_cache):
    """12000 × 61 within 200 times longer than wide, and 3 × 900 beyond."""
    splits = in_folder(tmp_path, [(56, 56), (12000, 61), *[(56, 56)] * 4, (3, 900)])
    accelerator = start_accelerator("fp32", [], tmp_path)
    with pytest.raises(InputError, match=r"2 images cannot be read.*12000 × 61"):
        prepare_features(splits, backbone, use_cache, False, accelerator, display)
    left, dropped, features = prepare_features(
        splits, backbone, use_cache, True, accelerator, display
    )
    assert [path.name for path in dropped] == ["b.png", "g.png"]
    assert [e.id for e in left.everything()] == ["a", "c", "d", "e", "f"]
    assert len(features["train"]([0, 1])) == 2
    if not use_cache:  # what predict reads
        from fairlora_cls.runs.engine import live_features

        with pytest.raises(UnreadableImageError, match="too narrow"):
            live_features(backbone, [splits.train[1].image])([0])


def test_a_cache_that_cannot_be_written_is_said_before_the_tower_runs(
    tmp_path, backbone, display, monkeypatch
):
    splits = in_folder(tmp_path, [(56, 56)] * 7)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("fairlora_cls.runs.engine.fill_cache", None)
    accelerator = start_accelerator("fp32", [], tmp_path)
    with pytest.raises(InputError, match=r"FAIRLORA_CACHE.*--no-vision-cache"):
        prepare_features(splits, backbone, True, False, accelerator, display)
    _, dropped, _ = prepare_features(splits, backbone, False, False, accelerator, display)
    assert dropped == []


def test_features_that_vanish_meanwhile_end_the_run_in_words(
    tmp_path, backbone, display, monkeypatch
):
    def fill(folder, *arguments):
        fill_cache(folder, *arguments)
        for shard in folder.iterdir():
            shard.unlink()

    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("fairlora_cls.runs.engine.fill_cache", fill)
    splits = in_folder(tmp_path, [(56, 56 + i) for i in range(7)])
    accelerator = start_accelerator("fp32", [], tmp_path)
    with pytest.raises(RunError, match="7 images are gone"):
        prepare_features(splits, backbone, True, False, accelerator, display)


def test_numbers_that_are_not_finite_are_told_by_name():
    logits = np.zeros((4, 2))
    require_finite(np.zeros((0, 2)), [], "logits")
    require_finite(logits, ["a", "b", "c", "d"], "logits")
    logits[1, 0], logits[3, 1] = np.nan, np.inf
    with pytest.raises(RunError, match=r"logits .* 2 of 4 .*first: b"):
        require_finite(logits, ["a", "b", "c", "d"], "logits")
    with pytest.raises(RunError, match="first: b"):
        require_finite(np.array([0.0, np.nan]), ["a", "b"], "losses")
