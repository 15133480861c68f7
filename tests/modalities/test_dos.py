"""The windows of densities of states: states kept, labels respected, records apart, and the real data."""

from dataclasses import replace

import numpy as np
import pytest

from helpers_shared import shared_rows
from prismat.crystal import Crystal, element_site
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Dos, Pattern
from prismat.modalities.base import Modality, pack_features
from prismat.modalities.dos import DENSITY_SCALE, ENERGY_SCALE, DosModality, DosSettings

ENERGY = np.linspace(-15, 12, 400)
DENSITY = 5 * np.exp(-(((ENERGY + 3) / 1.5) ** 2)) + 2 * np.exp(-(((ENERGY - 4) / 2) ** 2))
DOS = Dos(ENERGY, DENSITY, zero="fermi", n_atoms=4)
PHONON = Dos(np.linspace(0, 20, 200), np.sin(np.linspace(0, np.pi, 200)), kind="phonon", unit="THz")
NATIVE = DosSettings(resample="native", points=600)


def material(dos: Dos | Pattern | None, name: str = "dos", structure: Crystal | None = None) -> Material:
    return Material("m-1", structure, measurements={name: dos} if dos else {})


def cell(atoms: int) -> Crystal:
    frac = np.linspace(0, 1, atoms, endpoint=False)[:, None] * np.ones(3)
    return Crystal(np.eye(3) * 9.0, frac, (element_site("Si"),) * atoms)


def batch_of(modality: DosModality, dosses: list[Dos | None]):
    features = [modality.featurize(material(d, modality.name)) for d in dosses]
    return modality.collate(pack_features(modality.columns, features))


def test_is_a_modality_named_by_its_kind():
    for settings, name in [(DosSettings(), "dos"), (DosSettings.phonon(), "phonon_dos")]:
        modality = DosModality(settings)
        assert isinstance(modality, Modality)
        assert modality.name == name
        assert all(c.startswith(f"{name}.") for c in modality.columns)
        assert modality.featurize(material(None)) is None
    assert DosModality(name="dos_hse").columns.keys() == {
        "dos_hse.density",
        "dos_hse.energy",
        "dos_hse.facts",
    }


@pytest.mark.parametrize("points", [2, 37, 128, 1000])
def test_the_grid_keeps_the_states_per_atom(points):
    settings = DosSettings(points=points)
    features = DosModality(settings).featurize(material(DOS))
    inside = (ENERGY >= -10) & (ENERGY <= 10)
    fine = np.linspace(-10, 10, 200_001)
    states = np.trapezoid(np.interp(fine, ENERGY, DENSITY), fine) / 4
    density = features["dos.density"]
    assert density.shape == (points,)
    assert inside.any()
    assert density.sum() * 20 / points == pytest.approx(states, rel=1e-5)
    spin, broadening, factor, share = features["dos.facts"][0]
    assert (spin, broadening, factor) == (0, 0, 0.25)
    assert share == pytest.approx(states * 4 / np.trapezoid(DENSITY, ENERGY), rel=1e-5)


def test_atoms_come_from_the_dos_or_else_the_structure():
    unknown = replace(DOS, n_atoms=0)
    modality = DosModality()
    a = modality.featurize(material(DOS))["dos.density"]
    assert np.allclose(modality.featurize(material(unknown, structure=cell(4)))["dos.density"], a)
    assert np.allclose(modality.featurize(material(DOS, structure=cell(2)))["dos.density"], a)
    assert np.allclose(modality.featurize(material(replace(DOS, per="atom")))["dos.density"], 4 * a)
    with pytest.raises(
        BadInputError, match="record 'm-1', dos: states per cell of an unknown number of atoms"
    ):
        modality.featurize(material(unknown))


def test_bins_that_were_not_computed_are_unknown_and_not_empty():
    short = replace(DOS, energy=ENERGY[100:250], density=DENSITY[100:250])
    batch = batch_of(DosModality(), [DOS, short])
    assert batch.mask[0].all()
    borders = DosSettings().borders
    whole = (borders[:-1] >= ENERGY[100]) & (borders[1:] <= ENERGY[249])
    assert batch.mask[1].numpy().tolist() == whole.tolist()
    assert np.allclose(batch.density[1].numpy()[whole], batch.density[0].numpy()[whole], atol=1e-5)
    assert (batch.density[1][~batch.mask[1]] == 0).all()


