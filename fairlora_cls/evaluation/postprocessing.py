"""What would group-specific thresholds give? fairlearn's ThresholdOptimizer on a model's scores.

N examples. Hardt et al. 2016: thresholds per group, randomised between two where one cannot meet
the constraint, chosen on validation predictions and applied to test predictions. The model stays
as it is; the group of every image must be known when it is used.
"""

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.thresholds import scores_to_choose_on

CONSTRAINTS = (
    "equalized_odds",
    "demographic_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "true_negative_rate_parity",
    "false_negative_rate_parity",
)
ACCURACIES = ("accuracy_score", "balanced_accuracy_score")


class _Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose input is the positive class's probability, (N, 1)."""

    def fit(self, scores: np.ndarray, labels: np.ndarray) -> "_Scores":
        self.classes_ = np.unique(labels)  # by which scikit-learn knows that it is fitted
        return self

    def predict_proba(self, scores: np.ndarray) -> np.ndarray:
        return np.hstack([1 - scores, scores])


def postprocess_predictions(
    test: Predictions,
    validation: Predictions,
    attribute: str,
    constraint: str = "equalized_odds",
    *,
    objective: str = "accuracy_score",
    seed: int = 42,
) -> Predictions:
    """The test predictions with classes chosen anew, probabilities as they were.

    attribute: a column of both tables, or an intersection such as "sex×race"
    constraint, objective: of CONSTRAINTS and ACCURACIES, as in fairlearn
    seed: of the randomised predictions
    Raises InputError for more than two classes, for validation images without a label, and for
    groups that validation lacks or of which it has one label only.
    """
    from fairlearn.postprocessing import ThresholdOptimizer

    for what, value, known in (
        ("constraint", constraint, CONSTRAINTS),
        ("objective", objective, ACCURACIES),
    ):
        if value not in known:
            raise InputError(f"{what} '{value}' is not one{nearest(value, known)}")
    if len(test.classes) != 2 or set(test.classes) != set(validation.classes):
        raise InputError(
            "post-processing needs the same two classes in both tables; test has "
            f"{', '.join(test.classes)} and validation {', '.join(validation.classes)}"
        )
    truth, score = scores_to_choose_on(validation, test.classes, test.classes[test.positive])
    groups, test_groups = validation.group_names(attribute), test.group_names(attribute)
    _require_usable_groups(attribute, truth, groups, test_groups)
    optimizer = ThresholdOptimizer(
        estimator=_Scores(),
        constraints=constraint,
        objective=objective,
        predict_method="predict_proba",
    )
    optimizer.fit(score[:, None], truth.astype(int), sensitive_features=groups)
    chosen = optimizer.predict(
        test.probabilities[:, [test.positive]],
        sensitive_features=test_groups,
        random_state=seed,
    )
    codes = np.where(np.asarray(chosen) == 1, test.positive, 1 - test.positive)
    return replace(test, predictions=codes)


def _require_usable_groups(
    attribute: str, truth: np.ndarray, groups: np.ndarray, test_groups: np.ndarray
) -> None:
    absent = sorted(set(test_groups) - set(groups))
    if absent:
        count = int(np.isin(test_groups, absent).sum())
        raise InputError(
            f"validation has no image of the {attribute} '{absent[0]}' ({count} test images are of "
            "groups without validation images), so no threshold can be chosen for it; merge groups "
            "or name another attribute"
        )
    for group in np.unique(groups):
        members = truth[groups == group]
        if members.all() or not members.any():
            raise InputError(
                f"the {len(members)} validation images of the {attribute} '{group}' have one label "
                "only, so no threshold can be chosen for it; merge groups or name another attribute"
            )
