import numpy as np
import pytest

from prismat.errors import BadInputError
from prismat.material import Material
from prismat.tasks.screening.vocabulary import build_vocabulary, tag_matrix

TEXTS = [
    "Crystal structures of natural garnets: cation ordering",
    "A garnet, magnetic at low temperature",
    "Magnétic ordering in garnet-bearing NaCl",
    "Cation-ordering in olivine and NaCl",
    "Cation ordering of quartz, powder diffractions",
    "Magnetic iron; neutron diffraction of NaCl",
]


def test_keywords_of_several_groups_are_kept():
    found = build_vocabulary(TEXTS, np.array([0, 1, 2, 3, 4, 5]), ["Garnet", "Olivine"], least_groups=3)
    known = dict(zip(found.words, found.counts.tolist(), strict=True))
    assert known["cation ordering"] == 3
    assert known["magnetic"] == 3
    # Formulas are no words, and methods no keywords, in the plural neither.
    assert not {"nacl", "diffraction", "diffractions", "crystal"} & set(known)
    garnet = next(i for i, word in enumerate(found.words) if word.startswith("garnet"))
    assert found.counts[garnet] == 3
    assert found.chemical[garnet]
    assert not found.chemical[found.words.index("magnetic")]


def test_a_word_of_one_group_is_no_tag():
    found = build_vocabulary(TEXTS, np.array([0, 1, 2, 3, 3, 3]), least_groups=3)
    assert "magnetic" in found.words
    assert "cation ordering" not in found.words
    with pytest.raises(BadInputError, match="no keyword is in the texts of 3 groups"):
        build_vocabulary(TEXTS, np.zeros(6, dtype=np.int64))


def test_whole_words_count_whatever_their_form():
    texts = ["High-pressure GARNETS", "pressure, high", "hypergarnet", "Étude magnétique", "", "glass"]
    found = tag_matrix(texts, ["high pressure", "garnet", "magnetique", "glass", "gla"])
    expected = np.zeros((6, 5), bool)
    expected[0, [0, 1]] = expected[3, 2] = expected[5, 3] = True
    np.testing.assert_array_equal(found, expected)


def test_real_titles_give_words_of_materials(amcsd):
    rows = [m for m in amcsd.read(0, 400) if isinstance(m, Material)]
    titles = [m.texts.get("title", "") for m in rows]
    groups = np.unique(titles, return_inverse=True)[1].ravel()
    found = build_vocabulary(titles, groups, [m.tags.get("mineral", "") for m in rows])
    assert 20 < len(found) < 500
    assert "crystal structure" not in found.words
    assert not any("diffraction" in word for word in found.words)
    held = tag_matrix(titles, found.words)
    np.testing.assert_array_equal(held.sum(axis=0), found.counts)
    assert (held.any(axis=1)).mean() > 0.3
