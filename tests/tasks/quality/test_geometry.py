from itertools import combinations

import numpy as np
import pytest

from prismat.errors import BadInputError
from prismat.tasks.quality.geometry import alignment, modality_gap, spread, uniformity

RNG = np.random.default_rng(5)


def sphere(n, dim=8, shift=0.0):
    x = RNG.normal(size=(n, dim))
    x[:, 0] += shift
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_uniformity_is_the_mean_over_all_pairs():
    x = sphere(30)
    kernel = [np.exp(-2 * ((a - b) ** 2).sum()) for a, b in combinations(x, 2)]
    assert uniformity(x) == pytest.approx(np.log(np.mean(kernel)))
    assert uniformity(np.tile(x[:1], (5, 1))) == pytest.approx(0)


def test_alignment_is_the_mean_squared_distance():
    a, b = sphere(20), sphere(20)
    assert alignment(a, b) == pytest.approx(
        np.mean([((x - y) ** 2).sum() for x, y in zip(a, b, strict=True)])
    )
    assert alignment(a, a) == 0


def test_a_gap_is_seen_and_a_mixture_is_not():
    apart = modality_gap(sphere(200, shift=4), sphere(200, shift=-4))
    mixed = modality_gap(sphere(200), sphere(200))
    assert apart["separable"] > 0.95
    assert apart["distance"] > 1
    assert 0.35 < mixed["separable"] < 0.65
    assert mixed["distance"] < 0.3


def test_effective_rank_counts_directions():
    # Four points at ± two axes have two equal singular values.
    found = spread(np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]))
    assert found["effective_rank"] == pytest.approx(2)
    assert found["mean_cosine"] == pytest.approx(-1 / 3)


def test_bad_input_is_refused():
    with pytest.raises(BadInputError, match="one record has no pairs"):
        uniformity(np.ones((1, 3)))
    with pytest.raises(BadInputError, match=r"shapes \(0, 3\) and \(0, 3\)"):
        alignment(np.ones((0, 3)), np.ones((0, 3)))
