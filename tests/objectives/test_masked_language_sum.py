"""The sum over hidden tokens against a loop."""

import math

import pytest
import torch

from prismat.objectives.masked_language import masked_language_sum


def test_sum_equals_a_naive_loop_and_adds_up_over_chunks():
    logits, targets = torch.randn(7, 5, dtype=torch.float64), torch.randint(5, (7,))
    expected = sum(
        math.log(sum(math.exp(v) for v in row)) - row[int(t)]
        for row, t in zip(logits.tolist(), targets, strict=True)
    )
    total, count = masked_language_sum(logits, targets)
    assert (float(total), count) == (pytest.approx(expected), 7)
    parts = [masked_language_sum(logits[s], targets[s]) for s in (slice(0, 2), slice(2, 7))]
    assert sum(float(t) for t, _ in parts) == pytest.approx(expected)
    assert sum(n for _, n in parts) == 7


def test_no_hidden_token_costs_nothing_and_has_a_gradient():
    logits = torch.zeros(0, 5, requires_grad=True)
    total, count = masked_language_sum(logits, torch.zeros(0, dtype=torch.int64))
    total.backward()
    assert (float(total.detach()), count) == (0.0, 0)
    assert logits.grad.shape == (0, 5)


def test_half_precision_is_raised_and_gradients_are_right():
    low = torch.randn(3, 4).to(torch.bfloat16)
    assert masked_language_sum(low, torch.tensor([0, 1, 2]))[0].dtype == torch.float32
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: masked_language_sum(x, torch.tensor([0, 1, 3]))[0], logits)
