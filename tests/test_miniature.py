"""The miniature backbone: it loads as any Qwen2.5-VL checkpoint does, and its script runs."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLModel,
    Qwen2_5_VLProcessor,
)

from fairlora_cls.models.miniature import FOLDER

SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]


@pytest.fixture(scope="module")
def processor():
    return Qwen2_5_VLProcessor.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(FOLDER).eval()


def ask(processor, images, question, **options):
    """Processor output for one question about one image per row."""
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    text = processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
    return processor(text=[text] * len(images), images=images, return_tensors="pt", **options)


@pytest.mark.parametrize("architecture", [Qwen2_5_VLModel, Qwen2_5_VLForConditionalGeneration])
def test_stock_classes_load_every_weight(architecture):
    model, report = architecture.from_pretrained(FOLDER, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    assert model.dtype == torch.float32
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_small_enough_to_ship():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 10_000_000
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (FOLDER / name).stat().st_mode & 0o444 == 0o444, f"{name} is not readable by all"


def test_a_few_million_parameters_with_tied_embeddings(model):
    assert sum(p.numel() for p in model.parameters()) == 3_845_920
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight


def test_token_ids_of_config_and_tokenizer_agree(model, processor):
    tokenizer, config = processor.tokenizer, model.config
    ids = tokenizer.convert_tokens_to_ids(SPECIAL_TOKENS)
    assert ids == list(range(ids[0], ids[0] + 14))  # the order in which Qwen2.5-VL numbers them
    assert len(tokenizer) == ids[-1] + 1 <= config.text_config.vocab_size
    by_name = dict(zip(SPECIAL_TOKENS, ids, strict=True))
    assert config.image_token_id == processor.image_token_id == by_name["<|image_pad|>"]
    assert config.video_token_id == processor.video_token_id == by_name["<|video_pad|>"]
    assert config.vision_start_token_id == by_name["<|vision_start|>"]
    assert config.vision_end_token_id == by_name["<|vision_end|>"]
    assert config.text_config.bos_token_id == by_name["<|endoftext|>"]
    assert config.text_config.eos_token_id == by_name["<|im_end|>"] == tokenizer.eos_token_id
    assert config.text_config.pad_token_id == by_name["<|endoftext|>"] == tokenizer.pad_token_id
    for token, number in by_name.items():
        assert tokenizer.encode(token) == [number]
        assert tokenizer.decode([number], skip_special_tokens=True) == ""


def test_chat_template_is_that_of_qwen(processor):
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "image"},
                {"type": "text", "text": "Does the patient have glaucoma?"},
            ],
        }
    ]
    asked = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        "Does the patient have glaucoma?<|im_end|>\n"
    )
    render = processor.apply_chat_template
    assert render(messages, tokenize=False) == asked
    prompt = render(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == asked + "<|im_start|>assistant\n"
    answered = [*messages, {"role": "assistant", "content": "yes"}]
    expected = asked + "<|im_start|>assistant\nyes<|im_end|>\n"
    assert render(answered, tokenize=False) == expected
    own_system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert render(own_system, tokenize=False) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    )
    video = [{"role": "user", "content": [{"type": "video"}, {"type": "image"}]}]
    assert "user\nVideo 1: <|vision_start|><|video_pad|><|vision_end|>Picture 1: " in render(
        video, tokenize=False, add_vision_id=True
    )


@pytest.mark.parametrize(
    "text", ["Cup-to-disc ratio: 0.45", "häufig, naïve", "青光眼 نعم 😀", "a\n\n\tb  c", "\x00\x7f"]
)
def test_any_text_survives_the_tokenizer(processor, text):
    ids = processor.tokenizer.encode(text)
    assert processor.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_common_prompts_are_few_tokens(processor):
    for prompt in ("Does the patient have glaucoma?", "Is this lesion malignant or benign?"):
        assert len(processor.tokenizer.encode(prompt)) <= len(prompt.split()) + 1


@pytest.mark.parametrize(
    ("height", "width", "tokens"), [(112, 112, 16), (140, 196, 35), (150, 200, 35), (30, 30, 4)]
)
def test_visual_tokens(processor, height, width, tokens):
    image = np.zeros((height, width, 3), np.uint8)
    inputs = ask(processor, [image], "Is this lesion malignant?")
    assert (inputs["input_ids"] == processor.image_token_id).sum() == tokens
    assert int(inputs["mm_token_type_ids"].sum()) == tokens


def test_never_more_than_forty_visual_tokens(processor):
    inputs = ask(processor, [np.zeros((900, 1200, 3), np.uint8)], "?")
    assert 30 <= (inputs["input_ids"] == processor.image_token_id).sum() <= 40


def test_the_weights_are_trained(model, processor):
    """It reads the cup-to-disc ratio off simulated eyes, far better than a fixed guess would."""
    from fairlora_cls.data.simulated.fundus import simulate_eye

    eyes = [simulate_eye(index, seed=9) for index in range(150)]
    eyes = [eye for eye in eyes if eye.ethnicity == "Non-Hispanic"]
    inputs = ask(
        processor, [eye.image for eye in eyes], "How many percent of the disc does the cup fill?"
    )
    with torch.no_grad():
        written = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    answers = processor.batch_decode(
        written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    said = np.array([float(answer) / 100 for answer in answers])
    true = np.array([eye.vertical_cup_to_disc_ratio for eye in eyes])
    assert np.corrcoef(said, true)[0, 1] > 0.7


def meaning(folder):
    """What the files of a checkpoint say once read. How they are spelled differs between versions
    of the libraries that write them; in which of its sections a configuration repeats the type of
    the weights does too."""
    config = Qwen2_5_VLConfig.from_pretrained(folder).to_dict()
    generation = GenerationConfig.from_pretrained(folder).to_dict()
    for section in (config, config["text_config"], config["vision_config"], generation):
        for key in ("dtype", "_name_or_path", "transformers_version"):
            section.pop(key, None)
    processor = Qwen2_5_VLProcessor.from_pretrained(folder)
    return {
        "config": config,
        "generation": generation,
        "images": processor.image_processor.to_dict(),
        "tokens": processor.tokenizer.backend_tokenizer.to_str(),
        "tokenizer": json.loads((folder / "tokenizer_config.json").read_text()),
        "template": processor.chat_template,
    }


def test_the_script_runs(tmp_path):
    command = [sys.executable, "-m", "tools.miniature.train", "--output", tmp_path]
    options = ["--steps", "2", "--batch-size", "2", "--workers", "0"]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=240)
    _, report = Qwen2_5_VLModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert meaning(tmp_path) == meaning(FOLDER)
