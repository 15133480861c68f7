import numpy as np
import pytest
import torch

from helpers_explain import ToySide, linear, ones
from prismat.explain.attribution import integrated_gradients, leave_one_out, occlusion
from prismat.explain.side import Comparison, Target, score_kept

NUMBERS = [0.5, -1.0, 2.0, 0.25]


def curved(x):
    """Products of neighbours and a square: parts that depend on each other."""
    return (x[:, 0] * x[:, 1] + x[:, 2] ** 2 * x[:, 3] + torch.sin(x).sum(1))[:, None]


def naive(side, target, keep):
    """The score of one subset, alone."""
    kept = np.zeros((1, len(side)), dtype=bool)
    kept[0, list(keep)] = True
    return float(target.score(side.embed(kept))[0])


def test_integrated_gradients_of_a_linear_function_are_inputs_times_weights():
    weights = [1.0, -2.0, 0.5, 3.0]
    values, complete = integrated_gradients(ToySide(NUMBERS, linear(weights)), ones(), steps=3)
    np.testing.assert_allclose(values, np.multiply(NUMBERS, weights), rtol=1e-6)
    assert complete.gap == pytest.approx(0, abs=1e-6)


def test_integrated_gradients_measure_from_the_baseline():
    start = [1.0, 1.0, 0.0, -1.0]
    side = ToySide(NUMBERS, linear([1.0, -2.0, 0.5, 3.0]), start)
    values, _ = integrated_gradients(side, ones(), steps=3)
    np.testing.assert_allclose(values, (np.array(NUMBERS) - start) * [1.0, -2.0, 0.5, 3.0], rtol=1e-6)


def test_integrated_gradients_agree_with_a_fine_riemann_sum():
    side, alphas = ToySide(NUMBERS, curved), (np.arange(4000) + 0.5) / 4000
    x = torch.tensor(NUMBERS, dtype=torch.float64)
    points = (torch.from_numpy(alphas)[:, None] * x).requires_grad_()
    (gradient,) = torch.autograd.grad(curved(points).sum(), points)
    values, complete = integrated_gradients(side, ones(), steps=12)
    np.testing.assert_allclose(values, (x * gradient.mean(0)).numpy(), atol=2e-5)
    assert complete.sum == pytest.approx(complete.difference, abs=1e-5)


def test_too_few_steps_show_in_the_gap():
    side = ToySide([3.0, 2.0, 2.5, 1.0], lambda x: torch.exp(x.sum(1, keepdim=True)))
    coarse = integrated_gradients(side, ones(), steps=2)[1]
    fine = integrated_gradients(side, ones(), steps=24)[1]
    assert abs(coarse.gap) > 1 > abs(fine.gap)


def test_leaving_one_out_against_a_loop():
    side, target, whole = ToySide(NUMBERS, curved), ones(), range(4)
    expected = [naive(side, target, whole) - naive(side, target, set(whole) - {i}) for i in whole]
    np.testing.assert_allclose(leave_one_out(side, target), expected, rtol=1e-5)


def test_occlusion_against_a_loop():
    side, target, whole = ToySide(NUMBERS, curved), ones(), range(4)
    expected = []
    for i in whole:
        taken = naive(side, target, whole) - naive(side, target, set(whole) - {i})
        added = naive(side, target, {i}) - naive(side, target, set())
        expected.append((taken + added) / 2)
    np.testing.assert_allclose(occlusion(side, target), expected, rtol=1e-5)


def test_occlusion_sees_what_is_said_twice_and_leaving_one_out_does_not():
    side = ToySide([1.0, 1.0, 0.0], lambda x: x[:, :2].amax(1, keepdim=True))
    np.testing.assert_allclose(leave_one_out(side, ones()), [0, 0, 0])
    np.testing.assert_allclose(occlusion(side, ones()), [0.5, 0.5, 0])


def test_a_target_is_the_weighted_mean_of_its_cosines():
    target = Target(
        [
            Comparison("toy", "a", np.array([1.0, 0.0], np.float32), 3.0),
            Comparison("toy", "b", np.array([0.0, 1.0], np.float32), 1.0),
        ]
    )
    assert target.keys == ("toy",)
    assert target.score({"toy": torch.tensor([[0.4, 0.8]])}).item() == pytest.approx((3 * 0.4 + 0.8) / 4)


def test_equal_subsets_are_embedded_once_and_chunks_change_nothing():
    side = ToySide(NUMBERS, curved)
    kept = np.tile(np.array([[1, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool), (9, 1))
    scores = score_kept(side, ones(), kept)
    assert side.embedded == 3
    side.chunk = 1
    np.testing.assert_array_equal(scores, score_kept(side, ones(), kept))
    assert scores[0] == pytest.approx(naive(side, ones(), {0, 2, 3}))


def test_no_subset_has_no_score():
    assert len(score_kept(ToySide(NUMBERS, curved), ones(), np.zeros((0, 4), dtype=bool))) == 0
