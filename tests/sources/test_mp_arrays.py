"""Densities of states and charge densities of the Materials Project: forms that are read and refused."""

import numpy as np
import pytest

import helpers_mp as fake
from prismat.errors import BadInputError
from prismat.sources.mp_arrays import read_mp_density, read_mp_dos

LIMIT = 10_000_000


def write(folder, payload):
    path = folder / "x.json.gz"
    path.write_bytes(fake.packed(payload))
    return path


def test_a_dos_without_spin_is_the_whole(tmp_path):
    content = fake.pymatgen_dos(0).as_dict()
    content["densities"].pop("-1")
    dos = read_mp_dos(write(tmp_path, content), LIMIT)
    np.testing.assert_allclose(dos.density, content["densities"]["1"])


@pytest.mark.parametrize(
    "changes",
    [
        {"efermi": None},
        {"energies": [[1.0]]},
        {"densities": {}},
        {"densities": {"1": "x"}},
        {"structure": {"sites": []}},
        {"structure": None},
    ],
)
def test_a_dos_of_another_form(tmp_path, changes):
    with pytest.raises(BadInputError, match="not a density of states as pymatgen writes it"):
        read_mp_dos(write(tmp_path, fake.pymatgen_dos(0).as_dict() | changes), LIMIT)


def test_a_dos_that_means_nothing(tmp_path):
    content = fake.pymatgen_dos(0).as_dict()
    content["energies"] = list(content["energies"])[::-1]
    with pytest.raises(BadInputError, match="energies do not ascend"):
        read_mp_dos(write(tmp_path, content), LIMIT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"diff": [1.0]}}, "not a charge density"),
        ({"data": {"total": [[1.0]]}}, "not a charge density"),
        ({"data": {"total": [[[1.0, 1.0]] * 4] * 4}}, "a grid of 4 × 4 × 2 points"),
        ({"data": {"total": [[[1e9] * 4] * 4] * 4}}, "e/Å³"),
        ({"data": {"total": [[[None] * 4] * 4] * 4}}, "are NaN or infinite"),
        ({"poscar": None}, "not a charge density"),
        ({"poscar": {"structure": {"lattice": {"matrix": [[0.0] * 3] * 3}}}}, "not a charge density"),
    ],
)
def test_a_density_of_another_form(tmp_path, changes, message):
    content = fake.pymatgen_chgcar(0).as_dict() | changes
    with pytest.raises(BadInputError, match=message):
        read_mp_density(write(tmp_path, content), LIMIT)
