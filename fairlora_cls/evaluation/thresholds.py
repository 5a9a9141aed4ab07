"""At which probability is an image called positive? Chosen on validation, applied to test.

A rule is written as text: `argmax` (the most probable class), a number (the positive class from
that probability on), `youden` (largest sensitivity + specificity), or `sensitivity=0.9` (the
highest threshold that reaches that sensitivity). Only argmax fits more than two classes.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions, read_predictions
from fairlora_cls.presentation.document import Section
from fairlora_cls.presentation.numbers import RATE

ARGMAX, FIXED, YOUDEN, SENSITIVITY = "argmax", "fixed", "youden", "sensitivity"
SAME = "the judged images themselves"
ROUNDING = 1e-9  # a sensitivity reached by another fraction counts as reached


@dataclass(frozen=True)
class ThresholdRule:
    """How the operating point is chosen; `value` is the threshold or the sensitivity asked for."""

    name: str
    value: float | None = None

    @property
    def needs_validation(self) -> bool:
        return self.name in (YOUDEN, SENSITIVITY)


@dataclass(frozen=True)
class OperatingPoint:
    """The threshold that decides, and what it gave where it was chosen."""

    rule: str  # as the user wrote it
    positive: str  # the class predicted from the threshold on
    threshold: float | None  # a probability in [0, 1]; None: argmax
    chosen_on: str | None  # validation, or SAME; None: it was given
    images: int | None  # that it was chosen on
    sensitivity: float | None  # there
    specificity: float | None


def parse_threshold(text: str) -> ThresholdRule:
    """Reads a rule. Raises InputError for anything else than the four kinds above."""
    name, separator, number = str(text).strip().partition("=")
    if not separator and name in (ARGMAX, YOUDEN):
        return ThresholdRule(name)
    if (separator and name == SENSITIVITY) or (not separator and _is_number(name)):
        kind, value = (SENSITIVITY, number) if separator else (FIXED, name)
        if not _is_number(value) or not 0 <= float(value) <= 1:
            raise InputError(
                f"threshold '{text}': {value or 'nothing'} must be a fraction between 0 and 1, such "
                f"as {'sensitivity=0.9' if separator else '0.3'}"
            )
        return ThresholdRule(kind, float(value))
    known = (ARGMAX, YOUDEN, "sensitivity=0.9", "0.3")
    raise InputError(f"threshold '{text}' is not a rule{nearest(str(text), known)}")


def require_two_classes(rule: ThresholdRule, classes: tuple[str, ...]) -> None:
    """Raises InputError where a threshold is asked of more than two classes."""
    if rule.name != ARGMAX and len(classes) > 2:
        raise InputError(
            f"a threshold needs two classes, and these predictions have {len(classes)} "
            f"({', '.join(classes)}); use argmax"
        )


def choose_operating_point(
    text: str, classes: tuple[str, ...], positive: str, validation: Predictions | None
) -> OperatingPoint:
    """The operating point of a rule. Youden and a target sensitivity look at validation only.

    classes, positive: of the predictions to be judged
    validation: predictions of the same model for other images, with labels
    Raises InputError where validation predictions are needed and missing, or hold one class only.
    """
    rule = parse_threshold(text)
    require_two_classes(rule, classes)
    if not rule.needs_validation:
        return OperatingPoint(str(text), positive, rule.value, None, None, None, None)
    if validation is None:
        raise InputError(
            f"threshold '{text}' is chosen on validation predictions, and there are none here; put a "
            "validation.csv beside the table, name one with --validation, or use argmax or a number"
        )
    truth, score = scores_to_choose_on(validation, classes, positive)
    threshold = best_threshold(rule, truth, score)
    selected = score >= threshold
    return OperatingPoint(
        rule=str(text),
        positive=positive,
        threshold=threshold,
        chosen_on="validation",
        images=len(score),
        sensitivity=float(selected[truth].mean()),
        specificity=float((~selected)[~truth].mean()),
    )


def load_validation(
    test: Path, validation: Path | None = None, positive: str | None = None
) -> Predictions | None:
    """The validation predictions that belong to a test table: the file named, or validation.csv
    beside it, as a run folder has; None where there is neither.

    Raises InputError where the file named is the test table itself.
    """
    beside = test.with_name("validation.csv")
    table = validation or (beside if beside.is_file() else None)
    if table is None or (validation is None and table.resolve() == test.resolve()):
        return None
    if table.resolve() == test.resolve():
        raise InputError(
            f"'{table}' is the table that is judged; a threshold chosen on it would flatter it: name "
            "predictions for other images with --validation"
        )
    return read_predictions(table, positive=positive)


def apply_operating_point(predictions: Predictions, point: OperatingPoint) -> Predictions:
    """The predictions that the operating point gives; probabilities stay as they are."""
    if point.threshold is None:
        return replace(predictions, predictions=predictions.probabilities.argmax(axis=1))
    code = predictions.classes.index(point.positive)
    selected = predictions.probabilities[:, code] >= point.threshold
    return replace(predictions, predictions=np.where(selected, code, 1 - code))


def judge_by_rule(
    predictions: Predictions, text: str, validation: Predictions | None
) -> tuple[Predictions, Section]:
    """The predictions at the operating point of a rule, and the part of the report that states it."""
    positive = predictions.classes[predictions.positive]
    point = choose_operating_point(text, predictions.classes, positive, validation)
    if point.chosen_on and is_same_table(predictions, validation):
        point = replace(point, chosen_on=SAME)
    return apply_operating_point(predictions, point), operating_point_section(point)


def judge_file(
    predictions: Predictions, text: str, file: Path, validation: Path | None = None
) -> tuple[Predictions, Section]:
    """`judge_by_rule` of the predictions of a file, with the validation predictions that belong to it;
    these are read only where they are named or the rule needs them."""
    needed = validation is not None or parse_threshold(text).needs_validation
    return judge_by_rule(predictions, text, load_validation(file, validation) if needed else None)


def describe_operating_point(point: OperatingPoint) -> str:
    """One sentence: positive class, threshold, and where it was chosen."""
    if point.threshold is None:
        return "Every image is given its most probable class (argmax)."
    text = (
        f"An image is called '{point.positive}' where the model gives that class a probability of "
        f"{point.threshold:.4g} or more"
    )
    if point.chosen_on is None:
        return f"{text}; this threshold was given, not chosen on data."
    why = (
        "sensitivity + specificity is largest there"
        if point.rule == YOUDEN
        else f"the highest threshold with a {point.rule.replace('=', ' of at least ')}"
    )
    looked = (
        "the very images judged here, which flatters every number"
        if point.chosen_on == SAME
        else "not on the images judged here"
    )
    return (
        f"{text}; chosen on {point.images:,} validation images ({why}: sensitivity "
        f"{RATE.show(point.sensitivity)}, specificity {RATE.show(point.specificity)}), {looked}."
    )


def operating_point_section(point: OperatingPoint) -> Section:
    """The report's part on the operating point."""
    sentences = (describe_operating_point(point),)
    return Section("Operating point", sentences, key="operating_point", values=asdict(point))


