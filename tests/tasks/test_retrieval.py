import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from prismat.errors import BadInputError
from prismat.tasks import bootstrap, retrieval
from prismat.tasks.bootstrap import (
    bootstrap_means,
    bootstrap_medians,
    interval,
    paired_difference,
    resample_counts,
)
from prismat.tasks.retrieval import grouped_gallery_metrics, ndcg, pooled_metrics, retrieval_metrics


def problem(queries=60, gallery=45, seed=0, levels=None):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(queries, gallery))
    relevant = rng.random((queries, gallery)) < 0.04
    relevant[np.arange(queries), np.arange(queries) % gallery] = True
    scores += relevant * rng.uniform(0, 2, (queries, 1))
    return (np.round(scores * levels) / levels if levels else scores), relevant


def naive_rank(scores, relevant):
    """Sorts, wrong items first among equals, and looks for the first right one."""
    order = sorted(range(len(scores)), key=lambda j: (-scores[j], relevant[j]))
    return 1 + next(place for place, j in enumerate(order) if relevant[j])


@pytest.mark.parametrize("levels", [None, 2])
def test_ranks_and_figures_agree_with_a_naive_loop(levels):
    scores, relevant = problem(levels=levels)
    ranks = np.array([naive_rank(s, r) for s, r in zip(scores, relevant, strict=True)])
    result = retrieval_metrics(scores, relevant, resamples=20)
    assert result.ranks.tolist() == [
        1 + sum(s >= row[rel].max() for s, wrong in zip(row, ~rel, strict=True) if wrong)
        for row, rel in zip(scores, relevant, strict=True)
    ]
    assert result.ranks.tolist() == ranks.tolist()
    for k in (1, 5, 10):
        assert result.recall[k] == pytest.approx(sum(r <= k for r in ranks) / len(ranks))
        assert result.hits(k).mean() == pytest.approx(result.recall[k])
    assert result.mrr == pytest.approx(sum(1 / r for r in ranks) / len(ranks))
    assert result.median_rank == np.median(ranks)
    assert result.chance == pytest.approx(np.mean([r.sum() / len(r) for r in relevant]))
    curve = result.recall_curve(12)
    assert curve.tolist() == pytest.approx([np.mean(ranks <= k) for k in range(1, 13)])


def test_chunks_do_not_change_the_figures(monkeypatch):
    scores, relevant = problem()
    whole, gains = (
        retrieval_metrics(scores, relevant),
        relevant * np.random.default_rng(0).random(scores.shape),
    )
    graded = ndcg(scores, gains)
    monkeypatch.setattr(retrieval, "_SCORES_AT_ONCE", 100)
    assert retrieval_metrics(scores, relevant).to_dict() == whole.to_dict()
    assert ndcg(scores, gains).tolist() == pytest.approx(graded.tolist())


def test_a_constant_score_earns_nothing():
    relevant = np.eye(20, dtype=bool)
    result = retrieval_metrics(np.zeros((20, 20)), relevant, resamples=20)
    assert result.ranks.tolist() == [20] * 20
    assert result.recall == {1: 0.0, 5: 0.0, 10: 0.0}


def test_a_right_answer_at_minus_infinity_comes_last():
    scores = np.array([[-np.inf, 0.0, 1.0]])
    relevant = np.array([[True, False, False]])
    assert retrieval_metrics(scores, relevant, resamples=5).ranks.tolist() == [3]


def test_random_scores_reach_the_chance_line():
    rng = np.random.default_rng(2)
    relevant = np.zeros((4000, 20), dtype=bool)
    relevant[np.arange(4000), rng.integers(20, size=4000)] = True
    relevant[np.arange(4000), rng.integers(20, size=4000)] = True
    result = retrieval_metrics(rng.normal(size=relevant.shape), relevant, resamples=200)
    low, high = result.ci95["recall@1"]
    assert low - 0.01 < result.chance < high + 0.01
    assert 0.05 < result.chance < 0.1


