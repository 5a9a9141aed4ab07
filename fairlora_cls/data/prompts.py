"""The words the model reads: one user turn with the image first, then the question.

T tokens.
"""

from __future__ import annotations

from typing import Any


def render_prompt(processor: Any, question: str) -> str:
    """The backbone's own chat template around image and question, up to where the answer begins.

    The text holds one image placeholder of the backbone, for its visual tokens.
    """
    content = [{"type": "image"}, {"type": "text", "text": question}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
