import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from prismat.errors import BadInputError
from prismat.tasks.active.acquisition import expected_improvement, farthest, improvement, probability_within
from prismat.tasks.active.gaussian_process import (
    Hyper,
    _negative_likelihood,
    fit,
    matern,
    squared_distances,
)
from prismat.tasks.active.goals import Goal, parse_goal
from prismat.tasks.active.strategies import STRATEGIES, Situation, choose


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    return x, np.sin(x[:, 0]) + 0.3 * x[:, 1] + 0.1 * rng.normal(size=60)


def reference(hyper, x, y):
    """scikit-learn with these hyper-parameters, on standardised values; our distances are per dimension."""
    kernel = ConstantKernel(hyper.signal) * Matern(hyper.length * np.sqrt(x.shape[1]), nu=2.5)
    return GaussianProcessRegressor(kernel + WhiteKernel(hyper.noise), optimizer=None, normalize_y=True).fit(
        x, y
    )


def test_predictions_and_likelihood_are_those_of_scikit_learn(data):
    x, y = data
    hyper = Hyper(0.8, 1.3, 0.05)
    known, others = x[:40], x[40:]
    own = fit(squared_distances(known, known), y[:40], hyper, iterations=0)
    other = reference(hyper, known, y[:40])
    mean, deviation = own.predict(squared_distances(known, others))
    theirs, spread = other.predict(others, return_std=True)
    assert np.allclose(mean, theirs, atol=1e-8)
    assert np.allclose(np.hypot(deviation, own.noise), spread, atol=1e-8)
    assert own.likelihood == pytest.approx(other.log_marginal_likelihood_value_, abs=1e-6)


def test_gradient_of_the_likelihood(data):
    x, y = data
    squared, standard = squared_distances(x, x), (y - y.mean()) / y.std()
    for logs in (np.log([0.5, 1.0, 0.1]), np.log([2.0, 3.0, 0.01])):
        error = check_grad(
            lambda p: _negative_likelihood(p, squared, standard)[0],
            lambda p: _negative_likelihood(p, squared, standard)[1],
            logs,
        )
        assert error < 1e-3 * np.abs(_negative_likelihood(logs, squared, standard)[1]).max()


def test_fit_finds_hyper_parameters_as_likely_as_scikit_learns(data):
    x, y = data
    own = fit(squared_distances(x, x), y, iterations=100)
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(1.0, (1e-3, 1e3), nu=2.5) + WhiteKernel(
        0.1, (1e-4, 10)
    )
    other = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(x, y)
    assert own.likelihood == pytest.approx(other.log_marginal_likelihood_value_, abs=1e-2)


def test_equal_values_and_equal_records_do_no_harm():
    squared = np.zeros((3, 3))
    process = fit(squared, np.array([1.0, 1.0, 1.0]))
    mean, deviation = process.predict(np.zeros((3, 2)))
    assert np.allclose(mean, 1.0)
    assert np.isfinite(deviation).all()


@pytest.mark.parametrize(
    ("squared", "values"), [(np.zeros((1, 1)), [1.0]), (np.zeros((2, 2)), [1.0, np.nan])]
)
def test_what_cannot_be_learnt_from_is_refused(squared, values):
    with pytest.raises(BadInputError, match="Give at least two finite values"):
        fit(squared, np.array(values))


@pytest.mark.parametrize("best", [-1.0, 0.3, 2.0])
def test_expected_improvement_is_its_integral(best):
    mean, deviation = np.array([0.2, -0.5, 1.0]), np.array([0.7, 0.1, 2.0])
    found = expected_improvement(mean, deviation, best)
    for m, s, f in zip(mean, deviation, found, strict=True):
        exact, _ = quad(lambda y, m=m, s=s: (y - best) * norm.pdf(y, m, s), best, max(best, m) + 12 * s)
        assert f == pytest.approx(exact, abs=1e-7)


def test_expected_improvement_without_uncertainty():
    found = expected_improvement(np.array([1.0, 3.0]), np.zeros(2), 2.0)
    assert found.tolist() == [0.0, 1.0]


