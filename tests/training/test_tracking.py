import builtins
import json

import pytest

from prismat.errors import MissingExtraError
from prismat.training.tracking import Tracker


def steps(tracker):
    return [json.loads(line)["step"] for line in tracker.path.read_text().splitlines()]


def test_entries_become_lines(tmp_path):
    tracker = Tracker(tmp_path / "run")
    tracker.log({"step": 1, "loss": 0.5})
    tracker.log({"step": 2, "warnings": ["text: collapse"]})
    lines = tracker.path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "warnings": ["text: collapse"]},
    ]


def test_truncate_drops_what_will_be_repeated(tmp_path):
    tracker = Tracker(tmp_path)
    for step in range(1, 8):
        tracker.log({"step": step})
    Tracker(tmp_path).truncate(4)
    assert steps(tracker) == [1, 2, 3, 4]
    tracker.log({"step": 5})
    assert steps(tracker) == [1, 2, 3, 4, 5]


def test_a_line_cut_by_a_kill_is_dropped(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.log({"step": 1})
    with tracker.path.open("a") as stream:
        stream.write('{"step": 2, "lo')
    tracker.truncate(2)
    assert steps(tracker) == [1]


def test_a_file_that_is_one_cut_line_becomes_empty(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.path.write_text('{"st')
    tracker.truncate(9)
    assert tracker.path.read_text() == ""


def test_truncate_without_a_file_does_nothing(tmp_path):
    Tracker(tmp_path).truncate(3)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_missing_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **others):
        if "tensorboard" in name:
            raise ImportError(name)
        return real(name, *args, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'prismat\[tracking\]'"):
        Tracker(tmp_path, tensorboard=True)
