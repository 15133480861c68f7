"""CIF files → crystals: Prismat against pymatgen's ``Structure.from_file``, structure by structure.

Run from anywhere: ``python benchmarks/cif.py``. 5,000 rows of AMCSD are written as the CIF files that AMCSD
publishes and read back from disk by both, each repeat in a fresh process of one thread, so that nothing is
cached from the repeat before; imports are not counted. Where the two differ, the density that the database
states (from the publication, not from either program) says which structure is right.
"""

import argparse
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from _amcsd_cifs import Entry, write_cifs
from _data import SEED
from _machine import write
from scipy.optimize import linear_sum_assignment

from prismat.crystal import Crystal
from prismat.formats import read_crystal

FILES, REPEATS = 5000, 3
TOLERANCE = 1e-3
"""Å between positions that count as equal."""
MAX_SITES = 10_000
"""For the comparison, in which pymatgen has no limit; the time is taken with Prismat's own."""
DENSITY_TOLERANCE = 0.05
"""Of the stated density, as in ``prismat.sources.amcsd``."""
NAMES = ("pymatgen", "prismat_checked", "prismat")
Site = dict[int, float]
Found = tuple[np.ndarray, np.ndarray, list[Site], float]
"""Lattice parameters, fractional coordinates, contents of the sites, density."""


def reader(name: str) -> Callable[[Path], object]:
    """The call that is timed: a path in, a structure out."""
    if name == "pymatgen":
        from pymatgen.core import Structure

        return Structure.from_file
    if name == "prismat_checked":
        return read_crystal
    from prismat.cif import crystal_from_cif

    return lambda path: crystal_from_cif(path.read_text(encoding="utf-8"))