def test_probability_of_a_range_is_its_integral():
    found = probability_within(np.array([0.2, 5.0]), np.array([0.7, 0.0]), 0.0, 1.0)
    assert found[0] == pytest.approx(quad(norm(0.2, 0.7).pdf, 0, 1)[0])
    assert found[1] == 0
    goal = Goal("range", 0.0, 1.0)
    assert improvement(goal, np.array([0.2, 5.0]), np.array([0.7, 0.0]), 9.9).tolist() == found.tolist()


def test_centres_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    x, known = rng.normal(size=(30, 2)), rng.normal(size=(4, 2))
    found = farthest(squared_distances(known, x), squared_distances(x, x), 6)
    covered, slow = list(known), []
    for _ in range(6):
        apart = [min(np.sum((p - c) ** 2) for c in covered) for p in x]
        slow.append(int(np.argmax(apart)))
        covered.append(x[slow[-1]])
    assert found.tolist() == slow


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("goal", [Goal(), Goal("minimise"), Goal("range", -0.2, 0.2)], ids=lambda g: g.kind)
def test_batches_are_new_records_and_repeat(data, strategy, goal):
    x, y = data
    known = np.arange(0, 60, 4)
    situation = Situation(squared_distances(x, x), known, y[known], goal)
    first, _ = choose(strategy, situation, 7, np.random.default_rng(3))
    again, _ = choose(strategy, situation, 7, np.random.default_rng(3))
    assert first.tolist() == again.tolist()
    assert len(set(first.tolist()) - set(known.tolist())) == 7


def test_a_batch_takes_the_variance_that_its_own_measurements_would(data):
    """The second of the most uncertain is the most uncertain after the first was measured, computed anew."""
    x, y = data
    squared, known = squared_distances(x, x), np.arange(0, 60, 3)
    hyper = Hyper(1.0, 1.0, 0.02)
    situation = Situation(squared, known, y[known], Goal(), hyper, iterations=0)
    chosen, _ = choose("uncertainty", situation, 3, np.random.default_rng(0))
    measured = list(known)
    for pick in chosen:
        left = np.setdiff1d(np.arange(60), measured)
        inner = matern(squared[np.ix_(measured, measured)], hyper) + hyper.noise * np.eye(len(measured))
        cross = matern(squared[np.ix_(measured, left)], hyper)
        variance = hyper.signal - np.einsum("ij,ij->j", cross, np.linalg.solve(inner, cross))
        assert left[variance.argmax()] == pick
        measured.append(pick)


def test_greedy_takes_the_highest_means(data):
    x, y = data
    squared, known = squared_distances(x, x), np.arange(0, 60, 2)
    process = fit(squared[np.ix_(known, known)], y[known], iterations=6)
    left = np.setdiff1d(np.arange(60), known)
    mean, _ = process.predict(squared[np.ix_(known, left)])
    chosen, _ = choose("greedy", Situation(squared, known, y[known], Goal()), 5, np.random.default_rng(0))
    assert chosen.tolist() == left[np.argsort(-mean)[:5]].tolist()


@pytest.mark.parametrize(
    ("text", "goal"),
    [("maximize", Goal()), ("minimise", Goal("minimise")), ("1.0:1.6", Goal("range", 1.0, 1.6)),
     ("range:-2:.5", Goal("range", -2.0, 0.5))],
)  # fmt: skip
def test_goals_are_read(text, goal):
    assert parse_goal(text) == goal


@pytest.mark.parametrize("text", ["", "large", "1:", "2:1", "1:2:3", "nan:1"])
def test_other_goals_are_refused(text):
    with pytest.raises(BadInputError, match="goal"):
        parse_goal(text)


def test_hits_are_the_best_share_with_equals_or_the_range():
    values = np.array([5.0, 1.0, 4.0, 4.0, 2.0])
    assert Goal().hits(values, 0.4).tolist() == [True, False, True, True, False]
    assert Goal("minimise").hits(values, 0.01).tolist() == [False, True, False, False, False]
    assert Goal("range", 2.0, 4.0).hits(values).tolist() == [False, False, True, True, True]
