"""A question about one image, or questions and answers → token ids, and which of them are answers.

T tokens, P kinds of position (3 for rotary positions in time, row and column; 1 for plain ones).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from fairlora_cls.data.batching import EncodedPrompt
from fairlora_cls.data.prompts import as_plain_text, render_prompt, tokenise
from fairlora_cls.data.questions import Turn
from fairlora_cls.errors import InputError

MOST_REMEMBERED = 8_192  # encoded questions: those of a training split, for the next epochs


@dataclass(frozen=True)
class Piece:
    """A stretch of a conversation: what is given to the model, or what it is taught."""

    text: str
    is_answer: bool


def render_conversation(processor: Any, turns: Sequence[Turn]) -> list[Piece]:
    """The backbone's own chat template around image, questions and answers, in reading order.

    The image comes with the first question. Special tokens in questions and answers are plain text
    (`as_plain_text`). An answer's piece ends with the special token by which
    the template ends it (the tokenizer's end-of-sequence token where it has none). Raises
    InputError for an empty answer, and for a template that fails, or writes an answer other than it
    is.
    """
    messages: list[dict[str, Any]] = []
    pieces: list[Piece] = []
    written = ""
    for number, turn in enumerate(turns):
        words = as_plain_text(turn.question, processor.tokenizer)
        question = [{"type": "text", "text": words}]
        image = [{"type": "image"}] if number == 0 else []
        messages.append({"role": "user", "content": [*image, *question]})
        asked = _render(processor, messages, generate=True)
        answer = as_plain_text(turn.answer.strip(), processor.tokenizer)
        if not answer:
            raise InputError(
                f"The answer to '{turn.question}' is empty; leave that question out, or give it a text."
            )
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        answered = _render(processor, messages, generate=False)
        rest = answered.removeprefix(asked)
        if not answered.startswith(asked) or answer not in rest or not asked.startswith(written):
            raise InputError(
                "The chat template of this backbone does not repeat a conversation word for word, so "
                "it cannot be told what of it is an answer; use a backbone whose template does."
            )
        pieces.append(Piece(asked[len(written) :], is_answer=False))
        stop = rest.index(answer) + len(answer)
        end, after = _end_of_answer(processor.tokenizer, rest[stop:])
        pieces.append(Piece(rest[:stop] + end, is_answer=True))
        written = answered[: len(answered) - len(after)]
    return pieces


def end_tokens(processor: Any) -> frozenset[int]:
    """The ids that end an answer: the template's own, and the tokenizer's end of sequence."""
    tokenizer = processor.tokenizer
    answer = render_conversation(processor, [Turn("", "Yes?", "Yes")])[1].text
    ids = tokenise(tokenizer, answer)
    return frozenset({ids[-1], tokenizer.eos_token_id} - {None})


class PromptEncoder:
    """Turns questions about an image, and whole conversations, into token ids and positions."""

    def __init__(
        self,
        processor: Any,
        encode_text: Callable[[str, torch.Tensor], torch.Tensor],
        positions: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ):
        self.processor = processor
        self.encode_text = encode_text
        self.positions = positions
        self.known: dict[tuple[str, tuple[int, ...]], EncodedPrompt] = {}

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """The ids that end an answer."""
        return end_tokens(self.processor)

    def question(self, question: str, grid: torch.Tensor) -> EncodedPrompt:
        """One question alone, up to where its answer begins; the image has the grid (3,) in patches.

        Remembered: within a run, all images of one grid are mostly asked the same.
        """
        key = question, tuple(grid.tolist())
        if key not in self.known:
            if len(self.known) >= MOST_REMEMBERED:
                self.known.clear()
            ids = self.encode_text(render_prompt(self.processor, question), grid)
            self.known[key] = EncodedPrompt(ids, self.positions(ids, grid))
        return self.known[key]

    def conversation(self, turns: Sequence[Turn], grid: torch.Tensor) -> EncodedPrompt:
        """All turns as one text, its answers marked; the image has the grid (3,) in patches."""
        return self._encode(render_conversation(self.processor, turns), grid)

    def _encode(self, pieces: Sequence[Piece], grid: torch.Tensor) -> EncodedPrompt:
        tokenizer = self.processor.tokenizer
        ids: list[int] = []
        taught: list[bool] = []
        for number, piece in enumerate(pieces):
            if number == 0:  # with the image
                tokens = self.encode_text(piece.text, grid).tolist()
            else:
                tokens = tokenise(tokenizer, piece.text)
            ids += tokens
            taught += [piece.is_answer] * len(tokens)
        input_ids = torch.tensor(ids, dtype=torch.int64)
        return EncodedPrompt(input_ids, self.positions(input_ids, grid), torch.tensor(taught))

    def decode(self, tokens: Sequence[int]) -> str:
        """Token ids of an answer as text."""
        text = self.processor.tokenizer.decode(list(tokens), skip_special_tokens=True)
        # Single bytes are tokens too, and no text holds a NUL.
        return text.replace("\0", "").strip()


def _render(processor: Any, messages: Sequence[dict[str, Any]], *, generate: bool) -> str:
    try:
        return processor.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=generate
        )
    except Exception as error:  # a template is a program of the checkpoint's
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"The chat template of this backbone cannot write questions and answers ({reason}); use the "
            "one that came with the checkpoint (chat_template.jinja)."
        ) from error


def _end_of_answer(tokenizer: Any, tail: str) -> tuple[str, str]:
    """The special token that ends an answer, and what the template writes after it."""
    specials = sorted(
        (tail.index(token), token)
        for token in {*tokenizer.all_special_tokens, *tokenizer.added_tokens_encoder}
        if token in tail
    )
    if not specials:
        return tokenizer.eos_token, tail
    place, token = specials[0]
    return token, tail[place + len(token) :]
