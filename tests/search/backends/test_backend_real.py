"""Minerals of the real database, found by composition and cell, alike in every embedded engine."""

import numpy as np
import pyarrow as pa
import pytest

from prismat.elements import atomic_number
from prismat.material import Material
from prismat.search.backends.opening import build_any
from prismat.search.filters import Filter
from prismat.search.index_files import property_field


@pytest.fixture(scope="module")
def minerals(amcsd):
    """Vectors of element fractions and of cell lengths, and metadata, of real crystals."""
    found = [m for m in amcsd.read(0, 220) if isinstance(m, Material)]
    parts = np.zeros((len(found), 118), np.float32)
    for row, mineral in zip(parts, found, strict=True):
        for symbol, part in mineral.structure.fractions.items():
            row[atomic_number(symbol) - 1] = part
    cells = np.stack([np.linalg.norm(m.structure.lattice, axis=1) for m in found])
    columns = {
        "id": [m.id for m in found],
        "formula": [m.structure.formula for m in found],
        "spacegroup": [""] * len(found),
        "spacegroup_number": pa.nulls(len(found), pa.int32()),
        "title": [m.texts.get("title", "") for m in found],
        "elements": [list(m.structure.elements) for m in found],
        "n_sites": [len(m.structure) for m in found],
    }
    density = [m.properties["density"].value if "density" in m.properties else None for m in found]
    table = pa.table(columns).append_column(
        property_field("density", "g/cm3"), pa.array(density, pa.float64())
    )
    return {"parts": parts, "cell": cells}, {}, table


@pytest.mark.parametrize("kind", ["usearch", "lancedb"])
def test_minerals_like_one_are_the_same(minerals, tmp_path, kind):
    pytest.importorskip(kind)
    exact = build_any("exact", tmp_path / "exact", minerals, "abc")
    index = build_any(kind, tmp_path / kind, minerals, "abc")
    dense = Filter(with_elements=("O",), properties={"density": (2.5, None)})
    assert 0 < index.count(dense) == exact.count(dense) < len(exact)
    for row in range(0, len(exact), 60):
        query = {key: vectors[row] for key, vectors in minerals[0].items()}
        for weights, condition in (({}, None), ({"cell": -0.4}, None), ({"cell": 0.2}, dense)):
            expected = exact.search(query, weights, condition, 12)
            assert index.search(query, weights, condition, 12) == expected
    # Minerals of one composition tie; they come in the order of the database.
    assert exact.search({"parts": minerals[0]["parts"][5]}, k=1)[0].score == pytest.approx(1, abs=1e-6)
