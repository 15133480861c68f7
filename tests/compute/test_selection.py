"""Crystals chosen from a store."""

from dataclasses import dataclass

import numpy as np
import pytest

import helpers_compute as help_compute
import helpers_crystals as real
from prismat.compute.selection import Choice, choose
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.prepare import PrepareSettings, prepare

NAMES = ("rutile", "NaCl", "diamond", "NaCl", "spinel", "wuestite", "calcite")


@dataclass(frozen=True)
class Some:
    """A few crystals and a record without one."""

    name = "some"
    licence = ""
    citation = ""

    def fingerprint(self):
        return "some"

    def __len__(self):
        return len(NAMES) + 1

    def read(self, start, stop):
        for n in range(start, min(stop, len(self))):
            crystal = real.crystals()[NAMES[n]] if n < len(NAMES) else None
            yield Material(f"row-{n}", crystal, texts={"title": "x"})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare(Some(), tmp_path_factory.mktemp("selection") / "store", PrepareSettings(workers=1))


@pytest.fixture
def files(tmp_path):
    return help_compute.pseudopotentials(tmp_path)


def chosen(store, files, **choice):
    return choose(store, files, AbinitSettings(), Choice(**choice))


def test_cheapest_first_and_one_of_each(store, files):
    found = chosen(store, files)
    assert {t.id: t.plan.crystal.formula for t in found.tasks} == {
        "row-0": "TiO2",
        "row-1": "NaCl",
        "row-2": "C",
    }
    costs = [task.plan.cost for task in found.tasks]
    assert costs == sorted(costs)
    assert sum(found.left_out.values()) + len(found.tasks) == len(store)
    assert found.left_out["no structure"] == 1
    assert found.left_out["formula and space group of another"] == 1
    assert found.left_out["atoms, more than 8"] == 1


def test_filters(store, files):
    assert [t.id for t in chosen(store, files, elements=("Na", "Cl")).tasks] == ["row-1"]
    assert {t.id for t in chosen(store, files, distinct=False, elements=("Na", "Cl")).tasks} == {
        "row-1",
        "row-3",
    }
    assert len(chosen(store, files, limit=2).tasks) == 2
    two = chosen(store, files, sample=2)
    everything = chosen(store, files).tasks
    assert [t.id for t in two.tasks] == [everything[0].id, everything[-1].id]
    assert two.left_out["beyond the limit, or not of the sample"] == 1
    small = chosen(store, files, suitable=Suitable(max_atoms=2, max_electrons=9))
    assert [len(t.plan.crystal) for t in small.tasks] == [2, 2]


def test_nothing_left(store, files):
    with pytest.raises(BadInputError, match="no crystal to compute"):
        chosen(store, files, elements=("Au",))
    with pytest.raises(BadInputError, match="unknown element 'Xx'"):
        chosen(store, files, elements=("Xx",))


def test_reasons_do_not_name_numbers_or_elements(store, files, monkeypatch):
    europium = Crystal(4 * np.eye(3), np.zeros((1, 3)), (((63, 1.0),),))
    monkeypatch.setattr(type(store), "crystals", lambda self, rows: [europium] * len(rows))
    with pytest.raises(BadInputError, match="no crystal"):
        chosen(store, files)
