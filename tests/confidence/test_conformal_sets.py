import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from prismat.confidence.conformal import (
    KINDS,
    Calibration,
    Nonconformity,
    best_right,
    hierarchical_quantile,
    set_sizes,
)
from prismat.errors import BadInputError

RNG = np.random.default_rng(0)


def by_hand(scores, at, found):
    """Nonconformity of one entry, straight from the definitions."""
    p = np.exp(scores / found.temperature) / np.exp(scores / found.temperature).sum()
    ahead = scores >= at
    rank, mass = ahead.sum(), p[ahead].sum()
    return {
        "rank": rank,
        "gap": scores.max() - at,
        "softmax": -(at / found.temperature - np.log(np.exp(scores / found.temperature).sum())),
        "aps": mass,
        "raps": mass + found.penalty * max(0, rank - found.free),
    }[found.kind]


@pytest.mark.parametrize("kind", KINDS)
def test_nonconformity_is_as_defined_with_ties(kind):
    scores = RNG.normal(size=(6, 30)).round(1)
    found = Nonconformity(kind, temperature=0.5, penalty=0.02, free=3)
    at = scores[:, 7]
    wanted = [by_hand(row, a, found) for row, a in zip(scores, at, strict=True)]
    np.testing.assert_allclose(found.of_score(scores, at), wanted)
    ordered = -np.sort(-scores, axis=1)
    along = [[by_hand(row, a, found) for a in line] for row, line in zip(scores, ordered, strict=True)]
    np.testing.assert_allclose(found.along(ordered), along)
    assert (np.diff(found.along(ordered), axis=1) >= -1e-12).all()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_with_one_query_per_cluster_it_is_the_split_conformal_rank(values, alpha):
    values = np.array(values)
    place = int(np.ceil((1 - alpha) * (len(values) + 1) - 1e-9))
    wanted = np.sort(values)[place - 1] if place <= len(values) else np.inf
    assert hierarchical_quantile(values, np.arange(len(values)), alpha) == wanted


def test_copies_of_a_query_in_its_cluster_change_nothing():
    values, clusters = RNG.random(50), np.arange(50)
    copies = np.concatenate([values, np.repeat(values[:1], 200)])
    again = hierarchical_quantile(copies, np.concatenate([clusters, np.zeros(200, int)]), 0.1)
    assert again == hierarchical_quantile(values, clusters, 0.1)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_coverage_of_clustered_queries_by_simulation(alpha):
    rng, hits, trials = np.random.default_rng(4), 0, 1500
    for _ in range(trials):
        sizes = rng.integers(1, 12, size=61)
        # Large clusters are harder: queries weighed alike would promise too much or too little.
        effect = rng.normal(size=61) + 0.3 * sizes
        clusters = np.repeat(np.arange(61), sizes)
        values = effect[clusters] + 0.3 * rng.normal(size=len(clusters))
        seen = clusters < 60
        limit = hierarchical_quantile(values[seen], clusters[seen], alpha)
        hits += values[~seen][0] <= limit
    low, high = binom.ppf([0.001, 0.999], trials, 1 - alpha)
    assert low <= hits <= high + trials / 61


@pytest.mark.parametrize("kind", KINDS)
def test_sets_from_a_gallery_hold_the_answer_as_promised(kind):
    rng = np.random.default_rng(9)
    queries, entries = 1200, 40
    answer = rng.integers(entries, size=queries)
    scores = rng.normal(size=(queries, entries))
    scores[np.arange(queries), answer] += 1.5
    relevant = np.arange(entries) == answer[:, None]
    found, cut = Nonconformity(kind, temperature=0.7), 600
    values = found.of_score(scores, scores[np.arange(queries), best_right(scores, relevant)])
    limit = Calibration(values[:cut], np.arange(cut), np.zeros(cut, int)).threshold(0.1)[0]
    assert 0.86 <= (values[cut:] <= limit).mean() <= 0.94
    sizes = set_sizes(found.of_all(scores[cut:]), np.full((queries - cut, 1), limit))
    counted = [
        max(1, sum(found.of_score(row[None], row[[j]])[0] <= limit for j in range(entries)))
        for row in scores[cut : cut + 20]
    ]
    assert sizes[:20].tolist() == counted


def test_groups_have_their_own_threshold_unless_they_are_too_small():
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2], [200, 200, 5])
    values = rng.random(405) + groups
    own = Calibration(values, np.arange(405), groups)
    easy, hard, small = (own.threshold(0.1, g) for g in range(3))
    assert easy[1]
    assert hard[1]
    assert easy[0] < 1 < hard[0]
    assert small == (own.threshold(0.1)[0], False)
    # Twenty clusters give no finite threshold at 1 %.
    assert Calibration(values[:20], np.arange(20), groups[:20]).threshold(0.01)[0] == np.inf


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(BadInputError, match="alpha is"):
        hierarchical_quantile(np.ones(3), np.arange(3), alpha)


def test_nothing_to_calibrate_with_is_refused():
    with pytest.raises(BadInputError, match="0 values in 0 clusters"):
        hierarchical_quantile(np.ones(0), np.arange(0), 0.1)
