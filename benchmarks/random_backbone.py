"""Qwen2.5-VL-7B in its exact shape with random weights: speed needs the shape, not the knowledge.

The miniature's processor feeds it (same tokens of the chat template, another vocabulary), so that
nothing is downloaded.
"""

from __future__ import annotations

import torch

from fairlora_cls.models import miniature
from fairlora_cls.models.backbones import BACKBONES, Backbone, wrap_model

SHAPE_7B = {
    "text": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "vision": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "fullatt_block_indexes": [7, 15, 23, 31],
    },
}
# The same construction (head sizes, rope sections, vocabulary) for a trial on a CPU.
SHAPE_SMOKE = {
    "text": {
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    },
    "vision": {
        "depth": 2,
        "hidden_size": 160,
        "intermediate_size": 342,
        "num_heads": 2,
        "fullatt_block_indexes": [1],
    },
}
VOCABULARY = 152064


def build_random_qwen2_5_vl(
    shape: dict, dtype: torch.dtype, device: torch.device, maximum_pixels: int
) -> Backbone:
    """A Backbone with weights drawn on `device` directly (16.6 GB in bf16 for SHAPE_7B)."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel, Qwen2_5_VLProcessor

    processor = Qwen2_5_VLProcessor.from_pretrained(miniature.FOLDER)
    token = processor.tokenizer.convert_tokens_to_ids
    text = {
        **shape["text"],
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
    }
    vision = {
        **shape["vision"],
        "out_hidden_size": shape["text"]["hidden_size"],
        "patch_size": 14,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "window_size": 112,
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2_5_VLModel._from_config(config, dtype=dtype)
    architecture = BACKBONES["qwen2_5_vl"]
    return wrap_model("random weights", architecture, model, processor, maximum_pixels)
