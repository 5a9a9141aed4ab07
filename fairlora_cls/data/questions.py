"""Stand-in until the questions are merged."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    name: str
    question: str
    answer: str


def report(example, classes, prompt, seed):
    return (Turn("report", prompt, example.text),)


QUESTIONS = {"report": report}
