"""Memory and time from a configuration alone, against counts known for the 7B model."""

import math
from dataclasses import replace

import pytest
import torch

from fairlora_cls.checking import estimate as module
from fairlora_cls.checking.estimate import (
    EFFICIENCY,
    Estimate,
    Plan,
    activation_bytes,
    estimate_run,
    find_slow_precision,
    find_too_large,
    measure_speed,
)
from fairlora_cls.checking.model import build_skeleton
from fairlora_cls.models.adapters import LoraSettings

PLAN = Plan(
    train=7000,
    validation=1000,
    test=2000,
    epochs=3,
    micro_batch=2,
    passes=2.0,
    new_images=10000,
    tokens=306.0,
    most_tokens=306,
    visual_tokens=256.0,
    checkpointing=False,
    precision=torch.bfloat16,
)


@pytest.fixture(scope="module")
def folder_7b(tmp_path_factory):
    """The configuration of Qwen2.5-VL-7B, without weights or processor."""
    from transformers import Qwen2_5_VLConfig

    from benchmarks.random_backbone import SHAPE_7B, VOCABULARY

    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    text = {**SHAPE_7B["text"], "vocab_size": VOCABULARY, "rope_parameters": rope}
    vision = {
        **SHAPE_7B["vision"],
        "out_hidden_size": SHAPE_7B["text"]["hidden_size"],
        "window_size": 112,
    }
    folder = tmp_path_factory.mktemp("7b")
    Qwen2_5_VLConfig(
        text_config={**text, "tie_word_embeddings": False},
        vision_config=vision,
        tie_word_embeddings=False,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def skeleton_7b(folder_7b):
    skeleton, findings = build_skeleton(str(folder_7b), LoraSettings(), 200704, "percentile")
    # Shapes are told in spite of what is missing.
    assert ["tokenizer" in f.message for f in findings] == [True, False]
    assert "no weights" in findings[1].message
    return skeleton


def test_counts_of_the_7b_model(skeleton_7b):
    found = estimate_run(skeleton_7b.network, skeleton_7b.backbone, PLAN, head_numbers=7170)
    # 8,292,166,656 with the language head of 152,064 × 3,584.
    assert found.parameters == 8_292_166_656 - 152_064 * 3584
    assert found.trained == 20_185_088 + 7170
    assert found.weights_bytes == 2 * found.parameters
    text = skeleton_7b.backbone.config.text_config
    assert found.activation_bytes == activation_bytes(text, PLAN, size=2)
    # Known for 256 visual tokens: 4.1 TFLOP for the language layers, 1.35 for the tower.
    assert found.language_flops == pytest.approx(4.1e12, rel=0.05)
    assert found.vision_flops == pytest.approx(1.35e12, rel=0.07)
    images = 3 * 7000 * 2 + 3 * 1000 + 1000 + 2000
    assert found.seconds * found.speed == pytest.approx(
        images * found.language_flops + 10000 * found.vision_flops
    )


def test_checkpointing_saves_memory(skeleton_7b):
    def activations(plan):
        return activation_bytes(skeleton_7b.backbone.config.text_config, plan, size=2)

    whole = activations(PLAN)
    assert activations(replace(PLAN, micro_batch=4)) == 2 * whole
    assert activations(replace(PLAN, checkpointing=True)) < whole / 5
    assert activations(replace(PLAN, epochs=0)) == 0


@pytest.mark.parametrize("speed", [1e8, 4e10, 1e15])
def test_no_device_is_measured_for_long(monkeypatch, speed):
    """A device of any speed, of a layer whose whole product is 2 · 4096³ = 137 GFLOP."""
    spent = []

    def time_products(sides, dtype, device, trains):
        seconds = 2 * 2 * math.prod(sides) / speed
        spent.append(max(seconds * module.FEWEST_PRODUCTS, module.MEASURE_SECONDS))
        return seconds

    monkeypatch.setattr(module, "_time_products", time_products)
    measured = measure_speed((4096, 4096, 4096), torch.bfloat16, "cpu", trains=True)
    assert measured == pytest.approx(speed * EFFICIENCY)
    assert sum(spent) < 4


def estimate(needed, there):
    return Estimate(1, 1, needed, 0, 0, 1.0, 1.0, 1.0, 1.0, 1.0, "cpu", there)


def test_a_precision_without_units_is_said():
    found = replace(estimate(80, 100), speed=4e8, plain_speed=4e10)
    (finding,) = find_slow_precision(found, "bf16")
    assert finding.severity == "warning"
    assert "100 times slower" in finding.message
    assert find_slow_precision(replace(found, speed=3e10), "bf16") == []
    (finding,) = find_slow_precision(found, "fp16")
    assert finding.severity == "error"
    assert "GPU" in finding.message


def test_too_large_is_said():
    assert find_too_large(estimate(80, 100)) == []
    assert [f.severity for f in find_too_large(estimate(90, 100))] == ["warning"]
    (finding,) = find_too_large(estimate(40 * 2**30, 16 * 2**30))
    assert finding.severity == "error"
    assert "needs about 40.00 GiB, the cpu has 16.00 GiB" in finding.message


def test_a_wrong_lora_target_is_an_error(folder_7b):
    skeleton, findings = build_skeleton(
        str(folder_7b), LoraSettings(targets=["q_prj"]), 200704, "percentile"
    )
    assert skeleton is None
    assert "did you mean 'q_proj'" in findings[-1].message
