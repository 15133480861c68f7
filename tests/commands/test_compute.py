"""The verb compute, with a stand-in for Abinit."""

import json
from dataclasses import dataclass, replace

import pytest
import tyro

import helpers_compute as help_compute
from prismat.commands.compute import Compute, counted, times_table
from prismat.compute.program import MissingProgramError
from prismat.compute.selection import Choice
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.prepare import PrepareSettings, prepare


@dataclass(frozen=True)
class Two:
    """Silicon and magnesium."""

    name = "two"
    licence = ""
    citation = ""

    def fingerprint(self):
        return "two"

    def __len__(self):
        return 2

    def read(self, start, stop):
        yield from [Material(k, c) for k, c in help_compute.CRYSTALS.items()][start:stop]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compute") / "store"
    prepare(Two(), folder, PrepareSettings(workers=1))
    return folder


def verb(store, tmp_path, mode, **options):
    program = help_compute.fake_abinit(tmp_path / "bin", mode)
    files = help_compute.pseudopotentials(tmp_path / "psp")
    settings = {"store": store, "out": tmp_path / "out", "settings": help_compute.SMALL}
    return Compute(**{**settings, "abinit": program.path, "pseudopotentials": files.folder, **options})


def test_command_line():
    asked = tyro.cli(Compute, args=["dos", "--store", "s", "--choice.limit", "7", "--limits.seconds", "30"])
    assert (asked.quantity, str(asked.store), asked.choice.limit, asked.limits.seconds) == ("dos", "s", 7, 30)


def test_computes_and_says_what_is_next(store, tmp_path, capsys):
    verb(store, tmp_path, "good", workers=2).run()
    said = capsys.readouterr().out
    assert f"2 results → {tmp_path / 'out'}" in said
    assert f"Next: prismat prepare SOURCE --attach {tmp_path / 'out'}" in said
    assert "median s" in said
    assert "Failed" not in said


def test_failures_are_counted(store, tmp_path, capsys):
    verb(store, tmp_path, "fails for magnesium").run()
    said = capsys.readouterr().out
    assert "1 results" in said
    assert "1  crash" in said
    assert "failures.jsonl" in said


def test_json(store, tmp_path, capsys):
    asked = verb(store, tmp_path, "good", quantity="dos", json=True, choice=Choice(limit=1))
    asked.run()
    report = json.loads(capsys.readouterr().out)
    assert (report["computed"], report["computed_now"], report["failed"]) == (1, 1, 0)
    assert report["seconds_by_atoms"]["2"]["count"] == 1
    assert report["left_out"] == {"beyond the limit, or not of the sample": 1}
    with pytest.raises(BadInputError, match="other settings"):
        replace(asked, quantity="density").run()


def test_plan_needs_no_abinit(store, tmp_path, capsys):
    verb(store, tmp_path, "good", plan=True, abinit=tmp_path / "nowhere").run()
    assert "2 crystals would be computed" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_says_how_to_install_abinit(store, tmp_path):
    with pytest.raises(MissingProgramError, match="apt install"):
        verb(store, tmp_path, "good", abinit=tmp_path / "nowhere").run()


def test_tables():
    nothing = {"seconds": {"count": 0}, "seconds_by_atoms": {}}
    assert len(times_table(nothing).splitlines()) == 2
    assert counted("Left out", {"few": 1, "many": 2000}).splitlines() == [
        "Left out:",
        "   2,000  many",
        "       1  few",
    ]
