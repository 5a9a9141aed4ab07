"""Pooling, padding, and what a saved classifier keeps."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from fairlora_cls.data.prompts import render_prompt
from fairlora_cls.errors import InputError
from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.classifier import (
    POOLINGS,
    Classifier,
    ClassifierSettings,
    load_classifier,
    read_classifier_settings,
    save_classifier,
)
from fairlora_cls.models.zero_shot import load_label_word_classifier
from tests.test_backbones import QUESTION, ask, noise

SIZES = [(112, 112), (56, 84), (196, 140)]  # 16, 6 and 35 visual tokens


@pytest.fixture
def classifier(backbone):
    torch.manual_seed(0)
    network = attach_lora(backbone, LoraSettings(rank=4, dropout=0.0))
    with torch.no_grad():  # a trained adapter, not the identity that LoRA starts from
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    return Classifier(backbone, network, 3, "last").eval()


def logits(classifier, images, padding_side="right"):
    features = classifier.backbone.encode_images(images)
    batch = ask(classifier.backbone, features, padding_side=padding_side)
    with torch.no_grad():
        return classifier(batch).logits


@pytest.mark.parametrize("pooling", list(POOLINGS))
def test_left_right_batched_and_single_agree(classifier, pooling):
    classifier.pool = POOLINGS[pooling]
    images = [noise(*size, seed=i) for i, size in enumerate(SIZES)]
    single = torch.cat([logits(classifier, [image]) for image in images])
    for side in ("right", "left"):
        torch.testing.assert_close(logits(classifier, images, side), single, rtol=1e-4, atol=1e-4)


def test_only_left_padding_needs_a_mask(classifier):
    features = classifier.backbone.encode_images([noise(112, 112), noise(56, 84)])
    backbone = classifier.backbone
    assert ask(backbone, features).attention_mask is None
    assert ask(backbone, features, padding_side="left").attention_mask is not None
    assert ask(backbone, features[:1], padding_side="left").attention_mask is None


def test_last_token_sees_the_image_and_first_token_does_not(classifier):
    images = [noise(112, 112, seed=i) for i in range(3)]
    assert logits(classifier, images).std(dim=0).max() > 1e-3
    classifier.pool = POOLINGS["first"]
    collapsed = logits(classifier, images)
    torch.testing.assert_close(collapsed, collapsed[:1].expand(3, -1), rtol=0, atol=1e-6)


def test_head_and_logits_are_float32_under_bf16_autocast(classifier):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = logits(classifier, [noise(112, 112)])
    assert found.dtype == classifier.head.weight.dtype == torch.float32


def settings(**changes):
    values = {
        "backbone": "miniature",
        "labels": ("a", "b", "c"),
        "prompt": QUESTION,
        "pooling": "last",
        "maximum_pixels": 31360,
        "precision": "fp32",
    }
    return ClassifierSettings(**{**values, **changes})


def test_save_then_load_in_a_fresh_process_gives_equal_logits(classifier, tmp_path):
    save_classifier(classifier, settings(), tmp_path / "adapter")
    expected = logits(classifier, [noise(112, 112), noise(196, 140)])
    code = f"""
