"""Does a run's answer depend on how the patient is described? The same images, asked in other words.

N answers: an image's class, or the texts about it, one for each question. Q questions that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.batching import ordered_batches
from fairlora_cls.data.demographic_words import (
    AGE,
    demographic_words,
    read_phrases,
    worded_attributes,
)
from fairlora_cls.data.examples import Example, limit_splits
from fairlora_cls.data.groups import INTERSECTION, single_attributes
from fairlora_cls.data.prompts import cut_text, fill_prompt, find_fields, question_of
from fairlora_cls.data.questions import Turn, ask_all
from fairlora_cls.data.rewording import AGE_FIELDS, BEFORE, Reworder, Words
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.rewording import Answers, Effect, judge, measure_effect
from fairlora_cls.evaluation.rewording_page import STEM, Rewording, write_rewording
from fairlora_cls.evaluation.thresholds import (
    apply_operating_point,
    choose_operating_point,
    describe_operating_point,
)
from fairlora_cls.recipe import changed
from fairlora_cls.runs.assembly import treat_splits
from fairlora_cls.runs.classify import ask_about_images, collect, predict_logits, softmax
from fairlora_cls.runs.context import RunContext, read_images
from fairlora_cls.runs.folder import claim_report_folder, recipe_of
from fairlora_cls.runs.generate import prompt_encoder, questions_of, row_of, write_texts
from fairlora_cls.runs.saved import load_asked, load_engine, read_settings
from fairlora_cls.runs.train import TASKS
from fairlora_cls.texts.generations import generations_of
from fairlora_cls.texts.scores import metric_row, score_texts, usual_metrics
from fairlora_cls.training.loop import Display, SilentDisplay

NEUTRAL = 10  # neutral wordings of each attribute
FEWEST_WORDS = 3  # of a field, on average, for a clause to stand in front of it
PROMPTED = ("report", "label")  # rows of QUESTIONS that ask the prompt
STREAM = 77  # of the random numbers of effects

# What was asked: the image's place in its split, and the question.
Asked = tuple[int, str]
# Every question → the shifts and flips (N,) of any N of them against N others, both as places.
Compare = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def reword(
    run: Path,
    display: Display = SilentDisplay(),  # noqa: B008
    *,
    split: str = "test",
    data: Mapping[str, Any] | None = None,
    attributes: Sequence[str] | None = None,
    phrases: Path | None = None,
    limit: int | None = None,
    output: Path | None = None,
    bootstrap: int = 1000,
    seed: int = 42,
    model: str | None = None,
    allow_urls: bool = False,
) -> Rewording:
    """Ask a run about a split's images again, with the patients described otherwise, and write what
    that changes as wording.json, .md and .html into `output` (default `<run>/wording`).

    attributes: those whose words are changed, and intersections (sex×race); None: all that there are
        words for; phrases: file of words in place of the run's own or the English ones; limit: of
        examples; the others are as in `evaluate`. Raises InputError for an attribute without words.
    """
    recipe = recipe_of(run)
    task = TASKS[recipe.task]
    settings = read_settings(run, recipe, model)
    recipe = changed(recipe, {"data": data or {}})
    said = read_phrases(phrases) if phrases else recipe.data.words_of_people()
    reworder = Reworder(said, BEFORE, recipe.data.taken_out())
    asked = tuple(dict.fromkeys(attributes or worded_attributes(reworder.phrases)))
    demographic_words(single_attributes(asked), reworder.phrases)
    for name in asked:
        if len(set(name.split(INTERSECTION))) < name.count(INTERSECTION) + 1:
            raise InputError(f"'{name}' joins an attribute with itself; name each once.")
    folder = output or run / "wording"
    claim_report_folder(folder, STEM)

    recipe, loaded, _ = load_asked(run, recipe, settings, split, data, allow_urls)
    # The words are redacted once they are changed, as they would be in the patient's record.
    splits, notes = treat_splits(changed(recipe, {"data": {"redact": []}}), loaded, only=split)
    splits = limit_splits(splits, limit)
    validation = task.read_validation(run, recipe, loaded)
    engine = load_engine(run, recipe, settings)
    context = read_images(RunContext(recipe, splits, engine, folder, display, notes), True, False)

    examples = context.splits.split(split)
    if not examples:
        raise InputError(
            f"No example of the {split} split has all words (data.missing_words: drop)."
        )
    described = _describe(context, examples)
    reworder = replace(reworder, place=_place(described, asked))
    table = _Questions(context, examples)
    own = table.ask(described)
    readings = []
    for attribute in asked:
        wordings = reworder.wordings(attribute)
        neutral = reworder.neutral(attribute, NEUTRAL, seed)
        places = [
            table.ask([w.change(words) for words in described]) for w in (*wordings, *neutral)
        ]
        readings.append((attribute, wordings, neutral, places))
    rows = table.rows
    if recipe.task == "generate":
        compare, facts = _compare_texts(context, split, rows, own)
    else:
        compare, facts = _compare_classes(context, split, rows, own, validation)

    effects: list[Effect] = []
    for attribute, wordings, neutral, places in readings:
        answers = [
            Answers(w.name, w.phrase, changed_places != own, *compare(changed_places, own))
            for w, changed_places in zip((*wordings, *neutral), places, strict=True)
        ]
        says = np.array([reworder.says(words, attribute) for words in described])[table.of_answer]
        groups = [_group(examples[i], attribute) for i in table.of_answer]
        for each in answers[: len(wordings)]:
            effects.append(
                measure_effect(
                    attribute,
                    each,
                    answers[len(wordings) :],
                    says,
                    [examples[i].unit for i in table.of_answer],
                    groups,
                    np.random.default_rng([seed, STREAM, len(effects)]),
                    resamples=bootstrap,
                    of_texts=recipe.task == "generate",
                )
            )
    done = Rewording(
        run=run.resolve().name,
        task=recipe.task,
        split=split,
        images=len(examples),
        answers=len(own),
        effects=tuple(judge(effects)),
        neutral={a: tuple(w.name for w in neutral) for a, _, neutral, _ in readings},
        in_words=reworder.place != BEFORE or any(len(words) > 1 for words in described),
        redacted=tuple(recipe.data.redact),
        passes=len(rows),
        notes=context.notes,
        bootstrap=bootstrap,
        seed=seed,
        **facts,
    )
    if engine.accelerator.is_main_process:
        write_rewording(done, folder)
    return done


class _Questions:
    """All questions that are asked of the images, each once."""

    def __init__(self, context: RunContext, examples: Sequence[Example]):
        self.context, self.examples = context, examples
        self.known: dict[Asked, int] = {}
        self.of_answer: list[int] = []  # the example of each of the N answers

    @property
    def rows(self) -> list[Asked]:
        return list(self.known)

    def ask(self, described: Sequence[Words]) -> np.ndarray:
        """Where in `rows` the questions stand about patients described so, (N,)."""
        data = self.context.recipe.data
        tokenizer = self.context.engine.model.backbone.processor.tokenizer
        taken_out, places, owners = data.taken_out(), [], []
        for place, (example, words) in enumerate(zip(self.examples, described, strict=True)):
            fitted = {
                name: cut_text(taken_out.take_out(text)[0], data.max_words_tokens, tokenizer)
                for name, text in words.items()
                if name != BEFORE
            }
            for question in self._questions(example, fitted):
                asked = place, f"{words[BEFORE]} {question}".strip()
                places.append(self.known.setdefault(asked, len(self.known)))
                owners.append(place)
        self.of_answer = owners
        return np.array(places)

    def _questions(self, example: Example, words: Words) -> list[str]:
        recipe, splits = self.context.recipe, self.context.splits
        prompt, own = question_of(recipe.data.prompt, splits), {**example.words, **words}
        if recipe.task == "classify":
            return [fill_prompt(prompt, own)]
        one = [replace(example, words=own)]
        turns = ask_all(one, recipe.data.questions, splits.classes, prompt)[0]
        return [turn.question for turn in turns]


def _describe(context: RunContext, examples: Sequence[Example]) -> list[Words]:
    """What the model is told of each patient, besides the image."""
    recipe = context.recipe
    prompted = recipe.task == "classify" or recipe.data.questions in PROMPTED
    fields = find_fields(question_of(recipe.data.prompt, context.splits)) if prompted else ()
    return [{BEFORE: "", **{name: e.words[name] or "" for name in fields}} for e in examples]


def _place(described: Sequence[Words], attributes: Sequence[str]) -> str:
    """The field that holds most words and is no attribute; BEFORE where none holds sentences."""
    lengths = {
        name: sum(len(words[name].split()) for words in described) / len(described)
        for name in described[0]
        if name not in (BEFORE, *single_attributes(attributes), *AGE_FIELDS)
    }
    longest = max(lengths, key=lengths.__getitem__, default=BEFORE)
    return longest if lengths.get(longest, 0) >= FEWEST_WORDS else BEFORE


def _group(example: Example, attribute: str) -> str:
    """The patient's own group; "" where a part of it is not known."""
    names = [AGE_FIELDS[1] if part == AGE else part for part in attribute.split(INTERSECTION)]
    own = [example.attributes.get(name) for name in names]
    return INTERSECTION.join(map(str, own)) if all(own) else ""


