"""A backbone that is taught answers: its losses are the stock model's, its texts too."""

import copy

import pytest
import torch

from fairlora_cls.data.batching import pad
from fairlora_cls.data.conversations import PromptEncoder, end_tokens
from fairlora_cls.data.questions import Turn
from fairlora_cls.models.adapters import LoraSettings, attach_lora, trainable_state
from fairlora_cls.models.backbones import load_backbone
from fairlora_cls.models.decoding import decode_greedily
from fairlora_cls.models.generator import (
    Generator,
    GeneratorSettings,
    load_generator,
    read_generator_settings,
    save_generator,
)
from fairlora_cls.models.taps import TapSettings
from tests.test_backbones import noise

TALKS = (
    (Turn("a", "Describe the image.", "tan; network, size 40"),),
    (Turn("a", "Which eye is it?", "left"), Turn("b", "How large is the cup?", "small")),
)


@pytest.fixture(scope="module", params=[False, True], ids=["projector frozen", "projector trained"])
def _loaded(request):
    return load_backbone(
        "miniature", torch.float32, 31360, language_head=True, train_projector=request.param
    )


@pytest.fixture
def backbone(_loaded):
    return copy.deepcopy(_loaded)


@pytest.fixture(scope="module")
def stock():
    from transformers import Qwen2_5_VLForConditionalGeneration

    from fairlora_cls.models import miniature

    return Qwen2_5_VLForConditionalGeneration.from_pretrained(miniature.FOLDER).eval()


def encoder_of(backbone):
    return PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)


def taught(backbone, images, talks=TALKS):
    features = backbone.encode_images(images)
    encoder = encoder_of(backbone)
    texts = [encoder.conversation(t, grid) for t, (_, grid) in zip(talks, features, strict=True)]
    return pad(range(len(images)), features, texts)


def asked(backbone, images, questions):
    features = backbone.encode_images(images)
    encoder = encoder_of(backbone)
    turns = [Turn("q", question, "") for question in questions]
    texts = [
        encoder.question(t.question, grid) for t, (_, grid) in zip(turns, features, strict=True)
    ]
    return pad(range(len(images)), features, texts, padding_side="left")


def test_losses_are_those_of_the_stock_model(backbone, stock):
    """Each example alone, from pixels, with labels on the answers: its mean token loss."""
    images = [noise(112, 112), noise(84, 112, seed=1)]
    batch = taught(backbone, images)
    with torch.no_grad():
        losses = Generator(backbone, backbone.model)(batch).losses
    for row, image in enumerate(images):
        length = int(batch.lengths[row])
        ids, answers = batch.input_ids[row, :length], batch.answers[row, :length]
        pixels = backbone.processor.image_processor([image], do_resize=False, return_tensors="pt")
        with torch.no_grad():
            expected = stock(
                input_ids=ids[None],
                mm_token_type_ids=(ids == backbone.image_token).int()[None],
                attention_mask=torch.ones_like(ids)[None],
                labels=ids.where(answers, -100)[None],
                **pixels,
            ).loss
        assert losses[row].item() == pytest.approx(expected.item(), rel=1e-5)


def test_only_answers_are_taught(backbone):
    batch = taught(backbone, [noise(112, 112)] * 2)
    tokenizer = backbone.processor.tokenizer
    for row, talk in enumerate(TALKS):
        answers = tokenizer.decode(batch.input_ids[row][batch.answers[row]])
        assert answers == "".join(f"{turn.answer}<|im_end|>" for turn in talk)


def test_the_pooled_state_has_seen_the_question_and_not_the_answer(backbone):
    model = Generator(backbone, backbone.model)
    image = noise(112, 112)
    states = []
    for question, answer in (("Which eye?", "left"), ("Which eye?", "right"), ("Why?", "left")):
        with torch.no_grad():
            batch = taught(backbone, [image], [(Turn("a", question, answer),)])
            states.append(model(batch).pooled[0])
    torch.testing.assert_close(states[0], states[1])
    assert (states[0] - states[2]).abs().max() > 1e-2


