"""Records full of ties, gaps and odd names; queries and filters that every back end must answer alike."""

import numpy as np
import pyarrow as pa

from prismat.search.filters import Filter
from prismat.search.index_files import property_field

N = 160
ODD = ["m'1", 'm"2', "m\\3", "übergröße 4", "a/b'; drop", "x\\'\"", "{5}", "%6_"]
ELEMENTS = [
    ["Fe", "O"],
    ["Na", "Cl"],
    ["O", "Si"],
    [],
    None,
    ["U", "O", "D"],
    ["Fe"],
    ["H", "D"],
    ["Si", "Fe", "O", "K"],
]


def table(start, stop):
    rows = range(start, stop)
    base = pa.table(
        {
            "id": [ODD[i] if i < len(ODD) else f"r{i}" for i in rows],
            "formula": [None if i % 11 == 3 else f"X{i}" for i in rows],
            "spacegroup": ["P1" if i % 2 else None for i in rows],
            "spacegroup_number": pa.array(
                [None if i % 7 == 2 else 1 + 29 * i % 230 for i in rows], pa.int32()
            ),
            "title": [None if i % 5 == 0 else f"On «{i}»\n'quoted' \"twice\" \\" for i in rows],
            "elements": pa.array([ELEMENTS[i % len(ELEMENTS)] for i in rows], pa.list_(pa.string())),
            "n_sites": pa.array([None if i % 6 == 1 else i % 40 for i in rows], pa.int32()),
        }
    )
    gap = [None if i % 3 == 1 else float("nan") if i % 13 == 5 else (i % 17) / 4 - 0.5 for i in rows]
    named = base.append_column(property_field("band gap", "eV"), pa.array(gap, pa.float64()))
    return named.append_column(property_field("density", "g/cm3"), pa.array([float(i % 9) for i in rows]))


def vectors(start, stop, seed=0):
    """Three keys; ``c`` holds small whole numbers, so that many scores tie; some records are copies."""
    rng = np.random.default_rng([seed, start])
    n, rows = stop - start, np.arange(start, stop)
    found = {
        "a": rng.standard_normal((n, 8)).astype(np.float32),
        "b": rng.standard_normal((n, 5)),
        "c": rng.integers(0, 2, (n, 3)) + np.array([1.0, 0.0, 0.0]),
    }
    for values in found.values():
        values[rows % 10 == 4] = np.arange(1.0, values.shape[1] + 1)
    present = {"a": rows % 8 != 3, "b": rows % 3 != 0, "c": rows % 4 != 1}
    return found, {key: there & (rows != 33) for key, there in present.items()}


def records(start, stop, seed=0):
    return (*vectors(start, stop, seed), table(start, stop))


def queries():
    """Name → vectors, weights, k, shares."""
    rng = np.random.default_rng(5)
    v = {"a": rng.standard_normal(8), "b": rng.standard_normal(5), "c": np.array([1.0, 2.0, 0.5])}
    tie = {"a": np.arange(1.0, 9), "b": np.arange(1.0, 6), "c": np.arange(1.0, 4)}
    one = lambda key: {key: v[key]}  # noqa: E731
    return {
        "one key": (one("a"), None, 10, None),
        "ties": (one("c"), None, 12, None),
        "ties under every key": (tie, None, 15, None),
        "three keys": (v, None, 10, None),
        "weighted": (v, {"a": 0.3, "b": 2.0}, 7, None),
        "weight zero": (v, {"a": 0.0}, 7, None),
        "negative": (v, {"b": -0.7, "c": 0.5}, 10, None),
        "only negative": (one("b"), {"b": -1.0}, 10, None),
        "all negative": (v, {"a": -1.0, "b": -2.0, "c": -0.5}, 9, None),
        "shares": (v, {"a": 0.5, "b": 0.2}, 9, {"a": 1.5, "b": 0.9}),
        "the best one": (v, None, 1, None),
        "more than there are": (v, {"b": 0.2}, 500, None),
    }


FILTERS = {
    "with": Filter(with_elements=("Fe", "O")),
    "deuterium is hydrogen": Filter(with_elements=("H",)),
    "without": Filter(without_elements=("O", "Cl")),
    "only": Filter(only_elements=("Fe", "O")),
    "sites": Filter(n_sites=(5, 20)),
    "sites beyond all": Filter(n_sites=(None, 10**8)),
    "property": Filter(properties={"band gap": (0.25, 2.0)}),
    "property known": Filter(properties={"band gap": (None, None)}),
    "small numbers": Filter(properties={"band gap": (-1e-5, 1.5e-17), "density": (None, 8)}),
    "space group": Filter(spacegroup_number=(20, 150)),
    "systems": Filter(crystal_systems=("cubic", "triclinic")),
    "number of elements": Filter(n_elements=(2, 3)),
    "number of elements, at most": Filter(n_elements=(None, 1)),
    "all at once": Filter(
        with_elements=("O",),
        without_elements=("Na",),
        n_sites=(None, 30),
        properties={"density": (1, 7)},
        spacegroup_number=(3, None),
        crystal_systems=("monoclinic", "cubic", "orthorhombic", "hexagonal"),
        n_elements=(1, 4),
    ),
    "nothing passes": Filter(with_elements=("Pu",)),
}
