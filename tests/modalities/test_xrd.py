"""Powder lines against pymatgen's calculator, gemmi's structure factors and what symmetry demands."""

import os
import tracemalloc
from pathlib import Path

import gemmi
import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator
from pymatgen.core import Lattice, Structure

from prismat.crystal import Crystal, element_site
from prismat.elements import MAX_Z, SYMBOLS
from prismat.errors import BadInputError
from prismat.modalities import xrd
from prismat.modalities.xrd import Lines, XrdSettings, powder_lines, scattering_factors

SHARED = Path(os.environ.get("PRISMAT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def from_pymatgen(structure: Structure) -> Crystal:
    sites = tuple(tuple(sorted((e.Z, float(x)) for e, x in s.species.items())) for s in structure)
    return Crystal(structure.lattice.matrix.copy(), structure.frac_coords.copy(), sites)


def largest_difference(lines: Lines, x: np.ndarray, y: np.ndarray, gap: float = 1e-3) -> float:
    """Largest difference of line intensities, strongest 1; lines closer than ``gap`` degrees count as one."""
    both = np.concatenate([lines.two_theta, x])
    order = np.argsort(both)
    label = np.empty(len(both), dtype=int)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(both[order]) > gap)])
    n = label.max() + 1
    ours = np.bincount(label[: len(lines)], lines.intensity, n)
    theirs = np.bincount(label[len(lines) :], y, n)
    return float(np.abs(ours / ours.max() - theirs / theirs.max()).max())


