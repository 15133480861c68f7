import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.elements import SYMBOLS, atomic_number
from prismat.errors import BadInputError
from prismat.modalities.chemistry_text import (
    CHEMISTRY_WIDTH,
    FLAGS,
    FORMULA,
    LEXICON,
    MENTION,
    chemistry_channels,
    mask,
    parse_chemistry,
    scan,
)
from prismat.modalities.lexicon import Lexicon, key_word


def mentioned(text):
    return {SYMBOLS[z] for z in np.flatnonzero(parse_chemistry(text)[MENTION])}


def fractions(**parts):
    values = np.zeros(99)
    for symbol, value in parts.items():
        values[atomic_number(symbol)] = value
    return values


QUARTZ = fractions(Si=1 / 3, O=2 / 3)
LEXICON_OF_TWO = Lexicon({"neighborite": fractions(Na=0.2, Mg=0.2, F=0.6), "coesite": QUARTZ})


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("High-pressure crystal chemistry of neighborite, NaMgF3", "Na Mg F"),
        ("The Structure of Hardystonite Ca2 Zn Si2 O7", "Ca Zn Si O"),
        ("Tetraammineplatinum(II) bis[pertechnetate(VII)]", "N H Pt Tc O"),
        ("Sulla struttura dei composti In P, In As e In Sb", "In P As Sb"),
        ("The compounds KAs4O6X (X=Cl, Br, and I)", "K As O Cl Br I"),
        ("Les oxydes A2 Ba Cu O5 (A = Y,Sm,Eu)", "Ba Cu O Y Sm Eu"),
        ("M(I)AlF4 (M(I) = K,Rb,NH4)", "Al F K Rb N H"),
        ("Fe-Mn cation ordering in olivines (FexMn1-x)2SiO4", "Fe Mn Si O"),
        ("A neutron study of beta-CrOOH", "Cr O H"),
        ("Chalcogenides with S, Se and Te", "S Se Te"),
        ("V-bearing and K-rich glass", "V K"),
        ("Chukhrovite-(Y)", "Y"),
        ("The Sb analogue of perite", "Sb"),
        ("Cu2+ coordinated by Cl", "Cu Cl"),
        ("Nb2 (P O4)3 and H2O", "Nb P O H"),
        ("Zur Kristallstruktur von Strontianit, SrCO3", "Sr C O"),
        ("Etude du chlorure de cuivre et d'étain", "Cl Cu Sn"),
        ("Verfeinerung des Kaliumphosphats", "K P O"),
        ("the quartz-type AlPO4", "Al P O"),
    ],
)
def test_elements_of_titles(title, expected):
    assert mentioned(title) == set(expected.split())


@pytest.mark.parametrize(
    "title",
    [
        "In situ study at T = 300 K and P = 2 GPa",
        "As he said: no. He and I saw it. At last. Be kind. No, As",
        "Demicheleite-like order from La Fossa, and high-Tc superconductors",
        "Part V. Vibrations at 5 K, 20 C, and the I-centred lattice",
        "Space group C2/c, P21/c or Fm-3m; B-site order; A P-V-T equation of state",
        "Crystal Structure Refinement By X-ray and NASICON DFT EXAFS",
        "NaCl-type and CsCl-type ordering",
        "Ice VII or phase B of type K",
        "environment containing leading natural structures",
        "Sample SC20, run MFN3-1",
        "",
        "12 (3) - []",
    ],
)
def test_no_elements_in_ordinary_words(title):
    assert mentioned(title) <= ({"H", "O"} if "Ice" in title else set())


def test_layout_of_the_channel():
    channel = parse_chemistry("Coesite, SiO2, and magnesium in NaCl", LEXICON_OF_TWO)
    assert channel.shape == (CHEMISTRY_WIDTH,)
    assert channel[FORMULA] == pytest.approx((QUARTZ + fractions(Na=0.5, Cl=0.5)) / 2)
    assert np.flatnonzero(channel[MENTION]).tolist() == [8, 11, 12, 14, 17]
    assert channel[LEXICON] == pytest.approx(QUARTZ)
    assert channel[FLAGS] == pytest.approx([1, 1, 1, np.log(3), np.log(6), np.log(2)])


def test_nothing_found_is_all_zero():
    assert not parse_chemistry("On the symmetry of crystals").any()


def test_structure_type_counts_for_masking_only():
    assert not parse_chemistry("a coesite-like NaCl-type order", LEXICON_OF_TWO).any()
    assert (
        mask("a coesite-like NaCl-type order", "minerals", LEXICON_OF_TWO)
        == "a [mineral]-like [formula]-type order"
    )


def test_channels_of_many_texts():
    texts = ["NaCl", None, "KBr", "NaCl"]
    channels = chemistry_channels(texts)
    assert channels.dtype == np.float32
    assert not channels[1].any()
    assert channels[[0, 2, 3]] == pytest.approx(
        np.stack([parse_chemistry(t) for t in ("NaCl", "KBr", "NaCl")])
    )


