"""Features once per image: never stale, never broken, the same as live ones."""

import os
import stat
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from fairlora_cls.data import vision_cache
from fairlora_cls.data.images import UnreadableImageError, content_digest, fit_to_budget
from fairlora_cls.data.vision_cache import CachedFeatures, LiveFeatures, fill_cache, open_cache

fit = partial(fit_to_budget, minimum_pixels=3136, maximum_pixels=31360)


@pytest.fixture
def images(tmp_path):
    paths = []
    for i in range(5):
        pixels = np.random.default_rng(i).integers(
            0, 255, (56 + 28 * (i % 2), 84, 3), dtype=np.uint8
        )
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def filled(folder, paths, encode):
    pairs = [(content_digest(p), p) for p in paths]
    fill_cache(folder, pairs, encode, fit, lambda count: None)
    return open_cache(folder, [d for d, _ in pairs])


def test_cached_features_equal_live_ones(tmp_path, images, backbone):
    entries = filled(tmp_path / "c", images, backbone.encode_images)
    cached = CachedFeatures([entries[content_digest(p)] for p in images])
    live = LiveFeatures(images, backbone.encode_images, fit)
    for (a, grid), (b, other) in zip(cached(range(5)), live(range(5)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        assert grid.tolist() == other.tolist()
        assert len(a) == backbone.visual_tokens(grid)


def test_features_of_an_image_do_not_depend_on_its_company(images, backbone):
    together = LiveFeatures(images, backbone.encode_images, fit)(range(5))
    alone = LiveFeatures(images, backbone.encode_images, fit)([3])[0]
    torch.testing.assert_close(together[3][0], alone[0], rtol=1e-4, atol=1e-5)


def test_every_image_is_encoded_once(tmp_path, images, backbone, monkeypatch):
    monkeypatch.setattr(vision_cache, "SHARD_IMAGES", 2)
    seen = []

    def encode(batch):
        seen.extend(batch)
        return backbone.encode_images(batch)

    entries = filled(tmp_path / "c", images, encode)
    assert len(seen) == 5
    assert len(entries) == 5
    assert len(list((tmp_path / "c").glob("*.safetensors"))) == 3


def test_a_truncated_shard_is_deleted_and_rebuilt(tmp_path, images, backbone):
    folder = tmp_path / "c"
    filled(folder, images, backbone.encode_images)
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100])
    digests = [content_digest(p) for p in images]
    assert open_cache(folder, digests) == {}
    assert not shard.exists()
    assert len(filled(folder, images, backbone.encode_images)) == 5


def test_a_flipped_bit_is_noticed(tmp_path, images, backbone):
    folder = tmp_path / "c"
    filled(folder, images, backbone.encode_images)
    shard = next(folder.glob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1  # in the features of the last image
    shard.write_bytes(bytes(content))
    assert len(open_cache(folder, [content_digest(p) for p in images])) == 4


def test_a_shard_of_another_user_is_left_alone(tmp_path, images, backbone, monkeypatch):
    """safetensors says that a file is not there where it may not be read."""
    folder = tmp_path / "c"
    filled(folder, images, backbone.encode_images)
    (theirs,) = folder.glob("*.safetensors")
    real = vision_cache.safe_open

    def refuse(path, framework):
        if path == theirs:
            raise FileNotFoundError(path)
        return real(path, framework=framework)

    monkeypatch.setattr(vision_cache, "safe_open", refuse)
    assert open_cache(folder, [content_digest(p) for p in images]) == {}
    assert len(filled(folder, images, backbone.encode_images)) == 5
    assert theirs.exists()


def test_shards_may_be_read_as_far_as_the_umask_says(tmp_path, images, backbone):
    former = os.umask(0o027)
    try:
        filled(tmp_path / "c", images, backbone.encode_images)
    finally:
        os.umask(former)
    (shard,) = (tmp_path / "c").glob("*.safetensors")
    assert stat.S_IMODE(shard.stat().st_mode) == 0o640


@pytest.mark.parametrize("content", [b"", b"x" * 500])
def test_a_foreign_file_is_not_served(tmp_path, images, backbone, content):
    folder = tmp_path / "c"
    filled(folder, images, backbone.encode_images)
    (folder / "0.safetensors").write_bytes(content)
    assert len(open_cache(folder, [content_digest(p) for p in images])) == 5


def test_a_changed_image_is_another_key(tmp_path, images, backbone):
    folder = tmp_path / "c"
    filled(folder, images, backbone.encode_images)
    Image.new("RGB", (56, 56)).save(images[0])
    assert open_cache(folder, [content_digest(images[0])]) == {}


def test_a_changed_setting_is_another_folder(backbone):
    from dataclasses import replace

    first = backbone.vision_fingerprint()
    assert first == backbone.vision_fingerprint()
    assert replace(backbone, maximum_pixels=784 * 8).vision_fingerprint() != first
    assert replace(backbone, rescaling=(0.0, 4095.0)).vision_fingerprint() != first
    with torch.no_grad():
        next(backbone.model.visual.parameters())[0] += 1e-3
    changed = backbone.vision_fingerprint()
    assert changed != first
    backbone.model.visual.to(torch.bfloat16)
    assert backbone.vision_fingerprint() not in (first, changed)


def test_unreadable_images_get_no_entry(tmp_path, images, backbone):
    images[2].write_bytes(b"broken")
    entries = filled(tmp_path / "c", images, backbone.encode_images)
    assert len(entries) == 4
    with pytest.raises(UnreadableImageError, match=r"2\.png"):
        LiveFeatures(images, backbone.encode_images, fit)([1, 2])


def test_two_fillers_at_once_do_no_harm(tmp_path, images, backbone):
    folder = tmp_path / "c"
    filled(folder, images[:3], backbone.encode_images)
    entries = filled(folder, images, backbone.encode_images)
    assert len(entries) == 5
