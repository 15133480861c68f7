"""Powder patterns: speed and agreement against pymatgen, identification of measured patterns, encoder speed.

Run from anywhere: ``python benchmarks/xrd.py``. Crystals are 300 of the Materials Project from
``mp2018.parquet`` in the folder named by PRISMAT_SHARED_DATA, or, where that is absent, random symmetric
ones; both programs run on one thread. The measured patterns are ``xrd_measured.parquet`` in the same folder
and are left out where that is absent.
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _machine import write
from threadpoolctl import threadpool_limits

from prismat.crystal import Crystal, make_site
from prismat.encoders.xrd_cnn import XrdCnn
from prismat.measurements import Pattern
from prismat.modalities.profile import ProfileSettings, XrdBatch, from_measured, render
from prismat.modalities.xrd import Lines, XrdSettings, powder_lines
from prismat.ragged import pack

SEED = 0
CRYSTALS = 300
SHARED = Path(os.environ.get("PRISMAT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def materials_project_crystals(n: int) -> list[Crystal]:
    import pyarrow.parquet as pq

    table = pq.read_table(SHARED / "mp2018.parquet", columns=["numbers", "lattice", "frac_coords"])
    rows = np.random.default_rng(SEED).choice(table.num_rows, n, replace=False)
    return [
        Crystal(
            np.array(row["lattice"]).reshape(3, 3),
            np.array(row["frac_coords"]).reshape(-1, 3),
            tuple(((int(z), 1.0),) for z in row["numbers"]),
        )
        for row in table.take(rows).to_pylist()
    ]


def random_crystals(n: int) -> list[Crystal]:
    from pymatgen.core import Lattice, Structure

    rng = np.random.default_rng(SEED)
    groups, elements = (225, 166, 194, 62, 14), np.array(["O", "Mg", "Si", "Fe", "Ba", "Pb"])
    found = []
    while len(found) < n:
        a, b, c = rng.uniform(4, 9, 3)
        group = int(rng.choice(groups))
        lattice = {
            225: Lattice.cubic(a),
            166: Lattice.hexagonal(a, c),
            194: Lattice.hexagonal(a, c),
            62: Lattice.orthorhombic(a, b, c),
            14: Lattice.monoclinic(a, b, c, float(rng.uniform(92, 115))),
        }[group]
        species = rng.choice(elements, 3, replace=False).tolist()
        structure = Structure.from_spacegroup(group, lattice, species, rng.integers(0, 24, (3, 3)) / 24)
        if len(structure) < 100:
            found.append(crystal_of(structure.get_primitive_structure()))
    return found


def crystal_of(structure) -> Crystal:
    sites = tuple(
        make_site({e.Z: float(x) for e, x in s.species.element_composition.items()}) for s in structure
    )
    return Crystal(structure.lattice.matrix.copy(), structure.frac_coords.copy(), sites)


def line_differences(lines: Lines, x: np.ndarray, y: np.ndarray, gap: float = 1e-3) -> np.ndarray:
    """Differences of line intensities, strongest 1; lines closer than ``gap`` degrees count as one."""
    both = np.concatenate([lines.two_theta, x])
    order = np.argsort(both)
    label = np.empty(len(both), dtype=int)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(both[order]) > gap)])
    n = label.max() + 1
    ours = np.bincount(label[: len(lines)], lines.intensity, n)
    theirs = np.bincount(label[len(lines) :], y, n)
    return np.abs(ours / ours.max() - theirs / theirs.max())


def simulation(crystals: list[Crystal]) -> dict:
    """Both programs on the same crystals, one after the other on each, so that other load hits both."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    settings = XrdSettings()
    calculator = XRDCalculator(wavelength=settings.wavelength)
    limits = (settings.two_theta_min, settings.two_theta_max)
    structures = [c.to_pymatgen() for c in crystals]
    ours, theirs, differences = [], [], []
    powder_lines(crystals[0])
    calculator.get_pattern(structures[0], two_theta_range=limits)
    for crystal, structure in zip(crystals, structures, strict=True):
        start = time.perf_counter()
        lines = powder_lines(crystal, settings)
        middle = time.perf_counter()
        reference = calculator.get_pattern(structure, two_theta_range=limits)
        end = time.perf_counter()
        ours.append(middle - start)
        theirs.append(end - middle)
        differences.append(line_differences(lines, np.asarray(reference.x), np.asarray(reference.y)))
    every = np.concatenate(differences)
    small = np.array([len(c) <= 12 for c in crystals])
    return {
        "crystals": len(crystals),
        "mean_sites": float(np.mean([len(c) for c in crystals])),
        "ours_structures_per_s": len(ours) / sum(ours),
        "pymatgen_structures_per_s": len(theirs) / sum(theirs),
        "ratio": sum(theirs) / sum(ours),
        "ours_median_ms": 1e3 * float(np.median(ours)),
        "pymatgen_median_ms": 1e3 * float(np.median(theirs)),
        "cells_up_to_12_sites": {
            "crystals": int(small.sum()),
            "ours_median_ms": 1e3 * float(np.median(np.array(ours)[small])),
            "pymatgen_median_ms": 1e3 * float(np.median(np.array(theirs)[small])),
        },
        "intensity_difference": {
            "unit": "strongest line = 1",
            "median_absolute": float(np.median(every)),
            "largest": float(every.max()),
        },
    }


