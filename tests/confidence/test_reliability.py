import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from prismat.confidence.reliability import calibration_error, equal_count_bins, reliability
from prismat.errors import BadInputError

RNG = np.random.default_rng(1)
P = RNG.random(1000)
RIGHT = RNG.random(1000) < P


def test_scores_are_those_of_scikit_learn():
    found = reliability(P, RIGHT).figures
    assert found["brier"][0] == pytest.approx(brier_score_loss(RIGHT, P))
    assert found["log_loss"][0] == pytest.approx(log_loss(RIGHT, P))
    assert all(low <= value <= high for value, low, high in (found["brier"], found["log_loss"]))


def test_calibration_error_is_the_sum_over_bins():
    member = equal_count_bins(P)
    by_hand = sum(
        (member == b).mean() * abs(P[member == b].mean() - RIGHT[member == b].mean()) for b in range(10)
    )
    assert calibration_error(P, RIGHT) == pytest.approx(by_hand)
    assert calibration_error(P, RIGHT) < 0.05
    assert calibration_error(np.full(1000, 0.9), RIGHT) == pytest.approx(abs(0.9 - RIGHT.mean()))


def test_the_diagram_tells_what_happened_in_each_bin():
    found = reliability(P, RIGHT, np.arange(1000) // 5)
    assert found.counts.sum() == 1000
    assert np.ptp(found.counts) <= 1
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()
    assert (found.counts @ found.observed) == pytest.approx(RIGHT.sum())


def test_bad_input_is_refused():
    with pytest.raises(BadInputError, match="0 probabilities and 0 outcomes"):
        reliability(np.ones(0), np.ones(0, dtype=bool))
    with pytest.raises(BadInputError, match="outside 0 to 1"):
        reliability(np.array([1.2]), np.array([True]))
