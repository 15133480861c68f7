import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.material import Material
from prismat.modalities.standard_cell import standardize
from prismat.neighbors import Pairs
from prismat.texts.bonds import bonded_pairs
from prismat.texts.dimensionality import network


def undirected(i, j, offset):
    """Bonds in both directions."""
    i, j = np.array(i, dtype=int), np.array(j, dtype=int)
    offset = np.array(offset, dtype=int).reshape(-1, 3)
    both = np.concatenate([offset, -offset])
    return Pairs(np.append(i, j), np.append(j, i), both, np.ones(2 * len(i)))


def larsen(crystal, pairs):
    """The same graph's dimensionality by pymatgen, which walks through supercells."""
    from pymatgen.analysis.dimensionality import get_dimensionality_larsen
    from pymatgen.analysis.graphs import StructureGraph

    rows = zip(pairs.i.tolist(), pairs.j.tolist(), pairs.offset.tolist(), strict=True)
    forward = {
        ((i, j), (0, 0, 0), tuple(s)): None for i, j, s in rows if (i, j, s) <= (j, i, [-x for x in s])
    }
    edges = {(i, j, first, s): None for (i, j), first, s in forward}
    # Of one element throughout, for the graph decides and pymatgen's knows no mixed sites.
    alike = Crystal(crystal.lattice, crystal.frac, (((6, 1.0),),) * len(crystal))
    return get_dimensionality_larsen(StructureGraph.from_edges(alike.to_pymatgen(), edges))


@pytest.mark.parametrize(
    ("bonds", "atoms", "expected"),
    [
        (([], [], np.zeros((0, 3), int)), 2, [0, 0]),
        (([0], [1], [[0, 0, 0]]), 2, [0]),
        (([0], [1], [[5, 0, 0]]), 2, [0]),
        (([0], [0], [[1, 0, 0]]), 1, [1]),
        (([0, 0], [1, 1], [[0, 0, 0], [1, 1, 0]]), 2, [1]),
        (([0, 0], [0, 0], [[1, 0, 0], [2, 0, 0]]), 1, [1]),
        (([0, 0], [0, 0], [[1, 0, 0], [0, 1, 0]]), 1, [2]),
        (([0, 0, 0], [0, 0, 0], [[1, 0, 0], [0, 1, 0], [1, 1, 0]]), 1, [2]),
        (([0, 0, 0], [0, 0, 0], [[1, 0, 0], [0, 1, 0], [1, 1, 3]]), 1, [3]),
        # A chain beside a layer and a molecule.
        (([0, 1, 1, 2], [0, 1, 1, 3], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]), 4, [1, 2, 0]),
    ],
)
def test_constructed_graphs(bonds, atoms, expected):
    found = network(undirected(*bonds), atoms)
    assert found.dimension.tolist() == expected
    assert found.highest == max(expected)


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_random_graphs_as_pymatgen(seed):
    rng = np.random.default_rng(seed)
    atoms, bonds = int(rng.integers(1, 7)), int(rng.integers(1, 9))
    i, j = rng.integers(0, atoms, (2, bonds))
    offset = rng.integers(-1, 2, (bonds, 3))
    loops = (i == j) & ~offset.any(axis=1)
    i, j, offset = i[~loops], j[~loops], offset[~loops]
    if not len(i):
        return
    crystal = Crystal(np.eye(3) * 9, rng.random((atoms, 3)), ((((6, 1.0),),) * atoms))
    pairs = undirected(i, j, offset)
    assert network(pairs, atoms).highest == larsen(crystal, pairs)


def test_amcsd_as_pymatgen(amcsd):
    checked = {}
    for row in np.random.default_rng(5).permutation(len(amcsd)):
        material = next(iter(amcsd.read(int(row), int(row) + 1)))
        if not isinstance(material, Material) or material.structure is None or len(material.structure) > 60:
            continue
        cell = standardize(material.structure).primitive
        pairs = bonded_pairs(cell)
        if len(pairs.i):
            checked[material.id] = (network(pairs, len(cell)).highest, larsen(cell, pairs))
        if len(checked) == 30:
            break
    assert len(checked) == 30
    assert {ours for ours, _ in checked.values()} >= {2, 3}
    assert all(ours == theirs for ours, theirs in checked.values()), checked


@pytest.mark.parametrize("name", ["ice", "quartz", "calcite"])
def test_another_cell_changes_nothing(name):
    rng = np.random.default_rng(2)
    crystal = real.crystals()[name]
    other = real.other_axes(real.reordered(crystal, rng), rng)
    dimensions = [sorted(network(bonded_pairs(c), len(c)).dimension.tolist()) for c in (crystal, other)]
    assert dimensions[0] == dimensions[1]
