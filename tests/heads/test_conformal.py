import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from prismat.errors import BadInputError
from prismat.heads.conformal import (
    calibrate,
    calibrate_classes,
    class_sets,
    conformal_quantile,
    coverage_range,
)


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_quantile_is_the_least_score_of_enough_rank(n, alpha):
    scores = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    found = conformal_quantile(scores, alpha)
    rank = int(np.ceil(round((n + 1) * (1 - alpha), 9)))
    assert found == (np.inf if rank > n else rank)


def test_a_rank_that_is_whole_is_not_lifted_by_rounding():
    # (9 + 1)(1 − 0.1) = 9, which floating point makes 9.000000000000002 or 9.
    assert conformal_quantile(np.arange(1.0, 10), 1 - 0.9) == 9


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_by_simulation(level, normalised):
    """Over many draws of calibration and test, coverage is the level, up to 1 / (n + 1)."""
    rng, n, draws = np.random.default_rng(1), 39, 1500
    inside = 0
    for _ in range(draws):
        # Noise that differs from record to record, and a model that is wrong.
        scale = rng.uniform(0.2, 3, n + 1)
        truth = rng.normal(size=n + 1) * scale + 1
        said = np.full(n + 1, 0.3)
        spread = scale * rng.uniform(0.5, 1.5, n + 1)
        extra = {"spread": spread[:-1], "floor": 0.1} if normalised else {}
        conformal = calibrate(truth[:-1], said[:-1], **extra)
        inside += abs(truth[-1] - said[-1]) <= conformal.half_width(spread[-1:], level)[0]
    exact = np.ceil(round((n + 1) * level, 9)) / (n + 1)
    low, high = binom.ppf([0.001, 0.999], draws, exact)
    assert low <= inside <= high


def test_normalised_intervals_are_wide_where_members_disagree():
    conformal = calibrate(np.array([1.0, -1.0, 2.0]), np.zeros(3), np.ones(3), 0.5)
    width = conformal.half_width(np.array([0.1, 2.0]), 0.5)
    assert width[1] / width[0] == pytest.approx(2.5 / 0.6)
    assert calibrate(np.ones(3), np.zeros(3)).half_width(np.array([0.1, 2.0]), 0.5).tolist() == [1, 1]


def test_too_few_records_promise_nothing():
    assert calibrate(np.ones(5), np.zeros(5)).half_width(np.zeros(1), 0.9)[0] == np.inf


def test_sets_of_classes_by_simulation():
    rng, n, draws, level = np.random.default_rng(2), 49, 1000, 0.8
    inside = 0
    for _ in range(draws):
        said = rng.dirichlet(np.ones(4), n + 1)
        # The model has two classes the wrong way round.
        drawn = said[:, [1, 0, 2, 3]].cumsum(1)
        truth = (rng.random((n + 1, 1)) > drawn[:, :3]).sum(1)
        sets = class_sets(calibrate_classes(truth[:-1], said[:-1]), said[-1:], level)
        inside += sets[0, truth[-1]]
    low = binom.ppf(0.001, draws, level)
    assert inside >= low


def test_the_likeliest_class_is_in_every_set():
    conformal = calibrate_classes(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert class_sets(conformal, np.array([[0.6, 0.4]]), 0.5).tolist() == [[True, False]]


def test_the_range_of_reached_coverage_by_simulation():
    rng, held, n, level = np.random.default_rng(5), 60, 39, 0.8
    low, high = coverage_range(held, level, calibration=n)
    reached = []
    for _ in range(2000):
        scores = rng.random(n + held)
        reached.append((scores[n:] <= conformal_quantile(scores[:n], 1 - level)).mean())
    assert 0.94 <= np.mean((np.array(reached) >= low) & (np.array(reached) <= high)) <= 0.98
    narrow = coverage_range(held, level)
    assert low < narrow[0] < narrow[1] < high
    assert narrow == pytest.approx(tuple(binom.ppf([0.025, 0.975], held, level) / held))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: conformal_quantile(np.ones(3), 0.0),
        lambda: calibrate(np.zeros(0), np.zeros(0)),
        lambda: calibrate(np.array([np.nan]), np.zeros(1)),
        lambda: calibrate(np.ones(2), np.zeros(2), np.ones(2)),
        lambda: calibrate(np.ones(2), np.zeros(2), np.ones(2), 0.0),
        lambda: calibrate_classes(np.zeros(0, int), np.zeros((0, 2))),
    ],
    ids=["level", "empty", "nan", "no floor", "zero floor", "no classes"],
)
def test_what_cannot_be_calibrated_says_so(wrong):
    with pytest.raises(BadInputError, match="Give"):
        wrong()
