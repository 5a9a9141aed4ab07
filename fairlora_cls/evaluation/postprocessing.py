"""What would other probabilities or other thresholds give? Fitted on validation, applied to test.

N examples, K classes. The model stays as it is. Every way is a row of METHODS: probabilities
recalibrated, thresholds that reach a sensitivity, and fairlearn's ThresholdOptimizer (Hardt et al.
2016: thresholds per group, randomised between two where one cannot meet the constraint). The ways by
group need the group of every image when the model is used. No test label is looked at.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.alignment import in_class_order
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions
from fairlora_cls.evaluation.recalibration import (
    Fit,
    fit_intercept,
    fit_isotonic,
    fit_temperature,
)
from fairlora_cls.evaluation.thresholds import (
    ARGMAX,
    SENSITIVITY,
    YOUDEN,
    ThresholdRule,
    apply_operating_point,
    best_threshold,
    choose_operating_point,
    describe_operating_point,
)

CONSTRAINTS = (
    "equalized_odds",
    "demographic_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "true_negative_rate_parity",
    "false_negative_rate_parity",
)
ACCURACIES = ("accuracy_score", "balanced_accuracy_score")
CONSTRAINT = "constraint"  # the method that is named by its constraint
MINIMUM, MINIMUM_BY_GROUP = "minimum-sensitivity", "minimum-sensitivity-by-group"
EVERYONE = "everyone"  # stands where a group could stand


@dataclass(frozen=True)
class Task:
    """One model's predictions for two splits, and how they are to be post-processed."""

    test: Predictions
    validation: Predictions  # labelled; classes in the order of test's
    attribute: str  # a column of both, or an intersection such as "sex×race"
    rule: str = ARGMAX  # that decides on recalibrated probabilities; see `thresholds.py`
    constraint: str = "equalized_odds"  # of CONSTRAINTS
    objective: str = "accuracy_score"  # of ACCURACIES
    minimum_sensitivity: float = 0.9
    seed: int = 42  # of fairlearn's randomised predictions


@dataclass(frozen=True)
class Answers:
    """What one way gives."""

    test: Predictions
    validation: Predictions  # by the same fit, which was made on them
    fitted: Mapping[str, float]  # group, or EVERYONE → temperature, shift of log-odds or threshold
    decision: str  # what decides, in a sentence


@dataclass(frozen=True)
class Method:
    """A way: what it does, in words, and how; `by_group` where it needs each image's group."""

    what: str
    make: Callable[[Task, "Method"], Answers]
    by_group: bool = False
    any_classes: bool = False  # not of two only


@dataclass(frozen=True)
class Row:
    """A way and what came of it."""

    name: str  # as its table is called: the method, or the constraint
    method: Method
    answers: Answers | None
    refusal: str = ""  # why there are no answers


def build_task(test: Predictions, validation: Predictions, attribute: str, **options) -> Task:
    """Checks what all ways need. options: the further fields of `Task`.

    Raises InputError for tables of different classes or without the attribute, validation images
    without a label, and an unknown constraint or objective.
    """
    if set(test.classes) != set(validation.classes):
        raise InputError(
            "post-processing needs the same classes in both tables; test has "
            f"{', '.join(test.classes)} and validation {', '.join(validation.classes)}"
        )
    if (validation.labels == UNLABELLED).any():
        raise InputError("the validation predictions have images without a label")
    task = Task(test, in_class_order(validation, test), attribute, **options)
    for what, value, known in (
        ("constraint", task.constraint, CONSTRAINTS),
        ("objective", task.objective, ACCURACIES),
    ):
        if value not in known:
            raise InputError(f"{what} '{value}' is not one{nearest(value, known)}")
    if not 0 < task.minimum_sensitivity <= 1:
        raise InputError(
            f"the minimum sensitivity is {task.minimum_sensitivity:g}; it must be a fraction above 0 "
            "and up to 1, such as 0.9"
        )
    for table in (test, validation):
        grouping_of(table, attribute)
    return task


def postprocess(task: Task, names: Iterable[str] | None = None) -> list[Row]:
    """The rows of METHODS that are named, or all; one that these data do not allow says why.

    Raises InputError for an unknown name, and where no row remains: the first one's reason.
    """
    names = list(dict.fromkeys(METHODS if names is None else names))
    for name in names:
        if name not in METHODS:
            raise InputError(f"method '{name}' is not one{nearest(name, METHODS)}")
    rows = [_row(task, name) for name in names]
    if not any(row.answers for row in rows):
        raise InputError(rows[0].refusal)
    return rows


def postprocess_predictions(
    test: Predictions,
    validation: Predictions,
    attribute: str,
    constraint: str = "equalized_odds",
    *,
    objective: str = "accuracy_score",
    seed: int = 42,
) -> Predictions:
    """The test predictions with classes chosen anew by fairlearn's ThresholdOptimizer, probabilities
    as they were.

    attribute, constraint, objective, seed: as of `Task`
    Raises InputError as `build_task`, for more than two classes, and for groups that validation lacks
    or of which it has one label only.
    """
    task = build_task(
        test, validation, attribute, constraint=constraint, objective=objective, seed=seed
    )
    (row,) = postprocess(task, [CONSTRAINT])
    return row.answers.test


