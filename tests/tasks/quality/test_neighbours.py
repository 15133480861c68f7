import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from prismat.errors import BadInputError
from prismat.tasks.quality import neighbours as room
from prismat.tasks.quality.neighbours import hubness, nearest, purity

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(80, 5))


def test_neighbours_are_those_of_scikit_learn(monkeypatch):
    _, expected = NearestNeighbors(n_neighbors=8).fit(VECTORS).kneighbors(VECTORS)
    np.testing.assert_array_equal(nearest(VECTORS, 7), expected[:, 1:])
    monkeypatch.setattr(room, "_DISTANCES_AT_ONCE", 300)
    np.testing.assert_array_equal(nearest(VECTORS, 7), expected[:, 1:])


def test_purity_is_the_share_counted_by_hand():
    labels, found = RNG.integers(3, size=80), nearest(VECTORS, 5)
    by_hand = [np.mean([labels[j] == labels[i] for j in found[i]]) for i in range(80)]
    np.testing.assert_allclose(purity(found, labels), by_hand)


def test_records_of_one_group_are_no_neighbours():
    groups = np.arange(80) // 4
    found = nearest(VECTORS, 6, groups)
    assert (groups[found] != groups[:, None]).all()
    alone = nearest(VECTORS[:8], 6, groups[:8])
    assert (alone[:, 4:] == -1).all()
    assert (alone[:, :4] >= 0).all()
    assert np.isnan(purity(np.full((2, 3), -1), np.array([0, 1]))).all()


def test_hubness_is_the_skewness_of_occurrence():
    found = nearest(VECTORS, 10)
    counts = np.array([(found == i).sum() for i in range(80)], dtype=float)
    centred = counts - counts.mean()
    assert hubness(found) == pytest.approx((centred**3).mean() / (centred**2).mean() ** 1.5)
    assert hubness((np.arange(6)[:, None] + 1) % 6) == 0


@pytest.mark.parametrize("k", [0, 80])
def test_too_few_records_for_k_are_refused(k):
    with pytest.raises(BadInputError, match="neighbours of 80 records"):
        nearest(VECTORS, k)