def test_the_dictionary_has_the_agreed_keys_and_json_types():
    result = retrieval_metrics(*problem(), resamples=50)
    figures = result.to_dict()
    metrics = ["recall@1", "recall@5", "recall@10", "median_rank", "mrr", "chance@1"]
    assert list(figures) == ["pool", *metrics, "ci95"]
    assert set(figures["ci95"]) == set(metrics)
    assert figures["pool"] == 45
    assert isinstance(figures["pool"], int)
    assert all(isinstance(figures[m], float) for m in metrics)
    for metric in metrics:
        low, high = figures["ci95"][metric]
        assert low <= figures[metric] <= high
    assert result.describe() == figures | {"queries": 60}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s, r: (s * np.where(np.arange(len(s)) == 7, np.nan, 1)[:, None], r),
            "scores of query 7 are NaN",
        ),
        (
            lambda s, r: (s, r & (np.arange(len(s)) != 5)[:, None]),
            r"query 5 \(of 1 such queries\) has no right",
        ),
        (lambda s, r: (s[:0], r[:0]), "there are no queries"),
    ],
)
@pytest.mark.parametrize("figures", [retrieval_metrics, pooled_metrics])
def test_unusable_scores_are_refused(change, message, figures):
    with pytest.raises(BadInputError, match=message):
        figures(*change(*problem()))


def test_a_gallery_smaller_than_the_pool_is_used_whole_and_says_so():
    scores, relevant = problem()
    pooled = pooled_metrics(scores, relevant, resamples=50)
    assert pooled.to_dict() == retrieval_metrics(scores, relevant, resamples=50).to_dict()
    assert pooled.describe()["note"] == "whole gallery of 45, not larger than a pool of 1024"


def test_pools_hold_one_right_item_and_others_without_repetition():
    rng = np.random.default_rng(0)
    relevant = rng.random((200, 60)) < 0.1
    relevant[:, 3] = True
    pools = retrieval._draw_pools(relevant, 16, rng)
    assert pools.shape == (200, 16)
    assert all(len(set(pool)) == 16 for pool in pools)
    assert np.take_along_axis(relevant, pools, axis=1).any(axis=1).all()


def test_pooled_ranks_agree_with_the_hypergeometric_expectation():
    # 500 queries whose only right item is beaten by 40 of 400 wrong ones: in a pool of 101, by 10 on average.
    scores = np.tile(np.concatenate([[0.0], np.ones(40), -np.ones(360)]), (500, 1))
    relevant = np.zeros(scores.shape, dtype=bool)
    relevant[:, 0] = True
    result = pooled_metrics(scores, relevant, pool=101, seed=3, resamples=50)
    assert result.pool == 101
    assert result.chance == pytest.approx(1 / 101)
    deviation = np.sqrt(100 * 0.1 * 0.9 * (300 / 399) / 500)
    assert result.ranks.mean() == pytest.approx(11, abs=5 * deviation)
    assert result.note == "random pools of 101 from a gallery of 401"
    again = pooled_metrics(scores, relevant, pool=101, seed=3, resamples=50)
    assert again.ranks.tolist() == result.ranks.tolist()


def test_a_pool_of_one_is_refused():
    with pytest.raises(BadInputError, match="a pool of 1 ranks nothing"):
        pooled_metrics(*problem(), pool=1)


def test_grouped_gallery_agrees_with_a_naive_loop():
    rng = np.random.default_rng(5)
    n = 80
    group = rng.integers(0, 30, n)
    twin = rng.integers(0, 2, n)
    relevant = (group[:, None] == group[None, :]) & (twin[:, None] == twin[None, :])
    scores = rng.normal(size=(n, n)) + relevant
    result = grouped_gallery_metrics(scores, relevant, group)
    ranks, sizes, chance = [], [], []
    for query in range(n):
        items = np.flatnonzero(group == group[query])
        right = relevant[query, items]
        if not right.all():
            ranks.append(naive_rank(scores[query, items], right))
            sizes.append(len(items))
            chance.append(right.mean())
    assert result.ranks.tolist() == ranks
    assert result.pool == pytest.approx(np.mean(sizes))
    assert result.chance == pytest.approx(np.mean(chance))
    assert result.note == f"{len(ranks)} of {n} queries, each within its own group"


def test_right_items_in_several_groups_need_the_query_group():
    scores = np.array([[0.9, 0.5, 0.1]])
    relevant = np.array([[True, False, True]])
    gallery_group = np.array([0, 1, 1])
    with pytest.raises(BadInputError, match="right items of query 0 lie in several groups"):
        grouped_gallery_metrics(scores, relevant, gallery_group)
    result = grouped_gallery_metrics(scores, relevant, gallery_group, query_group=np.array([1]))
    assert result.ranks.tolist() == [2]