def _row(task: Task, name: str) -> Row:
    method = METHODS[name]
    shown = task.constraint if name == CONSTRAINT else name
    try:
        if len(task.test.classes) > 2 and not method.any_classes:
            raise InputError(
                f"all but temperature needs two classes, and these predictions have {len(task.test.classes)} "
                f"({', '.join(task.test.classes)})"
            )
        return Row(shown, method, method.make(task, method))
    except InputError as error:
        return Row(shown, method, None, str(error))


@dataclass(frozen=True)
class _Part:
    """Examples that are fitted together."""

    name: str  # a group, or EVERYONE
    of_whom: str
    validation: np.ndarray  # (N validation,) bool
    test: np.ndarray  # (N test,) bool


def _parts(task: Task, by_group: bool) -> list[_Part]:
    """Everyone, or each group of the test split. Raises InputError where a group has no validation
    images, or they have one label only."""
    images, labels = f"the validation images ({len(task.validation.ids):,})", task.validation.labels
    if not by_group:
        _require_two_labels(images, labels)
        validation, test = (np.ones(len(t.ids), dtype=bool) for t in (task.validation, task.test))
        return [_Part(EVERYONE, images, validation, test)]
    groups, attribute = task.validation.group_names(task.attribute), task.attribute
    tested = grouping_of(task.test, attribute)
    absent = sorted(set(tested.names) - set(groups))
    if absent:
        count = int(np.isin(task.test.group_names(attribute), absent).sum())
        raise InputError(
            f"validation has no image of the {attribute} '{absent[0]}' ({count} test images are of "
            "groups without validation images), so nothing can be fitted to it; merge groups or "
            "name another attribute"
        )
    parts = {}
    for group in np.unique(groups):
        members = groups == group
        of_whom = f"the validation images ({members.sum():,}) of the {attribute} '{group}'"
        _require_two_labels(of_whom, labels[members])
        parts[str(group)] = of_whom, members
    return [
        _Part(group, *parts[group], tested.codes == code) for code, group in enumerate(tested.names)
    ]


def _require_two_labels(of_whom: str, labels: np.ndarray) -> None:
    if len(np.unique(labels)) < 2:
        raise InputError(
            f"{of_whom} have one label only, so nothing can be fitted to them; merge groups or name "
            "another attribute"
        )


def _recalibrated(task: Task, method: Method, *, fit: Fit) -> Answers:
    """Probabilities changed, everyone's alike or each group's by its own fit; then decided anew by
    the task's rule."""
    changed = [table.probabilities.copy() for table in (task.validation, task.test)]
    labels, positive, fitted = task.validation.labels, task.test.positive, {}
    for part in _parts(task, method.by_group):
        given = task.validation.probabilities[part.validation]
        found = fit(given, labels[part.validation], positive, part.of_whom)
        changed[0][part.validation] = found.apply(given)
        changed[1][part.test] = found.apply(task.test.probabilities[part.test])
        if found.number is not None:
            fitted[part.name] = found.number
    validation = replace(task.validation, probabilities=changed[0])
    test = replace(task.test, probabilities=changed[1])
    point = choose_operating_point(task.rule, test.classes, test.classes[positive], validation)
    return Answers(
        apply_operating_point(test, point),
        apply_operating_point(validation, point),
        fitted,
        f"On the changed probabilities: {describe_operating_point(point)}",
    )


def _at_thresholds(task: Task, method: Method, *, rule: str) -> Answers:
    """One threshold for everyone, or one for each group, chosen by a rule."""
    truth, score = _truth(task), _score(task.validation)
    wanted = ThresholdRule(rule, task.minimum_sensitivity)
    fitted, cuts = {}, [np.empty(len(table.ids)) for table in (task.validation, task.test)]
    for part in _parts(task, method.by_group):
        threshold = best_threshold(wanted, truth[part.validation], score[part.validation])
        fitted[part.name] = cuts[0][part.validation] = cuts[1][part.test] = threshold
    whose = "their group's threshold" if method.by_group else "the threshold"
    return Answers(
        _decided(task.test, cuts[1]),
        _decided(task.validation, cuts[0]),
        fitted,
        _calls(task, whose),
    )


