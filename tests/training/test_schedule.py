import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.training.schedule import Stage, curriculum_weights, warmup_cosine


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