ROCK_SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
STRUCTURES = {
    "rock salt": ROCK_SALT,
    "primitive rock salt": ROCK_SALT.get_primitive_structure(),
    "quartz": Structure.from_spacegroup(
        154,
        Lattice.hexagonal(4.913, 5.405),
        ["Si", "O"],
        [[0.4697, 0, 2 / 3], [0.4135, 0.2669, 0.7858]],
    ),
    "disordered spinel": Structure.from_spacegroup(
        227,
        Lattice.cubic(8.2),
        [{"Mg": 0.8, "Fe": 0.2}, {"Al": 0.7, "Cr": 0.2}, "O"],
        [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.2624, 0.2624, 0.2624]],
    ),
    "monoclinic": Structure.from_spacegroup(
        14, Lattice.monoclinic(7.1, 9.3, 5.2, 114.4), ["Ca", {"O": 0.9}], [[0.1, 0.2, 0.3], [0.7, 0.45, 0.11]]
    ),
    "skew": Structure(
        Lattice([[3.1, 0, 0], [9.3, 3.3, 0.4], [-12.4, 6.1, 4.2]]), ["Ga", "N"], [[0, 0, 0], [0.3, 0.4, 0.2]]
    ),
    "hydride": Structure.from_spacegroup(225, Lattice.cubic(4.08), ["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_agrees_with_pymatgen(name):
    structure = STRUCTURES[name]
    theirs = XRDCalculator(wavelength=1.54184).get_pattern(structure, two_theta_range=(5, 90))
    lines = powder_lines(from_pymatgen(structure))
    assert len(lines) == len(theirs.x)
    assert np.abs(lines.two_theta - theirs.x).max() < 2e-5
    assert np.abs(lines.intensity - theirs.y).max() < 1e-6
    assert lines.intensity.max() == pytest.approx(100)
    assert (np.diff(lines.two_theta) > 0).all()


def test_agrees_on_random_low_symmetry_crystals():
    rng = np.random.default_rng(4)
    calculator = XRDCalculator(wavelength=1.54184)
    for _ in range(25):
        n = int(rng.integers(1, 12))
        lattice = Lattice.from_parameters(*rng.uniform(3, 12, 3), *rng.uniform(60, 120, 3))
        species = [
            {SYMBOLS[z]: x} for z, x in zip(rng.integers(1, 99, n), rng.uniform(0.2, 1, n), strict=True)
        ]
        structure = Structure(lattice, species, rng.random((n, 3)))
        theirs = calculator.get_pattern(structure, two_theta_range=(5, 90))
        assert largest_difference(powder_lines(from_pymatgen(structure)), theirs.x, theirs.y) < 1e-4


@pytest.mark.skipif(not (SHARED / "mp2018.parquet").is_file(), reason="needs mp2018.parquet")
@pytest.mark.slow
def test_agrees_on_500_crystals_of_the_materials_project():
    import pyarrow.parquet as pq

    table = pq.read_table(SHARED / "mp2018.parquet", columns=["numbers", "lattice", "frac_coords"])
    rows = np.random.default_rng(0).choice(table.num_rows, 500, replace=False)
    calculator = XRDCalculator(wavelength=1.54184)
    worst = 0.0
    for row in table.take(rows).to_pylist():
        crystal = Crystal(
            np.array(row["lattice"]).reshape(3, 3),
            np.array(row["frac_coords"]).reshape(-1, 3),
            tuple(((int(z), 1.0),) for z in row["numbers"]),
        )
        theirs = calculator.get_pattern(crystal.to_pymatgen(), two_theta_range=(5, 90))
        worst = max(worst, largest_difference(powder_lines(crystal), theirs.x, theirs.y))
    assert worst < 1e-3


@pytest.mark.parametrize("wavelength", [0.71073, 1.54056, 2.291])
def test_other_wavelengths_and_debye_waller(wavelength):
    factors = {"Mg": 0.4, "O": 1.1}
    structure = STRUCTURES["disordered spinel"]
    calculator = XRDCalculator(wavelength=wavelength, debye_waller_factors=factors)
    theirs = calculator.get_pattern(structure, two_theta_range=(10, 70))
    settings = XrdSettings(wavelength, 10.0, 70.0, debye_waller=factors)
    lines = powder_lines(from_pymatgen(structure), settings)
    assert largest_difference(lines, theirs.x, theirs.y) < 1e-5
    still = powder_lines(from_pymatgen(structure), XrdSettings(wavelength, 10.0, 70.0))
    assert largest_difference(still, lines.two_theta, lines.intensity) > 1e-3


def test_supercell_and_cell_choice_do_not_matter():
    small = powder_lines(from_pymatgen(ROCK_SALT.get_primitive_structure()))
    large = powder_lines(from_pymatgen(ROCK_SALT * (2, 1, 3)))
    assert np.allclose(small.two_theta, large.two_theta, atol=1e-6)
    assert np.allclose(small.intensity, large.intensity, atol=1e-6)


def test_translation_and_rotation_do_not_matter():
    crystal = from_pymatgen(STRUCTURES["quartz"])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = Crystal(crystal.lattice @ turn, np.add(crystal.frac, [0.1, 0.2, 0.7]), crystal.sites)
    a, b = powder_lines(crystal), powder_lines(moved)
    assert np.allclose(a.two_theta, b.two_theta, atol=1e-9)
    assert np.allclose(a.intensity, b.intensity, atol=1e-9)


def test_rock_salt_lines_obey_the_extinction_rule():
    lines = powder_lines(from_pymatgen(ROCK_SALT))
    n = (2 * 5.64 * np.sin(np.radians(lines.two_theta) / 2) / 1.54184) ** 2
    assert np.allclose(n, n.round(), atol=1e-6)
    # All even or all odd: h² + k² + l² of 3, 4, 8, 11, 12, 16, 19, 20, 24, 27 and so on.
    assert n.round().astype(int).tolist()[:8] == [3, 4, 8, 11, 12, 16, 19, 20]


def test_scattering_factors_match_the_cited_table_and_gemmi():
    s2 = np.array([0.0, 0.01, 0.05, 0.2, 0.41])
    z = np.arange(1, MAX_Z + 1)
    ours = scattering_factors(z, s2)
    assert np.array_equal(ours[0], z)
    for column, number in enumerate(z):
        a, b = np.array(ATOMIC_SCATTERING_PARAMS[SYMBOLS[number]]).T
        expected = number - 41.78214 * s2 * (np.exp(-np.outer(s2, b)) @ a)
        assert np.allclose(ours[:, column], expected, atol=1e-10)
        table = gemmi.Element(int(number)).it92
        independent = np.array([table.calculate_sf(float(x)) for x in s2])
        # The cited table lies above both neighbours of tin at high angles, by 3.3 electrons of 22.
        limit = 3.5 if number == 50 else 0.1 + 0.03 * number
        assert np.abs(ours[:, column] - independent).max() < limit


def test_large_cell_stays_within_memory(monkeypatch):
    rng = np.random.default_rng(2)
    crystal = Crystal(np.diag([30.0, 31.0, 32.0]), rng.random((500, 3)), (element_site("O"),) * 500)
    tracemalloc.start()
    lines = powder_lines(crystal)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    # The same in one chunk and in many.
    monkeypatch.setattr(xrd, "CHUNK", 1 << 30)
    whole = powder_lines(Crystal(crystal.lattice, crystal.frac[:40], crystal.sites[:40]))
    monkeypatch.setattr(xrd, "CHUNK", 1 << 10)
    parts = powder_lines(Crystal(crystal.lattice, crystal.frac[:40], crystal.sites[:40]))
    assert len(lines) > 10_000
    assert np.allclose(whole.intensity, parts.intensity, atol=1e-9)


def test_weak_lines_are_dropped_and_close_ones_merged():
    crystal = from_pymatgen(STRUCTURES["monoclinic"])
    every = powder_lines(crystal, XrdSettings(min_intensity=0.0))
    strong = powder_lines(crystal, XrdSettings(min_intensity=5.0))
    assert strong.intensity.min() > 5
    assert len(strong) == (every.intensity > 5).sum()
    merged = powder_lines(crystal, XrdSettings(merge_tolerance=0.2, min_intensity=0.0))
    assert len(merged) < len(every)
    share = every.intensity.sum() / merged.intensity.sum()
    assert share == pytest.approx(every.intensity.max() / powder_peak(every, merged), rel=1e-9)


def powder_peak(every: Lines, merged: Lines) -> float:
    """Unmerged intensity under the strongest merged line."""
    groups = np.searchsorted(merged.two_theta, every.two_theta + 1e-9) - 1
    return float(np.bincount(groups, every.intensity).max())


def test_metadata_say_what_was_done():
    facts = XrdSettings(0.71073, 3.0, 60.0, debye_waller={"O": 0.5}).metadata()
    assert facts["wavelength_angstrom"] == 0.71073
    assert facts["two_theta_range_deg"] == [3, 60]
    assert facts["debye_waller"] == {"O": 0.5}
    assert facts["hydrogen"] == "D counts as H"
    assert facts["lorentz_polarisation"] == "(1 + cos² 2θ) / (sin² θ cos θ)"
    assert XrdSettings().metadata()["radiation"] == "Cu Kα mean"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wavelength": 0.0}, "wavelength of 0.0 Å"),
        ({"wavelength": float("nan")}, "wavelength of nan Å"),
        ({"two_theta_min": 50.0, "two_theta_max": 40.0}, "range of 50.0° to 40.0°"),
        ({"two_theta_max": 180.0}, "0 ≤ min < max < 180"),
        ({"debye_waller": {"O": -1.0}}, "B factor out of range"),
        ({"debye_waller": {"Qq": 1.0}}, "unknown element 'Qq'"),
    ],
)
def test_bad_settings(values, message):
    with pytest.raises(BadInputError, match=message):
        XrdSettings(**values)


def test_bad_crystals():
    site = (element_site("Fe"),)
    origin = np.zeros((1, 3))
    with pytest.raises(BadInputError, match="empty"):
        powder_lines(Crystal(np.eye(3) * 4, np.zeros((0, 3)), ()))
    with pytest.raises(BadInputError, match="a cell of 0 Å³"):
        powder_lines(Crystal(np.ones((3, 3)), origin, site))
    with pytest.raises(BadInputError, match="not finite"):
        powder_lines(Crystal(np.eye(3) * 4, origin + np.nan, site))
    with pytest.raises(BadInputError, match="reflections, more than the limit"):
        powder_lines(Crystal(np.eye(3) * 150, origin, site))
    with pytest.raises(BadInputError, match=r"no reflection between 5\.0° and 90\.0°"):
        powder_lines(Crystal(np.eye(3), origin, site))
