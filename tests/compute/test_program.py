"""Where Abinit and its pseudopotentials are found, and what is said when they are not."""

import pytest

import helpers_compute as help_compute
from prismat.compute.program import MissingProgramError, find_program
from prismat.errors import BadInputError, MissingExtraError


def script(folder, text):
    path = folder / "abinit"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_finds_the_program_on_the_search_path(tmp_path, monkeypatch):
    help_compute.fake_abinit(tmp_path / "bin", "silent")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = find_program()
    assert (found.path, found.version) == (tmp_path / "bin" / "abinit", "9.6.2")


def test_says_how_to_install_what_is_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match="apt install abinit abinit-data") as error:
        find_program()
    assert isinstance(error.value, MissingExtraError)
    with pytest.raises(MissingProgramError, match=r"No program .*nowhere"):
        find_program(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 8.10.3", "Abinit 8.10.3 is older than 9.0"),
        ("echo hello", "tells no version"),
        ("exit 1", "tells no version"),
    ],
)
def test_refuses_other_programs(tmp_path, text, said):
    with pytest.raises(BadInputError, match=said):
        find_program(script(tmp_path, text))


def test_refuses_what_does_not_start(tmp_path):
    path = tmp_path / "abinit"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(BadInputError, match="does not start"):
        find_program(path)
