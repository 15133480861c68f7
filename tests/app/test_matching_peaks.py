import numpy as np
import pytest

import helpers_crystals as real
from prismat.app.matching import TOLERANCE, match_peaks, measured_peaks, merged, thinned
from prismat.app.patterns import Peak, broadened, indexed, simulate
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.modalities.xrd import XrdSettings, powder_lines

CRYSTALS = real.crystals()


def measured(name, shift=0.0, noise=0.0, slope=0.0, wavelength=1.54184, seed=0):
    """A pattern as an instrument with a zero error, background and noise would give it."""
    lines = powder_lines(
        CRYSTALS[name], XrdSettings(wavelength=wavelength, two_theta_min=8.0, two_theta_max=90.0)
    )
    grid = np.arange(10, 88, 0.02)
    values = broadened(grid, lines.two_theta + shift, lines.intensity) + slope * (90 - grid)
    return Pattern(grid, values + noise * np.random.default_rng(seed).normal(size=len(grid)), wavelength)


def laid(name, pattern):
    return match_peaks(pattern, simulate(CRYSTALS[name], pattern.wavelength, (10.0, 88.0)))


@pytest.mark.parametrize("name", ["NaCl", "quartz", "calcite", "rutile", "SrTiO3"])
@pytest.mark.parametrize("shift", [0.0, 0.12, -0.2])
def test_a_crystal_is_found_in_its_own_pattern(name, shift):
    found = laid(name, measured(name, shift, noise=0.3, slope=0.2))
    assert found.offset == pytest.approx(shift, abs=0.03)
    assert found.shares[0] > 0.9
    assert found.shares[1] > 0.85
    assert all(abs(p.measured - p.simulated - shift) < TOLERANCE for p in found.pairs)


def test_another_crystal_is_not():
    own, other = (laid(name, measured("quartz")).shares for name in ("quartz", "NaCl"))
    assert min(own) > 0.95
    assert other[0] < 0.3


def test_pairs_are_one_to_one_and_nothing_is_lost():
    found = laid("calcite", measured("quartz", noise=0.2))
    peaks = len(measured_peaks(found.pattern)[0])
    lines = len(merged(found.simulated.peaks))
    assert len(found.pairs) + len(found.alone) == peaks
    assert len(found.pairs) + len(found.missing) == lines
    assert (
        len({p.measured for p in found.pairs}) == len({p.simulated for p in found.pairs}) == len(found.pairs)
    )


def test_peaks_are_where_they_were_put():
    angle, height = measured_peaks(measured("NaCl"))
    lines = merged(simulate(CRYSTALS["NaCl"], limits=(10.0, 88.0)).peaks)
    assert angle == pytest.approx([line.two_theta for line in lines], abs=0.01)
    assert height.max() == pytest.approx(100)


def test_noise_alone_has_hardly_a_peak():
    noise = np.random.default_rng(1).normal(size=4000)
    pattern = Pattern(np.linspace(10, 90, 4000), 1000 + noise)
    try:
        assert len(measured_peaks(pattern)[0]) < 10
    except BadInputError as error:
        assert error.problem == "no peak stands out"  # noqa: PT017


def test_a_flat_pattern_is_refused():
    with pytest.raises(BadInputError, match=r"no peak stands out.*its peaks"):
        measured_peaks(Pattern(np.linspace(10, 90, 500), np.ones(500)))


@pytest.mark.parametrize("points", [7, 60, 30_000])
def test_any_number_of_points_is_read(points):
    grid = np.linspace(10, 90, points)
    pattern = Pattern(grid, np.exp(-0.5 * ((grid - 47) / 20) ** 2))
    angle, _ = measured_peaks(pattern)
    assert len(angle) >= 1


def test_a_long_pattern_is_shown_with_its_peaks():
    pattern = Pattern(np.linspace(10, 90, 50_000), np.random.default_rng(0).uniform(size=50_000))
    angle, intensity = thinned(pattern)
    assert len(angle) <= 8_000
    assert (np.diff(angle) > 0).all()
    assert intensity.max() == 100


