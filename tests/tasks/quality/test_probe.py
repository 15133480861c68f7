import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from prismat.errors import BadInputError
from prismat.tasks.quality.probe import choose_probe, fit_probes, most_frequent

RNG = np.random.default_rng(3)
LABELS = RNG.integers(4, size=200)
FEATURES = RNG.normal(size=(200, 12)) + RNG.normal(size=(4, 12))[LABELS]


@pytest.mark.parametrize("ridge", [0.1, 3.0])
def test_a_probe_is_scikit_learns_ridge_classifier(ridge):
    probe = fit_probes(FEATURES, LABELS, [ridge])[0]
    peer = RidgeClassifier(alpha=ridge).fit(FEATURES, LABELS)
    np.testing.assert_allclose(probe.weights, peer.coef_.T, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(probe.predict(FEATURES), peer.predict(FEATURES))


def test_the_ridge_is_the_one_that_validation_likes():
    probe = choose_probe(FEATURES[:30], LABELS[:30], FEATURES[30:], LABELS[30:], (1e-6, 1.0, 1e7))
    scores = {
        p.ridge: (p.predict(FEATURES[30:]) == LABELS[30:]).mean()
        for p in fit_probes(FEATURES[:30], LABELS[:30], (1e-6, 1.0, 1e7))
    }
    assert scores[probe.ridge] == max(scores.values())


def test_the_most_frequent_class():
    assert most_frequent(np.array([2, 5, 5, 2, 1])) == 2


def test_one_class_is_refused():
    with pytest.raises(BadInputError, match="1 classes among 3 records"):
        fit_probes(np.eye(3), np.zeros(3, dtype=np.int64))