def test_what_is_padded_changes_nothing(backbone):
    model = Generator(backbone, backbone.model, [TapSettings((3,), "image", "mean")])
    images = [noise(112, 112), noise(84, 112, seed=1)]
    with torch.no_grad():
        both = model(taught(backbone, images))
        for row, image in enumerate(images):
            one = model(taught(backbone, [image], [TALKS[row]]))
            torch.testing.assert_close(one.losses[0], both.losses[row], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(one.hidden[0], both.hidden[row], rtol=1e-4, atol=1e-5)


def test_gradients_reach_adapter_and_projector_only(backbone):
    network = attach_lora(backbone, LoraSettings(4, 8, 0.0))
    model = Generator(backbone, network)
    model(taught(backbone, [noise(112, 112)] * 2)).losses.mean().backward()
    moved = {n for n, p in model.named_parameters() if p.grad is not None}
    assert moved == trainable_state(model).keys()
    assert any(n.startswith("projector.") for n in moved) is backbone.train_projector
    assert all("lora_" in n or n.startswith("projector.") for n in moved)


@pytest.mark.parametrize("limit", [3, 40])
def test_greedy_texts_are_those_of_generate(backbone, stock, limit):
    image = noise(112, 112)
    question = "Describe the image."
    batch = asked(backbone, [image], [question])
    (answer,) = decode_greedily(backbone, batch, end_tokens(backbone.processor), limit)
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text = backbone.processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    inputs = backbone.processor(text=[text], images=[image], return_tensors="pt", do_resize=False)
    written = stock.generate(**inputs, max_new_tokens=limit, do_sample=False)[0]
    expected = written[inputs["input_ids"].shape[1] :].tolist()
    ends = end_tokens(backbone.processor)
    assert list(answer.tokens) == [t for t in expected if t not in ends]
    assert answer.complete is (expected[-1] in ends)
    assert answer.complete is (limit == 40)


def test_texts_do_not_depend_on_what_they_are_decoded_with(backbone):
    images = [noise(112, 112, seed) for seed in range(3)] + [noise(84, 112, 9), noise(140, 112, 4)]
    questions = ["Describe the image.", "Which eye is it?", "How large is the cup?"] * 2
    questions = questions[: len(images)]
    ends = end_tokens(backbone.processor)
    together = decode_greedily(backbone, asked(backbone, images, questions), ends, 40)
    alone = [
        decode_greedily(backbone, asked(backbone, [image], [question]), ends, 40)[0]
        for image, question in zip(images, questions, strict=True)
    ]
    assert together == alone
    assert len({answer.tokens for answer in alone}) > 1


def test_save_and_load_write_the_same(backbone, tmp_path):
    network = attach_lora(backbone, LoraSettings(4, 8, 0.0))
    model = Generator(backbone, network)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in (p for p in model.parameters() if p.requires_grad):
            parameter.add_(0.05 * torch.randn_like(parameter))
    settings = GeneratorSettings(
        backbone="miniature",
        prompt="Why?",
        maximum_pixels=31360,
        precision="fp32",
        train_projector=backbone.train_projector,
    )
    save_generator(model, settings, tmp_path / "adapter")
    assert read_generator_settings(tmp_path / "adapter") == settings
    again = load_generator(settings, tmp_path / "adapter", torch.float32)
    images = [noise(112, 112), noise(84, 112, seed=1)]
    model.eval()
    with torch.no_grad():
        expected = model(taught(backbone, images)).losses
        found = again(taught(again.backbone, images)).losses
    torch.testing.assert_close(found, expected)


def test_untrained_is_the_model_before_and_comes_back(backbone):
    network = attach_lora(backbone, LoraSettings(4, 8, 0.0))
    model = Generator(backbone, network).eval()
    batch = taught(backbone, [noise(112, 112)] * 2)
    with torch.no_grad():
        first = model(batch).losses
        for parameter in (p for p in model.parameters() if p.requires_grad):
            parameter.add_(0.05)
        trained = model(batch).losses
        with model.untrained():
            before = model(batch).losses
        after = model(batch).losses
    torch.testing.assert_close(before, first)
    torch.testing.assert_close(after, trained)
    assert (trained - first).abs().max() > 1e-3
