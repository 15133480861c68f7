"""The charge density window: canonical cells, kinds, refusals, batches, and published grids."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers_crystals import crystals, other_axes, random_unimodular, rotated, translated
from prismat.crystal import Crystal
from prismat.elements import atomic_number
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import ChargeDensity, Pattern
from prismat.modalities.base import Modality, pack_features
from prismat.modalities.charge_density import (
    DENSITY_KINDS,
    ChargeDensityModality,
    DensitySettings,
    shifted,
)
from prismat.modalities.promolecule import promolecule_density
from prismat.modalities.resample_grid import resample

WINDOW = "charge_density"
PLAIN = DensitySettings(points=12, kinds=DENSITY_KINDS, transform="none", precision="float32")
TRICLINIC = np.array([[4.1, 0.2, -0.3], [0.9, 5.2, 0.4], [-0.7, 1.1, 6.3]])
CARBON = Crystal(TRICLINIC, np.array([[0.1, 0.2, 0.3], [0.55, 0.7, 0.8]]), (((6, 1.0),), ((8, 1.0),)))
# Smooth enough for every grid below.
SMOOTH = promolecule_density(CARBON, (16, 18, 20), sigma=0.7)


def material(density=None, structure=None, id="m"):
    return Material(id=id, structure=structure, measurements={} if density is None else {WINDOW: density})


def features(modality, *args, **kwargs):
    found = modality.featurize(material(*args, **kwargs))
    assert found is not None
    return found


def batch_of(modality, *materials):
    return modality.collate(pack_features(modality.columns, [modality.featurize(m) for m in materials]))


def test_is_a_modality_with_labelled_columns():
    modality = ChargeDensityModality()
    assert isinstance(modality, Modality)
    assert all(name.startswith("charge_density.") for name in modality.columns)
    assert modality.featurize(material()) is None
    assert modality.featurize(material(structure=CARBON)) is None


def test_electrons_and_kind_survive():
    modality = ChargeDensityModality(PLAIN)
    batch = batch_of(modality, material(SMOOTH), material(replace(SMOOTH, kind="valence")))
    assert batch.electrons.tolist() == pytest.approx([14, 14], rel=1e-5)
    assert [DENSITY_KINDS[k - 1] for k in batch.kind] == ["promolecule", "valence"]
    assert batch.values.shape == (2, 12, 12, 12)
    # float16 rounds values, not their mean.
    half = ChargeDensityModality(replace(PLAIN, precision="float16"))
    assert batch_of(half, material(SMOOTH)).electrons.item() == pytest.approx(14, rel=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_any_cell_of_a_triclinic_density_is_one(seed):
    """Permuted, inverted or skewed axes, with the grid to match, in either hand."""
    rng = np.random.default_rng(seed)
    basis = random_unimodular(rng, 3)
    modality = ChargeDensityModality(PLAIN)
    other = ChargeDensity(resample(SMOOTH.values, (40, 42, 44), basis), basis @ TRICLINIC, "promolecule")
    expected, found = features(modality, SMOOTH), features(modality, other)
    assert np.allclose(found["charge_density.values"], expected["charge_density.values"], atol=1e-4)
    assert np.allclose(found["charge_density.lattice"], expected["charge_density.lattice"], atol=1e-5)


def test_axis_permutation_of_grid_and_lattice():
    modality = ChargeDensityModality(PLAIN)
    order = [1, 0, 2]
    other = ChargeDensity(SMOOTH.values.transpose(order), TRICLINIC[order], "promolecule")
    assert np.linalg.det(other.lattice) < 0
    for name, values in features(modality, SMOOTH).items():
        assert np.allclose(features(modality, other)[name], values, atol=1e-5)


def test_promolecule_is_offered_only_when_asked_and_yields_to_a_measurement():
    modality = ChargeDensityModality(replace(PLAIN, promolecule=True, kinds=("valence",)))
    batch = batch_of(
        modality,
        material(structure=CARBON),
        material(replace(SMOOTH, kind="valence"), CARBON),
    )
    assert [DENSITY_KINDS[k - 1] for k in batch.kind] == ["promolecule", "valence"]
    assert batch.electrons.tolist() == pytest.approx([14, 14], rel=1e-5)


@pytest.mark.parametrize("change", [rotated, translated, other_axes])
def test_promolecule_of_the_same_crystal(change):
    """Up to the origin, a half cell at most where there is an inversion centre, and the sense of axes."""
    modality = ChargeDensityModality(replace(PLAIN, points=16, promolecule=True))
    crystal = crystals()["kyanite"]
    one = features(modality, structure=crystal)
    two = features(modality, structure=change(crystal, np.random.default_rng(4)))
    assert np.allclose(
        np.sort(one["charge_density.values"]), np.sort(two["charge_density.values"]), atol=2e-3
    )
    gram = [
        f["charge_density.lattice"].astype(float) @ f["charge_density.lattice"].T.astype(float)
        for f in (one, two)
    ]
    assert np.allclose(*gram, atol=1e-3)


def test_refusals_name_the_record_and_the_remedy():
    modality = ChargeDensityModality(DensitySettings(points=8))
    valence = replace(SMOOTH, kind="valence")
    cases = [
        (SMOOTH, None, "a density of kind 'promolecule' where valence is accepted.*Add 'promolecule'"),
        (replace(valence, values=SMOOTH.values * np.nan), None, "NaN or infinite"),
        (replace(valence, values=SMOOTH.values[:, :, :2]), None, "a grid of 16 × 18 × 2 points"),
        (replace(valence, lattice=TRICLINIC * [[1], [1], [0]]), None, "a flat or absurd cell"),
        (replace(valence, values=SMOOTH.values * 130), None, "denser than any crystal"),
        (replace(valence, values=SMOOTH.values * 2), CARBON, "where the structure's atoms have 0.1.*Divide"),
    ]
    for density, structure, message in cases:
        with pytest.raises(BadInputError, match=f"record 'm', charge_density.*{message}"):
            modality.featurize(material(density, structure))
    wrong = Material(id="m", measurements={WINDOW: Pattern(np.arange(30.0), np.ones(30))})
    with pytest.raises(BadInputError, match="a Pattern where a ChargeDensity belongs"):
        modality.featurize(wrong)


def test_values_that_do_not_fit_half_precision():
    values = np.zeros((24, 24, 24))
    values[0, 0, 0] = 1e5
    density = ChargeDensity(values, np.eye(3) * 4, "all-electron")
    settings = DensitySettings(points=24, kinds=("all-electron",))
    with pytest.raises(BadInputError, match=r"does not fit float16.*'float32'"):
        ChargeDensityModality(settings).featurize(material(density))
    assert features(ChargeDensityModality(replace(settings, precision="float32")), density)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": 3}, "3 points"),
        ({"kinds": ("core",)}, "Choose from all-electron"),
        ({"transform": "sqrt"}, "transform 'sqrt'"),
        ({"precision": "int8"}, "precision 'int8'"),
    ],
)
def test_bad_settings(changes, message):
    class Unchecked(DensitySettings):
        """Past the type checks that are on in tests only."""

        def __init__(self, **changes):
            for name in ("points", "kinds", "transform", "precision", "symprec"):
                object.__setattr__(self, name, changes.get(name, getattr(DensitySettings, name)))
            self.__post_init__()

    with pytest.raises(BadInputError, match=message):
        Unchecked(**changes)


def test_batches_with_absent_records_and_transform():
    plain, log = (ChargeDensityModality(replace(PLAIN, transform=t)) for t in ("none", "log1p"))
    rows = [material(SMOOTH), material(), material(replace(SMOOTH, values=SMOOTH.values * 0.5))]
    batch, logged = batch_of(plain, *rows), batch_of(log, *rows)
    assert batch.present.tolist() == [True, False, True]
    assert batch.kind.tolist() == [3, 0, 3]
    assert not batch.values[1].any()
    assert torch.equal(batch.lattice[1], torch.eye(3))
    assert batch.electrons[1] == 0
    assert torch.equal(batch.electrons, logged.electrons)
    assert torch.allclose(logged.values, batch.values.sign() * torch.log1p(batch.values.abs()))
    nothing = batch_of(plain, material())
    assert not nothing.present.any()


def test_store_of_another_size():
    packed = pack_features(
        ChargeDensityModality(PLAIN).columns, [features(ChargeDensityModality(PLAIN), SMOOTH)]
    )
    with pytest.raises(BadInputError, match=r"grids of \[1728\] values where the settings say 32³"):
        ChargeDensityModality().collate(packed)


def test_shifted():
    batch = batch_of(ChargeDensityModality(PLAIN), material(SMOOTH), material(SMOOTH))
    found = shifted(batch, torch.tensor([[1, -2, 5], [0, 13, 0]]))
    assert torch.equal(found.values[0], torch.roll(batch.values[0], (1, -2, 5), (0, 1, 2)))
    assert torch.equal(found.values[1], torch.roll(batch.values[1], 1, 1))
    assert torch.equal(found.lattice, batch.lattice)


# Electrons that the usual VASP potentials of these elements treat as valence.
VALENCE = {"H": 1, "Li": 3, "B": 3, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 7, "Mg": 8, "Al": 3, "Si": 4}
VALENCE |= {"P": 5, "S": 6, "Cl": 7, "Ti": 10, "Mn": 13, "Fe": 14, "Co": 9, "Ni": 16, "Se": 6, "Te": 6}
VALENCE |= {"K": 9, "Ca": 10, "V": 11, "Cr": 12, "Cu": 17, "Zn": 12, "Ga": 13, "Ge": 14, "Sr": 10, "Ba": 10}
VALENCE |= {"La": 11, "Br": 7, "I": 7, "Nb": 11, "Mo": 12, "Ag": 11, "Sb": 5, "Cs": 9, "Rb": 9, "Y": 11}


def test_published_grids_count_valence_electrons():
    """Values are ρ·V, so that their mean is the number of valence electrons, but for lossy resampling."""
    folder = os.environ.get("PRISMAT_SHARED_DATA")
    path = Path(folder) if folder else Path(__file__).parents[2].parent / "shared" / "data"
    path /= "dos_charge_density.parquet"
    if not path.is_file():
        pytest.skip("the shared data are not on this machine")
    import pyarrow.parquet as pq

    columns = ["material_id", "numbers", "lattice", "charge_density_32"]
    modality = ChargeDensityModality(DensitySettings(points=16))
    known = {atomic_number(symbol): n for symbol, n in VALENCE.items()}
    ratios, refused = [], 0
    for row in pq.read_table(path, columns=columns).to_pylist():
        lattice = np.array(row["lattice"], float).reshape(3, 3)
        values = np.array(row["charge_density_32"]).reshape(32, 32, 32) / abs(np.linalg.det(lattice))
        density = ChargeDensity(values, lattice, "valence")
        if not values.any():
            with pytest.raises(BadInputError, match="no electrons in the cell"):
                modality.featurize(material(density, id=row["material_id"]))
            refused += 1
        elif set(row["numbers"]) <= set(known):
            batch = batch_of(modality, material(density, id=row["material_id"]))
            assert batch.electrons.item() == pytest.approx(density.electrons, rel=1e-3)
            ratios.append(density.electrons / sum(known[z] for z in row["numbers"]))
    assert refused == 18
    assert len(ratios) > 60
    assert np.mean(np.abs(np.array(ratios) - 1) < 0.1) > 0.8
    assert abs(np.median(ratios) - 1) < 0.03
