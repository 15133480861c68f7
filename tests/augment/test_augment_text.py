import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from prismat.augment.text import (
    TextViews,
    replace_formulas,
    sentences,
    shuffle_sentences,
    text_views,
    token_views,
)
from prismat.encoders.masked_language import MaskVocabulary
from prismat.errors import BadInputError
from prismat.modalities.chemistry_text import mask, parse_chemistry
from prismat.modalities.text import pad_tokens

LONG = (
    "Refinement of Fe2.5O by Smith et al. (1998) as in Fig. 3. The cell edge is 4.29 Å at 300 K. "
    "Vacancies order, cf. Table 2, near No. 5. Is it cubic? Yes."
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_sentences_of_a_chemical_text():
    assert sentences(LONG) == [
        "Refinement of Fe2.5O by Smith et al. (1998) as in Fig. 3.",
        "The cell edge is 4.29 Å at 300 K.",
        "Vacancies order, cf. Table 2, near No. 5.",
        "Is it cubic?",
        "Yes.",
    ]


@pytest.mark.parametrize(
    "whole",
    [
        "Structure of Ca2(Mg.55Fe.45)Si2O7 at 0.5 GPa",
        "The work of W. L. Bragg on NaCl",
        "Compounds of the marcasite type. XII. RuP2",
        "Values e.g. Those of Smith et al. Fig. 2 vs. Table 3",
        "Corundum (Al2O3). 1.5",
        "",
        "...",
    ],
)
def test_no_sentence_ends_here(whole):
    """What stays in one piece, or whose second piece holds no sentence of its own."""
    found = sentences(whole)
    assert " ".join(found) == whole
    assert "XII." not in found
    assert len(found) <= (2 if "XII" in whole else 1)


@given(st.text(max_size=200) | st.text("ab.A1 ?!()KFe", max_size=120))
def test_sentences_give_the_text_back(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def words(text):
    return Counter(w.strip(".") for w in text.split())


def test_shuffled_sentences_are_the_same_in_another_order():
    orders = {shuffle_sentences(LONG, rng(seed)) for seed in range(40)}
    assert len(orders) > 20
    assert all(sorted(sentences(o)) == sorted(sentences(LONG)) for o in orders)
    assert shuffle_sentences(LONG, rng(3)) == shuffle_sentences(LONG, rng(3))


def test_the_last_sentence_needs_no_full_stop():
    text = "Halite. The structure of rock salt. Found in Wieliczka"
    orders = {shuffle_sentences(text, rng(seed)) for seed in range(40)}
    assert len(orders) == 6
    assert {o[-1] for o in orders} == {"e", "t", "a"}
    assert all(words(o) == words(text) and o.count(".") == 2 for o in orders)


def test_one_sentence_stays():
    assert shuffle_sentences("Refinement of Fe2.5O", rng()) == "Refinement of Fe2.5O"


@pytest.mark.parametrize(
    ("text", "reduced", "names"),
    [
        ("Study of CaCO3 under pressure", None, "Study of calcium carbon oxygen under pressure"),
        ("Study of Ca2(Si2O6)", "Study of CaSiO3", "Study of calcium silicon oxygen"),
        ("Hydrate CaSO4*2H2O", "Hydrate CaH4SO6", "Hydrate calcium hydrogen sulfur oxygen"),
        ("Spaced Ca2 Zn Si2 O7 here", "Spaced Ca2ZnSi2O7 here", "Spaced calcium zinc silicon oxygen here"),
        ("Solid solution Mg1-xFexO", None, "Solid solution magnesium iron oxygen"),
        ("Olivine (Mg,Fe)2SiO4", None, "Olivine magnesium iron silicon oxygen"),
        ("Heavy water D2O", None, None),
        ("Phases of A2X4", None, None),
        ("A NaCl-type compound", None, None),
        ("Nothing to see", None, None),
    ],
)
def test_a_formula_written_otherwise(text, reduced, names):
    assert replace_formulas(text, rng(), "reduced") == (reduced or text)
    assert replace_formulas(text, rng(), "names") == (names or text)


@pytest.mark.parametrize("text", ["Fe6(OH)12SO4*8H2O", "Ca2(Mg.55Fe.45)Si2O7", "KAl3(SO4)2(OH)6", "Fe0.95O"])
def test_the_reduced_formula_is_the_same_composition(text):
    before, after = (parse_chemistry(t)[:99] for t in (text, replace_formulas(text, rng(), "reduced")))
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_the_placeholder_is_that_of_masking():
    text = "From CaTiO3 to MgSiO3"
    found = {replace_formulas(text, rng(seed), "mask") for seed in range(20)}
    assert found == {"From [formula] to MgSiO3", "From CaTiO3 to [formula]"}
    once = replace_formulas(replace_formulas(text, rng(), "mask"), rng(), "mask")
    assert once == mask(text, "formula") == "From [formula] to [formula]"
    assert replace_formulas(once, rng(), "mask") == once


@given(st.text("FeCaO2HMgx()., DAn*+-3", max_size=60), st.sampled_from(["reduced", "names", "mask"]))
def test_any_text_may_be_rewritten(text, how):
    found = replace_formulas(text, rng(), how)
    assert found == replace_formulas(text, rng(), how)
    # One stretch is exchanged, or nothing.
    assert found == text or (how != "mask") or "[formula]" in found


def test_views_by_chance():
    texts = [LONG, "", "Study of Ca2(Si2O6)"] * 200
    assert text_views(texts, TextViews(), rng()) == texts
    config = TextViews(shuffle=0.5, replacement=0.25, ways=("mask",))
    views = text_views(texts, config, rng())
    assert views == text_views(texts, config, rng())
    assert views != text_views(texts, config, rng(1))
    assert set(views[1::3]) == {""}
    assert np.mean(["[formula]" in v for v in views[2::3]]) == pytest.approx(0.25, abs=0.08)
    ordered = [re.sub(r"\[formula\]", "Fe2.5O", v) == LONG for v in views[::3]]
    assert np.mean(ordered) == pytest.approx(0.5, abs=0.1)


def test_tokens_are_masked_by_share_and_special_ones_never():
    vocabulary = MaskVocabulary(size=40, mask=4, special=(0, 1, 2, 3, 4))
    ids = rng().integers(5, 40, (200, 50))
    batch = pad_tokens([[2, *row, 3] for row in ids.tolist()], [True] * 199 + [False])
    config = TextViews(masking=0.15)
    view = token_views(batch, vocabulary, config, Generator().manual_seed(0))
    changed = view.ids != batch.ids
    assert (view.ids[changed] == 4).all()
    assert float(changed[:, 1:-1].float().mean()) == pytest.approx(0.15, abs=0.01)
    assert not changed[:, [0, -1]].any()
    assert not changed[-1].any()
    again = token_views(batch, vocabulary, config, Generator().manual_seed(0))
    assert (again.ids == view.ids).all()


@pytest.mark.parametrize(
    "config",
    [{"masking": 1.0}, {"masking": -0.1}, {"shuffle": 1.5}, {"replacement": float("nan")}, {"ways": ()}],
)
def test_nonsense_is_refused(config):
    with pytest.raises(BadInputError, match=r"text views.*Give chances of 0 to 1"):
        TextViews(**config)