def test_phonons_have_three_modes_per_atom_and_nothing_above_the_last():
    modality = DosModality(DosSettings.phonon())
    batch = batch_of(modality, [PHONON, replace(PHONON, density=PHONON.density * 0.01)])
    assert batch.mask.all()
    states = batch.density.sum(1) / DENSITY_SCALE["phonon"] * 10
    assert states.numpy() == pytest.approx([3, 3], rel=1e-5)
    assert (batch.density[:, 68:] == 0).all()
    factor = modality.featurize(material(PHONON, "phonon_dos"))["phonon_dos.facts"][0, 2]
    assert factor == pytest.approx(3 / (np.trapezoid(PHONON.density, PHONON.energy)), rel=1e-5)


def test_one_spin_is_labelled_or_doubled():
    up = replace(DOS, density=DENSITY / 2, spin="up")
    labelled = batch_of(DosModality(), [DOS, up, replace(up, spin="down"), None])
    assert labelled.spin.tolist() == [0, 1, 2, 0]
    assert np.allclose(labelled.density[1] * 2, labelled.density[0], atol=1e-6)
    doubled = batch_of(DosModality(DosSettings(one_spin="double")), [DOS, up])
    assert doubled.spin.tolist() == [0, 0]
    assert np.allclose(doubled.density[1], doubled.density[0], atol=1e-6)


def test_smearing_is_brought_to_one_width():
    energy = np.linspace(-12, 12, 2401)

    def peak(width: float) -> Dos:
        return Dos(
            energy, np.exp(-0.5 * (energy / width) ** 2) / width, zero="fermi", per="atom", broadening=width
        )

    modality = DosModality(DosSettings(broadening=0.5))
    batch = batch_of(modality, [peak(0.1), peak(0.3), peak(0.5)])
    assert np.allclose(batch.density[0], batch.density[2], atol=0.02)
    assert np.allclose(batch.density[1], batch.density[2], atol=0.02)
    untouched = batch_of(DosModality(), [peak(0.1), peak(0.5)])
    assert np.abs(untouched.density[0] - untouched.density[1]).max() > 1
    assert modality.featurize(material(peak(0.1)))["dos.facts"][0, 1] == 0.5
    native = DosModality(DosSettings(broadening=0.5, resample="native", points=2401))
    raw = native.featurize(material(peak(0.1)))
    assert np.allclose(np.interp(0.2, raw["dos.energy"], raw["dos.density"]), 2 * np.exp(-0.08), atol=0.01)


def test_native_energies_are_padded_and_masked():
    short = replace(DOS, energy=ENERGY[::3], density=DENSITY[::3])
    modality = DosModality(NATIVE)
    batch = batch_of(modality, [short, None, DOS])
    inside = (ENERGY >= -10) & (ENERGY <= 10)
    assert batch.mask.sum(1).tolist() == [inside[::3].sum(), 0, inside.sum()]
    assert batch.present.tolist() == [True, False, True]
    assert batch.density.shape == (3, inside.sum())
    assert np.allclose(batch.energy[2] * ENERGY_SCALE["electronic"], ENERGY[inside], atol=1e-5)
    assert np.allclose(batch.density[2], DENSITY[inside] / 4, atol=1e-5)
    assert (batch.density[0, batch.mask[0].sum() :] == 0).all()
    assert batch_of(modality, [None, None]).mask.tolist() == [[False], [False]]


def test_numbers_of_a_batch_are_of_order_one():
    batch = batch_of(DosModality(), [DOS])
    assert batch.energy.abs().max() <= 2
    assert batch_of(DosModality(DosSettings.phonon()), [PHONON]).energy.max() <= 2


def test_an_absent_record_leaves_the_others_alone():
    modality = DosModality()
    alone, among = batch_of(modality, [DOS]), batch_of(modality, [None, DOS, None])
    assert among.present.tolist() == [False, True, False]
    assert (among.density[1] == alone.density[0]).all()
    assert not among.mask[[0, 2]].any()
    nothing = batch_of(modality, [None])
    assert nothing.density.shape == (1, 128)


