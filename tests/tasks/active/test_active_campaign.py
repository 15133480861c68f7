import json

import numpy as np
import pytest

from prismat.errors import BadInputError, MismatchError
from prismat.tasks.active.campaign import LOG, CampaignConfig, History, Pool, simulate, standardised
from prismat.tasks.active.curves import Curve, curves, reaching, summarise
from prismat.tasks.active.goals import Goal
from prismat.tasks.active.pages import campaign_page
from prismat.tasks.active.suggest import suggest
from prismat.tasks.result import render_result

CONFIG = CampaignConfig(("random", "expected_improvement", "thompson"), 8, 5, 5, 2, 0.05)


def smooth_pool(records=150):
    """A value that follows from the features, and features that say nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(records, 3))
    values = x[:, 0] - 0.3 * x[:, 1] ** 2
    return Pool(
        [f"r{i}" for i in range(records)], values, {"good": x, "noise": rng.normal(size=(records, 3))}
    )


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    return folder, simulate(smooth_pool(), Goal(), CONFIG, folder)


def test_every_campaign_measures_its_budget_once(campaign):
    _, histories = campaign
    assert len(histories) == 2 * (3 + 2)
    assert all(len(set(h.rows.tolist())) == CONFIG.budget for h in histories)
    assert [h.features for h in histories if h.strategy == "random"] == ["good"] * 2


def test_strategies_start_from_the_same_records(campaign):
    _, histories = campaign
    first = {h.seed: set() for h in histories}
    for h in histories:
        first[h.seed].add(tuple(h.rows[: CONFIG.initial].tolist()))
    assert all(len(starts) == 1 for starts in first.values())
    assert len(set.union(*first.values())) == 2


def test_features_that_tell_the_value_find_more_than_random_and_than_noise(campaign):
    pool, (_, histories) = smooth_pool(), campaign
    made = curves(histories, pool, Goal(), CONFIG)
    found = summarise(made, pool, Goal(), CONFIG)
    ei, noise = (found["curves"][f"expected_improvement, {n}"]["found"][0] for n in ("good", "noise"))
    assert ei > 0.7
    assert ei > noise + 0.3
    assert found["curves"]["expected_improvement, good"]["over_random"][1] > 0
    page = campaign_page(found, made, Goal(), "gap (eV)", CONFIG)
    text = render_result("campaign", page)
    assert "After 33 of 150 measurements" in text
    assert len(page.pictures) == 2
    assert "<svg" in page.pictures[0].svg


@pytest.mark.parametrize("cut", ["line", "torn"])
def test_an_interrupted_campaign_goes_on_as_if_it_were_not(campaign, tmp_path, cut):
    folder, histories = campaign
    lines = (folder / LOG).read_text().splitlines(keepends=True)
    kept = "".join(lines[:31]) + (lines[31][:20] if cut == "torn" else "")
    (tmp_path / LOG).write_text(kept)
    again = simulate(smooth_pool(), Goal(), CONFIG, tmp_path)
    assert [h.rows.tolist() for h in again] == [h.rows.tolist() for h in histories]
    assert sorted((tmp_path / LOG).read_text().splitlines()) == sorted(s.rstrip("\n") for s in lines)


def test_a_finished_campaign_is_only_read(campaign):
    folder, histories = campaign
    before = (folder / LOG).read_bytes()
    again = simulate(smooth_pool(), Goal(), CONFIG, folder)
    assert [h.rows.tolist() for h in again] == [h.rows.tolist() for h in histories]
    assert (folder / LOG).read_bytes() == before
    assert set(json.loads(before.splitlines()[1])) == {
        "features",
        "strategy",
        "seed",
        "round",
        "rows",
        "hyper",
    }


def test_the_log_of_another_campaign_is_refused(campaign):
    folder, _ = campaign
    with pytest.raises(MismatchError, match="the log of another campaign"):
        simulate(smooth_pool(), Goal("minimise"), CONFIG, folder)


def test_pools_that_say_nothing_are_refused(tmp_path):
    small = smooth_pool(30)
    with pytest.raises(BadInputError, match="30 records for 33 measurements"):
        simulate(small, Goal(), CONFIG, tmp_path)
    equal = Pool(smooth_pool().ids, np.ones(150), smooth_pool().features)
    with pytest.raises(BadInputError, match="Choose another property"):
        simulate(equal, Goal(), CONFIG, tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"strategies": ()}, "Use some of"), ({"initial": 1}, "two first"),
     ({"top": 1.0}, "share"), ({"batch": 0}, "positive lengths")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(BadInputError, match=said):
        CampaignConfig(**settings)


def test_figures_by_hand():
    """Two hits among ten records, five measurements: one seed finds both, the other none."""
    values = np.arange(10.0)
    pool = Pool([str(i) for i in range(10)], values, {"x": values[:, None]})
    config = CampaignConfig(("random",), initial=2, batch=3, rounds=1, seeds=2, top=0.2)
    histories = [
        History("x", "random", 0, np.array([0, 9, 8, 1, 2])),
        History("x", "random", 1, np.array([0, 1, 2, 3, 4])),
    ]
    made = curves(histories, pool, Goal(), config)
    assert made[0].found.tolist() == [[0, 0.5, 1, 1, 1], [0, 0, 0, 0, 0]]
    assert made[0].best[:, -1].tolist() == [9, 4]
    found = summarise(made, pool, Goal(), config)
    assert (found["hits"], found["chance"]) == (2, 0.5)
    assert found["curves"]["random"]["found"][0] == 0.5
    assert found["curves"]["random"]["enrichment"][0] == 1.0
    assert found["curves"]["random"]["measurements"] == {"0.25": None, "0.5": None}
    assert reaching(Curve("x", made[0].found[:1], made[0].best[:1]), 0.5, 2) == 2.0


def test_constant_columns_do_not_count():
    x = standardised(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert x.tolist() == [[-1.0], [1.0]]


def test_suggestions_are_records_without_a_value_that_promise_most():
    pool = smooth_pool()
    values = pool.values.copy()
    open_ = np.arange(0, 150, 2)
    values[open_] = np.nan
    found = suggest(pool.features["good"], values, Goal(), 5, "greedy")
    assert (found.known, found.candidates) == (75, 75)
    assert set(found.rows.tolist()) <= set(open_.tolist())
    assert pool.values[found.rows].mean() > np.quantile(pool.values, 0.9)
    assert np.all(np.diff(found.mean) <= 1e-12)
    assert (found.deviation > 0).all()


@pytest.mark.parametrize("values", [np.full(5, np.nan), np.arange(5.0)], ids=["none", "all"])
def test_nothing_to_suggest_is_said(values):
    with pytest.raises(BadInputError, match="suggest"):
        suggest(np.eye(5), values, Goal(), 2)
