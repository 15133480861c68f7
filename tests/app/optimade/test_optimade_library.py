import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from optimade.models import StructureResource
from optimade.warnings import MissingExpectedField, OptimadeWarning

from prismat.app.optimade.opened import library_of
from prismat.material import Property
from prismat.sources.optimade_structure import crystal_of


def attributes(library, id):
    return library.entry(library.rows[id])["attributes"]


def test_every_entry_is_one_of_the_standard(library):
    with warnings.catch_warnings():
        warnings.simplefilter("error", OptimadeWarning)
        for entry in library.entries(np.arange(len(library))):
            assert StructureResource(**entry).id == entry["id"]


def test_entries_give_back_the_crystals_of_the_store(library, odd_store):
    rows = {name: row for row, name in enumerate(odd_store.ids)}
    mixed = 0
    for name in library.rows:
        own = odd_store.crystals(np.array([rows[name]]))[0]
        if own is None:
            continue
        entry = attributes(library, name)
        back = crystal_of(entry)
        assert back.formula == own.formula == entry["chemical_formula_descriptive"]
        assert back.periodic == own.periodic
        assert len(back) == len(own) == entry["nsites"]
        assert back.composition == pytest.approx(own.composition, abs=1e-9)
        if own.periodic:
            assert back.volume == pytest.approx(own.volume, abs=1e-9)
        assert (entry["structure_features"] == ["disorder"]) == (not own.is_ordered)
        # As precise as the formula, 1/1000 of an atom.
        ratios = dict(zip(entry["elements"], entry["elements_ratios"], strict=True))
        assert ratios == pytest.approx(own.fractions, abs=2e-3)
        mixed += not own.is_ordered
    assert mixed >= 2


def test_a_molecule_words_alone_and_vacancies(library):
    water, words, wuestite = (attributes(library, name) for name in ("water", "words", "a/b c?d"))
    assert water["dimension_types"] == [0, 0, 0]
    assert water["nperiodic_dimensions"] == 0
    assert water["lattice_vectors"] == [[None] * 3] * 3
    assert water["space_group_it_number"] is None
    assert (water["immutable_id"], water["_prismat_licence"]) == ("own:w/1", "CC0")
    assert {name for name, value in words.items() if value is not None} == {
        "last_modified",
        "structure_features",
        "_prismat_title",
        "_prismat_source",
        "_prismat_band_gap_pbe",
    }
    (iron,) = [s for s in wuestite["species"] if "Fe" in s["chemical_symbols"]]
    assert iron == {
        "name": "Fe0.9",
        "chemical_symbols": ["Fe", "vacancy"],
        "concentration": pytest.approx([0.9, 0.1]),
    }
    assert wuestite["chemical_formula_hill"] is None


def test_without_a_store_there_are_no_structures(library, bare_library):
    for name in library.rows:
        full, bare = attributes(library, name), attributes(bare_library, name)
        assert bare["lattice_vectors"] is None
        assert bare["species"] is None
        assert bare["nperiodic_dimensions"] is None
        assert bare["elements"] == full["elements"]
        # A formula of whole numbers can hide mixed sites.
        assert set(bare["structure_features"]) <= set(full["structure_features"])
        # nsites without positions is worth a warning to the standard's models, no more.
        with pytest.warns(MissingExpectedField) if bare["nsites"] else nullcontext():
            StructureResource(id=name, type="structures", attributes=bare)


class Elsewhere:
    """An index that keeps its metadata in a database: it gives hits, and no table."""

    def __init__(self, library):
        self.rows, self.units = library.table.to_pylist(), library.units

    def __len__(self):
        return len(self.rows)

    def records(self, start, stop):
        return [self._hit(row) for row in self.rows[start:stop]]

    def _hit(self, row):
        known = {name: row[f"property.{name}"] for name in self.units}
        held = {name: Property(x, self.units[name]) for name, x in known.items() if x is not None}
        named = {name: value for name, value in row.items() if not name.startswith("property.")}
        return SimpleNamespace(**named, properties=held)


def test_an_index_without_a_table_serves_the_same(library):
    again = library_of(SimpleNamespace(index=Elsewhere(library), store=library.store))
    rows = np.arange(len(library))
    assert again.entries(rows) == library.entries(rows)


def test_attributes_that_are_not_asked_for_stay_away(library):
    (entry,) = library.entries(np.array([0]), frozenset(["nsites", "elements"]))
    assert set(entry["attributes"]) == {"nsites", "elements"}