def test_lexicon_averages_rows_and_finds_inflections():
    rows = np.stack(
        [fractions(Si=0.5, O=0.5), fractions(Si=0.3, O=0.7), fractions(Fe=1.0), fractions(Pb=1.0)]
    )
    lexicon = Lexicon.from_rows(["Coesite", "coesite-(Y)", "Iron", ""], rows)
    assert set(lexicon.fractions) == {"coesite"}
    assert lexicon.fractions["coesite"] == pytest.approx(fractions(Si=0.4, O=0.6))
    for word in ("coesite", "coesites", "coesit", "coesits"):
        assert lexicon.find(word) == "coesite"
    assert lexicon.find("cosite") is None


def test_key_word_of_names():
    names = [
        "Chukhrovite-(Y)",
        "Uranophane - alpha",
        "Beta - fergusonite-(Y)",
        "Phase-X",
        "Iron",
        "Ice VII",
        "",
    ]
    assert [key_word(name) for name in names] == ["chukhrovite", "uranophane", "fergusonite", "", "", "", ""]


def test_lexicon_survives_json():
    again = Lexicon.from_json(json.loads(json.dumps(LEXICON_OF_TWO.to_json())))
    assert list(again.fractions) == list(LEXICON_OF_TWO.fractions)
    assert all(np.array_equal(again.fractions[k], v) for k, v in LEXICON_OF_TWO.fractions.items())


def test_lexicon_errors():
    with pytest.raises(BadInputError, match="2 names for 1 rows"):
        Lexicon.from_rows(["a", "b"], np.zeros((1, 99)))
    with pytest.raises(BadInputError, match="no fraction of Si"):
        Lexicon.from_json({"coesite": {"Si": 2.0}})
    with pytest.raises(BadInputError, match="unknown element 'Xx'"):
        Lexicon.from_json({"coesite": {"Xx": 0.5}})


def test_mask_levels_are_cumulative():
    text = "Fe-bearing neighborite NaMgF3, a sodium fluoride related to perovskite and ralstonite"
    assert mask(text, "formula") == text.replace("NaMgF3", "[formula]")
    assert mask(text, "elements") == (
        "[element]-bearing neighborite [formula], a [element] [element] related to perovskite and ralstonite"
    )
    assert mask(text, "minerals") == (
        "[element]-bearing [mineral] [formula], a [element] [element] related to [mineral] and [mineral]"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Structures of Ca2NdRuO6,Ca2HoRuO6 and PbS", "Structures of [formula],[formula] and [formula]"),
        ("Ge0.74V0.21[box]0.05O2 glass", "[formula] glass"),
        ("Pd^2+^ in phases M(I)AlF4", "Pd^2+^ in phases [formula]"),
    ],
)
def test_garbled_formulas_are_masked(text, expected):
    assert mask(text, "formula") == expected


def test_names_without_fractions_mask_minerals():
    names = Lexicon.from_names(["Beryl", "Green cinnabar", "<missing>"])
    assert mask("On Cinnabar, emerald and beryls", "minerals", names) == "On [mineral], emerald and [mineral]"


PARTS = [
    "Fe",
    "NaCl",
    "Ca2",
    "Zn",
    "O7",
    "(P",
    "O4)3",
    "In",
    "As",
    "K",
    "2",
    "=",
    "T",
    "X",
    "and",
    ",",
    ";",
    "-",
    "/",
    "iron",
    "oxide",
    "garnet",
    "zircon",
    "walforite",
    "[formula]",
    "[",
    "]",
    "(",
    ")",
    "U",
    "Pb",
    "-type",
    "-rich",
    "x",
    "5",
    "GPa",
    "the",
    "of",
    "He4",
    "V5+",
    "(Y)",
    "beta-",
    "[element]",
    "[mineral]",
    "Cl,",
    "Br",
    "I,",
    "é",
    "₂",
    ".",
    ":",
    "e.g.",
]
ANYTHING = st.lists(st.sampled_from(PARTS), max_size=14)


@settings(max_examples=300, deadline=None)
@given(ANYTHING, st.sampled_from(["", " "]), st.sampled_from(["formula", "elements", "minerals"]))
def test_masking_is_idempotent_and_leaves_nothing(parts, glue, level):
    masked = mask(glue.join(parts), level, LEXICON_OF_TWO)
    assert mask(masked, level, LEXICON_OF_TWO) == masked
    if level == "minerals":
        rest = masked.replace("[formula]", "|").replace("[element]", "|").replace("[mineral]", "|")
        assert all(not scan(part, LEXICON_OF_TWO) for part in rest.split("|"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_finite_channel_and_ordered_spans(text):
    channel = parse_chemistry(text, LEXICON_OF_TWO)
    assert np.isfinite(channel).all()
    assert channel.min() >= 0
    spans = scan(text, LEXICON_OF_TWO)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert mask(mask(text, "minerals"), "minerals") == mask(text, "minerals")
