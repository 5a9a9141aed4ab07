"""Gemma 3: shapes of the real model, the average of patches, the sequence around an image."""

import torch
from transformers import Gemma3Config, Gemma3Model, Gemma3TextConfig, SiglipVisionConfig

from fairlora_cls.models.backbones import load_backbone, wrap_model
from fairlora_cls.models.gemma3 import GEMMA3, PatchAverage
from tests.small_backbones import build_small


def test_the_shapes_of_gemma_3_4b():
    """16 × 16 visual tokens of 896 px images; 64 × 64 patches, each seen in all 27 layers."""
    vision = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        image_size=896,
        patch_size=14,
        vision_use_head=False,
    )
    text = Gemma3TextConfig(hidden_size=2560, intermediate_size=10240, num_hidden_layers=34)
    with torch.device("meta"):
        model = Gemma3Model(Gemma3Config(text_config=text, vision_config=vision))
    backbone = wrap_model("4B", GEMMA3, model, None, 200704, train_projector=True)
    grid = backbone.grid_of_size((1000, 700))
    assert backbone.visual_tokens(grid) == 256
    assert backbone.fitted_size(grid) == (896, 896)
    assert GEMMA3.patches(vision, 256) == (4096, 27 * 4096)
    assert sum(p.numel() for p in backbone.projector.parameters()) == 1152 * 2560 + 1152


def test_patches_are_averaged_where_they_lie():
    """4 × 4 patches of one number to 2 × 2 tokens: the mean of each quarter of the picture."""
    patches = torch.arange(16.0).reshape(1, 16, 1)
    found = PatchAverage(4, torch.nn.AvgPool2d(2))(patches)
    assert found[0, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]


def test_an_image_stands_in_its_frame(tmp_path):
    backbone = load_backbone(str(build_small("gemma3", tmp_path / "small")), torch.float32, 200704)
    grid = backbone.grid_of_size((100, 70))
    ids = backbone.encode_text("<bos>Here: <start_of_image> it is.", grid)
    tokens = backbone.processor.tokenizer.convert_ids_to_tokens(ids.tolist())
    assert tokens.count("<bos>") == 1
    assert tokens.count("<image_soft_token>") == 16
    first = tokens.index("<start_of_image>")
    assert tokens[first + 17] == "<end_of_image>"
    assert tokens[first - 2 : first] == tokens[first + 18 : first + 20] == ["Ċ", "Ċ"]
