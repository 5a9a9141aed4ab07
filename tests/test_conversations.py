"""Questions and answers as token ids."""

from types import SimpleNamespace

import pytest

from fairlora_cls.data.conversations import (
    PromptEncoder,
    end_tokens,
    render_conversation,
)
from fairlora_cls.data.questions import Turn
from fairlora_cls.errors import InputError

TURNS = [Turn("a", "What is it?", " A large left pleural effusion. "), Turn("b", "Where?", "left")]
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


def test_pieces_follow_the_template_and_mark_the_answers(backbone):
    pieces = render_conversation(backbone.processor, TURNS)
    assert [piece.is_answer for piece in pieces] == [False, True, False, True]
    assert [piece.text for piece in pieces] == [
        f"{SYSTEM}<|im_start|>user\n{IMAGE}What is it?<|im_end|>\n<|im_start|>assistant\n",
        "A large left pleural effusion.<|im_end|>",
        "\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n",
        "left<|im_end|>",
    ]


def test_tokens_are_those_of_the_whole_text(backbone):
    import torch

    encoder = PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)
    encoded = encoder.conversation(TURNS, torch.tensor([1, 8, 8]))
    text = "".join(piece.text for piece in render_conversation(backbone.processor, TURNS))
    whole = backbone.encode_text(text, torch.tensor([1, 8, 8]))
    assert encoded.input_ids.tolist() == whole.tolist()
    assert encoded.position_ids.shape == (3, len(whole))
    tokenizer = backbone.processor.tokenizer
    answers = tokenizer.decode(encoded.input_ids[encoded.answers])
    assert answers == "A large left pleural effusion.<|im_end|>left<|im_end|>"
    question = encoder.question(TURNS[0].question, torch.tensor([1, 8, 8]))
    assert question.input_ids.tolist() == whole[: len(question.input_ids)].tolist()
    assert question.answers is None
    assert encoder.decode(encoded.input_ids[encoded.answers].tolist()).startswith("A large")


def test_an_answer_ends_with_the_end_of_the_turn(backbone):
    tokenizer = backbone.processor.tokenizer
    assert end_tokens(backbone.processor) == {tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_an_empty_answer_is_refused(backbone):
    with pytest.raises(InputError, match="The answer to 'Where' is empty"):
        render_conversation(backbone.processor, [Turn("a", "Where", " ")])


class Template:
    """A processor whose template is a function."""

    def __init__(self, render, tokenizer):
        self.render, self.tokenizer = render, tokenizer

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        return self.render(messages, add_generation_prompt)


def vicuna(messages, generate):
    """LLaVA 1.5's: no special token ends an answer, a space comes before it."""
    parts = []
    for message in messages:
        words = " ".join(p.get("text", "<image>\n") for p in message["content"])
        parts.append(f"{'USER' if message['role'] == 'user' else 'ASSISTANT'}: {words} ")
    return "".join(parts) + ("ASSISTANT:" if generate else "")


def tokenizer():
    return SimpleNamespace(
        eos_token="</s>", all_special_tokens=["</s>"], added_tokens_encoder={"</s>": 2}
    )


def test_a_template_without_an_end_gets_the_end_of_sequence():
    pieces = render_conversation(Template(vicuna, tokenizer()), TURNS)
    assert [piece.text for piece in pieces] == [
        "USER: <image>\n What is it? ASSISTANT:",
        " A large left pleural effusion.</s>",
        " USER: Where? ASSISTANT:",
        " left</s>",
    ]


@pytest.mark.parametrize(
    "render",
    [
        lambda messages, generate: vicuna(messages, generate).upper(),
        lambda messages, generate: f"{len(messages)} {vicuna(messages, generate)}",
    ],
    ids=["changes the answer", "changes what was before"],
)
def test_a_template_that_changes_words_is_refused(render):
    with pytest.raises(InputError, match="does not repeat a conversation word for word"):
        render_conversation(Template(render, tokenizer()), TURNS)
