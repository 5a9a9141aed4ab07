"""LoRA on the language layers: counts of the real shapes on the meta device, save and restore."""

import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

from fairlora_cls.errors import InputError
from fairlora_cls.models.adapters import (
    LoraSettings,
    attach_lora,
    restore_trainable_state,
    trainable_state,
)
from fairlora_cls.models.backbones import BACKBONES, wrap_model

# facts/backbones.md: hidden, MLP, layers, heads, key-value heads, vocabulary, tied, vision MLP,
# all parameters, and LoRA parameters at rank 32 on q, k, v, o.
SHAPES = {
    "3B": (2048, 11008, 36, 16, 2, 151936, True, 3420, 3_754_622_976, 14_745_600),
    "7B": (3584, 18944, 28, 28, 4, 152064, False, 3420, 8_292_166_656, 20_185_088),
    "32B": (5120, 27648, 64, 40, 8, 152064, False, 3456, 33_452_718_336, 67_108_864),
    "72B": (8192, 29568, 80, 64, 8, 152064, False, 3456, 73_410_777_344, 131_072_000),
}


def meta_backbone(name):
    hidden, mlp, layers, heads, kv_heads, vocabulary, tied, vision_mlp, *_ = SHAPES[name]
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": hidden,
            "intermediate_size": mlp,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "vocab_size": vocabulary,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [16, 24, 24],
            },
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "num_heads": 16,
            "intermediate_size": vision_mlp,
            "out_hidden_size": hidden,
        },
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = Qwen2_5_VLModel(config)
    return wrap_model(name, BACKBONES["qwen2_5_vl"], model, None, 200704)


@pytest.mark.parametrize("name", list(SHAPES))
def test_lora_parameter_counts_of_the_real_shapes(name):
    *_, vocabulary, tied, _, everything, lora = SHAPES[name]
    backbone = meta_backbone(name)
    total = sum(p.numel() for p in backbone.model.parameters())
    language_head = 0 if tied else vocabulary * backbone.hidden_size
    assert total + language_head == everything
    network = attach_lora(backbone, LoraSettings(rank=32))
    trainable = {n: p.numel() for n, p in network.named_parameters() if p.requires_grad}
    assert sum(trainable.values()) == lora
    assert all("language_model" in n and "lora_" in n for n in trainable)


def test_the_vision_tower_gets_no_lora_even_for_names_it_shares(backbone):
    network = attach_lora(
        backbone, LoraSettings(rank=4, targets=("gate_proj", "up_proj", "down_proj"))
    )
    trainable = [n for n, p in network.named_parameters() if p.requires_grad]
    assert trainable
    assert not any("visual" in n for n in trainable)


def test_an_unknown_target_is_named_with_its_nearest(backbone):
    with pytest.raises(InputError, match="'q_prj'; did you mean 'q_proj'"):
        attach_lora(backbone, LoraSettings(targets=("q_prj",)))


def test_a_layer_of_the_tower_alone_is_no_target(backbone):
    """`qkv` is the tower's, `down_proj` both have: one wrong target among right ones is refused."""
    attention = ("k_proj", "o_proj", "q_proj", "v_proj")
    for targets in (("qkv",), ("q_proj", "qkv")):
        with pytest.raises(InputError, match="'qkv'") as refused:
            attach_lora(backbone, LoraSettings(targets=targets))
        assert all(name in str(refused.value) for name in attention)


def test_matrices_are_float32_on_a_bf16_backbone(backbone):
    backbone.model.to(torch.bfloat16)
    network = attach_lora(backbone, LoraSettings(rank=2))
    assert {p.dtype for p in network.parameters() if p.requires_grad} == {torch.float32}


def test_trainable_state_round_trip(backbone):
    network = attach_lora(backbone, LoraSettings(rank=2))
    saved = {n: torch.randn_like(t) for n, t in trainable_state(network).items()}
    restore_trainable_state(network, saved)
    assert all(torch.equal(t, saved[n]) for n, t in trainable_state(network).items())
    saved.pop(next(iter(saved)))
    with pytest.raises(InputError, match="other parameters"):
        restore_trainable_state(network, saved)
