import pytest

from prismat.elements import SYMBOLS, names
from prismat.modalities.chemical_words import fold, meaning, vocabulary


def elements(word):
    return {SYMBOLS[z] for z in meaning(fold(word)).elements}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("sulphide", "S"),
        ("sulfate", "S O"),
        ("carbonate", "C O"),
        ("Vanadat", "V O"),
        ("hydroxide", "H O"),
        ("titanoniobates", "Ti Nb O"),
        ("tetraarsenic", "As"),
        ("pentasulphide", "S"),
        ("dichlorure", "Cl"),
        ("hydrogenophosphate", "H P O"),
        ("Yttriumvanadat", "Y V O"),
        ("Lithiumkarbonates", "Li C O"),
        ("Tetraammineplatinum", "N H Pt"),
        ("pertechnetate", "Tc O"),
        ("hexafluorosilicate", "F Si"),
        ("thioarsenate", "As S O"),
        ("tetrathioarsenate", "As S"),
        ("esaidrato", "H O"),
        ("solfuro", "S"),
        ("Molybdän", "Mo"),
        ("étain", "Sn"),
        ("aluminosilicate", "Al Si O"),
        ("oxychloride", "O Cl"),
        ("uranyl", "U O"),
        ("aluminum", "Al"),
        ("aluminium", "Al"),
        ("Kaliumchlorid", "K Cl"),
        ("tungstate", "W O"),
        ("hydrous", "H O"),
        ("cupric", "Cu"),
        ("zincian", "Zn"),
        ("deuteroxides", "H O"),
        ("nitridosilicate", "N Si O"),
        ("vanadomalayaite", "V"),
        ("fluoredenite", "F"),
        ("feldspar", "Al Si O"),
    ],
)
def test_elements_of_words(word, expected):
    assert elements(word) == set(expected.split())


@pytest.mark.parametrize(
    "word",
    [
        "containing",
        "environment",
        "leading",
        "indian",
        "natural",
        "structure",
        "temperature",
        "anhydrous",
        "ferroelectric",
        "ferromagnetic",
        "fluorescence",
        "oxidation",
        "synthesis",
        "composite",
        "meteorite",
        "site",
        "lanthanide",
        "argentina",
        "nature",
        "state",
        "pressure",
    ],
)
def test_words_that_only_hold_a_name(word):
    assert not elements(word)


def test_every_english_element_name_is_known():
    missing = {n for n, z in names().items() if meaning(n.lower()).elements != {z} and 1 <= z <= 98}
    assert not missing


def test_kinds():
    assert meaning("oxide").kind == "element"
    assert meaning("garnet").kind == "mineral"
    assert meaning("walforite").kind == "mineral"
    assert meaning("composite").kind == "other"
    assert meaning("crystal").kind == "other"


def test_vocabulary_is_folded_and_has_every_kind():
    assert set(vocabulary()) == {"element", "root", "compound", "group", "prefix", "plain"}
    assert all(word == fold(word) for words in vocabulary().values() for word in words)
