"""The words the model reads: one user turn with the image first, then the question.

T tokens.
"""

from __future__ import annotations

from typing import Any

FINDINGS_QUESTION = "Provide a description of the findings in the radiology image"


def findings_conversation(indication: str | None, findings: str) -> tuple[tuple[str, str]]:
    """The one question that LLaVA-Rad and FairLLaVA ask of a radiograph, and its answer.

    `indication`: why the image was taken; None leaves the clause out.
    """
    given = " ".join(indication.split()) if indication else ""
    end = f" given the following indication: {given}" if given else "."
    return ((FINDINGS_QUESTION + end, findings),)


def render_prompt(processor: Any, question: str) -> str:
    """The backbone's own chat template around image and question, up to where the answer begins.

    The text holds one image placeholder of the backbone, for its visual tokens.
    """
    content = [{"type": "image"}, {"type": "text", "text": question}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
