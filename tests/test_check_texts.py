"""What `check` says of a generative run's questions and answers."""

import numpy as np
import pytest

from fairlora_cls.checking.check import run_check
from fairlora_cls.checking.texts import TextFacts, find_long_answers
from fairlora_cls.errors import InputError
from fairlora_cls.presentation.rendering import render_page
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs.train import train
from tests.test_backbones import copy_of_miniature
from tests.test_generation import chests  # noqa: F401, a fixture


def values(chests, **generation):  # noqa: F811
    return {
        "task": "generate",
        "data": {
            "source": "table",
            "path": str(chests),
            "options": {
                "label_column": "abnormal",
                "text_column": "findings",
                "attributes": ["sex"],
                "classes": ["no", "yes"],
            },
            "sensitive": ["sex"],
            "prompt": "Describe the findings.",
        },
        "objective": {"method": "vanilla"},
        "generation": generation,
    }


def test_conversations_are_counted_and_shown(chests, display):  # noqa: F811
    checked = run_check(values(chests), (), display)
    assert not checked.report.failed
    tables = {table.caption: table.texts() for table in checked.report.tables}
    answers = {row[0]: row[1:] for row in tables["Tokens of texts"]}["answers"]
    assert answers[0] == "17"  # three short sentences of four, seven and five tokens, and the end
    ((name, question, answer),) = tables["Questions, as evaluation asks them"]
    assert (name, question) == ("report", "Describe the findings.")
    assert answer.startswith("The heart")
    assert "The heart" in render_page(checked.document)
    assert not any(f.code == "long-answers" for f in checked.report.findings)


def test_answers_that_could_not_be_written_are_named(chests, display):  # noqa: F811
    checked = run_check(values(chests, max_new_tokens=5), (), display)
    (found,) = [f for f in checked.report.findings if f.code == "long-answers"]
    assert (
        "56 answers of 56 looked at have more tokens than generation.max_new_tokens (5"
        in found.message
    )


def test_one_long_answer():
    facts = TextFacts(np.array([9, 9]), np.array([5, 8]), np.array([5, 6]), 2)
    assert find_long_answers(facts, 6) == []
    (found,) = find_long_answers(facts, 5)
    assert "1 answer of 2 looked at" in found.message


def test_missing_answers_are_an_error(chests, display):  # noqa: F811
    without = values(chests)
    del without["data"]["options"]["text_column"]
    checked = run_check(without, (), display)
    assert checked.report.failed
    assert any("has no answer for 56 of 56" in f.message for f in checked.report.findings)


def test_the_language_head_costs_something(chests, display):  # noqa: F811
    """A classifier of the same data needs fewer operations an example."""
    writing = run_check(values(chests), (), display).report.facts["estimate"]
    told = values(chests) | {"task": "classify"}
    reading = run_check(told, (), display).report.facts["estimate"]
    assert writing["language_flops"] > reading["language_flops"]
    assert writing["trained"] > reading["trained"]


def test_a_template_that_fails_on_an_answer_is_refused_by_check_and_by_training(
    chests,  # noqa: F811
    display,
    tmp_path,
):
    folder = copy_of_miniature(tmp_path / "copy")
    template = folder / "chat_template.jinja"
    fails = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ 1 // 0 }}{% endif %}{% endfor %}"
    )
    template.write_text(fails + template.read_text())
    told = values(chests) | {"model": {"backbone": str(folder)}}
    findings = run_check(told, (), display).report.findings
    (finding,) = [f for f in findings if f.severity == "error"]
    assert finding.code == "model"
    with pytest.raises(InputError, match="chat template"):
        train(build_recipe(told), tmp_path / "run", display)
    assert not (tmp_path / "run").exists()


def test_texts_need_no_label(chests, display):  # noqa: F811
    without = values(chests)
    options = without["data"]["options"]
    without["data"]["options"] = options | {"label_column": None, "classes": None}
    checked = run_check(without, (), display)
    assert not checked.report.failed
    assert not any(f.code == "one-class" for f in checked.report.findings)