def test_lines_that_cannot_be_told_apart_are_one():
    peaks = (
        Peak(30.0, 100.0, ((1, 1, 0),), 12),
        Peak(30.05, 50.0, ((1, 0, 1),), 4),
        Peak(31.0, 0.5, ((2, 0, 0),), 6),
    )
    lines = merged(peaks)
    assert len(lines) == 1
    assert lines[0].two_theta == pytest.approx(30.0167, abs=1e-3)
    assert (lines[0].intensity, lines[0].hkl, lines[0].multiplicity) == (150, ((1, 1, 0), (1, 0, 1)), 16)


@pytest.mark.parametrize("name", ["NaCl", "quartz", "diopside", "spinel", "rutile"])
def test_indices_and_multiplicities_are_those_of_pymatgen(name):
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.core import Lattice, Structure
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    from prismat.elements import SYMBOLS
    from prismat.modalities.standard_cell import standardize

    crystal = CRYSTALS[name]
    species = [{SYMBOLS[z]: x for z, x in site} for site in crystal.sites]
    structure = Structure(Lattice(crystal.lattice), species, crystal.frac)
    conventional = SpacegroupAnalyzer(structure, 0.01).get_conventional_standard_structure()
    expected = XRDCalculator(1.54184).get_pattern(conventional, two_theta_range=(10.0, 60.0))
    found = simulate(standardize(crystal).primitive, limits=(10.0, 60.0)).peaks
    strong = {round(p.two_theta, 2): p for p in found if p.intensity > 2}
    checked = 0
    for angle, height, families in zip(expected.x, expected.y, expected.hkls, strict=True):
        peak = next((p for a, p in strong.items() if abs(a - angle) < 0.015), None)
        if height < 3 or peak is None:
            continue
        assert peak.multiplicity == sum(f["multiplicity"] for f in families)
        spacing = 1.54184 / (2 * np.sin(np.radians(angle) / 2))
        basis = np.array(conventional.lattice.reciprocal_lattice_crystallographic.matrix)
        for hkl in peak.hkl:
            assert 1 / np.linalg.norm(np.array(hkl) @ basis) == pytest.approx(spacing, rel=2e-3)
        checked += 1
    assert checked >= 3


def test_calcite_has_the_lines_of_its_rhombohedral_cell():
    """Obverse setting of R -3 c: −h + k + l = 3n; {012} and {104} have six planes each."""
    peaks = {p.hkl[0]: p for p in simulate(CRYSTALS["calcite"], limits=(20.0, 32.0)).peaks}
    assert {(0, 1, 2), (1, 0, 4)} <= set(peaks)
    assert peaks[(0, 1, 2)].multiplicity == peaks[(1, 0, 4)].multiplicity == 6
    assert max(peaks.values(), key=lambda p: p.intensity).hkl == ((1, 0, 4),)


def test_absent_reflections_give_no_index():
    peaks = simulate(CRYSTALS["NaCl"], limits=(5.0, 120.0)).peaks
    assert peaks[0].hkl == ((1, 1, 1),)
    assert peaks[1].hkl == ((2, 0, 0),)
    assert all(len({i % 2 for i in hkl}) == 1 for peak in peaks for hkl in peak.hkl)
    assert (5, 1, 1) in next(p for p in peaks if len(p.hkl) > 1).hkl


def test_the_number_of_lines_is_bounded():
    settings = XrdSettings(wavelength=0.7)
    lines = powder_lines(CRYSTALS["kyanite"], settings)
    found = indexed(CRYSTALS["kyanite"], settings, lines.two_theta, lines.intensity)
    assert len(found) <= 500
    assert [p.two_theta for p in found] == sorted(p.two_theta for p in found)


@pytest.mark.parametrize("place", [20.0, 20.003, 20.01, 89.999, 5.0])
def test_a_peak_stands_where_its_line_is(place):
    grid = np.arange(5.0, 90.01, 0.02)
    profile = broadened(grid, np.array([place]), np.array([3.0]))
    assert profile.max() == pytest.approx(100)
    assert grid[profile.argmax()] == pytest.approx(place, abs=0.0101)
