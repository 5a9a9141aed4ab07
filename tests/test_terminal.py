"""What the terminal shows: one sentence and an exit code for any error, names as they are, any encoding."""

import errno
import io
import json
import os

import numpy as np
import pytest
import typer

from fairlora_cls.cli.terminal import exit_codes, show_report, terminal, write_data
from fairlora_cls.errors import InputError, RunError, sentence
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report

ERRORS = [
    (InputError("the value 3"), 2, "the value 3"),
    (RunError("stopped"), 1, "stopped"),
    (KeyError("epoch"), 1, "epoch"),
    (TypeError("a\n\nb"), 1, "a b (TypeError"),
    (MemoryError(), 1, "memory"),
    (OSError(errno.ENOSPC, "full", "/x/y"), 1, "/x/y"),
    (RuntimeError(f"Error while serializing: {os.strerror(errno.ENOSPC)}"), 1, "make room"),
    (RecursionError("deep"), 1, "deep"),
    (AssertionError(), 1, "AssertionError"),
    (ValueError("x" * 9000), 1, "x"),
    (KeyboardInterrupt(), 130, "goes on"),
]


@pytest.mark.parametrize(("error", "code", "words"), ERRORS, ids=lambda v: type(v).__name__)
def test_every_error_is_one_line_and_an_exit_code(capsys, error, code, words):
    with pytest.raises(typer.Exit) as end, exit_codes(False, "The same command goes on."):
        raise error
    assert end.value.exit_code == code
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert words in shown
    assert len(shown.splitlines()) == 1
    assert len(shown) < 1000


def test_only_what_was_looked_up_by_name_is_said_to_be_missing():
    assert "'x' was looked for" in sentence(KeyError("x"))
    assert "looked for" not in sentence(IndexError("list index out of range"))


def test_debug_and_ends_on_purpose_pass_through():
    with pytest.raises(KeyError), exit_codes(True):
        raise KeyError("x")
    with pytest.raises(typer.Exit) as end, exit_codes(False):
        raise typer.Exit(0)
    assert end.value.exit_code == 0


def test_no_token_and_no_password_is_shown(capsys):
    text = f"401 for https://me:secret@host/x with hf_abc{'x' * 31} of hf_ejection_fraction"
    for error in (ValueError(text), InputError(text)):
        with pytest.raises(typer.Exit), exit_codes(False):
            raise error
        shown = capsys.readouterr().err
        assert "secret" not in shown
        assert "hf_abc" not in shown
        assert "host/x" in shown
        assert "hf_ejection_fraction" in shown


NAMES = ("income [/month]", "[bold]x[/bold]", "a :smile: b", "[red]", "{x}")


def test_names_are_shown_as_they_are(capsys, tmp_path):
    groups = {name: np.array(["a", "b"] * 4, dtype=object) for name in NAMES}
    chances = np.tile([[0.7, 0.3], [0.3, 0.7]], (4, 1))
    table = Predictions(range(8), [0, 1] * 4, [0, 1] * 4, chances, ("no", "yes"), groups)
    report = fairness_report(table, bootstrap=0, notes=NAMES)
    show_report("method [x]", report, tmp_path)
    shown = capsys.readouterr().out
    for name in NAMES:
        assert shown.count(name) >= 2
    assert "method [x]" in shown


def test_data_is_utf8_whatever_the_terminal_is(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    write_data("id,λ\n")
    assert raw.getvalue().decode("utf-8") == "id,λ\n"


def test_a_terminal_of_another_encoding_is_spoken_to(command, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    done = command("train", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--mutual-information" in done.stdout
    (tmp_path / "λ.yaml").write_text(json.dumps({"sed": 1}))
    done = command("train", "λ.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "sed: unknown key" in done.stderr


def test_consoles_read_no_markup():
    assert str(terminal.render_str("[b]x[/b] :smile:")) == "[b]x[/b] :smile:"
