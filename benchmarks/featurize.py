"""Crystal → graph arrays: Prismat against the scheme of CGCNN and CLaSP on pymatgen.

Run from anywhere: ``python benchmarks/featurize.py``. Both receive the same AMCSD crystals in their
conventional cells; building the pymatgen ``Structure`` is timed for neither. One thread.
"""

import numpy as np
import torch
from _data import SEED, amcsd_materials, interleaved, medians
from _machine import write
from pymatgen.core import Structure
from threadpoolctl import threadpool_limits

from prismat.crystal import Crystal
from prismat.modalities.standard_cell import standardize
from prismat.modalities.structure import StructureModality, StructureSettings
from prismat.neighbors import Pairs, nearest_shells, neighbor_pairs

CRYSTALS, REPEATS = 200, 3
CUTOFF, NEIGHBORS = 8.0, 12


def cgcnn_graph(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the 12 nearest, each atom's neighbours sorted in Python, padded where short.

    The expansion in Gaussians that CGCNN's loader adds is left out here: Prismat's model does it, so that
    neither is timed for it.
    """
    indices, distances = [], []
    for found in structure.get_all_neighbors(CUTOFF, include_index=True):
        nearest = sorted(found, key=lambda neighbor: neighbor[1])[:NEIGHBORS]
        missing = NEIGHBORS - len(nearest)
        indices.append([neighbor[2] for neighbor in nearest] + [0] * missing)
        distances.append([neighbor[1] for neighbor in nearest] + [CUTOFF + 1] * missing)
    return np.array(indices), np.array(distances)


def nearest(crystal: Crystal) -> Pairs:
    pairs = neighbor_pairs(crystal.lattice, crystal.frac, CUTOFF)
    return nearest_shells(pairs, len(crystal), NEIGHBORS)


def largest_difference(crystals: list[Crystal], structures: list[Structure]) -> float:
    """Å between the 12 shortest distances of each atom as the two find them, in the same cell."""
    worst = 0.0
    for crystal, structure in zip(crystals, structures, strict=True):
        theirs, pairs = cgcnn_graph(structure)[1], nearest(crystal)
        for atom, padded in enumerate(theirs):
            row = padded[padded <= CUTOFF]
            ours = np.sort(pairs.distance[pairs.i == atom])[: len(row)]
            worst = max(worst, float(np.abs(ours - row).max(initial=0)))
    return worst


def main() -> None:
    torch.set_num_threads(1)
    materials = amcsd_materials(CRYSTALS)
    crystals = [m.structure for m in materials if m.structure]
    structures = [c.to_pymatgen() for c in crystals]
    reduced = StructureModality(StructureSettings(cutoff=CUTOFF, neighbors=NEIGHBORS))
    full = StructureModality(StructureSettings(cutoff=CUTOFF, neighbors=NEIGHBORS, reduced=False))
    calls = {
        "cgcnn_pymatgen": lambda: [cgcnn_graph(s) for s in structures],
        "prismat": lambda: [reduced.featurize(m) for m in materials],
        "prismat_one_node_per_atom": lambda: [full.featurize(m) for m in materials],
        "prismat_neighbors_same_cell": lambda: [nearest(c) for c in crystals],
        "prismat_standardization_alone": lambda: [standardize(c) for c in crystals],
    }
    with threadpool_limits(1):
        for warm_up in (lambda: cgcnn_graph(structures[0]), lambda: reduced.featurize(materials[0])):
            warm_up()
        seconds = interleaved(calls, REPEATS)
        difference = largest_difference(crystals, structures)
    median = medians(seconds)
    payload = {
        "seed": SEED,
        "crystals": CRYSTALS,
        "mean_sites_conventional": float(np.mean([len(c) for c in crystals])),
        "mean_sites_primitive": float(np.mean([len(standardize(c).primitive) for c in crystals])),
        "threads": 1,
        "repeats": REPEATS,
        "structures_per_s": {name: CRYSTALS / s for name, s in median.items()},
        "ratio_to_cgcnn_pymatgen": {name: median["cgcnn_pymatgen"] / s for name, s in median.items()},
        "seconds": seconds,
        "largest_difference_of_distances_angstrom": difference,
        "notes": [
            "prismat: end to end, with symmetry search, primitive cell and one node per orbit",
            "prismat_neighbors_same_cell: neighbours only, in the conventional cell the peer receives",
        ],
    }
    print(write("featurize", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
