"""March–Dollase factors of powder lines against direct sums over reflections."""

import json

import numpy as np
import pytest
import torch
from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from helpers_source import FewCrystals
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.modalities.standard_cell import standardize
from prismat.modalities.texture import (
    ORDERS,
    R_MAX,
    R_MIN,
    legendre_moments,
    march_dollase,
    preferred_axis,
    texture_coefficients,
)
from prismat.modalities.xrd import CU_K_ALPHA, XrdSettings, powder_lines
from prismat.prepare import PrepareSettings, prepare

STRUCTURES = {
    "quartz": Structure.from_spacegroup(
        154,
        Lattice.hexagonal(4.913, 5.405),
        ["Si", "O"],
        [[0.4697, 0, 2 / 3], [0.4135, 0.2669, 0.7858]],
    ),
    "molybdenite": Structure.from_spacegroup(
        194, Lattice.hexagonal(3.16, 12.30), ["Mo", "S"], [[1 / 3, 2 / 3, 0.25], [1 / 3, 2 / 3, 0.621]]
    ),
    "calcite": Structure.from_spacegroup(
        167,
        Lattice.hexagonal(4.99, 17.06),
        ["Ca", "C", "O"],
        [[0, 0, 0], [0, 0, 0.25], [0.257, 0, 0.25]],
    ),
    "rock salt": Structure.from_spacegroup(
        225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    "monoclinic": Structure.from_spacegroup(
        14, Lattice.monoclinic(7.1, 9.3, 5.2, 98.0), ["Ca", "O"], [[0.1, 0.2, 0.3], [0.7, 0.45, 0.11]]
    ),
}
TEXTURED = XrdSettings(texture=True)
R_VALUES = (0.5, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0)


def from_pymatgen(structure: Structure) -> Crystal:
    sites = tuple(tuple(sorted((e.Z, float(x)) for e, x in s.species.items())) for s in structure)
    return Crystal(structure.lattice.matrix.copy(), structure.frac_coords.copy(), sites)


def formula(cosine: np.ndarray, r: float) -> np.ndarray:
    """Dollase's equation 6 in terms of the angle."""
    alpha = np.arccos(np.clip(cosine, -1, 1))
    return (r**2 * np.cos(alpha) ** 2 + np.sin(alpha) ** 2 / r) ** -1.5


def reflections(structure: Structure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2θ, intensity and cosine to c* of every reflection of the whole sphere, one by one."""
    found = []
    reciprocal = structure.lattice.reciprocal_lattice_crystallographic
    axis = reciprocal.matrix[2] / reciprocal.c
    radius = 2 * np.sin(np.pi / 4) / CU_K_ALPHA
    for hkl, length, _, _ in reciprocal.get_points_in_sphere([[0, 0, 0]], [0, 0, 0], radius):
        if length < 1e-9:
            continue
        theta, s2 = np.arcsin(CU_K_ALPHA * length / 2), (length / 2) ** 2
        amplitude = 0j
        for site in structure:
            a, b = np.array(ATOMIC_SCATTERING_PARAMS[site.specie.symbol]).T
            f = site.specie.Z - 41.78214 * s2 * (a * np.exp(-b * s2)).sum()
            amplitude += f * np.exp(2j * np.pi * np.dot(hkl, site.frac_coords))
        factor = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
        cosine = reciprocal.get_cartesian_coords(hkl) @ axis / length
        found.append((np.degrees(2 * theta), abs(amplitude) ** 2 * factor, cosine))
    angle, height, cosine = np.array(found).T
    return angle, height, cosine


@pytest.mark.parametrize("name", STRUCTURES)
def test_lines_agree_with_the_sum_over_their_reflections(name):
    """Errors are relative to the strongest line of the textured pattern."""
    lines = powder_lines(from_pymatgen(STRUCTURES[name]), TEXTURED)
    angle, height, cosine = reflections(STRUCTURES[name])
    nearest = np.abs(lines.two_theta[:, None] - angle).argmin(0)
    there = np.abs(lines.two_theta[nearest] - angle) < 1e-3
    coefficients = texture_coefficients(torch.tensor(R_VALUES, dtype=torch.float64)).numpy()
    error = {}
    for r, c in zip(R_VALUES, coefficients, strict=True):
        series = lines.intensity * (1 + lines.texture @ c)
        exact = np.bincount(nearest[there], (height * formula(cosine, r))[there], len(lines))
        exact *= lines.intensity.sum() / height[there].sum()
        error[r] = np.abs(series - exact).max() / exact.max()
    assert error[1.0] < 1e-9
    assert max(error.values()) < 0.006
    assert max(error[r] for r in (0.6, 0.8, 1.25, 1.6)) < 3e-4


def test_the_series_is_as_close_to_the_factor_as_stated():
    cosine = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    moments = torch.from_numpy(legendre_moments(cosine.numpy()))
    r = torch.tensor([R_MIN, 0.6, 1.8, R_MAX], dtype=torch.float64)
    series = 1 + texture_coefficients(r) @ moments.T
    error = (series - march_dollase(cosine[None], r[:, None])).abs().amax(1)
    assert error[0] < 0.024
    assert error[1:3].max() < 0.002
    assert error[3] < 0.005
    assert march_dollase(torch.tensor(1.0), 0.5).item() == pytest.approx(8)


@pytest.mark.parametrize("r", [0.3, *R_VALUES, 4.0])
def test_the_mean_over_the_sphere_is_one(r):
    from scipy.integrate import quad

    mean, _ = quad(lambda x: march_dollase(torch.tensor(x, dtype=torch.float64), r).item(), 0, 1)
    assert mean == pytest.approx(1, abs=1e-8)


def test_the_factor_is_dollases():
    cosine = np.linspace(-1, 1, 21)
    for r in R_VALUES:
        ours = march_dollase(torch.from_numpy(cosine), r).numpy()
        assert ours == pytest.approx(formula(cosine, r), rel=1e-12)


def test_coefficients_are_projections():
    from scipy.integrate import quad
    from scipy.special import eval_legendre

    for r in (0.5, 0.9, 2.0):
        found = texture_coefficients(torch.tensor([r], dtype=torch.float64))[0].numpy()
        wanted = [
            (2 * n + 1) * quad(lambda x, n=n, r=r: formula(x, r) * eval_legendre(n, x), 0, 1)[0]
            for n in ORDERS
        ]
        assert found == pytest.approx(wanted, abs=1e-9)
    assert texture_coefficients(torch.ones(1)).abs().max() < 1e-12


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_axis_is_that_of_the_conventional_cell(name):
    structure = STRUCTURES[name]
    conventional = SpacegroupAnalyzer(structure, 0.01).get_conventional_standard_structure()
    if name == "monoclinic":
        conventional = structure
    for planes in [(0, 0, 1)] if name == "calcite" else [(0, 0, 1), (1, 0, 0), (1, 0, 1)]:
        spacing = conventional.lattice.d_hkl(planes)
        crystal = from_pymatgen(structure)
        normal = preferred_axis(crystal, planes)
        # The normal of planes with that spacing: d* along it is a reciprocal vector of the given cell.
        indices = crystal.lattice @ normal / spacing
        assert np.linalg.norm(normal) == pytest.approx(1)
        assert indices == pytest.approx(indices.round(), abs=1e-3)


@pytest.mark.parametrize("name", STRUCTURES)
def test_moments_do_not_depend_on_the_cell(name):
    """Primitive cell, supercell and a turned cell give the same lines with the same moments."""
    structure = STRUCTURES[name]
    turned = from_pymatgen(structure)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turned = Crystal(turned.lattice @ turn, turned.frac, turned.sites)
    reference = powder_lines(from_pymatgen(structure), TEXTURED)
    primitive, supercell = structure.get_primitive_structure(), structure * (1, 2, 1)
    for crystal in (from_pymatgen(primitive), from_pymatgen(supercell), turned):
        lines = powder_lines(crystal, TEXTURED)
        assert lines.two_theta == pytest.approx(reference.two_theta, abs=1e-3)
        assert np.abs(lines.texture - reference.texture).max() < 1e-3


def test_moments_of_known_lines():
    """(00l) of a hexagonal crystal stand on the axis; (hk0) lie across it; cubic ones know no P₂."""
    lines = powder_lines(from_pymatgen(STRUCTURES["molybdenite"]), TEXTURED)
    basal = 2 * np.degrees(np.arcsin(CU_K_ALPHA / 12.30))
    prism = 2 * np.degrees(np.arcsin(CU_K_ALPHA / 3.16))
    assert lines.texture[np.abs(lines.two_theta - basal).argmin()] == pytest.approx(1)
    across = lines.texture[np.abs(lines.two_theta - prism).argmin()]
    assert across[:3] == pytest.approx([-1 / 2, 3 / 8, -5 / 16])
    cubic = powder_lines(from_pymatgen(STRUCTURES["rock salt"]), TEXTURED)
    assert np.abs(cubic.texture[:, 0]).max() < 1e-9
    assert np.abs(cubic.texture[:, 1]).max() > 0.1


def test_texture_leaves_the_lines_as_they_are():
    crystal = from_pymatgen(STRUCTURES["quartz"])
    plain, textured = powder_lines(crystal), powder_lines(crystal, TEXTURED)
    assert plain.texture is None
    assert textured.texture.shape == (len(plain), len(ORDERS))
    assert np.array_equal(plain.two_theta, textured.two_theta)
    assert np.array_equal(plain.intensity, textured.intensity)


def test_settings_of_the_axis():
    with pytest.raises(BadInputError, match=r"texture_axis: planes \(0, 0, 0\) have no normal"):
        XrdSettings(texture=True, texture_axis=(0, 0, 0))
    assert XrdSettings(texture=True, texture_axis=(1, 0, 0)).metadata()["texture_axis"] == [1, 0, 0]
    assert XrdSettings().metadata()["texture_axis"] == "none"
    crystal = from_pymatgen(STRUCTURES["molybdenite"])
    other = powder_lines(crystal, XrdSettings(texture=True, texture_axis=(1, 0, 0)))
    assert np.abs(other.texture - powder_lines(crystal, TEXTURED).texture).max() > 0.3


def test_a_crystal_without_symmetry_keeps_its_own_axes():
    rng = np.random.default_rng(3)
    crystal = Crystal(
        np.array([[5.0, 0, 0], [0.7, 6.0, 0], [0.4, 1.1, 7.0]]), rng.random((3, 3)), (((8, 1.0),),) * 3
    )
    normal = np.abs(preferred_axis(crystal, (0, 0, 1)) @ crystal.lattice.T)
    # moyo reduces a triclinic cell, whose c* is then normal to two of the shortest vectors.
    assert (normal < 1e-9).sum() == 2


def test_a_store_keeps_the_moments_where_it_is_asked_to(tmp_path):
    store = prepare(FewCrystals(rows=8), tmp_path / "s", PrepareSettings(xrd=TEXTURED, workers=1))
    taken = store.take(np.arange(len(store)), ["xrd.intensity", "xrd.texture"])
    assert np.array_equal(taken["xrd.intensity"].lengths, taken["xrd.texture"].lengths)
    assert taken["xrd.texture"].values.dtype == np.float16
    first = next(FewCrystals().read(0, 1))
    lines = powder_lines(standardize(first.structure).primitive, TEXTURED)
    assert np.array_equal(taken["xrd.texture"][0], lines.texture.astype(np.float16))
    assert store.info["xrd"]["texture_axis"] == [0, 0, 1]
    assert store.info["job"]["settings"]["xrd"]["texture"] is True


def test_a_store_from_before_there_was_texture_is_that_of_today_without(tmp_path, monkeypatch):
    """Neither its job nor its columns may tell the two apart."""
    settings = PrepareSettings(workers=1)
    store = prepare(FewCrystals(rows=4), tmp_path / "s", settings)
    there = json.loads((tmp_path / "s" / "job.json").read_text(encoding="utf-8"))
    assert sorted(there["settings"]["xrd"]) == [
        "debye_waller",
        "merge_tolerance",
        "min_intensity",
        "two_theta_max",
        "two_theta_min",
        "wavelength",
    ]
    assert not list((tmp_path / "s").glob("*/*texture*"))
    monkeypatch.setattr(FewCrystals, "read", lambda *_: 1 / 0)
    assert prepare(FewCrystals(rows=4), tmp_path / "s", settings).hash == store.hash
    with pytest.raises(BadInputError, match="other settings"):
        prepare(FewCrystals(rows=4), tmp_path / "s", PrepareSettings(xrd=TEXTURED, workers=1))
