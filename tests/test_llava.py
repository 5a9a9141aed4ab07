"""LLaVA: shapes of the real model, every way to choose visual tokens, images made square."""

import pytest
import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaImageProcessor,
    LlavaModel,
    SiglipVisionConfig,
)

from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.backbones import load_backbone, wrap_model
from fairlora_cls.models.llava import LLAVA
from tests.small_backbones import TEXT, VISION, build_small
from tests.test_backbones import noise


def test_the_shapes_of_llava_1_5_7b():
    """24 × 24 visual tokens; QLoRA's count of a 7B Llama at rank 64 on all linear layers."""
    text = LlamaConfig(vocab_size=32064, tie_word_embeddings=False)
    with torch.device("meta"):
        model = LlavaModel(LlavaConfig(text_config=text))
    backbone = wrap_model("7B", LLAVA, model, None, 200704)
    grid = backbone.grid_of_size((1000, 700))
    assert grid.tolist() == [1, 24, 24]
    assert backbone.visual_tokens(grid) == 576
    assert backbone.fitted_size(grid) == (336, 336)
    # CLIP ViT-L/14 at 336 px, two linear layers, Llama 2 7B without its head of 32,064 words.
    projector = 1024 * 4096 + 4096 + 4096 * 4096 + 4096
    llama = 6_738_415_616 - 2 * 32000 * 4096 + 32064 * 4096
    assert sum(p.numel() for p in model.parameters()) == 303_507_456 + projector + llama
    targets = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    network = attach_lora(backbone, LoraSettings(rank=64, targets=targets))
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 159_907_840


@pytest.mark.parametrize(
    ("tower", "strategy", "layers", "tokens", "width"),
    [
        (CLIPVisionConfig, "default", -2, 16, 32),
        (CLIPVisionConfig, "full", -2, 17, 32),
        (CLIPVisionConfig, "default", [-2, -1], 16, 64),
        (SiglipVisionConfig, "full", -1, 16, 32),
    ],
)
def test_visual_tokens_by_tower_and_strategy(tmp_path, tower, strategy, layers, tokens, width):
    processor = load_backbone(
        str(build_small("llava", tmp_path / "small")), torch.float32, 200704
    ).processor
    config = LlavaConfig(
        vision_config=tower(**VISION, num_hidden_layers=3, image_size=56, patch_size=14),
        text_config=LlamaConfig(**TEXT, vocab_size=64),
        vision_feature_select_strategy=strategy,
        vision_feature_layer=layers,
        image_token_index=3,
    )
    backbone = wrap_model(
        "small", LLAVA, LlavaModel(config), processor, 200704, train_projector=True
    )
    ((features, grid),) = backbone.encode_images([backbone.fit_image(noise(80, 60))])
    assert features.shape == (tokens, width)
    assert backbone.visual_tokens(grid) == tokens
    assert backbone.project(features).shape == (tokens, TEXT["hidden_size"])


def test_a_long_image_is_cut_or_padded_as_its_processor_says(tmp_path):
    """Left quarter red, the rest black: cut off with the usual processor, kept with do_pad."""
    image = Image.new("RGB", (224, 112))
    image.paste((255, 0, 0), (0, 0, 28, 112))
    folder = build_small("llava", tmp_path / "small")
    backbone = load_backbone(str(folder), torch.float32, 200704)
    assert backbone.fit_image(image).getpixel((0, 28))[0] < 20
    backbone.processor.image_processor = LlavaImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, do_pad=True
    )
    padded = backbone.fit_image(image)
    assert padded.size == (56, 56)
    assert padded.getpixel((2, 28))[0] > 235
    ((features, _),) = backbone.encode_images([padded])
    assert len(features) == 16
