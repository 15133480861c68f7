import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from prismat.heads.probe import fit_logistic, fit_ridge


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shape", [(80, 7), (20, 60)])
def test_ridge_is_scikit_learns(rng, strength, shape):
    x = rng.normal(size=shape) + 3
    y = x[:, 0] * 2 + rng.normal(size=shape[0])
    ((w, b),) = fit_ridge(x, y, [strength])
    reference = Ridge(alpha=strength).fit(x, y)
    np.testing.assert_allclose(w[0], reference.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(b[0], reference.intercept_, rtol=1e-5, atol=1e-6)


def test_several_strengths_are_solved_in_their_order(rng):
    x, y = rng.normal(size=(40, 5)), rng.normal(size=40)
    together = fit_ridge(x, y, [10.0, 0.1])
    apart = [fit_ridge(x, y, [s])[0] for s in (10.0, 0.1)]
    for (w, b), (w1, b1) in zip(together, apart, strict=True):
        np.testing.assert_allclose(w, w1)
        np.testing.assert_allclose(b, b1)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_is_scikit_learns(rng, classes, weighted):
    x = rng.normal(size=(120, 6))
    y = (x[:, :classes] + 0.5 * rng.normal(size=(120, classes))).argmax(1)
    weights = rng.uniform(0.5, 2, 120) if weighted else None
    strengths = [0.5, 20.0]
    for strength, (w, b) in zip(strengths, fit_logistic(x, y, classes, strengths, weights), strict=True):
        # Two classes: the multinomial penalty on ±w/2 is half that on w.
        factor = 2 if classes == 2 else 1
        reference = LogisticRegression(C=factor / strength, tol=1e-8, max_iter=2000).fit(x, y, weights)
        logits = x @ w.T + b
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(probabilities, reference.predict_proba(x), atol=2e-3)
