"""What run.json and the report say of a run's log."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fairlora_cls.run_state import runaway_notes

GROUPS = SimpleNamespace(recorded={"sex": SimpleNamespace(names=("F", "M"))})


def log(folder, losses):
    key = "mutual_information_classifier_loss/sex"
    lines = [json.dumps({"step": i, "loss": 1.0, key: loss}) for i, loss in enumerate(losses)]
    lines.append(json.dumps({"step": len(losses), "validation": {"loss": 1.0}}))
    (folder / "log.jsonl").write_text("\n".join(lines))


def test_a_classifier_that_guesses_or_learns_is_not_mentioned(tmp_path):
    log(tmp_path, [9.0] * 5 + [float(np.log(2))] * 15 + [0.1] * 5)
    assert runaway_notes(tmp_path, GROUPS) == ()


@pytest.mark.parametrize("last", [1.5, 14000.0])
def test_one_that_ended_far_worse_than_guessing_is(tmp_path, last):
    log(tmp_path, [0.7] * 30 + [last] * 20)
    (note,) = runaway_notes(tmp_path, GROUPS)
    assert f"The attribute classifier of sex ended with a loss of {last:.3g} nats" in note
    assert "guessing has 0.69" in note
    assert "objective.mutual_information.punish=smoothed_absolute" in note
