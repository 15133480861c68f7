"""What a map keeps, and how pure neighbourhoods are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import manifold

from prismat.maps.labels import overlaps, place_labels
from prismat.maps.measures import nearest_apart, neighbours_kept, purity, trustworthiness, word_purity


@pytest.fixture(scope="module")
def space():
    vectors = np.random.default_rng(0).normal(size=(90, 6))
    return vectors, vectors[:, :2].copy()


def test_trustworthiness_against_scikit_learn(space):
    theirs = manifold.trustworthiness(*space, n_neighbors=7)
    assert trustworthiness(*space, k=7) == pytest.approx(theirs, abs=1e-12)
    assert trustworthiness(space[0], space[0], k=7) == 1


def test_neighbours_kept(space):
    assert neighbours_kept(space[0], space[0], 5).tolist() == [1.0] * 90
    shuffled = np.random.default_rng(1).permutation(space[1])
    assert neighbours_kept(*space, 5).mean() > 2 * neighbours_kept(space[0], shuffled, 5).mean()


def test_neighbours_of_other_groups_only():
    points = np.array([[0.0], [1.0], [2.1], [3.3]])
    found = nearest_apart(points, np.array([0, 0, 1, 1]), k=2)
    assert found.tolist() == [[2, 3], [2, 3], [1, 0], [1, 0]]
    assert nearest_apart(points, np.zeros(4, int), k=1).tolist() == [[-1], [-1], [-1], [-1]]


def test_purity_counts_known_labels_only():
    neighbours = np.array([[1, 2, 3], [0, 2, -1], [0, 1, 3], [-1, -1, -1]])
    found = purity(neighbours, np.array([0, 0, 1, -1]))
    assert np.array_equal(found, [0.5, 0.5, 0.0, np.nan], equal_nan=True)


def test_word_purity():
    neighbours = np.array([[1, 2], [0, -1], [0, 1]])
    assert word_purity(neighbours, np.array([True, True, False])).tolist() == [0.5, 1.0]


@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 0.6), st.floats(0.01, 0.2)),
        min_size=1,
        max_size=25,
    )
)
def test_labels_never_overlap_and_stay_within(labels):
    places = np.array([label[:2] for label in labels])
    sizes = np.array([label[2:] for label in labels])
    found = place_labels(places, sizes, (-1.0, -1.0, 1.0, 1.0))
    boxes = [
        (x - w / 2 + 1e-9, y - h / 2 + 1e-9, x + w / 2 - 1e-9, y + h / 2 - 1e-9)
        for (x, y), (w, h) in ((f, s) for f, s in zip(found, sizes.tolist(), strict=True) if f)
    ]
    assert found[0] is not None
    assert not any(overlaps(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(b[0] >= -1 and b[1] >= -1 and b[2] <= 1 and b[3] <= 1 for b in boxes)