def _at_lowest_threshold(task: Task, method: Method) -> Answers:
    """The highest threshold for everyone that reaches the minimum sensitivity in every group that has
    positive validation images: the lowest of their own."""
    _parts(task, by_group=False)
    truth, score = _truth(task), _score(task.validation)
    wanted = ThresholdRule(SENSITIVITY, task.minimum_sensitivity)
    groups = task.validation.group_names(task.attribute)
    own = {}
    for group in np.unique(groups[truth]):
        # Which negatives stand beside a group's positives does not move its sensitivity.
        rows = ~truth | (groups == group)
        own[str(group)] = best_threshold(wanted, truth[rows], score[rows])
    lowest = min(own, key=own.get)
    unchecked = [name for name in grouping_of(task.test, task.attribute).names if name not in own]
    decision = f"{_calls(task, 'the threshold')} It is that of the group {lowest}."
    if unchecked:
        decision += (
            f" Not looked at, since validation has no positive image of it: {', '.join(unchecked)}."
        )
    cuts = (np.full(len(table.ids), own[lowest]) for table in (task.test, task.validation))
    test, validation = map(_decided, (task.test, task.validation), cuts)
    return Answers(test, validation, {EVERYONE: own[lowest]}, decision)


class _Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose input is the positive class's probability, (N, 1)."""

    def fit(self, scores: np.ndarray, labels: np.ndarray) -> "_Scores":
        self.classes_ = np.unique(labels)  # by which scikit-learn knows that it is fitted
        return self

    def predict_proba(self, scores: np.ndarray) -> np.ndarray:
        return np.hstack([1 - scores, scores])


def _constrained(task: Task, method: Method) -> Answers:
    """fairlearn's thresholds per group under the task's constraint."""
    from fairlearn.postprocessing import ThresholdOptimizer

    _parts(task, method.by_group)
    optimizer = ThresholdOptimizer(
        estimator=_Scores(),
        constraints=task.constraint,
        objective=task.objective,
        predict_method="predict_proba",
    )
    optimizer.fit(
        _score(task.validation)[:, None],
        _truth(task).astype(int),
        sensitive_features=task.validation.group_names(task.attribute),
    )

    def decided(table: Predictions) -> Predictions:
        chosen = optimizer.predict(
            _score(table)[:, None],
            sensitive_features=table.group_names(task.attribute),
            random_state=task.seed,
        )
        return _chosen(table, np.asarray(chosen) == 1)

    decision = (
        f"fairlearn's ThresholdOptimizer under {task.constraint}, best {task.objective}: each group "
        "has a threshold, or two between which chance decides."
    )
    return Answers(decided(task.test), decided(task.validation), {}, decision)


def _truth(task: Task) -> np.ndarray:
    return task.validation.labels == task.test.positive


def _score(table: Predictions) -> np.ndarray:
    return table.probabilities[:, table.positive]


def _decided(table: Predictions, cuts: np.ndarray) -> Predictions:
    """Each image at its own threshold, (N,)."""
    return _chosen(table, _score(table) >= cuts)


def _chosen(table: Predictions, is_positive: np.ndarray) -> Predictions:
    return replace(table, predictions=np.where(is_positive, table.positive, 1 - table.positive))


def _calls(task: Task, whose: str) -> str:
    positive = task.test.classes[task.test.positive]
    return f"An image is called '{positive}' where the model's probability of it reaches {whose}."


_SHARPER = "Probabilities sharpened or softened by a temperature"
_SHIFTED = "Probabilities shifted until their mean is the share of cases"
_STEPPED = "Probabilities replaced by the share of cases at such scores, by a rising curve"
_OWN = "each group's own"
METHODS: dict[str, Method] = {
    "temperature": Method(
        f"{_SHARPER}, one for all", partial(_recalibrated, fit=fit_temperature), any_classes=True
    ),
    "temperature-by-group": Method(
        f"{_SHARPER}, {_OWN}", partial(_recalibrated, fit=fit_temperature), True, True
    ),
    "intercept": Method(f"{_SHIFTED}, all alike", partial(_recalibrated, fit=fit_intercept)),
    "intercept-by-group": Method(
        f"{_SHIFTED}, each group by itself", partial(_recalibrated, fit=fit_intercept), True
    ),
    "isotonic": Method(f"{_STEPPED}, one curve for all", partial(_recalibrated, fit=fit_isotonic)),
    "isotonic-by-group": Method(
        f"{_STEPPED}, {_OWN}", partial(_recalibrated, fit=fit_isotonic), True
    ),
    "youden": Method(
        "One threshold for all: sensitivity + specificity is largest",
        partial(_at_thresholds, rule=YOUDEN),
    ),
    "youden-by-group": Method(
        "A threshold for each group: its sensitivity + specificity is largest",
        partial(_at_thresholds, rule=YOUDEN),
        True,
    ),
    MINIMUM: Method(
        "One threshold for all, the highest that reaches the minimum sensitivity in every group",
        _at_lowest_threshold,
    ),
    MINIMUM_BY_GROUP: Method(
        "A threshold for each group, the highest that reaches the minimum sensitivity in it",
        partial(_at_thresholds, rule=SENSITIVITY),
        True,
    ),
    CONSTRAINT: Method(
        "Thresholds by group, randomised, that meet a constraint of fairlearn's",
        _constrained,
        True,
    ),
}