import torch
from pathlib import Path
from tests.test_backbones import noise
from tests.test_classifier import logits
from fairlora_cls.models.classifier import load_classifier, read_classifier_settings
folder = Path({str(tmp_path / "adapter")!r})
found = load_classifier(read_classifier_settings(folder), folder, torch.float32)
print(logits(found, [noise(112, 112), noise(196, 140)]).flatten().tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert last_line_as_json(done.stdout) == pytest.approx(
        expected.flatten().tolist(), rel=1e-5, abs=1e-6
    )


def last_line_as_json(text):
    import json

    return json.loads(text.strip().splitlines()[-1])


def test_the_saved_adapter_loads_with_plain_peft(classifier, tmp_path):
    from peft import PeftModel
    from transformers import Qwen2_5_VLModel

    from fairlora_cls.models import miniature

    folder = tmp_path / "adapter"
    save_classifier(classifier, settings(), folder)
    stock = Qwen2_5_VLModel.from_pretrained(miniature.FOLDER, dtype=torch.float32)
    plain = PeftModel.from_pretrained(stock, folder).eval()
    image = noise(112, 112)
    inputs = classifier.backbone.processor(
        text=[render_prompt(classifier.backbone.processor, QUESTION)],
        images=[image],
        return_tensors="pt",
        do_resize=False,
    )
    head = load_file(folder / "head.safetensors")
    with torch.no_grad():
        hidden = plain(**inputs, use_cache=False).last_hidden_state[:, -1]
    found = hidden @ head["weight"].T + head["bias"]
    torch.testing.assert_close(found, logits(classifier, [image]), rtol=1e-4, atol=1e-4)


def test_settings_round_trip_and_missing_folder(classifier, tmp_path):
    kept = settings(rescaling=(0.0, 4095.0))
    save_classifier(classifier, kept, tmp_path / "adapter")
    assert read_classifier_settings(tmp_path / "adapter") == kept
    loaded = load_classifier(kept, tmp_path / "adapter", torch.float32)
    assert loaded.backbone.rescaling == (0.0, 4095.0)
    with pytest.raises(InputError, match="no trained classifier"):
        read_classifier_settings(tmp_path)


def test_label_words_are_scored_by_their_likelihood():
    """Against one stock forward per class and example over prompt and words."""
    words = ("no", "yes, it is", "0.45")
    found = load_label_word_classifier("miniature", torch.float32, 31360, words)
    images = [noise(112, 112), noise(56, 84, seed=1)]
    ours = logits(found, images)
    assert ours.shape == (2, 3)
    tokenizer = found.backbone.processor.tokenizer
    for row, (features, grid) in enumerate(found.backbone.encode_images(images)):
        prompt = render_prompt(found.backbone.processor, QUESTION)
        text = prompt.replace("<|image_pad|>", "<|image_pad|>" * len(features))
        start = len(tokenizer(text)["input_ids"])
        for column, word in enumerate(words):
            ids = torch.tensor(tokenizer(text)["input_ids"] + tokenizer(word)["input_ids"])
            with torch.no_grad():
                hidden = found.backbone.hidden_states(
                    ids[None], features, found.backbone.positions(ids, grid)[:, None]
                )
                chances = found.language_head(hidden)[0].log_softmax(-1)
            expected = sum(chances[i - 1, ids[i]].item() for i in range(start, len(ids)))
            assert ours[row, column].item() == pytest.approx(expected, abs=1e-3)


def test_a_label_word_classifier_is_saved_without_adapter_or_head(tmp_path):
    found = load_label_word_classifier("miniature", torch.float32, 31360, ("no", "yes"))
    kept = settings(labels=("no", "yes"), label_words=("no", "yes"))
    save_classifier(found, kept, tmp_path / "adapter")
    assert not list((tmp_path / "adapter").glob("*.safetensors"))
    again = load_classifier(
        read_classifier_settings(tmp_path / "adapter"), tmp_path / "adapter", torch.float32
    )
    image = [noise(112, 112)]
    assert torch.equal(logits(again, image), logits(found, image))


def test_an_empty_label_word_is_refused():
    with pytest.raises(InputError, match="empty entry"):
        load_label_word_classifier("miniature", torch.float32, 31360, ("no", ""))


def test_gradient_checkpointing_gives_the_same_gradients(classifier):
    """The option saves memory and changes nothing else."""
    features = classifier.backbone.encode_images([noise(112, 112)])
    batch = ask(classifier.backbone, features)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            classifier.backbone.model.language_model.gradient_checkpointing_enable(
                {"use_reentrant": False}
            )
        classifier.train()
        classifier.zero_grad()
        classifier(batch).logits.sum().backward()
        gradients.append([p.grad.clone() for p in classifier.parameters() if p.requires_grad])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed, rtol=1e-4, atol=1e-5)
    assert any((g != 0).any() for g in gradients[1][:-2])