def _compare_classes(
    context: RunContext, split: str, rows: Sequence[Asked], own: np.ndarray, validation: Any
) -> tuple[Compare, dict[str, Any]]:
    """By the probability of the positive class, of more than two classes that of the class which is
    predicted from the patient's own words; and by the decision at the run's operating point."""
    examples, classes = context.splits.split(split), context.splits.classes
    features = context.features[split]
    make = ask_about_images(
        context.engine.model.backbone,
        [question for _, question in rows],
        lambda indices: features([rows[i][0] for i in indices]),
    )
    context.display.stage("Asking in other words", len(rows))
    names = [examples[place].id for place, _ in rows]
    logits = predict_logits(context.engine, make, names, len(classes), context.display.advance)
    probabilities = softmax(logits)
    table = collect(context.recipe, examples, logits[own], classes)
    rule = context.recipe.report.threshold
    point = choose_operating_point(rule, table.classes, table.classes[table.positive], validation)

    def decide(places: np.ndarray) -> np.ndarray:
        return apply_operating_point(
            replace(table, probabilities=probabilities[places]), point
        ).predictions

    several = len(classes) > 2
    followed = decide(own) if several else np.full(len(own), table.positive)

    def compare(places: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        of_place, of_other = probabilities[places], probabilities[others]
        people = np.arange(len(own))
        shifts = of_place[people, followed] - of_other[people, followed]
        return shifts, decide(places) != decide(others)

    name = "the class that the own words give" if several else table.classes[table.positive]
    return compare, {
        "quantity": f"the predicted probability of {name}",
        "decided": describe_operating_point(point),
    }


def _compare_texts(
    context: RunContext, split: str, rows: Sequence[Asked], own: np.ndarray
) -> tuple[Compare, dict[str, Any]]:
    """By the text, which changes or does not, and by the first metric's score of it."""
    recipe, engine = context.recipe, context.engine
    encoder = prompt_encoder(engine.model.backbone)
    engine.model.eval()
    context.display.stage("Asking in other words", len(rows))
    texts: list[str] = []
    for places in ordered_batches(range(len(rows)), recipe.generation.batch_size):
        images = context.features[split]([rows[i][0] for i in places])
        turns = [Turn("question", rows[i][1], "") for i in places]
        written = write_texts(engine, encoder, turns, images, recipe.generation.max_new_tokens)
        texts += [text for text, _ in written]
        context.display.advance(len(places))
    answers = np.array(texts, dtype=object)
    asked = questions_of(recipe, context.splits, split)

    def table(places: np.ndarray) -> Any:
        return generations_of(
            row_of(recipe, context.splits.classes, one, text, True)
            for one, text in zip(asked, answers[places], strict=True)
        )

    free = [m for m in recipe.report.text_metrics or () if metric_row(m).needs is None]
    metric = (free or usual_metrics(table(own)))[0]
    scores: dict[bytes, np.ndarray] = {}

    def score(places: np.ndarray) -> np.ndarray:
        key = places.tobytes()
        if key not in scores:
            scores[key] = score_texts(table(places), metric).per_text[metric]
        return scores[key]

    def compare(places: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return score(places) - score(others), answers[places] != answers[others]

    return compare, {"quantity": metric_row(metric).label, "decided": ""}
