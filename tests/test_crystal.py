import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helpers_crystals as real
from prismat.crystal import MAX_SITES, Crystal, check, element_site, make_site
from prismat.errors import BadInputError

SALT = Crystal(np.eye(3) * 5.64, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), (((11, 1.0),), ((17, 1.0),)))


@pytest.mark.parametrize("name", list(real.PUBLISHED))
def test_real_crystals_pass_and_agree_with_pymatgen(name):
    crystal = check(real.crystals()[name])
    other = crystal.to_pymatgen()
    assert crystal.volume == pytest.approx(other.volume)
    assert crystal.density == pytest.approx(float(other.density), rel=2e-3)
    assert crystal.is_ordered == other.is_ordered
    assert set(crystal.elements) == {e.symbol for e in other.composition}
    assert crystal.fractions == pytest.approx(
        {s: other.composition.get_atomic_fraction(s) for s in crystal.elements}
    )


def test_partial_occupancies_are_added_not_rounded():
    spinel = real.crystals()["spinel"]
    assert spinel.composition == pytest.approx({8: 32, 12: 8 * 0.7 + 16 * 0.15, 13: 8 * 0.3 + 16 * 0.85})
    assert spinel.formula == "MgAl2O4"
    assert not spinel.is_ordered


@given(st.dictionaries(st.integers(1, 98), st.floats(0.001, 1), min_size=1, max_size=4))
def test_make_site_keeps_order_and_sum(content):
    total = sum(content.values())
    if total > 1.05:
        with pytest.raises(BadInputError, match="add up to"):
            make_site(content)
        return
    site = make_site(content)
    assert [z for z, _ in site] == sorted(content)
    assert sum(x for _, x in site) == pytest.approx(1 if total > 0.99 else total)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "a site is empty"),
        ({26: 0.0}, "a site is empty"),
        ({26: -0.5}, "an occupancy of -0.5"),
        ({26: 0.5, 12: -0.5}, "an occupancy of -0.5"),
        ({26: float("nan")}, "an occupancy of nan"),
        ({26: 0.5, 12: float("nan")}, "an occupancy of"),
        ({26: 0.7, 12: 0.7}, "occupancies of one site add up to 1.400"),
        ({26: float("inf")}, "add up to inf"),
    ],
)
def test_impossible_sites_are_refused(content, message):
    with pytest.raises(BadInputError, match=message):
        make_site(content)


def test_element_site():
    assert element_site("D") == ((1, 1.0),)


def with_lattice(lattice):
    return Crystal(np.asarray(lattice, dtype=float), SALT.frac, SALT.sites)


@pytest.mark.parametrize(
    ("crystal", "message"),
    [
        (Crystal(np.eye(3) * 5, np.zeros((0, 3)), ()), "sites: the cell is empty"),
        (with_lattice(np.full((3, 3), np.nan)), "lattice or coordinates: not a finite number"),
        (Crystal(SALT.lattice, SALT.frac + np.inf, SALT.sites), "not a finite number"),
        (with_lattice(np.eye(3) * 0.564), "absurd cell"),
        (with_lattice(np.eye(3) * 564), "absurd cell"),
        (with_lattice([[5, 0, 0], [5, 0.1, 0], [0, 0, 5]]), "absurd cell.*Check units"),
        (with_lattice(np.zeros((3, 3))), "absurd cell"),
        (
            Crystal(SALT.lattice, np.array([[0, 0, 0], [0, 0, 0.999]]), SALT.sites),
            r"atoms 0 and 1 lie 0.01 Å apart, on top of each other",
        ),
    ],
)
def test_impossible_cells_are_refused(crystal, message):
    with pytest.raises(BadInputError, match=message):
        check(crystal)


def test_limit_on_sites_can_be_moved():
    sites = MAX_SITES + 1
    frac = np.stack([np.linspace(0, 1, sites, endpoint=False), np.zeros(sites), np.zeros(sites)], axis=1)
    lattice = np.diag([200.0, 10, 10])
    long = Crystal(lattice * np.array([[1.0], [2.0], [2.0]]), frac, (((1, 0.5),),) * sites)
    with pytest.raises(
        BadInputError, match=f"{sites} sites, more than the limit of {MAX_SITES}. Raise max_sites"
    ):
        check(long)
    assert check(long, sites) is long


def test_alternatives_of_one_position_may_lie_close():
    frac = np.array([[0, 0, 0], [0, 0, 0.05]])
    check(Crystal(SALT.lattice, frac, (((1, 0.5),), ((1, 0.5),))))
    with pytest.raises(BadInputError, match="on top of each other"):
        check(Crystal(SALT.lattice, frac, (((1, 0.5),), ((1, 0.6),))))


def test_a_long_rhombohedral_cell_is_not_flat():
    """Primitive cell of a hexagonal one with c much longer than a: three nearly parallel edges."""
    a, c = 4.0, 72.0
    hexagonal = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])
    lattice = np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3 @ hexagonal
    assert abs(np.linalg.det(lattice)) < 0.05 * np.prod(np.linalg.norm(lattice, axis=1))
    crystal = Crystal(lattice, np.zeros((1, 3)), (((29, 1.0),),))
    assert check(crystal) is crystal
