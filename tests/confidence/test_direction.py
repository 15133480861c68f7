import numpy as np
import pytest

from helpers_confidence import draw_scored
from prismat.confidence.direction import fit_direction, right_candidates
from prismat.confidence.gallery import Direction
from prismat.confidence.judge_sets import Made, group_mean, judge_groups, judge_sets, one_per_group
from prismat.confidence.match import find_candidates
from prismat.confidence.openset import signals
from prismat.confidence.reliability import reliability
from prismat.errors import BadInputError
from prismat.tasks.words import roc_auc

SYSTEMS = np.arange(150) % 3
DIRECTION = Direction("xrd", "structure")


@pytest.fixture(scope="module")
def val():
    return draw_scored(1, clusters=400)


@pytest.fixture(scope="module")
def new():
    return draw_scored(2, clusters=400)


@pytest.fixture(scope="module")
def own(val):
    return fit_direction(DIRECTION, val, SYSTEMS)


def test_promised_coverage_is_reached_on_new_queries(own, val, new):
    rest = val.take(np.isin(val.clusters, own.calibrations["crowding"].clusters))
    found = judge_sets(Made.of(own, new, SYSTEMS), rest)
    assert [c.alpha for c in found] == [0.05, 0.1, 0.2]
    assert all(c.is_reached and c.groups == 400 for c in found)
    assert all(abs(c.by_group - (1 - c.alpha)) < 0.06 for c in found)
    assert found[0].median > found[2].median


def test_coverage_holds_within_groups(own, new):
    rows = judge_groups(Made.of(own, new, SYSTEMS))
    assert {r["by"] for r in rows} == {"crowding", "crystal system"}
    assert all(r["own"] > 0.78 for r in rows if r["has_own"])


def test_thresholds_come_from_queries_that_chose_nothing(own, val):
    used = set(own.calibrations["crowding"].clusters.tolist())
    assert len(used) == 400 - 400 // 3
    assert own.calibrations["crystal system"].values is own.calibrations["crowding"].values
    assert set(own.losses["mean set size at 90 %"]) == {"rank", "gap", "softmax", "aps", "raps"}
    assert own.entries == 150


def test_probabilities_are_calibrated(own, new):
    found = find_candidates(new.scores, own.temperature)
    right = right_candidates(found.columns, new.relevant)
    assert reliability(own.match(found.features)[:, 0], right[:, 0]).figures["ece"][0] < 0.06


def test_the_flag_keeps_what_it_promises_and_sees_what_it_can(own, new):
    present = own.open_set(signals(new.scores, own.temperature))
    absent = own.open_set(signals(new.scores, own.temperature, new.relevant))
    assert 0.92 < (present <= own.open_set.limit).mean() < 0.98
    assert roc_auc(np.concatenate([present, absent]), np.repeat([False, True], len(present))) > 0.55


def test_one_query_of_each_group():
    clusters = np.array([3, 3, 5, 5, 5, 9])
    drawn = one_per_group(clusters)
    assert sorted(clusters[drawn]) == [3, 5, 9]
    assert group_mean(np.array([1.0, 0, 1, 1, 1, 0]), clusters) == pytest.approx(0.5)


def test_too_few_groups_are_refused(val):
    with pytest.raises(
        BadInputError, match="20 groups of validation queries in xrd->structure, 30 are needed"
    ):
        fit_direction(DIRECTION, val.take(val.clusters < 1020), SYSTEMS)


def test_unknown_groupings_are_refused(own, val):
    with pytest.raises(BadInputError, match="unknown grouping 'colour'"):
        own.thresholds(val.scores, 0.1, "colour")
    with pytest.raises(BadInputError, match="no crystal systems"):
        own.thresholds(val.scores, 0.1, "crystal system")
