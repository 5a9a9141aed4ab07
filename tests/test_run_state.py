"""What run.json and the report say of a run's log."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fairlora_cls.runs.state import log_notes, runaway_notes

GROUPS = SimpleNamespace(recorded={"sex": SimpleNamespace(names=("F", "M"))})


def log(folder, losses):
    key = "mutual_information_classifier_loss/sex"
    lines = [
        json.dumps({"step": i, "loss": 1.0, "group_counts": {}, key: loss})
        for i, loss in enumerate(losses)
    ]
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


@pytest.mark.parametrize(
    ("spoil", "whole"),
    [
        (lambda content: content, 30),
        (lambda content: content.rpartition(b"loss")[0], 29),  # cut in the last step's line
        (lambda content: b"", 0),
        (lambda content: b"\xff\xfe\0" * 50, 0),
        (lambda content: content.replace(b'{"step": 3,', b'{"st\xffep" 3,'), 29),
        (lambda content: b"[1]\n3\n" + content, 30),
    ],
)
def test_a_spoilt_log_is_read_as_far_as_it_goes(tmp_path, spoil, whole):
    log(tmp_path, [0.7] * 30)
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)[:30]
    (tmp_path / "log.jsonl").write_bytes(spoil(b"".join(lines)))
    assert runaway_notes(tmp_path, GROUPS) == ()
    notes = log_notes(tmp_path, 30)
    assert len(notes) == (whole < 30)
    assert all(f"{whole} of the 30 steps" in note for note in notes)


def test_a_log_that_is_gone_says_nothing(tmp_path):
    assert runaway_notes(tmp_path, GROUPS) == ()
    assert len(log_notes(tmp_path, 1)) == 1
