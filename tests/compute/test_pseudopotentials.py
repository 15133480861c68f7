"""Files of pseudopotentials: found, chosen and checked."""

from pathlib import Path

import pytest

import helpers_compute as help_compute
from prismat.compute.program import MissingProgramError
from prismat.compute.pseudopotentials import Pseudopotentials, choices, usual_places
from prismat.elements import SYMBOLS
from prismat.errors import BadInputError


def test_every_element_to_radon_but_lanthanides_has_one():
    assert set(choices()) == {z for z in range(1, 87) if not 58 <= z <= 71}
    assert all(0 < electrons <= 14 and 15 <= cutoff <= 100 for electrons, cutoff in choices().values())


@pytest.mark.parametrize(
    ("symbol", "electrons"), [("O", 6), ("Cu", 11), ("Zn", 12), ("K", 9), ("Pb", 4), ("Tl", 13)]
)
def test_outer_shells_are_computed(symbol, electrons):
    assert choices()[SYMBOLS.index(symbol)][0] == electrons


@pytest.mark.parametrize("inside", ["", "psp", "PseudosHGH_pwteter", "psp/PseudosHGH_pwteter"])
def test_finds_the_files_in_or_below_a_folder(tmp_path, inside):
    help_compute.pseudopotentials(tmp_path / inside)
    files = Pseudopotentials(tmp_path)
    silicon = files.of(14)
    assert (silicon.z, silicon.electrons, silicon.cutoff) == (14, 4, 15.0)
    assert silicon.path == tmp_path / inside / "14si.4.hgh"


def test_looks_in_the_usual_places(tmp_path, monkeypatch):
    monkeypatch.setenv("ABI_PSPDIR", str(tmp_path / "named"))
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    places = usual_places()
    assert places[0] == tmp_path / "named"
    assert tmp_path / "conda/share/abinit" in places
    assert Path("/usr/share/abinit/psp") in places
    help_compute.pseudopotentials(tmp_path / "named")
    assert Pseudopotentials().folder == tmp_path / "named"


def test_says_how_to_install_absent_files(tmp_path):
    with pytest.raises(MissingProgramError, match="apt install abinit abinit-data"):
        Pseudopotentials(tmp_path)


def test_refuses_elements_without_one(tmp_path):
    files = help_compute.pseudopotentials(tmp_path)
    with pytest.raises(BadInputError, match="without a pseudopotential: Ce"):
        files.of(58)


@pytest.mark.parametrize("content", ["", "Si\n 14 12 x\n", "Ge\n 32 4 010605\n"])
def test_refuses_a_file_that_is_another(tmp_path, content):
    files = help_compute.pseudopotentials(tmp_path)
    (tmp_path / "14si.4.hgh").write_text(content)
    with pytest.raises(BadInputError, match="not a pseudopotential of Si with 4 electrons"):
        files.of(14)


def test_refuses_an_absent_file(tmp_path):
    files = help_compute.pseudopotentials(tmp_path)
    (tmp_path / "8o.6.hgh").unlink()
    with pytest.raises(BadInputError, match="no such file"):
        files.of(8)


def test_fingerprint_follows_the_content(tmp_path):
    files = help_compute.pseudopotentials(tmp_path)
    before = files.fingerprint()
    assert help_compute.pseudopotentials(tmp_path / "copy").fingerprint() == before
    path = tmp_path / "8o.6.hgh"
    path.write_text(path.read_text() + "1.0\n")
    assert files.fingerprint() != before
