from itertools import pairwise

import numpy as np
import pytest

import helpers_small as small
from prismat.errors import BadInputError
from prismat.material import Material, Property
from prismat.prepare import PrepareSettings, prepare
from prismat.tasks.property.config import LimitedConfig, PropertyConfig
from prismat.tasks.property.subsets import first_rows, halves, shuffled_by_group
from prismat.tasks.property.targets import read_target


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten crystals with a modulus that is once zero and once unknown, and colours as tags."""
    numbers = (10.0, 0.0, 100.0, None, 5.0, 1.0, 1000.0, 2.0, 3.0, 4.0)
    colours = ("red", "red", "blue", "", "blue", "green", "red", "blue", "red", "blue")
    rows = tuple(
        Material(
            m.id,
            m.structure,
            properties={} if x is None else {"modulus": Property(x, "GPa")},
            tags={"colour": c} if c else {},
        )
        for m, x, c in zip(small.materials(), numbers, colours, strict=False)
    )
    return prepare(
        small.SmallSource(rows), tmp_path_factory.mktemp("t") / "store", PrepareSettings(workers=1)
    )


TRAIN = np.arange(8)


def test_a_number_comes_as_it_is(store):
    found = read_target(store, TRAIN, PropertyConfig(target="modulus"))
    np.testing.assert_array_equal(found.values[:4], [10, 0, 100, np.nan])
    assert (found.target.unit, found.target.own_unit, found.left_out) == ("GPa", "GPa", {"no value": 1})


def test_what_has_no_logarithm_is_left_out_and_counted(store):
    found = read_target(store, TRAIN, PropertyConfig(target="modulus", log=True))
    np.testing.assert_allclose(found.values[:5], [1, np.nan, 2, np.nan, np.log10(5)])
    assert found.target.own_unit == "log10(GPa)"
    assert found.left_out == {"no value": 1, "not positive": 1}


def test_borders_make_classes_and_belong_to_the_one_below(store):
    found = read_target(store, TRAIN, PropertyConfig(target="modulus", classes=(0.0, 10.0)))
    np.testing.assert_array_equal(found.values[:7], [1, 0, 2, np.nan, 1, 1, 2])
    assert found.target.classes == ("≤ 0 GPa", "0 to 10 GPa", "> 10 GPa")


def test_tags_are_classes_where_training_has_two_of_them(store):
    found = read_target(store, TRAIN, PropertyConfig(target="colour"))
    assert found.target.classes == ("blue", "red")
    np.testing.assert_array_equal(found.values, [1, 1, 0, np.nan, 0, np.nan, 1, 0, 1, 0])
    assert found.left_out == {"no value": 1, "rare class": 1}


def test_crystal_systems(store):
    found = read_target(store, TRAIN, PropertyConfig(target="crystal_system"))
    assert found.target.classes == ("cubic",)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (PropertyConfig(target="hardness"), "no record has 'hardness'.*Name one of: modulus, colour"),
        (PropertyConfig(target="colour", log=True), "no property with numbers.*modulus"),
        (PropertyConfig(target="colour", classes=(0.0,)), "no property with numbers"),
    ],
    ids=["unknown", "log", "border"],
)
def test_targets_that_are_not_there(store, config, says):
    with pytest.raises(BadInputError, match=says):
        read_target(store, TRAIN, config)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PropertyConfig(level=1.0),
        lambda: PropertyConfig(classes=(1.0, 0.0)),
        lambda: LimitedConfig(most=-1),
        lambda: LimitedConfig(shares=(0.5, 0.5, 0.5)),
        lambda: LimitedConfig(curve=(1,)),
    ],
    ids=["level", "order", "most", "shares", "size"],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(BadInputError, match="Give"):
        wrong()


@pytest.fixture
def groups():
    return np.random.default_rng(0).integers(0, 40, 200)


def test_subsets_are_nested_and_take_groups_one_after_another(groups):
    rows = np.arange(10, 190)
    sizes = (5, 20, 100, 500)
    parts = [set(first_rows(rows, groups, n, seed=1).tolist()) for n in sizes]
    assert [len(p) for p in parts] == [5, 20, 100, 180]
    assert all(a <= b for a, b in pairwise(parts))
    assert parts[1] != set(first_rows(rows, groups, 20, seed=2).tolist())
    order = groups[shuffled_by_group(rows, groups, 1)]
    changes = (np.diff(order) != 0).sum() + 1
    assert changes == len(np.unique(groups[rows])), "no group comes twice"


def test_halves_share_no_group(groups):
    rows = np.arange(0, 150)
    one, two = halves(rows, groups)
    assert not set(groups[one]) & set(groups[two])
    assert sorted([*one, *two]) == rows.tolist()
    assert 0.4 < len(one) / len(rows) < 0.6
    with pytest.raises(BadInputError, match="one group"):
        halves(rows, np.zeros(200, int))