def time_all(name: str, paths: Sequence[Path]) -> tuple[float, float]:
    """CPU and wall seconds for all files; one is read before the clock starts, for the imports' sake."""
    read = reader(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attempt(read, paths[0])
        cpu, wall = time.process_time(), time.perf_counter()
        for path in paths:
            attempt(read, path)
        return time.process_time() - cpu, time.perf_counter() - wall


def attempt(read: Callable[[Path], object], path: Path) -> object | None:
    try:
        return read(path)
    except Exception:
        return None


def found_by(name: str, path: Path) -> Found | None:
    """What one of the two reads, in one form."""
    if name == "pymatgen":
        structure = attempt(reader(name), path)
    else:
        structure = attempt(partial(read_crystal, max_sites=MAX_SITES), path)
    if structure is None:
        return None
    if isinstance(structure, Crystal):
        lengths = np.linalg.norm(structure.lattice, axis=1)
        metric = structure.lattice @ structure.lattice.T
        sites = [dict(site) for site in structure.sites]
        return np.append(lengths, metric[[1, 0, 0], [2, 2, 1]]), structure.frac, sites, structure.density
    matrix = structure.lattice.matrix
    metric = matrix @ matrix.T
    sites = []
    for site in structure:
        content: Site = {}
        for species, occupancy in site.species.items():
            content[species.Z] = content.get(species.Z, 0.0) + occupancy
        sites.append(content)
    parameters = np.append(np.linalg.norm(matrix, axis=1), metric[[1, 0, 0], [2, 2, 1]])
    return parameters, structure.frac_coords, sites, float(structure.density)


def distances(parameters: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Å between all positions of the two, modulo lattice translations; exact for what is close."""
    (a, b, c), (bc, ac, ab) = parameters[:3], parameters[3:]
    metric = np.array([[a * a, ab, ac], [ab, b * b, bc], [ac, bc, c * c]])
    delta = one[:, None] - other[None]
    delta -= np.round(delta)
    return np.sqrt(np.maximum(np.einsum("ijk,kl,ijl->ij", delta, metric, delta), 0))


def compare(ours: Found, theirs: Found) -> tuple[str, float]:
    """What differs first (or 'equal'), and the largest distance in Å between matched sites."""
    if not np.allclose(ours[0], theirs[0], rtol=1e-6, atol=1e-6):
        return "lattice", 0.0
    if len(ours[2]) != len(theirs[2]):
        return "number of sites", 0.0
    apart = distances(ours[0], ours[1], theirs[1])
    row, column = linear_sum_assignment(apart)
    worst = float(apart[row, column].max())
    if worst > TOLERANCE:
        return "positions", worst
    pairs = zip(row.tolist(), column.tolist(), strict=True)
    same = all(alike(ours[2][i], theirs[2][j]) for i, j in pairs)
    return ("equal" if same else "contents"), worst


def alike(one: Site, other: Site) -> bool:
    """Equal elements and occupancies; Prismat fills a site that is full within 1 %."""
    return one.keys() == other.keys() and all(abs(one[z] - other[z]) <= 0.0101 for z in one)


def verdict(ours: Found | None, theirs: Found | None, stated: float) -> str:
    """Whose density is the stated one."""
    if stated <= 0:
        return "no density stated"
    right = [f is not None and abs(f[3] / stated - 1) <= DENSITY_TOLERANCE for f in (ours, theirs)]
    names = {(True, True): "both", (True, False): "prismat", (False, True): "pymatgen"}
    return names.get((right[0], right[1]), "neither")


def comparison(entries: Sequence[Entry]) -> dict:
    """Counts of equal and different structures, the latter by kind and by who agrees with the density."""
    kinds: Counter[str] = Counter()
    verdicts: dict[str, Counter[str]] = {}
    differing: dict[str, list[str]] = {}
    worst = 0.0
    for entry in entries:
        ours, theirs = found_by("prismat", entry.path), found_by("pymatgen", entry.path)
        if ours is None or theirs is None:
            kind = {(True, True): "refused by both", (True, False): "refused by prismat alone"}.get(
                (ours is None, theirs is None), "refused by pymatgen alone"
            )
        else:
            kind, apart = compare(ours, theirs)
            worst = max(worst, apart) if kind == "equal" else worst
        kinds[kind] += 1
        if kind != "equal":
            verdicts.setdefault(kind, Counter())[verdict(ours, theirs, entry.density)] += 1
            differing.setdefault(kind, []).append(entry.path.stem)
    return {
        "outcomes": dict(kinds.most_common()),
        "density_agrees_with": {kind: dict(counts.most_common()) for kind, counts in verdicts.items()},
        "files": differing,
        "largest_distance_of_equal_angstrom": worst,
    }


def timings(paths: Sequence[Path], repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of every reader, in turns, each in a process of its own."""
    seconds = {clock: {name: [] for name in NAMES} for clock in ("cpu", "wall")}
    for _ in range(repeats):
        for name in NAMES:
            with get_context("spawn").Pool(1) as pool:
                cpu, wall = pool.apply(time_all, (name, paths))
            seconds["cpu"][name].append(cpu)
            seconds["wall"][name].append(wall)
    return seconds


def ratios(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median over the repeats of pymatgen's time over ours of the same round, and the range."""
    found = {}
    for name in NAMES[1:]:
        each = np.array(seconds["pymatgen"]) / np.array(seconds[name])
        found[name] = {"median": float(np.median(each)), "low": float(each.min()), "high": float(each.max())}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entries = write_cifs(Path(folder), chosen.files, SEED)
        compared = comparison(entries)
        seconds = timings([entry.path for entry in entries], chosen.repeats)
        size = sum(entry.path.stat().st_size for entry in entries)
    cpu = {name: float(np.median(values)) for name, values in seconds["cpu"].items()}
    payload = {
        "seed": SEED,
        "files": len(entries),
        "mean_bytes": size / len(entries),
        "threads": 1,
        "repeats": chosen.repeats,
        "structures_per_cpu_second": {name: len(entries) / s for name, s in cpu.items()},
        "ratio_to_pymatgen_cpu": ratios(seconds["cpu"]),
        "ratio_to_pymatgen_wall": ratios(seconds["wall"]),
        "seconds": seconds,
        "comparison": compared,
        "notes": [
            "prismat: file to full cell, as Structure.from_file does it (which looks for no overlaps)",
            "prismat_checked: prismat.formats.read_crystal, with the search for atoms on top of each other",
            "every repeat in a fresh process: no operations or labels are cached when the clock starts",
            "density_agrees_with: whose density lies within 5 % of the one stated by the database",
        ],
    }
    print(write("cif", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
