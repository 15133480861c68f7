"""One crystal from input to result, with stand-ins for Abinit that behave and misbehave."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

import helpers_compute as help_compute
from prismat.compute import calculation
from prismat.compute.abinit_output import DosTable, Levels
from prismat.compute.calculation import checked_density, coarser, compute_crystal, make_dos
from prismat.compute.failure import CalculationError, StoppedError
from prismat.compute.plan import HARTREE
from prismat.compute.program import find_program
from prismat.compute.sandbox import Limits
from prismat.compute.settings import AbinitSettings
from prismat.material import Material
from prismat.measurements import ChargeDensity
from prismat.modalities.charge_density import ChargeDensityModality
from prismat.modalities.dos import DosModality

LIMITS = Limits(seconds=60.0)


def compute(tmp_path, mode, crystal=help_compute.SILICON, settings=help_compute.SMALL, **more):
    plan = help_compute.plan_of(crystal, tmp_path / "psp", settings)
    program = help_compute.fake_abinit(tmp_path / "bin", mode, more.pop("half", ""))
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    limits = more.pop("limits", LIMITS)
    try:
        return compute_crystal(plan, settings, program, limits, scratch, **more)
    finally:
        assert not list(scratch.iterdir())


def test_an_insulator(tmp_path):
    found = compute(tmp_path, "good")
    dos, density = found.dos, found.density
    assert (dos.zero, dos.n_atoms, dos.per, dos.spin, dos.broadening) == ("fermi", 2, "cell", "summed", 0)
    step = np.diff(dos.energy)
    below = dos.energy < 0
    states = np.sum((dos.density[:-1] * step)[below[:-1]])
    assert states == pytest.approx(8, abs=0.05)
    # Energies count from the highest occupied level: the gap begins there.
    gap = (dos.energy > 0.05) & (dos.energy < found.facts["gap_ev"] - 0.05)
    assert gap.any()
    assert np.abs(dos.density[gap]).max() < 1e-6
    assert (found.facts["electrons"], found.facts["attempts"], found.facts["steps"]) == (8, 1, 6)
    assert found.facts["metal"] is False
    assert density.values.shape == (12, 12, 12)
    assert density.electrons == pytest.approx(8, abs=1e-6)


def test_a_metal(tmp_path):
    found = compute(tmp_path, "good", help_compute.MAGNESIUM)
    assert found.facts["metal"] is True
    assert "gap_ev" not in found.facts
    dos = found.dos
    below = np.interp(0, dos.energy, np.concatenate([[0], np.cumsum(dos.density[:-1] * np.diff(dos.energy))]))
    assert below == pytest.approx(4, abs=0.05)


def test_results_fit_the_windows(tmp_path):
    """What comes out is what the modalities of a store take."""
    found = compute(tmp_path, "good")
    material = Material(
        "si", help_compute.SILICON, measurements={"dos": found.dos, "charge_density": found.density}
    )
    bins = DosModality().featurize(material)["dos.density"]
    known = np.isfinite(bins)
    # Silicon's valence band is 12 eV wide: most of its 4 states per atom lie in the window from −10 eV.
    assert known[:64].all()
    assert 3 < np.nansum(bins[:64]) * 20 / 128 < 4.05
    values = ChargeDensityModality().featurize(material)["charge_density.values"].astype(float)
    assert values.mean() * help_compute.SILICON.volume == pytest.approx(8, abs=0.02)


@pytest.mark.parametrize(("quantity", "has"), [("dos", (True, False)), ("both", (True, True))])
def test_only_what_is_asked_for_is_kept(tmp_path, quantity, has):
    found = compute(tmp_path, "good", settings=replace(help_compute.SMALL, quantity=quantity))
    assert (found.dos is not None, found.density is not None) == has


def test_not_converged_twice_is_a_failure(tmp_path):
    with pytest.raises(CalculationError, match="maximum energy difference") as error:
        compute(tmp_path, "unconverged")
    assert error.value.kind == "unconverged"
    assert len(help_compute.journal(help_compute.fake_abinit(tmp_path / "bin", "good"))) == 2


def test_gentle_mixing_is_tried_once(tmp_path):
    found = compute(tmp_path, "converges when gentle")
    assert found.facts["attempts"] == 2


def test_a_metal_on_a_coarse_mesh_is_computed_on_a_finer_one(tmp_path):
    """The stand-in gives the same again, so that it fails, but after the second attempt."""
    settings = replace(help_compute.SMALL, k_spacing_metal=0.9)
    plan = help_compute.plan_of(help_compute.SILICON, tmp_path / "psp", settings)
    wrong = replace(plan, electrons=9, k_points=(1, 1, 1))
    program = help_compute.fake_abinit(tmp_path / "bin", "good")
    with pytest.raises(CalculationError, match=r"8.0000 electrons counted by Abinit, 9") as error:
        compute_crystal(wrong, settings, program, LIMITS)
    assert error.value.kind == "electrons"
    assert len(help_compute.journal(program)) == 2


@pytest.mark.parametrize(("kind", "attempts"), [("bands", 2), ("unconverged", 2), ("crash", 1), ("time", 1)])
def test_each_cause_is_dealt_with_once(tmp_path, monkeypatch, kind, attempts):
    seen = []

    def fail(plan, *others, gentle):
        seen.append((plan.bands_dos, gentle))
        raise CalculationError(kind, "again")

    monkeypatch.setattr(calculation, "_attempt", fail)
    with pytest.raises(CalculationError, match="again"):
        compute(tmp_path, "good")
    assert len(seen) == attempts
    assert (seen[-1][0] > seen[0][0]) == (kind == "bands")
    assert seen[-1][1] == (kind == "unconverged")


@pytest.mark.parametrize(
    ("mode", "limits", "kind", "said"),
    [
        ("hang", Limits(seconds=2.0), "time", "over its limit of 2 s"),
        ("spin", Limits(seconds=1.0), "time", "over its limit of 1 s"),
        ("eat memory", Limits(seconds=60.0, memory_mb=256), "memory", "over its limit of 256 MB"),
        ("big file", Limits(seconds=60.0, file_mb=1), "size", "a file over the limit of 1 MB"),
        ("killed", LIMITS, "killed", "killed by signal 9"),
        ("crash", LIMITS, "crash", "exit status 14: The sky fell on k point 3"),
        ("silent", LIMITS, "output", "no file run.abo"),
    ],
)
def test_says_how_it_went_wrong(tmp_path, mode, limits, kind, said):
    with pytest.raises(CalculationError, match=said) as error:
        compute(tmp_path, mode, limits=limits)
    assert error.value.kind == kind


@pytest.mark.parametrize("how", ["half", "absent"])
@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("run.abo", "the output ends before|no file"),
        ("runo_DS1_DEN", "cut off|no file"),
        ("runo_DS2_EIG", "other than 11 bands|no file|among the levels"),
    ],
)
def test_files_that_are_cut_off_or_absent(tmp_path, how, file, said):
    with pytest.raises(CalculationError, match=said) as error:
        compute(tmp_path, how, half=file)
    assert error.value.kind == "output"


def test_half_a_density_of_states_does_not_hold_the_electrons(tmp_path):
    with pytest.raises(CalculationError, match=r"below the Fermi level|cut off|is none") as error:
        compute(tmp_path, "half", half="runo_DS2_DOS")
    assert error.value.kind in ("electrons", "output")


def test_stops_on_demand(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        compute(tmp_path, "hang", stop=stop)


def table(fermi, plan):
    """A free-electron-like DOS: states ∝ (E − E₀)^1.5, all electrons of the plan at 0.3 Ha."""
    energy = np.arange(-0.2, 0.8, 0.001)
    states = plan.electrons * np.clip((energy + 0.1) / 0.4, 0, None) ** 1.5
    return DosTable(energy, states, fermi)


def test_zero_of_a_metal_is_where_the_states_are_the_electrons(tmp_path):
    plan = help_compute.plan_of(help_compute.MAGNESIUM, tmp_path)
    levels = Levels(np.linspace(-0.1, 0.6, plan.bands_dos) + np.array([[0.0], [0.3]]))
    dos, told = make_dos(table(0.301, plan), levels, plan, 0.005)
    assert told["fermi_ev"] == pytest.approx(0.3 * HARTREE, abs=1e-3)
    assert dos.energy[0] < -10
    assert dos.energy[-1] < (0.6 - 0.3) * HARTREE
    assert np.trapezoid(dos.density, dos.energy) > plan.electrons


def test_states_that_are_not_the_electrons(tmp_path):
    plan = help_compute.plan_of(help_compute.MAGNESIUM, tmp_path)
    levels = Levels(np.linspace(-0.1, 0.6, 2 * plan.bands_dos).reshape(2, -1))
    with pytest.raises(CalculationError, match="below the Fermi level, 4 by the pseudopotentials"):
        make_dos(table(0.35, plan), levels, plan, 0.005)


def test_a_narrow_band_at_the_fermi_level(tmp_path):
    """Far off in states, and within the smearing in energy."""
    plan = help_compute.plan_of(help_compute.MAGNESIUM, tmp_path)
    levels = Levels(np.linspace(-0.1, 0.6, plan.bands_dos) + np.array([[0.0], [0.3]]))
    plain = table(0.304, plan)
    narrow = replace(plain, states=plain.states + 2 * (plain.energy > 0.302))
    assert np.interp(0.304, narrow.energy, narrow.states) > 1.4 * plan.electrons
    _, told = make_dos(narrow, levels, plan, 0.005)
    assert told["fermi_ev"] == pytest.approx(0.3 * HARTREE, abs=1e-3)
    with pytest.raises(CalculationError, match="below the Fermi level"):
        make_dos(narrow, levels, plan, 0.001)


def test_bands_that_end_too_low(tmp_path):
    plan = help_compute.plan_of(help_compute.MAGNESIUM, tmp_path)
    levels = Levels(np.linspace(-0.1, 0.25, 2 * plan.bands_dos).reshape(2, -1))
    with pytest.raises(CalculationError, match="bands that end at the Fermi level"):
        make_dos(table(0.3, plan), levels, plan, 0.005)


def test_densities_of_other_cells_or_electrons(tmp_path):
    plan = help_compute.plan_of(help_compute.SILICON, tmp_path)
    lattice = help_compute.SILICON.lattice
    values = np.full((6, 6, 6), 8 / help_compute.SILICON.volume)
    good = ChargeDensity(values, lattice, "valence")
    assert checked_density(good, plan) is good
    with pytest.raises(CalculationError, match="another cell"):
        checked_density(replace(good, lattice=lattice + 0.01), plan)
    with pytest.raises(CalculationError, match=r"8\.0080 electrons in the density, 8 by"):
        checked_density(replace(good, values=values * 1.001), plan)


def test_coarser_grids_keep_electrons_and_small_ones_are_left():
    rng = np.random.default_rng(1)
    density = ChargeDensity(rng.uniform(0.1, 1, (10, 12, 16)), np.diag([4.0, 5.0, 6.0]), "valence")
    fewer = coarser(density, 12)
    assert fewer.values.shape == (10, 12, 12)
    assert fewer.electrons == pytest.approx(density.electrons, rel=1e-12)
    assert coarser(density, 16) is density


@pytest.mark.skipif(shutil.which("abinit") is None, reason="Abinit is not installed")
def test_real_abinit_on_silicon():
    """Silicon at 5.431 Å: the gap of the local density approximation is 0.5 eV (experiment: 1.17 eV)."""
    from prismat.compute.plan import make_plan
    from prismat.compute.pseudopotentials import Pseudopotentials
    from prismat.compute.settings import Suitable

    settings = AbinitSettings(cutoff_scale=0.6, k_spacing=0.7, dos_refinement=1.3)
    plan = make_plan(help_compute.SILICON, Pseudopotentials(), settings, Suitable())
    found = compute_crystal(plan, settings, find_program(), Limits(seconds=240.0))
    assert found.facts["gap_ev"] == pytest.approx(0.55, abs=0.15)
    assert found.density.electrons == pytest.approx(8, abs=1e-3)
    # The valence band is 12 eV wide.
    occupied = found.dos.energy[(found.dos.density > 1e-3) & (found.dos.energy < 0.02)]
    assert occupied.min() == pytest.approx(-11.96, abs=0.3)
