import numpy as np
import pytest

from helpers_explain import ToySide, linear, ones
from prismat.explain.check import curves, first_of, many_curves, steps_of
from prismat.explain.explanation import Curves

WEIGHTS = [4.0, 1.0, 3.0, 0.5, 2.0, 0.25]


def side():
    """The score is the sum of the weights that are left."""
    return ToySide([1.0] * 6, linear(WEIGHTS))


def test_curves_against_a_loop():
    values, found = np.array([0.1, 0.9, 0.2, 0.0, 0.5, 0.3]), None
    found = curves(side(), ones(), values, orders=3, seed=5)
    order = np.argsort(-values)
    for step, share in enumerate(found.share):
        k = round(share * 6)
        assert found.deletion[step] == pytest.approx(sum(WEIGHTS[i] for i in order[k:]))
        assert found.insertion[step] == pytest.approx(sum(WEIGHTS[i] for i in order[:k]))
    assert list(found.share) == pytest.approx(np.arange(7) / 6)


def test_areas_of_an_additive_score():
    best = curves(side(), ones(), np.array(WEIGHTS), orders=200)
    worst = curves(side(), ones(), -np.array(WEIGHTS), orders=200)
    # By linearity the mean over all orders is half of the whole.
    assert best.area(best.random_deletion).mean() == pytest.approx(sum(WEIGHTS) / 2, rel=0.05)
    assert best.beats_random
    assert not worst.beats_random
    # Deletion in one order is insertion in the reversed one.
    assert best.area(best.deletion) == pytest.approx(float(worst.area(worst.insertion)))
    assert best.area(best.insertion) > best.area(best.random_insertion).mean()


def test_an_order_that_changes_nothing_does_not_beat_random():
    flat = ToySide([1.0] * 5, linear([0.0] * 5))
    found = curves(flat, ones(), np.arange(5.0), orders=4)
    assert not found.beats_random


def test_the_seed_decides_the_random_orders_and_nothing_else():
    made = [curves(side(), ones(), np.array(WEIGHTS), seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0].random_deletion, made[1].random_deletion)
    assert (made[0].random_deletion != made[2].random_deletion).any()
    np.testing.assert_array_equal(made[0].deletion, made[2].deletion)


def test_attributions_are_checked_against_the_same_orders():
    values = [np.array(WEIGHTS), -np.array(WEIGHTS)]
    together = many_curves(side(), ones(), values, seed=3)
    for one, alone in zip(together, values, strict=True):
        np.testing.assert_allclose(one.deletion, curves(side(), ones(), alone, seed=3).deletion)
    np.testing.assert_array_equal(together[0].random_deletion, together[1].random_deletion)


@pytest.mark.parametrize(("parts", "points"), [(2, 10), (10, 10), (37, 10), (400, 7)])
def test_steps_run_from_none_to_all_and_are_symmetric(parts, points):
    steps = steps_of(parts, points)
    assert (steps[0], steps[-1]) == (0, parts)
    np.testing.assert_array_equal(steps, parts - steps[::-1])
    assert len(steps) <= 2 * points + 1


def test_first_of_an_order():
    found = first_of(np.array([[2, 0, 1]]), np.array([0, 1, 3]))
    np.testing.assert_array_equal(found[0], [[0, 0, 0], [0, 0, 1], [1, 1, 1]])


def test_a_check_in_json_types():
    share = np.array([0.0, 0.5, 1.0])
    random = np.array([[1.0, 0.6, 0.0], [1.0, 0.8, 0.0]])
    deletion, insertion = np.array([1.0, 0.2, 0.0]), np.array([0.0, 0.9, 1.0])
    told = Curves(share, deletion, insertion, random, random[:, ::-1]).to_dict()
    assert told["deletion"] == pytest.approx(0.35)
    assert told["deletion_random"] == pytest.approx(0.6)
    assert told["insertion"] == pytest.approx(0.7)
    assert told["beats_random"] is True
    assert told["orders"] == 2
    assert told["curve"]["random"] == pytest.approx([1.0, 0.7, 0.0])
    assert told["deletion_interval"][0] <= told["deletion_random"] <= told["deletion_interval"][1]
