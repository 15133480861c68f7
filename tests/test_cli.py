import subprocess
import sys

import pytest

from helpers_cli import call
from prismat import cli, commands

VERBS = (
    *("quickstart", "prepare", "describe", "compute", "compare", "train", "evaluate", "embed", "index"),
    "index-edit",
    *("search", "doctor", "ablate", "sweep", "report", "fit", "predict", "transfer", "recommend"),
    *("defects", "text-task"),
    *("screen", "tag"),
    *("design", "campaign"),
    *("quality", "calibrate", "identify"),
    "attention",
    "explain",
    "serve",
    "map",
)


def test_help_lists_every_verb():
    said = call("--help")
    assert said.code == 0
    assert all(verb in said.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    said = call(verb, "--help")
    assert said.code == 0
    assert said.err == ""
    assert f"usage: prismat {verb}" in said.out
    assert "--help" in said.out


@pytest.mark.parametrize("words", [("train", "--colour", "red"), ("dance",), ("search", "--k", "many"), ()])
def test_a_wrong_option_is_a_usage_error(words):
    said = call(*words)
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err


class Raising:
    """A verb that fails in a chosen way."""

    def __init__(self, error):
        self.error = error

    def run(self):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "prismat: interrupted; the same command goes on where it stopped\n"),
        (PermissionError(13, "Permission denied", "/there"), 1, "prismat: Permission denied: /there\n"),
        (OSError("disk on fire"), 1, "prismat: disk on fire\n"),
    ],
)
def test_expected_ends_are_told_without_a_traceback(monkeypatch, error, code, said):
    monkeypatch.setattr(cli.tyro, "cli", lambda *_, **__: Raising(error))
    found = call("doctor")
    assert (found.code, found.err, found.out) == (code, said, "")


def test_a_defect_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli.tyro, "cli", lambda *_, **__: Raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        call("doctor")


def test_every_verb_is_a_command():
    assert len(commands.__all__) == len(VERBS)
    assert all(hasattr(getattr(commands, name), "run") for name in commands.__all__)


def test_as_a_program_errors_go_to_standard_error_with_code_1(tmp_path):
    command = [sys.executable, "-m", "prismat.cli", "search", "--run", str(tmp_path), "--text", "oxide"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == f"prismat: No model in {tmp_path}. Train one: prismat quickstart.\n"
