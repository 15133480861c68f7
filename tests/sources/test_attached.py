"""Computed measurements attached to a source's materials."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import helpers_compute as help_compute
import helpers_crystals as real
from prismat.compute.calculation import Computed
from prismat.compute.results import result_path, write_result
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.material import Material, Reject
from prismat.measurements import ChargeDensity, Dos
from prismat.modalities.standard_cell import standardize
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.attached import AttachedSource
from prismat.sources.base import Source


@dataclass(frozen=True)
class Rows:
    """Salt, quartz, a reject, silicon, words."""

    label: str = "a"

    name = "rows"
    licence = "CC0"
    citation = "Nobody (2026)"

    def fingerprint(self):
        return self.label

    def __len__(self):
        return 5

    def read(self, start, stop):
        rows = [
            Material("salt", real.crystals()["NaCl"], tags={"mineral": "halite"}),
            Material("quartz", real.crystals()["quartz"]),
            Reject("broken", "illegible"),
            Material("silicon", help_compute.SILICON),
            Material("words", texts={"title": "Words"}),
        ]
        yield from rows[start:stop]


def write(folder, id_, crystal, density=True):
    crystal = standardize(crystal).primitive
    energy = np.linspace(-12, 8, 200)
    dos = Dos(energy, np.exp(-(energy**2)), zero="fermi", n_atoms=len(crystal))
    grid = ChargeDensity(np.full((6, 6, 6), 8 / crystal.volume), crystal.lattice, "valence")
    computed = Computed(dos, grid if density else None, {"method": "Abinit 9, LDA"})
    write_result(folder, id_, crystal, computed, "settings")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "salt", real.crystals()["NaCl"])
    write(tmp_path, "silicon", help_compute.SILICON, density=False)
    return tmp_path


def test_measurements_come_to_their_materials(folder):
    source = AttachedSource(Rows(), folder)
    assert isinstance(source, Source)
    assert (source.name, source.licence, len(source)) == ("rows", "CC0", 5)
    salt, quartz, broken, silicon, words = source.read(0, 5)
    assert set(salt.measurements) == {"dos", "charge_density"}
    assert salt.tags == {"mineral": "halite", "computed": "Abinit 9, LDA"}
    assert salt.measurements["charge_density"].electrons == pytest.approx(8, abs=1e-5)
    assert set(silicon.measurements) == {"dos"}
    assert not quartz.measurements
    assert "computed" not in quartz.tags
    assert broken == Reject("broken", "illegible")
    assert words.texts == {"title": "Words"}


def test_only_those_with_a_result(folder):
    source = AttachedSource(Rows(), folder, only=True)
    assert len(source) == 2
    assert [m.id for m in source.read(0, 9)] == ["salt", "silicon"]
    assert [m.id for m in source.read(1, 2)] == ["silicon"]


def test_travels_to_other_processes(folder):
    source = AttachedSource(Rows(), folder, only=True)
    twin = pickle.loads(pickle.dumps(source))
    assert len(twin) == 2
    assert twin.fingerprint() == source.fingerprint()
    assert [m.id for m in twin.read(0, 2)] == ["salt", "silicon"]
    assert "_rows" in source.__getstate__()


def test_fingerprint_follows_source_results_and_choice(folder):
    prints = [AttachedSource(Rows(), folder).fingerprint()]
    prints.append(AttachedSource(Rows("b"), folder).fingerprint())
    prints.append(AttachedSource(Rows(), folder, only=True).fingerprint())
    write(folder, "quartz", real.crystals()["quartz"])
    prints.append(AttachedSource(Rows(), folder).fingerprint())
    assert len(set(prints)) == 4


def test_a_result_of_another_structure_is_a_reject(folder):
    larger = help_compute.SILICON
    write(folder, "silicon", Crystal(1.05 * larger.lattice, larger.frac, larger.sites))
    write(folder, "quartz", real.crystals()["NaCl"])
    write(folder, "words", real.crystals()["NaCl"])
    _, quartz, _, silicon, words = AttachedSource(Rows(), folder).read(0, 5)
    for reject in (quartz, silicon, words):
        assert isinstance(reject, Reject)
        assert "another structure" in reject.reason


def test_changed_results_are_rejects(folder):
    result_path(folder, "salt").with_suffix(".npz").write_bytes(b"PK")
    salt = next(iter(AttachedSource(Rows(), folder).read(0, 1)))
    assert isinstance(salt, Reject)
    assert "another content" in salt.reason


def test_a_folder_without_results(tmp_path):
    with pytest.raises(BadInputError, match="no computed results"):
        AttachedSource(Rows(), tmp_path)


def test_a_store_gets_the_windows(folder, tmp_path_factory):
    store = prepare(
        AttachedSource(Rows(), folder, only=True),
        tmp_path_factory.mktemp("attached") / "store",
        PrepareSettings(workers=1),
    )
    assert len(store) == 2
    assert store.lengths("dos.density").tolist() == [128, 128]
    assert store.lengths("charge_density.values").tolist() == [32**3, 0]
    assert dict(store.column("tags")[1])["computed"] == "Abinit 9, LDA"
