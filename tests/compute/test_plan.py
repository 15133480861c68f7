"""What is decided before a crystal is computed."""

from dataclasses import replace

import numpy as np
import pytest

import helpers_compute as help_compute
from prismat.compute.failure import CalculationError
from prismat.compute.plan import empty_bands, k_mesh, make_plan, method, other_plan
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.crystal import Crystal, element_site
from prismat.errors import BadInputError


def test_silicon(tmp_path):
    plan = help_compute.plan_of(help_compute.SILICON, tmp_path, AbinitSettings())
    assert (plan.electrons, plan.cutoff) == (8, 15.0)
    # |b| = 2π √3 / 5.431 Å = 2.004 / Å.
    assert (plan.k_points, plan.k_points_dos) == ((4, 4, 4), (6, 6, 6))
    assert plan.bands >= 6
    assert plan.bands_dos > plan.bands - 2


def test_the_hardest_element_sets_the_cutoff(tmp_path):
    files = help_compute.pseudopotentials(tmp_path)
    salt = make_plan(help_compute.SALT, files, AbinitSettings(cutoff_scale=2.0), Suitable())
    assert salt.cutoff == 2 * max(files.of(11).cutoff, files.of(17).cutoff)
    assert salt.electrons == 1 + 7


def test_metals_get_a_finer_mesh(tmp_path):
    settings = AbinitSettings()
    metal = help_compute.plan_of(help_compute.MAGNESIUM, tmp_path, settings)
    # b: 2.260, 2.260, 1.206 / Å, at most 0.35 apart.
    assert metal.k_points == (7, 7, 4)
    assert other_plan(metal, "electrons", settings).k_points == metal.k_points
    silicon = help_compute.plan_of(help_compute.SILICON, tmp_path, settings)
    finer = other_plan(silicon, "electrons", settings)
    assert (finer.k_points, finer.k_points_dos) == ((6, 6, 6), (9, 9, 9))
    assert finer.cost > silicon.cost
    more = other_plan(silicon, "bands", settings)
    assert more.bands_dos == int(np.ceil(1.5 * silicon.bands_dos))
    assert (more.k_points, more.bands) == (silicon.k_points, silicon.bands)
    assert other_plan(silicon, "unconverged", settings) is silicon


@pytest.mark.parametrize("spacing", [0.2, 0.5, 1.0])
def test_mesh_is_dense_enough_and_no_denser(spacing):
    rng = np.random.default_rng(0)
    for _ in range(20):
        lattice = rng.uniform(-1, 1, (3, 3)) + 4 * np.eye(3)
        reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
        lengths = np.linalg.norm(reciprocal, axis=1)
        mesh = np.array(k_mesh(lattice, spacing))
        assert (lengths / mesh <= spacing + 1e-5).all()
        assert (lengths / np.maximum(mesh - 1, 1) > spacing - 1e-5)[mesh > 1].all()


def test_empty_bands_are_those_of_a_fermi_gas():
    """Sodium: 1 electron in 39.5 Å³, Fermi energy 3.1 eV; bands below E go as E^1.5."""
    volume, electrons = 39.5, 1
    fermi = 3.13
    expected = 0.5 * electrons * ((1 + 8.0 / fermi) ** 1.5 - 1)
    assert empty_bands(volume, electrons, 8.0) == int(np.ceil(expected)) + 2


@pytest.mark.parametrize(
    ("crystal", "reason"),
    [
        (Crystal.molecule(np.zeros((1, 3)), (element_site("Ar"),)), "a molecule"),
        (replace(help_compute.SILICON, sites=(((14, 0.5), (32, 0.5)),) * 2), "disordered"),
        (replace(help_compute.SILICON, lattice=-help_compute.SILICON.lattice), "left-handed"),
        (replace(help_compute.SILICON, sites=(element_site("Nd"),) * 2), "without a pseudopotential: Nd"),
        (
            Crystal(np.eye(3) * 9, np.zeros((9, 3)), (element_site("Si"),) * 9),
            "9 atoms, more than 8",
        ),
    ],
)
def test_says_why_a_crystal_is_not_suitable(tmp_path, crystal, reason):
    with pytest.raises(CalculationError, match=reason) as error:
        help_compute.plan_of(crystal, tmp_path)
    assert error.value.kind == "unsuitable"


def test_too_many_electrons(tmp_path):
    with pytest.raises(CalculationError, match="8 valence electrons, more than 7"):
        help_compute.plan_of(help_compute.SILICON, tmp_path, max_electrons=7)


def test_method_tells_what_matters(tmp_path):
    plan = help_compute.plan_of(help_compute.SALT, tmp_path)
    told = method(plan, help_compute.SMALL, "9.6.2")
    for fact in ("Abinit 9.6.2", "LDA", "HGH", "Na 1, Cl 7", "spin-unpolarised", "4.5 Ha", "tetrahedra"):
        assert fact in told
    assert "tetrahedra" not in method(plan, replace(help_compute.SMALL, quantity="density"), "9.6.2")


@pytest.mark.parametrize("wrong", [{"k_spacing": 0.0}, {"dos_refinement": 0.5}, {"points": 4}, {"steps": 0}])
def test_refuses_settings_without_sense(wrong):
    with pytest.raises(BadInputError, match="settings"):
        AbinitSettings(**wrong)
