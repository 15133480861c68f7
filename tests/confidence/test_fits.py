import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from prismat.confidence.fits import fit_from_json, fit_isotonic, fit_logistic
from prismat.errors import BadInputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)) * [1, 5, 0.1] + [0, 3, -1]
Y = RNG.random(300) < 1 / (1 + np.exp(-(X[:, 0] + 0.2 * X[:, 1])))


def test_logistic_is_that_of_scikit_learn():
    z = (X - X.mean(0)) / X.std(0)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(z, Y)
    np.testing.assert_allclose(fit_logistic(X, Y)(X), peer.predict_proba(z)[:, 1], atol=1e-5)


def test_separable_data_and_weights_stay_finite():
    fit = fit_logistic(X[:, :1], X[:, 0] > 0, ridge=1e-3)
    assert np.isfinite(fit.weights).all()
    doubled = fit_logistic(np.concatenate([X, X]), np.concatenate([Y, Y]))
    weighed = fit_logistic(X, Y, np.full(300, 2.0))
    np.testing.assert_allclose(doubled.weights, weighed.weights, rtol=1e-6)


@pytest.mark.parametrize("digits", [1, 6])
def test_isotonic_is_that_of_scikit_learn(digits):
    x = X[:, 0].round(digits)
    peer = IsotonicRegression(out_of_bounds="clip").fit(x, Y.astype(float))
    fit = fit_isotonic(x, Y)
    grid = np.linspace(-4, 4, 200)
    np.testing.assert_allclose(fit(grid[:, None]), np.clip(peer.predict(grid), 1e-6, 1 - 1e-6), atol=1e-9)


@pytest.mark.parametrize("fit", [fit_logistic(X, Y), fit_isotonic(X[:, 0], Y)], ids=["logistic", "isotonic"])
def test_a_fit_comes_back_from_json(fit):
    np.testing.assert_array_equal(fit_from_json(fit.to_json())(X), fit(X))


def test_bad_input_is_refused():
    with pytest.raises(BadInputError, match="1 rows of features and 1 outcomes"):
        fit_logistic(X[:1], Y[:1])
    with pytest.raises(BadInputError, match="not finite"):
        fit_isotonic(np.array([0.0, np.nan]), np.array([True, False]))
    with pytest.raises(BadInputError, match="unknown kind 'magic'"):
        fit_from_json({"kind": "magic"})
