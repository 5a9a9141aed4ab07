"""Qwen3-VL: pixels of a visual token, and the deep parts of a row of features."""

import json

import pytest
import torch

from fairlora_cls.errors import InputError
from fairlora_cls.models.backbones import load_backbone
from tests.small_backbones import build_small
from tests.test_backbones import noise


def test_a_visual_token_covers_32_pixels(tmp_path):
    backbone = load_backbone(str(build_small("qwen3_vl", tmp_path / "s")), torch.float32, 200704)
    assert backbone.minimum_pixels == 4 * 32 * 32
    grid = backbone.grid_of_size((320, 200))  # 200 px are nearest to 6 · 32
    assert grid.tolist() == [1, 12, 20]
    assert backbone.visual_tokens(grid) == 60


def test_the_smallest_image_is_the_checkpoint_s_own(tmp_path):
    """65,536 px² as published: a small image is enlarged to it; 4 · 32² px² are the least of all."""
    folder = build_small("qwen3_vl", tmp_path / "small")
    settings = json.loads((folder / "processor_config.json").read_text())
    settings["image_processor"]["size"]["shortest_edge"] = 65536
    (folder / "processor_config.json").write_text(json.dumps(settings))
    backbone = load_backbone(str(folder), torch.float32, 200704)
    assert backbone.minimum_pixels == 65536
    assert backbone.fit_image(noise(64, 64)).size == (256, 256)
    assert backbone.grid_of_size((64, 64)).tolist() == [1, 16, 16]
    with pytest.raises(InputError, match="65536"):
        load_backbone(str(folder), torch.float32, 31360)


def test_deep_parts_come_from_their_layers_and_reach_the_first_language_layers(tmp_path):
    folder = build_small("qwen3_vl", tmp_path / "small")
    backbone = load_backbone(str(folder), torch.float32, 200704, train_projector=True)
    kept = []
    for block in backbone.model.visual.blocks:
        block.register_forward_hook(lambda module, inputs, output: kept.append(output))
    ((features, grid),) = backbone.encode_images([noise(128, 128)])
    last, *deep = features.chunk(3, dim=-1)  # deepstack_visual_indexes are 0 and 2 of 4 layers
    for part, layer in [(last, 3), (deep[0], 0), (deep[1], 2)]:
        assert torch.equal(part, kept[layer].reshape(16, -1))
    ids = torch.full((20,), 5)
    ids[2:18] = backbone.image_token
    states = []
    for layer in backbone.language_layers[:3]:
        layer.register_forward_hook(lambda module, inputs, output: states.append(output))
    places = backbone.positions(ids, grid)[:, None]
    with torch.no_grad():
        backbone.hidden_states(ids[None], features, places)
        without = torch.cat([last, torch.zeros_like(last), torch.zeros_like(last)], dim=-1)
        backbone.hidden_states(ids[None], without, places)
    assert torch.equal(states[0], states[3])  # what enters stands behind the first layer
    assert not torch.allclose(states[1], states[4])
