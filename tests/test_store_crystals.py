import numpy as np
import pytest

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.store import Store
from prismat.store_crystals import crystal_of, crystal_table


def round_trip(crystal):
    return crystal_of(crystal_table([crystal]).to_pylist()[0])


def test_a_disordered_crystal_comes_back_bit_for_bit():
    lattice = np.array([[4.1, 0.0, 0.0], [0.3, 5.2, 0.0], [0.1, 0.2, 6.3]])
    sites = (((11, 0.25), (19, 0.75)), ((17, 1.0),))
    crystal = Crystal(lattice, np.array([[0.1, 0.2, 1 / 3], [0.5, 0.5, 0.5]]), sites)
    again = round_trip(crystal)
    assert again.sites == sites
    assert again.periodic
    np.testing.assert_array_equal(again.lattice, lattice)
    np.testing.assert_array_equal(again.frac, crystal.frac)


def test_molecules_and_absent_structures():
    molecule = Crystal.molecule(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]), (((1, 1.0),), ((1, 1.0),)))
    assert not round_trip(molecule).periodic
    assert round_trip(None) is None


def test_a_store_gives_primitive_cells_in_the_order_asked_for(small_store):
    rows = np.array([5, 0, 3, 0])
    crystals = small_store.crystals(rows)
    assert [c.formula for c in crystals] == [small_store.column("formula")[row] for row in rows]
    assert [len(c) for c in crystals] == [small_store.column("n_sites")[row] for row in rows]
    assert len(small_store.crystals()) == len(small_store)


def test_a_store_without_crystals_says_so(small_store, tmp_path):
    import shutil

    copy = tmp_path / "old"
    shutil.copytree(small_store.folder, copy)
    (copy / "shard-00000" / "crystals.parquet").unlink()
    with pytest.raises(BadInputError, match="prepared before stores kept crystals"):
        Store(copy).crystals()
