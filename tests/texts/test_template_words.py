import pytest

import helpers_crystals as real
from prismat.crystal import make_site
from prismat.texts import template_words as words


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "zero"), (6.0, "six"), (12.001, "twelve"), (13, "13"), (5.68, "5.7"), (0.5, "0.5")],
)
def test_number(value, expected):
    assert words.number(value) == expected


@pytest.mark.parametrize(
    ("given", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listed(given, expected):
    assert words.listed(given) == expected


def test_noise_does_not_decide_a_decimal():
    assert words.decimal(2.825 + 1e-12, 2) == words.decimal(2.825 - 1e-12, 2)


def test_small_shares_are_not_zero():
    assert words.percent(0.0004, 1) == "under 0.1"
    assert words.percent(0.004, 0) == "under 1"
    assert words.percent(0.5, 0) == "50"


def test_label_and_shares_of_a_mixed_site():
    site = make_site({20: 0.38, 11: 0.62})
    assert words.site_label(site) == "Na/Ca"
    assert words.site_shares(site) == "62 % Na, 38 % Ca"
    assert words.site_label(make_site({11: 0.5, 20: 0.5})) == "Na/Ca"


def test_composition_of_many_elements():
    assert words.composition_sentence(real.crystals()["diopside"]) == (
        "CaMgSi2O6 is a quaternary compound of calcium, magnesium, silicon and oxygen "
        "in the ratio 1 : 1 : 2 : 6."
    )
    assert "is the element carbon." in words.composition_sentence(real.crystals()["diamond"])
    assert words.composition_sentence(real.crystals()["wuestite"]).endswith(
        "compound of iron (48.6 at%) and oxygen (51.4 at%)."
    )
