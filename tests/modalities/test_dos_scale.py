"""Units, integrals and smearing of densities of states, against scipy's and against brute force."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.constants as constants
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from prismat.errors import BadInputError
from prismat.measurements import Dos
from prismat.modalities import dos_scale
from prismat.modalities.dos_scale import EV, Spectrum, binned, check_dos, smeared, spectrum, states_below

RNG = np.random.default_rng(0)


def some(points: int = 300, low: float = -8.0, high: float = 7.0, rough: bool = True) -> Dos:
    """Three bands on energies that are not evenly spaced."""
    energy = np.linspace(low, high, points) + (RNG.uniform(-0.01, 0.01, points) if rough else 0)
    density = sum(
        h * np.exp(-(((energy - c) / w) ** 2)) for h, c, w in [(3, -5, 0.4), (8, -1, 0.2), (2, 3, 1)]
    )
    return Dos(energy, np.asarray(density), zero="fermi", n_atoms=2)


def plain(energy: np.ndarray, density: np.ndarray) -> Spectrum:
    return Spectrum(np.asarray(energy, float), np.asarray(density, float), 0.0, 1.0)


def unchecked(dos: Dos, **changes: object) -> Dos:
    """A DOS that the type checker at test time would not let pass, as users may give."""
    dos = replace(dos)
    for name, value in changes.items():
        object.__setattr__(dos, name, value)
    return dos


def test_units_are_those_of_codata():
    assert EV["cm-1"] == pytest.approx(constants.h * constants.c * 100 / constants.e, rel=1e-12)
    assert EV["THz"] == pytest.approx(constants.h * 1e12 / constants.e, rel=1e-12)
    assert 1 / EV["cm-1"] == pytest.approx(8065.543937, rel=1e-9)
    assert EV["THz"] / EV["cm-1"] == pytest.approx(33.35640952, rel=1e-9)


@pytest.mark.parametrize("unit", ["eV", "meV", "cm-1", "THz"])
@pytest.mark.parametrize("kind", ["electronic", "phonon"])
def test_units_keep_the_states(unit, kind):
    given = some()
    factor = EV["eV"] / EV[unit]
    same = replace(given, energy=given.energy * factor, density=given.density / factor, unit=unit, kind=kind)
    same = replace(same, broadening=0.1 * factor)
    ours = spectrum(same, 0.0)
    wanted = spectrum(replace(given, kind=kind, broadening=0.1), 0.0)
    assert np.allclose(ours.energy, wanted.energy, rtol=1e-9)
    assert np.allclose(ours.density, wanted.density, rtol=1e-9)
    assert ours.broadening == pytest.approx(wanted.broadening)


def test_electrons_per_atom():
    given = some()
    per_cell = np.trapezoid(given.density, given.energy)
    for dos, atoms in [(given, 0.0), (given, 7.0), (replace(given, n_atoms=0), 2.0)]:
        ours = spectrum(dos, atoms)
        assert np.trapezoid(ours.density, ours.energy) == pytest.approx(per_cell / 2)
        assert ours.factor == pytest.approx(0.5)
    assert spectrum(replace(given, per="atom"), 5.0).factor == 1.0


@pytest.mark.parametrize("scale", [1.0, 1e-3, 250.0])
def test_phonons_integrate_to_three_per_atom(scale):
    given = replace(some(), kind="phonon", unit="THz", zero="", n_atoms=0)
    ours = spectrum(replace(given, density=given.density * scale), 0.0)
    assert np.trapezoid(ours.density, ours.energy) == pytest.approx(3)
    in_cm = given.density * scale * EV["cm-1"] / EV["THz"]
    assert np.allclose(in_cm * ours.factor, ours.density)


def test_states_below_is_the_exact_integral_of_straight_lines():
    energy, density = np.array([0.0, 1.0, 3.0, 3.5]), np.array([0.0, 2.0, 1.0, 4.0])
    at = np.linspace(-1, 4, 97)
    fine = np.linspace(-1, 4, 2_000_001)
    drawn = np.interp(fine, energy, density, left=0, right=0)
    brute = np.concatenate([[0], np.cumsum(0.5 * (drawn[1:] + drawn[:-1]) * np.diff(fine))])
    assert np.allclose(states_below(plain(energy, density), at), np.interp(at, fine, brute), atol=1e-5)


@given(
    st.lists(st.floats(0.001, 3), min_size=2, max_size=30),
    st.integers(1, 60),
    st.sampled_from([0.0, 0.05, 1.0]),
    st.data(),
)
def test_binning_keeps_every_state(steps, bins, smearing, data):
    energy = np.cumsum(steps)
    density = data.draw(st.lists(st.floats(0, 1e3), min_size=len(steps), max_size=len(steps)))
    full = plain(energy, np.array(density))
    margin = 9 * smearing
    borders = np.linspace(energy[0] - margin, energy[-1] + margin, bins + 1)
    kept = binned(full, borders, smearing) @ np.diff(borders)
    assert kept == pytest.approx(np.trapezoid(full.density, energy), rel=1e-6, abs=1e-6)


def test_narrow_peaks_are_not_lost_between_grid_points():
    # Reading the density at the grid's points would find nothing.
    energy = np.linspace(0, 10, 10_001)
    full = plain(energy, 100 * np.exp(-(((energy - 4.49) / 0.005) ** 2)))
    borders = np.linspace(0, 10, 21)
    assert np.interp(0.5 * (borders[1:] + borders[:-1]), energy, full.density).max() < 1e-9
    ours = binned(full, borders)
    assert ours @ np.diff(borders) == pytest.approx(100 * 0.005 * np.sqrt(np.pi), rel=1e-4)
    assert np.argmax(ours) == 8


def test_smearing_is_a_gaussian_convolution(monkeypatch):
    energy = np.linspace(-20, 20, 4001)
    density = np.where(np.abs(energy) < 2, 1.0, 0.0) + np.where(np.abs(energy - 6) < 0.5, 3.0, 0.0)
    ours = smeared(plain(energy, density), 0.7)
    assert np.allclose(ours, gaussian_filter1d(density, 70.0, truncate=8), atol=2e-3)
    assert np.array_equal(smeared(plain(energy, density), 0.0), density)
    monkeypatch.setattr(dos_scale, "BLOCK", 50_000)
    assert np.allclose(smeared(plain(energy, density), 0.7), ours, atol=1e-12)


def test_noise_below_zero_is_clipped_and_more_is_refused():
    given = some()
    noisy = given.density.copy()
    noisy[3] = -0.5 * dos_scale.NOISE * noisy.max()
    assert spectrum(replace(given, density=noisy), 0.0).density[3] == 0
    noisy[3] *= 3
    with pytest.raises(BadInputError, match="below zero by more than 1%"):
        spectrum(replace(given, density=noisy), 0.0)


def with_value(value: float, at: int = 4) -> np.ndarray:
    density = some().density.copy()
    density[at] = value
    return density


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": with_value(np.nan)}, "NaN or infinity in point 5"),
        ({"density": with_value(np.inf)}, "NaN or infinity in point 5"),
        ({"density": np.zeros(300)}, "no state at any energy"),
        ({"density": -some().density}, "below zero"),
        ({"energy": some().energy[::-1]}, "do not ascend after point 1"),
        ({"energy": np.repeat(some().energy[::2], 2)}, "do not ascend after point 1"),
        ({"energy": np.arange(9.0), "density": np.ones(9)}, "9 energies and 9 densities"),
        ({"energy": np.arange(20_001.0), "density": np.ones(20_001)}, "20001 energies"),
        ({"energy": np.arange(30.0), "density": np.ones(31)}, "30 energies and 31 densities"),
        ({"energy": np.ones((20, 2)), "density": np.ones((20, 2))}, "40 energies and 40 densities"),
        ({"unit": "Ry"}, "unit 'Ry'.*Give one of eV, meV, cm-1, THz"),
        ({"kind": "magnon"}, "kind 'magnon'"),
        ({"broadening": -0.1}, "broadening -0.1"),
        ({"broadening": np.nan}, "broadening nan"),
        ({"n_atoms": -3}, "-3 atoms"),
    ],
)
def test_bad_densities(changes, message):
    with pytest.raises(BadInputError, match=message) as caught:
        check_dos(unchecked(some(), **changes), "phonon_dos")
    assert caught.value.field == "phonon_dos"
    assert caught.value.remedy


def test_unknown_number_of_atoms():
    with pytest.raises(
        BadInputError, match=r"dos: states per cell of an unknown number of atoms.*Give n_atoms"
    ):
        spectrum(replace(some(), n_atoms=0), 0.0)
