"""The threshold algorithm against a full scan, with lists that ties, gaps and errors make hard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.search.backends.nearest import combinations, first_of
from prismat.search.backends.threshold import Task, best_of
from prismat.search.weighted import weighted_mean


class FakeLists:
    """Lists of given cosines, off by a seeded error below the margin; counts what is read."""

    def __init__(self, cosines, present, weights, error, seed):
        noise = np.random.default_rng(seed).uniform(-error, error, cosines.shape)
        self.told = np.where(present, np.sign(weights) * cosines + noise, np.nan)
        self.exact, self.present, self.scored, self.depth = cosines, present, 0, 0

    def nearest(self, part, depth):
        rows = np.flatnonzero(self.present[:, part])
        self.depth = max(self.depth, depth)
        return first_of(rows, self.told[rows, part], depth)

    def cosines(self, rows):
        assert len(rows)
        self.scored += len(rows)
        return np.where(self.present, self.exact, 0.0)[rows], self.present[rows]


def task(present, weights, shares, k, **more):
    patterns = combinations([present[:, j] for j in range(present.shape[1])])
    patterns = patterns[patterns.any(axis=1)]
    return Task(weights, shares, patterns, 2e-3, k, **{"depth": 2, **more})


def scan(cosines, present, weights, shares, k):
    rows = np.flatnonzero(present.any(axis=1))
    cosines = np.where(present, cosines, 0.0)
    scores = weighted_mean(weights, cosines[rows], present[rows], shares).astype(np.float32)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


@given(
    st.integers(1, 60),
    st.integers(1, 4),
    st.integers(1, 12),
    st.integers(2, 30),
    st.floats(0.1, 1.0),
    st.integers(0, 2**32 - 1),
)
def test_it_gives_what_a_full_scan_gives(n, parts, k, levels, share, seed):
    rng = np.random.default_rng(seed)
    # Few different values make many ties.
    cosines = rng.integers(-levels, levels + 1, (n, parts)) / levels
    present = rng.random((n, parts)) < share
    if not present.any():
        present[0, 0] = True
    weights = rng.choice([-2.0, -1.0, 0.5, 1.0, 3.0], parts)
    shares = np.abs(weights) * rng.choice([1.0, 1.5], parts)
    lists = FakeLists(cosines, present, weights, 5e-4, seed)
    found = best_of(lists, task(present, weights, shares, k))
    rows, scores = scan(cosines, present, weights, shares, k)
    assert found.rows.tolist() == rows.tolist()
    assert found.scores.tolist() == scores.tolist()
    assert (found.present == present[rows]).all()


def test_it_stops_early_where_the_best_stand_out():
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-0.1, 0.1, (5_000, 2))
    cosines[[17, 900]] = 0.9
    present = np.ones((5_000, 2), dtype=bool)
    weights = np.ones(2)
    lists = FakeLists(cosines, present, weights, 0.0, 1)
    found = best_of(lists, task(present, weights, weights, 2, depth=16))
    assert found.rows.tolist() == [17, 900]
    assert lists.depth == 16
    assert lists.scored < 100


def test_a_record_that_lacks_parts_can_win_by_its_only_one():
    """The bound of a record with one part is that part's, not the mean over all."""
    cosines = np.array([[0.8, -0.9], [0.75, 0.0], [0.3, 0.3], [0.2, 0.6]])
    present = np.array([[True, True], [True, False], [True, True], [True, True]])
    weights = np.ones(2)
    found = best_of(FakeLists(cosines, present, weights, 0.0, 1), task(present, weights, weights, 1, depth=1))
    assert found.rows.tolist() == [1]
    assert found.scores.tolist() == [pytest.approx(0.75)]


def test_a_greatest_depth_ends_the_search():
    cosines = np.random.default_rng(2).uniform(-1, 1, (400, 3))
    present, weights = np.ones((400, 3), dtype=bool), np.ones(3)
    lists = FakeLists(cosines, present, weights, 0.0, 1)
    found = best_of(lists, task(present, weights, weights, 5, depth=4, max_depth=20))
    assert lists.depth == 20
    assert len(found.rows) == 5
    assert (np.diff(found.scores) <= 0).all()


def test_nothing_passes():
    lists = FakeLists(np.zeros((3, 1)), np.zeros((3, 1), dtype=bool), np.ones(1), 0.0, 1)
    present = np.ones((3, 1), dtype=bool)
    assert len(best_of(lists, task(present, np.ones(1), np.ones(1), 5)).rows) == 0
