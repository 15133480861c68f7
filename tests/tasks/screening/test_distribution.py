import numpy as np
import pytest
from scipy.stats import fisher_exact, spearmanr

from prismat.errors import BadInputError
from prismat.tasks.screening.distribution import (
    DrawConfig,
    block_permutation_p,
    compare_tops,
    rank_correlations,
)

QUICK = DrawConfig(k=40, resamples=400, permutations=400, seed=1)


def gallery(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return rng, np.maximum(rng.normal(1.5, 1.5, n), 0), np.arange(n)


def test_a_ranking_by_the_value_is_found_and_chance_is_not():
    rng, values, groups = gallery()
    scores = {"narrow": -values + rng.normal(0, 0.3, 600), "wide": values, "nothing": rng.normal(size=600)}
    found = compare_tops(scores, values, groups, QUICK)
    phrases, share = found.figures["phrases"], float((values < 1.1).mean())
    assert found.figures["gallery"]["share_below"] == pytest.approx(share)
    assert phrases["narrow"]["difference"][1] > 0.3
    assert phrases["wide"]["difference"][2] < -0.3
    low, high = phrases["nothing"]["difference"][1:]
    assert low < 0 < high
    assert phrases["narrow"]["p_value"] < 0.01 < phrases["nothing"]["p_value"]
    assert phrases["wide"]["share_below"] == 0
    assert phrases["wide"]["rank_correlation"][0] == pytest.approx(1)
    assert phrases["narrow"]["rank_correlation"][2] < -0.8
    assert set(found.values) == {*scores, "random"}
    assert all(len(v) == 40 for v in found.values.values())
    assert set(found.values["wide"]) <= set(np.sort(values)[-40:])
    again = compare_tops(scores, values, groups, QUICK)
    assert again.figures == found.figures


def test_the_permutation_test_agrees_with_fisher_where_items_are_alone():
    rng = np.random.default_rng(3)
    flags, chosen = rng.random(200) < 0.4, np.zeros(200, bool)
    chosen[:50] = True
    flags[:8] = True
    table = [
        [(flags & chosen).sum(), (~flags & chosen).sum()],
        [(flags & ~chosen).sum(), (~flags & ~chosen).sum()],
    ]
    expected = fisher_exact(table).pvalue
    found = block_permutation_p(flags, chosen[None], np.arange(200), permutations=4000, seed=0)[0]
    assert found == pytest.approx(expected, abs=0.03)
    assert 0.05 < found < 1


def test_permuted_groups_stay_whole():
    groups = np.array([4, 1, 1, 4, 2, 2, 2, 4])
    flags = np.isin(groups, [1])
    chosen = np.stack([np.isin(groups, [1]), np.isin(groups, [1, 2, 4])])
    # The two items laid out first are flagged only where group 1 comes first: in a third of all orders.
    found = block_permutation_p(flags, chosen, groups, permutations=3000, seed=1)
    assert found[0] == pytest.approx(1 / 3, abs=0.03)
    assert found[1] == 1


def test_groups_make_the_test_and_the_interval_wider():
    flags = np.repeat([True, False, True, False, False, False, False, False], 25)
    chosen = np.zeros(200, bool)
    chosen[:20] = True
    alone = block_permutation_p(flags, chosen[None], np.arange(200), 999)[0]
    together = block_permutation_p(flags, chosen[None], np.repeat(np.arange(8), 25), 999)[0]
    assert alone < 0.01
    assert together > 0.15


def test_the_rank_correlation_is_that_of_spearman():
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    y = np.round(x + rng.normal(size=300))
    found = rank_correlations(x[None], y, np.arange(300) // 3, QUICK)[0]
    assert found[0] == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)
    assert found[1] < found[0] < found[2]
    assert rank_correlations(x[None], np.ones(300), np.arange(300), QUICK)[0][0] == 0


def test_too_few_crystals_are_refused():
    _, values, groups = gallery(30)
    with pytest.raises(BadInputError, match="a top of 40 in a gallery of 30 crystals with a value"):
        compare_tops({"a": values}, values, groups, QUICK)
    with pytest.raises(BadInputError, match="gallery of 0 crystals with a value"):
        compare_tops({"a": np.ones(90)}, np.full(90, np.nan), np.arange(90), QUICK)