@pytest.mark.parametrize(
    ("dos", "settings", "message"),
    [
        (
            replace(DOS, zero=""),
            DosSettings(),
            "a DOS without the zero of its energies.*Subtract the Fermi level",
        ),
        (replace(DOS, zero="vbm"), DosSettings(), "counted from 'vbm' where the settings say 'fermi'.*Shift"),
        (DOS, DosSettings(zero="vbm"), "counted from 'fermi' where the settings say 'vbm'"),
        (replace(PHONON), DosSettings(), "a DOS of kind 'phonon'.*kind 'electronic'"),
        (
            replace(DOS, energy=ENERGY + 40),
            DosSettings(),
            "0% of the states lie from -10 to 10 eV.*unit and zero",
        ),
        (replace(DOS, energy=ENERGY * 0.1), DosSettings(), "energies from -1.5 to 1.2 eV cover too little"),
        (replace(DOS, density=np.where(ENERGY > 0, np.nan, 1.0)), DosSettings(), "NaN or infinity in point"),
        (replace(DOS, broadening=0.4), DosSettings(broadening=0.3), "smeared by 0.4 eV, more than.*0.3"),
        (DOS, replace(NATIVE, points=100), r"\d+ points in the window, where 2 to 100 are allowed.*grid"),
    ],
)
def test_refusals_name_the_record_and_the_remedy(dos, settings, message):
    with pytest.raises(BadInputError, match=message) as caught:
        DosModality(settings).featurize(material(dos))
    assert (caught.value.record, caught.value.field) == ("m-1", "dos")
    assert caught.value.remedy


def test_other_refusals():
    hydride = replace(PHONON, energy=np.linspace(0, 120, 200))
    with pytest.raises(
        BadInputError, match=r"phonon_dos: .*of the states lie from 0 to 1000 cm-1.*widen the window"
    ):
        DosModality(DosSettings.phonon()).featurize(material(hydride, "phonon_dos"))
    wide = DosModality(DosSettings.phonon(high=4000.0)).featurize(material(hydride, "phonon_dos"))
    assert wide["phonon_dos.facts"][0, 3] == pytest.approx(1, abs=0.01)
    with pytest.raises(BadInputError, match="a Pattern where a Dos belongs"):
        DosModality().featurize(material(Pattern(ENERGY, DENSITY)))
    odd = replace(DOS)
    object.__setattr__(odd, "spin", "left")
    with pytest.raises(BadInputError, match=r"spin 'left'.*summed, up, down"):
        DosModality().featurize(material(odd))


def test_bad_settings_and_columns_of_others():
    for wrong in ({"low": 3.0, "high": 3.0}, {"points": 1}, {"high": np.inf}):
        with pytest.raises(BadInputError, match="at least 2 points and low < high"):
            DosSettings(**wrong)
    with pytest.raises(BadInputError, match="a broadening of -1"):
        DosSettings(broadening=-1.0)
    for other in (DosSettings(points=64), NATIVE):
        modality = DosModality(other)
        packed = pack_features(modality.columns, [modality.featurize(material(DOS))])
        with pytest.raises(BadInputError, match=r"rows of \[\d+\] (binned|given) points.*a grid of 128"):
            DosModality().collate(packed)


def test_real_phonons():
    rows = shared_rows("phonon_dos.parquet", 200)
    modality = DosModality(DosSettings.phonon(points=50))
    batch = batch_of(
        modality,
        [
            Dos(np.array(r["frequency_cm1"]), np.array(r["phonon_dos"]), kind="phonon", unit="cm-1")
            for r in rows
        ],
    )
    assert batch.mask.all()
    assert (batch.density.sum(1) / 100 * 20).numpy() == pytest.approx(np.full(len(rows), 3.0), rel=1e-4)
    # Scaled to three modes, the Debye-like ones differ in place and not in size.
    assert 0.1 < batch.density.mean() < 3


def electrons(row: dict) -> Dos:
    energy, density = np.array(row["dos_energy_ev"]), np.array(row["dos"])
    return Dos(energy, density, zero="fermi", spin="up", n_atoms=len(row["numbers"]))


def test_real_electrons():
    rows = [r for r in shared_rows("dos_charge_density.parquet") if r["dos"] is not None]
    # One of the published records begins with its highest energy, repeated.
    broken = next(r for r in rows if r["material_id"] == "mp-696961")
    with pytest.raises(BadInputError, match="energies do not ascend after point 1"):
        DosModality().featurize(material(electrons(broken)))
    rows = [r for r in rows if r is not broken]
    dosses = [electrons(r) for r in rows]
    published = DosModality(DosSettings(low=-200.0, high=200.0, points=601, resample="native"))
    native = batch_of(published, dosses)
    assert native.mask.all()
    assert native.density.shape == (len(rows), 601)
    assert (native.spin == 1).all()
    grid = batch_of(DosModality(), dosses)
    for n, (dos, row) in enumerate(zip(dosses, rows, strict=True)):
        known = grid.mask[n].numpy()
        borders = DosSettings().borders
        low, high = borders[:-1][known][0], borders[1:][known][-1]
        fine = np.linspace(low, high, 100_001)
        states = np.trapezoid(np.interp(fine, dos.energy, dos.density), fine) / len(row["numbers"])
        assert grid.density[n].sum().item() * 20 / 128 == pytest.approx(states, rel=1e-3, abs=1e-4)
