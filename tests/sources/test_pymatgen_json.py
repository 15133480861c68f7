"""Structures as pymatgen writes them, against pymatgen itself."""

import copy

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from prismat.errors import BadInputError
from prismat.formats import read_crystal
from prismat.sources.pymatgen_json import crystal_from_dict

MIXED = Structure(
    Lattice.from_parameters(4, 5, 6, 80, 95, 100),
    [{"Fe2+": 0.5, "Fe3+": 0.25, "Mg": 0.25}, {"O2-": 1}, {"H": 0.5}],
    [[0, 0, 0], [0.5, 0.4, 0.3], [0.2, 0.8, 0.7]],
)


def test_against_pymatgen():
    ours, reference = crystal_from_dict(MIXED.as_dict()), read_crystal(MIXED)
    assert ours.sites == reference.sites
    assert ours.sites[0] == ((12, 0.25), (26, 0.75))
    assert ours.lattice == pytest.approx(reference.lattice)
    assert ours.frac == pytest.approx(reference.frac)


def test_classes_that_it_names_are_not_looked_up():
    record = MIXED.as_dict() | {"@module": "os", "@class": "system", "sites": MIXED.as_dict()["sites"]}
    record["sites"][0]["species"][0]["@class"] = "Popen"
    assert len(crystal_from_dict(record)) == 3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("lattice",), None, "not a structure as pymatgen writes it"),
        (("lattice", "matrix"), [[1, 0], [0, 1]], "not periodic in three directions"),
        (("lattice", "pbc"), [True, True, False], "not periodic in three directions"),
        (("lattice", "matrix"), "x", "not a structure as pymatgen writes it"),
        (("sites",), 3, "not a structure as pymatgen writes it"),
        (("sites", 0, "abc"), [0, 0], "not a structure as pymatgen writes it"),
        (("sites", 0, "species", 0, "element"), "Xx", "unknown element 'Xx'"),
        (("sites", 0, "species", 0, "occu"), 2.0, "add up to"),
        (("sites", 0, "species"), [], "a site is empty"),
    ],
)
def test_bad_dictionaries(path, value, message):
    record = copy.deepcopy(MIXED.as_dict())
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadInputError, match=message):
        crystal_from_dict(record)


@pytest.mark.parametrize("record", [None, [], "x", {}, {"lattice": {}}, np.zeros(3)])
def test_no_dictionaries(record):
    with pytest.raises(BadInputError, match="not a structure as pymatgen writes it"):
        crystal_from_dict(record)
