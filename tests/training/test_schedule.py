import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prismat.training.schedule import Stage, curriculum_weights, rate_factor, warmup_cosine


def test_factor_rises_then_falls_to_the_floor():
    factors = [warmup_cosine(s, 1000, warmup=0.1, floor=0.01) for s in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[99] == pytest.approx(1)
    assert factors[100] == pytest.approx(1)
    assert factors[550] == pytest.approx(0.01 + 0.99 / 2)
    assert factors[-1] == pytest.approx(0.01, abs=1e-4)
    assert factors[:100] == sorted(set(factors[:100]))
    assert factors[100:] == sorted(set(factors[100:]), reverse=True)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0, 0.5), st.data())
def test_factor_stays_between_zero_and_one(steps, warmup, floor, data):
    step = data.draw(st.integers(0, steps - 1))
    factor = warmup_cosine(step, steps, warmup, floor)
    assert 0 < factor <= 1 or (floor == 0 and factor >= 0)
    assert math.isfinite(factor)


def test_later_stages_override_earlier_ones():
    stages = (Stage(0.5, {"a-b": 1.0}), Stage(0.0, {"a-b": 0.0, "b-c": 0.3}))
    assert curriculum_weights(stages, 0.0) == {"a-b": 0.0, "b-c": 0.3}
    assert curriculum_weights(stages, 0.49) == {"a-b": 0.0, "b-c": 0.3}
    assert curriculum_weights(stages, 0.5) == {"a-b": 1.0, "b-c": 0.3}
    assert curriculum_weights((), 0.5) == {}
    assert curriculum_weights((Stage(0.2, {"a-b": 1.0}),), 0.1) == {}


@pytest.mark.parametrize(("steps", "rising"), [(100, 0.3), (57, 0.3), (200, 0.1), (1000, 0.45)])
def test_one_cycle_is_that_of_pytorch(steps, rising):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, steps, pct_start=rising)
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(expected) < steps:
            scheduler.step()
    found = [rate_factor("one_cycle", step, steps, rising) for step in range(steps)]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert max(found) == pytest.approx(1, abs=1e-2)
    assert found[0] == pytest.approx(0.04)
    assert found[-1] == pytest.approx(4e-6)


def test_a_constant_rate_is_constant_after_its_warm_up():
    assert [rate_factor("constant", s, 10, 0.0) for s in range(10)] == [1.0] * 10
    found = [rate_factor("constant", s, 100, 0.1) for s in range(100)]
    assert found[:10] == pytest.approx([0.1 * (s + 1) for s in range(10)])
    assert found[10:] == [1.0] * 90


def test_a_cosine_is_the_one_with_a_warm_up():
    found = [rate_factor("cosine", s, 40, 0.1) for s in range(40)]
    assert found == [warmup_cosine(s, 40, 0.1) for s in range(40)]
    assert found[4:] == pytest.approx(
        [0.01 + 0.99 * (1 + math.cos(math.pi * s / 36)) / 2 for s in range(36)], rel=1e-12
    )


@given(st.sampled_from(["cosine", "constant", "one_cycle"]), st.integers(1, 300), st.floats(0, 1), st.data())
def test_every_factor_is_a_share(schedule, steps, warmup, data):
    factor = rate_factor(schedule, data.draw(st.integers(0, steps - 1)), steps, warmup)
    assert 0 < factor <= 1 + 1e-12
