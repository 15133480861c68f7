"""What a map is coloured by."""

import numpy as np
import pytest

from prismat.errors import BadInputError
from prismat.maps.overlays import (
    OTHER,
    Overlay,
    Rows,
    categories,
    chemical_class,
    crystal_system,
    default_overlays,
    overlay,
    tags_of,
)
from prismat.maps.routes import synthesis_route


@pytest.fixture
def rows():
    table = {
        "id": ["a", "b", "c"],
        "elements": [["Na", "Cl"], ["Si", "O"], None],
        "spacegroup_number": [225, 152, None],
        "n_sites": [2, 9, None],
        "property.density": [2.16, None, 3.0],
    }
    tags = [{"year": "1936", "mineral": "Halite"}, {"publication": "J. Cryst. 12 (1999) 3"}, {}]
    return Rows(table, {"density": "g/cm3"}, tags)


def test_a_property_keeps_its_unit_and_its_gaps(rows):
    found = overlay(rows, "density")
    assert found.unit == "g/cm3"
    assert np.array_equal(found.values, np.array([2.16, np.nan, 3.0], np.float32), equal_nan=True)
    assert (found.low, found.high) == pytest.approx((2.1684, 2.9916))


def test_years_from_tags_and_from_references(rows):
    assert np.array_equal(
        overlay(rows, "year").values, np.array([1936, 1999, np.nan], np.float32), equal_nan=True
    )


def test_crystal_system_and_class(rows):
    system, kind = overlay(rows, "crystal_system"), overlay(rows, "class")
    assert [system.categories[int(v)] for v in system.values[:2]] == ["cubic", "trigonal"]
    assert [kind.categories[int(v)] for v in kind.values[:2]] == ["halide", "silicate"]
    assert np.isnan(system.values[2])


def test_elements_and_tags(rows):
    assert overlay(rows, "element:Na").values.tolist() == [1, 0, 0]
    assert overlay(rows, "tag:mineral").categories == ("Halite",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hardness", r"unknown overlay 'hardness'\. Use density, year"),
        ("element:Xx", "no record holds 'Xx'"),
        ("tag:route", "no record has the tag 'route'. The store has mineral, publication, year"),
    ],
)
def test_what_is_not_there(rows, name, said):
    with pytest.raises(BadInputError, match=said):
        overlay(rows, name)


def test_defaults_leave_out_what_nobody_has(rows):
    assert default_overlays(rows) == ("density", "year", "crystal_system", "class", "n_elements", "n_sites")
    bare = Rows({**rows.table, "property.density": [None] * 3}, rows.units, [{}, {}, {}])
    assert default_overlays(bare) == ("crystal_system", "class", "n_elements", "n_sites")


def test_rare_categories_go_together():
    found = categories(["a"] * 5 + ["b"] * 4 + ["c", "d", ""], most=3)
    assert found.categories == ("a", "b", OTHER)
    assert found.values[-3:-1].tolist() == [2, 2]
    assert np.isnan(found.values[-1])


@pytest.mark.parametrize(
    ("number", "system"),
    [
        *((1, "triclinic"), (15, "monoclinic"), (16, "orthorhombic"), (142, "tetragonal"), (143, "trigonal")),
        *((194, "hexagonal"), (230, "cubic"), (None, ""), (0, ""), (231, "")),
    ],
)
def test_crystal_systems(number, system):
    assert crystal_system(number) == system


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ("Ca C O", "carbonate"),
        ("Fe O", "other oxide"),
        ("Zn S", "sulfide or selenide"),
        *(("Cu", "element or alloy"), ("Al Ni", "element or alloy"), ("B N", "other")),
        *(("Al N", "other"), ("Ca P O F", "phosphate")),
    ],
)
def test_chemical_classes(elements, kind):
    assert chemical_class(elements.split()) == kind


def test_routes_by_operations():
    assert synthesis_route("Mix A; dissolve in water; dry. Product: B.") == "solution"
    assert synthesis_route("Mill A; press; sinter at 900 °C. Product: B.") == "milled, pressed, sintered"
    assert synthesis_route("Mix A; calcine at 900 °C. Product: quenched glass.") == "fired in powder"
    assert synthesis_route("Mix A. Product: nitrogen.") == ""


def test_tags_and_route_come_from_the_store(small_store):
    ids = [small_store.ids[3], "nobody"]
    assert tags_of(small_store, ids)[1] == {}
    halite = small_store.ids.index("rock_salt_Na-Cl")
    assert tags_of(small_store, [small_store.ids[halite]])[0]["mineral"] == "Halite"


def test_ends_of_nothing():
    assert np.isnan(Overlay("", np.array([np.nan])).low)
