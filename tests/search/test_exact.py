import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from prismat.errors import BadInputError
from prismat.search import exact
from prismat.search.exact import normalized, top_k


def unit(rng, n, dim):
    vectors = rng.standard_normal((n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute(query, gallery, k, mask=None):
    """Every score in float64, stable sort."""
    scores = (query.astype(np.float64) @ gallery.astype(np.float64).T).astype(np.float32)
    if mask is not None:
        scores[:, ~mask] = -np.inf
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


@pytest.mark.parametrize("n_queries", [1, 3, 200])
@pytest.mark.parametrize("share", [None, 0.5, 0.01])
def test_agrees_with_brute_force(n_queries, share):
    rng = np.random.default_rng(n_queries)
    query, gallery = unit(rng, n_queries, 24), unit(rng, 20_000, 24)
    mask = None if share is None else rng.random(20_000) < share
    scores, rows = top_k(query, gallery, 7, mask)
    expected_scores, expected_rows = brute(query, gallery, 7, mask)
    assert np.array_equal(rows, expected_rows)
    assert np.allclose(scores, expected_scores, atol=1e-7)


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    query, gallery = unit(rng, 5, 16), unit(rng, 9000, 16)
    distance, rows = (
        NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(gallery).kneighbors(query)
    )
    scores, ours = top_k(query, gallery, 10)
    assert np.array_equal(ours, rows)
    assert np.allclose(scores, 1 - distance, atol=1e-6)


@pytest.mark.parametrize("n_queries", [1, 40])
def test_equal_vectors_are_ordered_by_row_wherever_they_lie(n_queries):
    """BLAS may round one row differently at the edge of a block; the order must not show it."""
    rng = np.random.default_rng(2)
    gallery = unit(rng, 30_011, 33)
    copies = np.sort(rng.choice(len(gallery), 50, replace=False))
    gallery[copies] = gallery[copies[0]]
    query = np.repeat(gallery[copies[:1]], n_queries, axis=0)
    scores, rows = top_k(query, gallery, 20)
    assert (rows == copies[:20]).all()
    assert (scores == scores[0, 0]).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 30),
    st.integers(1, 3),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_small_integer_vectors_full_of_ties(n_items, k, n_queries, dim, seed, masked):
    rng = np.random.default_rng(seed)
    gallery = rng.integers(-1, 2, (n_items, dim)).astype(np.float32)
    query = rng.integers(-1, 2, (n_queries, dim)).astype(np.float32)
    mask = rng.random(n_items) < 0.3 if masked else None
    allowed = n_items if mask is None else int(mask.sum())
    scores, rows = top_k(query, gallery, k, mask)
    expected_scores, expected_rows = brute(query, gallery, min(k, allowed), mask)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(scores, expected_scores)


def test_the_result_does_not_depend_on_the_chunks(monkeypatch):
    rng = np.random.default_rng(3)
    query, gallery = unit(rng, 2, 8), unit(rng, 3000, 8)
    mask = rng.random(3000) < 0.4
    whole = top_k(query, gallery, 5, mask)
    monkeypatch.setattr(exact, "_FIRST_CHUNK", 16)
    monkeypatch.setattr(exact, "_SCORES_AT_ONCE", 200)
    monkeypatch.setattr(exact, "_QUERIES_AT_ONCE", 1)
    chunked = top_k(query, gallery, 5, mask)
    assert all(np.array_equal(a, b) for a, b in zip(whole, chunked, strict=True))


def test_a_memory_mapped_gallery_is_not_written_to(tmp_path):
    rng = np.random.default_rng(4)
    gallery = unit(rng, 500, 8)
    np.save(tmp_path / "g.npy", gallery)
    mapped = np.load(tmp_path / "g.npy", mmap_mode="r")
    assert np.array_equal(top_k(gallery[:1], mapped, 3)[1], top_k(gallery[:1], gallery, 3)[1])


def test_no_rows_or_no_queries():
    gallery = np.eye(3, dtype=np.float32)
    assert top_k(gallery[:1], gallery, 2, np.zeros(3, bool))[1].shape == (1, 0)
    assert top_k(gallery[:0], gallery, 2)[1].shape[0] == 0


def test_bad_input_is_named():
    gallery = np.eye(3, dtype=np.float32)
    broken = gallery.copy()
    broken[2, 2] = np.nan
    with pytest.raises(BadInputError, match="gallery: a vector is not finite"):
        top_k(gallery[:1], broken, 1)
    with pytest.raises(BadInputError, match="query: not a finite number"):
        top_k(broken[2:], gallery, 1)
    with pytest.raises(BadInputError, match="k: k is 0"):
        top_k(gallery, gallery, 0)
    with pytest.raises(BadInputError, match="the query has 2 dimensions, the gallery 3"):
        top_k(gallery[:, :2], gallery, 1)
    with pytest.raises(BadInputError, match="mask: 2 values for 3 rows"):
        top_k(gallery, gallery, 1, np.ones(2, bool))
    for vector in (np.zeros(3), np.ones(2), np.array([1, np.inf, 0])):
        with pytest.raises(BadInputError, match="xrd: expected a finite vector of 3 dimensions"):
            normalized(vector, 3, "xrd")
