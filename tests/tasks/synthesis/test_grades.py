import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.tasks.retrieval import ndcg
from prismat.tasks.synthesis.composition import composition_of
from prismat.tasks.synthesis.grades import (
    best_first,
    graded,
    jaccard,
    ndcg_curve,
    precursor_gains,
    target_gains,
)

SETS = [frozenset("ab"), frozenset("abc"), frozenset("d"), frozenset()]


def test_jaccard_is_shared_over_all():
    expected = [[len(a & b) / max(len(a | b), 1) for b in SETS] for a in SETS]
    np.testing.assert_allclose(jaccard(SETS, SETS), expected)


def test_the_best_of_several_own_recipes_counts():
    own = [[frozenset({"BaCO3", "TiO2"}), frozenset({"BaO", "TiO2"})], [frozenset({"SrCO3"})]]
    gallery = [frozenset({"BaO", "TiO2"}), frozenset({"BaCO3", "TiO2", "SrCO3"})]
    np.testing.assert_allclose(precursor_gains(own, gallery), [[1.0, 2 / 3], [0.0, 1 / 3]])


def test_grades_by_hand():
    # BaTiO3 and SrTiO3 share a fifth Ti and three fifths O: s = 0.2 + 0.6 = 0.8, from where grades begin.
    # BaTiO3 and Ba2TiO4: s = √(1/5·2/7) + √(1/5·1/7) + √(3/5·4/7).
    query = composition_of("BaTiO3")[None]
    gallery = np.stack([composition_of(f) for f in ("BaTiO3", "SrTiO3", "Ba2TiO4", "NaCl")])
    s = math.sqrt(2 / 35) + math.sqrt(1 / 35) + math.sqrt(12 / 35)
    likeness = target_gains(query, gallery)
    np.testing.assert_allclose(likeness, [[1.0, 0.0, (s - 0.8) / 0.2, 0.0]], atol=1e-12)
    shared = precursor_gains([[frozenset({"BaCO3", "TiO2"})]], [frozenset({"BaCO3"})] * 4)
    np.testing.assert_allclose(graded(shared, likeness)[0, :2], [0.75, 0.25])


def test_ndcg_by_hand():
    # Ranked 3, 1, 0, 2: gains 0.5, 0, 1, 0.25; the best order is 1, 0.5, 0.25, 0.
    scores, gains = np.array([[2.0, 3.0, 1.0, 4.0]]), np.array([[1.0, 0.0, 0.25, 0.5]])
    log = math.log2
    found = [0.5, 0.5, 0.5 + 1 / log(4), 0.5 + 1 / log(4) + 0.25 / log(5)]
    best = [1.0, 1 + 0.5 / log(3), 1 + 0.5 / log(3) + 0.25 / log(4), 1 + 0.5 / log(3) + 0.25 / log(4)]
    order = best_first(scores, gains, 4)
    assert order.tolist() == [[3, 1, 0, 2]]
    np.testing.assert_allclose(ndcg_curve(order, gains)[0], np.array(found) / np.array(best))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_it_is_the_ndcg_of_retrieval(seed, k):
    rng = np.random.default_rng(seed)
    # Few distinct scores, so that ties decide.
    scores, gains = rng.integers(0, 4, (3, 12)).astype(float), rng.integers(0, 3, (3, 12)) / 2
    gains[:, 0] = 1.0
    order = best_first(scores, gains, k)
    np.testing.assert_allclose(ndcg_curve(order, gains)[:, -1], ndcg(scores, gains, k))


def test_of_equal_scores_the_worst_comes_first():
    gains = np.array([[1.0, 0.0, 0.5]])
    assert best_first(np.ones((1, 3)), gains, 3).tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("k", [1, 5])
def test_no_more_than_there_is_are_ranked(k):
    assert best_first(np.ones((2, 3)), np.zeros((2, 3)), k).shape == (2, min(k, 3))