def scores_to_choose_on(
    validation: Predictions, classes: tuple[str, ...], positive: str
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each validation image is positive, and its probability of being so, (N,) each.

    Raises InputError for other classes than `classes`, images without a label, and one class only.
    """
    if set(validation.classes) != set(classes):
        raise InputError(
            f"the validation predictions have the classes {', '.join(validation.classes)}, and the "
            f"test predictions {', '.join(classes)}"
        )
    if (validation.labels == UNLABELLED).any():
        raise InputError("the validation predictions have images without a label")
    code = validation.classes.index(positive)
    truth = validation.labels == code
    if truth.all() or not truth.any():
        raise InputError(
            f"all {len(truth)} validation images are of one class, so no threshold can be chosen on "
            "them; use argmax or a number"
        )
    return truth, validation.probabilities[:, code]


def is_same_table(predictions: Predictions, validation: Predictions) -> bool:
    """Whether both hold the same answers to the same examples."""
    return predictions.ids == validation.ids and np.allclose(
        predictions.probabilities, validation.probabilities
    )


def best_threshold(rule: ThresholdRule, truth: np.ndarray, score: np.ndarray) -> float:
    """The highest of the thresholds that fulfil a rule, youden or a sensitivity.

    truth: (N,) whether an example is positive, some are and some are not; score: (N,)
    """
    from sklearn.metrics import roc_curve

    # Highest first; the very first selects nobody.
    false_rate, true_rate, thresholds = (
        part[1:] for part in roc_curve(truth, score, drop_intermediate=False)
    )
    if rule.name == YOUDEN:
        return float(thresholds[(true_rate - false_rate).argmax()])
    return float(thresholds[(true_rate >= rule.value - ROUNDING).argmax()])


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False
