import pytest

from prismat.sources.amcsd_titles import conditions, split_titles


def one(raw, publication=1):
    return split_titles([raw], [publication])[0]


@pytest.mark.parametrize(
    ("raw", "title", "notes"),
    [
        ("The structure of galena", "The structure of galena", ""),
        (
            " Neutron structure of the antiferromagnet\n K2[FeCl5(H2O)]\n P = .1 MPa\n Sample: T = 15 K",
            "Neutron structure of the antiferromagnet K2[FeCl5(H2O)]",
            "P = .1 MPa; Sample: T = 15 K",
        ),
        (
            "Structure de Ge U O4\n _cod_database_code 1007054",
            "Structure de Ge U O4",
            "_cod_database_code 1007054",
        ),
        (
            "A title\nthat goes  on\nNote: revised\nmore of it",
            "A title that goes on",
            "Note: revised; more of it",
        ),
        ("Anorthite\nT = 1430 C", "Anorthite", "T = 1430 C"),
        ("Quartz\nLocality: Brazil", "Quartz", "Locality: Brazil"),
        ("Iron\nhcp", "Iron", "hcp"),
        ("<missing>", "", ""),
        ("<missing>\nNote: something", "", "Note: something"),
        (
            "Second edition. Interscience Publishers, New York,\nRocksalt structure",
            "",
            "Second edition. Interscience Publishers, New York,; Rocksalt structure",
        ),
    ],
)
def test_notes_are_split_off(raw, title, notes):
    assert one(raw) == (title, notes)


def test_a_line_that_rows_of_one_paper_do_not_share_is_a_note():
    raw = [f"Compression of periclase\nto high pressure\n{n}" for n in ("run one", "run two", "run three")]
    assert {t for t, _ in split_titles(raw, [7, 7, 7])} == {"Compression of periclase to high pressure"}
    assert [n for _, n in split_titles(raw, [7, 7, 7])] == ["run one", "run two", "run three"]


def test_the_same_lines_in_different_papers_belong_to_the_title():
    raw = ["The feldspars\nPart one", "The feldspars\nPart two"]
    assert [t for t, _ in split_titles(raw, [1, 2])] == ["The feldspars Part one", "The feldspars Part two"]


def test_papers_of_one_number_that_begin_differently_are_kept_apart():
    raw = ["A\nB", "A\nB", "C\nD"]
    assert [t for t, _ in split_titles(raw, [1, 1, 1])] == ["A B", "A B", "C D"]


def test_the_first_line_always_stays():
    assert [t for t, _ in split_titles(["Olivine", "Olivine\nT = 300 K"], [1, 1])] == ["Olivine", "Olivine"]


@pytest.mark.parametrize(
    ("notes", "kelvin"),
    [
        ("T = 15 K", 15),
        ("Sample: at T = 248.15 K", 248.15),
        ("T = -190 C", 83.15),
        ("T = 25 deg C", 298.15),
        ("T = 700 degrees C", 973.15),
        ("T=1000(5)K", 1000),
        ("P = .007 GPa, T = 1.1 K", 1.1),
        ("T = 20-25 C", None),
        ("T = 15 kbar", None),
        ("no temperature", None),
        ("", None),
    ],
)
def test_temperatures_in_kelvin(notes, kelvin):
    found = conditions(notes).get("temperature")
    if kelvin is None:
        assert found is None
        return
    assert found.value == pytest.approx(kelvin)
    assert found.unit == "K"


@pytest.mark.parametrize(
    ("notes", "gigapascal"),
    [
        ("P = 2.5 GPa", 2.5),
        ("P = .14 GPa", 0.14),
        ("Sample: P = .1 MPa", 1e-4),
        ("P = 47 kbar", 4.7),
        ("P = 47 kbars", 4.7),
        ("P = 1 bar", 1e-4),
        ("P = 1 atm", 1.01325e-4),
        ("P = 100 kPa", 1e-4),
        ("P=10.2(3) GPa", 10.2),
        ("P = high", None),
    ],
)
def test_pressures_in_gigapascal(notes, gigapascal):
    found = conditions(notes).get("pressure")
    if gigapascal is None:
        assert found is None
        return
    assert found.value == pytest.approx(gigapascal)
    assert found.unit == "GPa"