def test_groups_without_a_wrong_item_are_refused():
    with pytest.raises(BadInputError, match="no query has a wrong item in its own group"):
        grouped_gallery_metrics(np.eye(3), np.eye(3, dtype=bool), np.arange(3))


@pytest.mark.parametrize("k", [None, 1, 5, 10, 200])
def test_ndcg_agrees_with_scikit_learn(k):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(30, 40))
    gains = rng.integers(0, 4, size=(30, 40)).astype(float)
    expected = [ndcg_score(g[None], s[None], k=k) for g, s in zip(gains, scores, strict=True)]
    assert ndcg(scores, gains, k).tolist() == pytest.approx(expected)


def test_ndcg_counts_ties_against_the_model():
    gains = np.array([[3.0, 0.0, 0.0, 0.0]])
    assert ndcg(np.zeros((1, 4)), gains).item() == pytest.approx(1 / np.log2(5))


@pytest.mark.parametrize(
    ("gains", "message"), [([[1.0, -1.0]], "a gain is negative"), ([[0.0, 0.0]], "has no right item")]
)
def test_ndcg_refuses_bad_gains(gains, message):
    with pytest.raises(BadInputError, match=message):
        ndcg(np.array([[0.1, 0.2]]), np.array(gains))


def test_resamples_draw_as_many_clusters_as_there_are(monkeypatch):
    monkeypatch.setattr(bootstrap, "_COUNTS_AT_ONCE", 70)
    counts = list(resample_counts(9, 100, seed=1))
    assert [len(c) for c in counts] == [7] * 14 + [2]
    assert (np.concatenate(counts).sum(axis=1) == 9).all()


@pytest.mark.parametrize("groups", [None, np.array([4, 4, 1, 1, 1, 0, 7, 7, 2])])
def test_bootstrap_agrees_with_drawing_one_by_one(groups):
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0])
    clusters = np.unique(np.arange(9) if groups is None else groups, return_inverse=True)[1].ravel()
    n = int(clusters.max()) + 1
    means, medians = [], []
    for counts in np.concatenate(list(resample_counts(n, 40, seed=6))):
        drawn = np.concatenate([np.repeat(values[clusters == c], counts[c]) for c in range(n)])
        means.append(drawn.mean())
        medians.append(np.median(drawn))
    assert bootstrap_means(values[:, None], groups, 40, 6)[:, 0].tolist() == pytest.approx(means)
    assert bootstrap_medians(values, groups, 40, 6).tolist() == pytest.approx(medians)


def test_the_interval_of_a_mean_agrees_with_the_normal_one():
    values = np.random.default_rng(8).normal(size=(400, 1))
    low, high = interval(bootstrap_means(values)[:, 0])
    error = values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_queries_that_hang_together_widen_the_interval():
    hits = np.repeat(np.random.default_rng(3).integers(0, 2, 50), 8).astype(float)
    groups = np.repeat(np.arange(50), 8)
    alone = interval(bootstrap_means(hits[:, None])[:, 0])
    together = interval(bootstrap_means(hits[:, None], groups)[:, 0])
    assert together[1] - together[0] == pytest.approx(np.sqrt(8) * (alone[1] - alone[0]), rel=0.1)


def test_a_paired_difference_sees_what_two_intervals_cannot():
    rng = np.random.default_rng(9)
    b = (rng.random(400) < 0.5).astype(float)
    a = b.copy()
    a[np.flatnonzero(b == 0)[:20]] = 1
    mean, low, high = paired_difference(a, b)
    assert mean == pytest.approx(0.05)
    assert 0 < low < mean < high < 0.08
    assert paired_difference(b, a) == pytest.approx((-mean, -high, -low), abs=3e-3)


def test_unpaired_values_and_wrong_groups_are_refused():
    with pytest.raises(BadInputError, match="3 and 2 values cannot be paired"):
        paired_difference(np.zeros(3), np.zeros(2))
    with pytest.raises(BadInputError, match="there are no queries"):
        paired_difference(np.zeros(0), np.zeros(0))
    with pytest.raises(BadInputError, match="1 groups for 3 queries"):
        paired_difference(np.zeros(3), np.zeros(3), np.array([1]))