def identification() -> dict:
    """Nearest by cosine among all records of the set, measured → simulated and back; ties count against."""
    import pyarrow.parquet as pq
    from pymatgen.core import Structure

    rows = pq.read_table(SHARED / "xrd_measured.parquet").to_pylist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = [powder_lines(crystal_of(Structure.from_str(r["cif"], fmt="cif"))) for r in rows]
    settings = ProfileSettings()
    packed = {
        "xrd.two_theta": pack([x.two_theta for x in lines]),
        "xrd.intensity": pack([x.intensity for x in lines]),
    }
    patterns = [Pattern(np.array(r["two_theta"], float), np.array(r["intensity"], float)) for r in rows]
    simulated = render(packed, settings).numpy()
    measured = np.stack([from_measured(p, settings) for p in patterns])
    cosine = measured @ simulated.T / settings.points
    own = np.diag(cosine)
    found = {}
    for name, ranks in (
        ("measured_to_simulated", (cosine >= own[:, None]).sum(1)),
        ("simulated_to_measured", (cosine >= own).sum(0)),
    ):
        found[name] = {f"within_{k}": int((ranks <= k).sum()) for k in (1, 5)}
    note = "background window, smoothing, threshold and peak width were chosen on these same patterns"
    return {"patterns": len(rows), "note": note, "mean_cosine_with_own": float(own.mean()), **found}


def encoder(batch: int = 256, threads: int = 2, repeats: int = 10) -> dict:
    """Forward and backward pass of the pattern encoder."""
    torch.manual_seed(SEED)
    torch.set_num_threads(threads)
    model = XrdCnn()
    data = XrdBatch(torch.rand(batch, model.config.points), torch.ones(batch, dtype=torch.bool))
    seconds = []
    for _ in range(repeats):
        model.zero_grad()
        start = time.perf_counter()
        model(data).square().mean().backward()
        seconds.append(time.perf_counter() - start)
    return {
        "batch": batch,
        "points": model.config.points,
        "threads": threads,
        "parameters": sum(p.numel() for p in model.parameters()),
        "forward_backward_s": {"fastest": min(seconds), "median": float(np.median(seconds))},
    }


def main() -> None:
    shared = (SHARED / "mp2018.parquet").is_file()
    crystals = materials_project_crystals(CRYSTALS) if shared else random_crystals(CRYSTALS)
    with threadpool_limits(1):
        simulated = simulation(crystals)
    payload = {
        "seed": SEED,
        "source": "Materials Project 2018.6.1, re-relaxed" if shared else "random symmetric crystals",
        "simulation": {"threads": 1, **simulated},
        "encoder": [encoder(threads=n) for n in (1, 2)],
    }
    if (SHARED / "xrd_measured.parquet").is_file():
        payload["identification"] = identification()
    print(write("xrd", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
