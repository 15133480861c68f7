"""Projections: against independent implementations, the same every time; new points on a map that stays."""

import sys

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.decomposition import PCA

from prismat.errors import BadInputError, MissingExtraError
from prismat.maps.nearest import nearest
from prismat.maps.projection import ProjectionConfig, fit_projection, principal_axes, projection_of
from prismat.maps.tsne import PlaceConfig, Tsne, conditional, place_points
from prismat.maps.umap import fuzzy_weights


@pytest.fixture(scope="module")
def blobs():
    """Four groups of 40 unit vectors in 12 dimensions, with their group."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 12))
    vectors = np.repeat(centres, 40, axis=0) + 0.25 * rng.normal(size=(160, 12))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(4), 40)


@pytest.fixture(scope="module")
def fitted(blobs):
    config = ProjectionConfig(perplexity=10.0, iterations=120)
    return {method: fit_projection(method, blobs[0], config) for method in ("pca", "tsne")}


def test_nearest_against_all_distances():
    rng = np.random.default_rng(0)
    queries, reference = rng.normal(size=(7, 3)), rng.normal(size=(50, 3))
    rows, distances = nearest(queries, reference, 5)
    full = np.linalg.norm(queries[:, None] - reference, axis=2)
    assert np.array_equal(rows, full.argsort(axis=1)[:, :5])
    assert np.allclose(distances, np.sort(full, axis=1)[:, :5])


def test_nearest_leaves_a_point_out_of_its_own_neighbours():
    points = np.zeros((4, 2))
    rows, distances = nearest(points, points, 10, skip_own=True)
    assert rows.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert not distances.any()


def test_principal_components_against_scikit_learn(blobs, fitted):
    reference = PCA(2, svd_solver="full").fit(blobs[0])
    own, theirs = fitted["pca"].xy, reference.transform(blobs[0])
    assert np.allclose(np.abs(own), np.abs(theirs), atol=1e-9)
    assert np.allclose(principal_axes(blobs[0])[2], reference.explained_variance_ratio_, atol=1e-9)


def test_principal_components_place_exactly(blobs, fitted):
    placed = projection_of("pca").place(blobs[0][:9], blobs[0], fitted["pca"])
    assert np.allclose(placed, fitted["pca"].xy[:9])


def test_tsne_keeps_groups_together(blobs, fitted):
    rows, _ = nearest(fitted["tsne"].xy, fitted["tsne"].xy, 10, skip_own=True)
    assert (blobs[1][rows] == blobs[1][:, None]).mean() > 0.9


def test_tsne_is_the_same_every_time(blobs, fitted):
    again = fit_projection("tsne", blobs[0], ProjectionConfig(perplexity=10.0, iterations=120))
    assert np.array_equal(again.xy, fitted["tsne"].xy)


def test_affinities_have_the_perplexity_asked_for():
    distances = np.sort(np.random.default_rng(1).gamma(2.0, size=(20, 30)), axis=1)
    p = conditional(distances, 7.0)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.allclose(np.exp(-(p * np.log(p + 1e-300)).sum(axis=1)), 7.0, rtol=1e-4)


def test_affinities_against_opentsne():
    from openTSNE.affinity import PerplexityBasedNN

    points = np.random.default_rng(4).normal(size=(80, 5))
    theirs = PerplexityBasedNN(points, perplexity=8, method="exact", symmetrize=False).P.toarray()
    rows, distances = nearest(points, points, 24, skip_own=True)
    own = np.zeros_like(theirs)
    np.put_along_axis(own, rows, conditional(distances, 8.0), axis=1)
    assert np.allclose(own / own.sum(), theirs / theirs.sum(), atol=2e-5)


def test_placing_against_opentsne(blobs):
    from openTSNE import TSNE

    vectors = blobs[0]
    held, rest = np.arange(0, 160, 10), np.setdiff1d(np.arange(160), np.arange(0, 160, 10))
    tsne = TSNE(perplexity=10, n_iter=150, neighbors="exact", negative_gradient_method="bh", random_state=0)
    embedding = tsne.fit(vectors[rest])
    theirs = np.asarray(embedding.transform(vectors[held], perplexity=5))
    own = place_points(vectors[held], vectors[rest], np.array(embedding), PlaceConfig(iterations=300))
    side = np.ptp(np.array(embedding), axis=0).max()
    # Both end near a minimum of the same function; a few points may choose another one.
    assert np.median(np.linalg.norm(own - theirs, axis=1)) < 0.03 * side


def test_a_point_of_the_map_lands_where_it_was(blobs, fitted):
    placed = projection_of("tsne").place(blobs[0][:30], blobs[0], fitted["tsne"])
    error = np.linalg.norm(placed - fitted["tsne"].xy[:30], axis=1)
    assert np.median(error) < 0.1 * np.ptp(fitted["tsne"].xy, axis=0).max()


def test_where_a_point_lands_does_not_depend_on_its_company(blobs, fitted):
    tsne = Tsne()
    together = tsne.place(blobs[0][:5], blobs[0], fitted["tsne"])
    alone = np.concatenate([tsne.place(blobs[0][i : i + 1], blobs[0], fitted["tsne"]) for i in range(5)])
    assert np.allclose(together, alone, atol=1e-8)


def test_umap_weights_against_a_root_finder():
    distances = np.sort(np.random.default_rng(2).gamma(2.0, size=(10, 15)), axis=1)
    for row, own in zip(distances, fuzzy_weights(distances), strict=True):
        beyond = row - row[0]
        excess = lambda sigma, d=beyond: np.exp(-d / sigma).sum() - np.log2(15)  # noqa: E731
        sigma = brentq(excess, 1e-3, 1e3, xtol=1e-12)
        assert np.allclose(own, np.exp(-beyond / sigma), atol=1e-6)


@pytest.mark.slow
def test_umap_places_among_its_own(blobs):
    config = ProjectionConfig(neighbours=10)
    fitted = fit_projection("umap", blobs[0], config)
    assert np.array_equal(fit_projection("umap", blobs[0], config).xy, fitted.xy)
    placed = projection_of("umap").place(blobs[0][:5] + 0.001, blobs[0], fitted)
    near = nearest(placed, fitted.xy, 3)[0]
    assert (blobs[1][near] == blobs[1][:5, None]).mean() > 0.9


def test_unknown_method_and_too_few_points():
    with pytest.raises(BadInputError, match=r"no method 'isomap'\. Use tsne, umap, pca"):
        projection_of("isomap")
    with pytest.raises(BadInputError, match="3 points make no map"):
        fit_projection("pca", np.eye(3), ProjectionConfig())


@pytest.mark.parametrize(
    ("method", "module", "extra"), [("tsne", "openTSNE", "maps"), ("umap", "umap", "umap")]
)
def test_a_missing_package_names_its_extra(monkeypatch, method, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"prismat\[{extra}\]"):
        fit_projection(method, np.eye(8), ProjectionConfig())
