"""Units of properties against the constants of nature, and those that must not convert."""

import pytest
import scipy.constants as constants

from prismat.errors import BadInputError
from prismat.modalities.property_units import _KINDS, conversion, plain_unit


@pytest.mark.parametrize(
    ("value", "given", "wanted", "expected"),
    [
        (1500, "meV", "eV", 1.5),
        (2, "eV", "meV", 2000),
        (1, "Ha", "eV", constants.value("Hartree energy in eV")),
        (1, "Ry", "eV", constants.value("Rydberg constant times hc in eV")),
        (100, "kbar", "GPa", 10),
        (250, "MPa", "GPa", 0.25),
        (1, "Mbar", "GPa", 100),
        (1, "eV/Å³", "GPa", constants.e * 1e30 / 1e9),
        (25, "°C", "K", 298.15),
        (298.15, "K", "°C", 25),
        (300, "mK", "K", 0.3),
        (25, "°C", "degC", 25),
        (2330, "kg/m³", "g/cm³", 2.33),
        (5.43, "Å", "nm", 0.543),
        (100, "pm", "Å", 1),
        (1, "nm^3", "Å^3", 1000),
        (10, "THz", "cm-1", 10e12 / constants.c / 100),
        (333.56409519815, "1/cm", "THz", 10),
        (50, "%", "", 0.5),
        (0.5, "", "%", 50),
        (200, "µV/K", "V/K", 2e-4),
        (5, "S/cm", "S/m", 500),
        (2, "W/(m K)", "W/m/K", 2),
        (2, "mW/cm/K", "W/(m·K)", 0.2),
        (7, "emu/g", "emu/g", 7),
        (7, "emu g^-1", "emu·g⁻¹", 7),
        (3, "", "", 3),
    ],
)
def test_conversions(value, given, wanted, expected):
    factor, offset = conversion(given, wanted)
    assert value * factor + offset == pytest.approx(expected, rel=1e-9)


def test_spellings():
    for unit in ("g/cm³", "g/cm3", "g/cm^3", " g / cm**3 ", "g/cm³ "):
        assert plain_unit(unit) == "g/cm3"
    assert plain_unit("cm⁻¹") == plain_unit("cm^-1") == "cm-1"
    assert plain_unit("\u212b") == "Å"
    assert plain_unit("\u00b5B") == plain_unit("\u03bcB")
    assert plain_unit("℃") == "°C"


def test_the_table_is_written_in_plain_units_once_each():
    units = [u for kind in _KINDS.values() for u in kind]
    assert len(set(units)) == len(units)
    assert [plain_unit(u) for u in units] == units
    for kind in _KINDS.values():
        for a in kind:
            for b in kind:
                there, back = conversion(a, b), conversion(b, a)
                assert (3.7 * there[0] + there[1]) * back[0] + back[1] == pytest.approx(3.7)


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        ("", "eV", "a value without a unit where 'eV' is wanted.*Give its unit, such as 'eV'"),
        (" ", "GPa", "without a unit"),
        ("eV", "", r"unit 'eV' \(energy\) does not convert to '' \(pure number\)"),
        ("eV", "GPa", r"unit 'eV' \(energy\) does not convert to 'GPa' \(pressure\)"),
        ("eV", "eV/atom", "does not convert"),
        ("eV", "cm-1", "does not convert"),
        ("Å3", "Å3/atom", "does not convert"),
        ("μB", "μB/cell", "does not convert"),
        ("furlong", "Å", "unknown unit 'furlong'.*does not convert to 'Å'"),
        ("Å", "furlong", "does not convert to 'furlong'"),
        ("furlong", "fathom", "does not convert"),
        ("mpa", "MPa", "unknown unit 'mpa'"),
    ],
)
def test_refusals(given, wanted, message):
    with pytest.raises(BadInputError, match=message) as caught:
        conversion(given, wanted, "property 'gap'")
    assert caught.value.field == "property 'gap'"
    assert caught.value.remedy
