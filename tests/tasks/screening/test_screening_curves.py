import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import roc_curve as reference_curve

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import resample_counts
from prismat.tasks.screening.curves import (
    all_metrics,
    bootstrap_metrics,
    drawn_average_precision,
    roc_curve,
    weighted_average_precision,
    weighted_roc_auc,
)
from prismat.tasks.words import average_precision, balanced_average_precision, roc_auc


def problem(seed, n=70, levels=None):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.25
    labels[:2] = True, False
    scores = rng.normal(size=n) + labels
    return (scores if levels is None else np.round(scores * levels)), labels, rng


@pytest.mark.parametrize("levels", [None, 2, 0])
@pytest.mark.parametrize("seed", range(3))
def test_weighted_areas_agree_with_scikit_learn(seed, levels):
    scores, labels, rng = problem(seed, levels=levels)
    weights = rng.integers(0, 4, size=(5, len(labels))).astype(float)
    weights[:, :2] = 1
    auc = weighted_roc_auc(scores, labels, weights)
    ap = weighted_average_precision(scores, labels, weights)
    for row, weight in enumerate(weights):
        # A tied score whose items all weigh nothing is no threshold in scikit-learn.
        used = weight > 0
        expected = roc_auc_score(labels[used], scores[used], sample_weight=weight[used])
        assert auc[row] == pytest.approx(expected, abs=1e-12)
        expected = average_precision_score(labels[used], scores[used], sample_weight=weight[used])
        assert ap[row] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("levels", [None, 2])
def test_equal_weights_give_the_plain_figures(levels):
    scores, labels, _ = problem(5, levels=levels)
    found = all_metrics(scores, labels, np.ones((1, len(labels))))[0]
    plain = (roc_auc, average_precision, balanced_average_precision)
    np.testing.assert_allclose(found, [one(scores, labels) for one in plain], atol=1e-12)


def test_a_weighting_without_a_class_says_nothing():
    scores, labels, _ = problem(0)
    found = all_metrics(scores, labels, np.stack([labels, ~labels]).astype(float))
    assert np.isnan(found).all()


@pytest.mark.parametrize("levels", [None, 2, 0])
def test_the_curve_agrees_with_scikit_learn(levels):
    scores, labels, _ = problem(3, levels=levels)
    wrong, right = roc_curve(scores, labels)
    expected = reference_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(wrong, expected[0], atol=1e-12)
    np.testing.assert_allclose(right, expected[1], atol=1e-12)


def test_the_bootstrap_is_that_of_repeated_items():
    scores, labels, rng = problem(7, n=30)
    groups = rng.integers(0, 8, size=30)
    found = bootstrap_metrics(scores[None, None], labels[None], groups, resamples=20, seed=4)
    assert found.shape == (20, 1, 1, 3)
    names, cluster = np.unique(groups, return_inverse=True)
    counts = next(iter(resample_counts(len(names), 20, 4)))
    for row, drawn in zip(found[:, 0, 0], counts, strict=True):
        items = np.repeat(np.arange(30), drawn[cluster])
        if 0 < labels[items].sum() < len(items):
            assert row[0] == pytest.approx(roc_auc_score(labels[items], scores[items]), abs=1e-12)
            assert row[1] == pytest.approx(average_precision_score(labels[items], scores[items]), abs=1e-12)


def test_the_draw_has_as_many_wrong_items():
    scores, labels, _ = problem(2)
    found = drawn_average_precision(scores, labels, draws=300, seed=1)
    np.testing.assert_array_equal(found, drawn_average_precision(scores, labels, draws=300, seed=1))
    assert found.std() > 0
    # Over all items, precision is lower: the negatives are many more.
    assert found.mean() > average_precision(scores, labels)
    even = np.repeat([True, False], 10)
    level = np.zeros(20)
    np.testing.assert_allclose(drawn_average_precision(level, even, draws=5), 0.5)
    with pytest.raises(BadInputError, match="3 right and 2 wrong items"):
        drawn_average_precision(np.arange(5.0), np.array([True, True, True, False, False]))
