from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.stats import norm

from prismat.errors import BadInputError
from prismat.tasks.design.pareto import hypervolume, pareto_front, pareto_ranks
from prismat.tasks.design.parts import known_part, predicted_part, similar_part, standing
from prismat.tasks.design.screen import screen
from prismat.tasks.design.spectra import dos_error
from prismat.tasks.design.target import Target
from prismat.tasks.design.wants import Want, parse_want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("band_gap=1.0:1.6:eV", Want("band_gap", "range", 1.0, 1.6, "eV")),
        ("band_gap=1:2", Want("band_gap", "range", 1.0, 2.0)),
        ("band_gap=1::eV", Want("band_gap", "range", 1.0, np.inf, "eV")),
        ("band_gap=:2:eV", Want("band_gap", "range", -np.inf, 2.0, "eV")),
        ("band_gap=1.5~0.5:eV", Want("band_gap", "range", 1.0, 2.0, "eV")),
        ("band_gap=1.5±0.5:eV", Want("band_gap", "range", 1.0, 2.0, "eV")),
        ("e>=-1e-1:eV/atom", Want("e", "range", -0.1, np.inf, "eV/atom")),
        ("e <= 3", Want("e", "range", -np.inf, 3.0)),
        ("last phdos peak=max", Want("last phdos peak", "maximise")),
        ("x=minimize", Want("x", "minimise")),
    ],
)
def test_wants_are_read(text, want):
    assert parse_want(text) == want


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_any_other_text_is_refused_or_read(text):
    with suppress(BadInputError):
        assert parse_want(text).name


@pytest.mark.parametrize(
    "text", ["band_gap", "band_gap=", "=1:2", "x=2:1:eV", "x=:", "x=1:1", "x>=nan", "x=much"]
)
def test_what_is_no_want_is_refused(text):
    with pytest.raises(BadInputError, match="name=low:high:unit"):
        parse_want(text)


def test_units_convert_or_are_refused():
    assert parse_want("gap=1000:2000:meV").converted("eV") == Want("gap", "range", 1.0, 2.0, "eV")
    with pytest.raises(BadInputError, match="gap"):
        parse_want("gap=1:2:GPa").converted("eV")


def test_points_go_through_the_range():
    assert Want("x", low=0.0, high=4.0).points(5).tolist() == [0, 1, 2, 3, 4]
    assert Want("x", low=2.0).points(5).tolist() == [2]
    with pytest.raises(BadInputError, match="maximise is no value"):
        Want("x", "maximise").points(3)


def slow_ranks(scores):
    """Fronts by the definition, one pair after the other."""
    ranks, left, number = np.zeros(len(scores), int), set(range(len(scores))), 0
    while left:
        number += 1
        front = {
            i
            for i in left
            if not any(
                all(a >= b for a, b in zip(scores[j], scores[i], strict=True))
                and any(a > b for a, b in zip(scores[j], scores[i], strict=True))
                for j in left
            )
        }
        ranks[list(front)] = number
        left -= front
    return ranks


scores_of = st.integers(1, 4).flatmap(
    lambda m: st.integers(1, 14).flatmap(
        lambda n: arrays(np.float64, (n, m), elements=st.integers(0, 4).map(lambda x: x / 4))
    )
)


@given(scores_of)
def test_fronts_are_those_of_a_loop(scores):
    ranks = pareto_ranks(scores)
    assert ranks.tolist() == slow_ranks(scores).tolist()
    assert pareto_front(scores).tolist() == (ranks == 1).tolist()


@given(scores_of)
@settings(max_examples=40)
def test_hypervolume_is_the_share_of_a_grid(scores):
    """All scores are quarters, so that counting cells of a grid of quarters is exact."""
    m = scores.shape[1]
    corners = np.stack(np.meshgrid(*[np.arange(4)] * m, indexing="ij"), -1).reshape(-1, m) / 4
    under = (scores[:, None] >= corners[None] + 0.25).all(-1).any(0)
    assert hypervolume(scores) == pytest.approx(under.mean())


def test_scores_that_are_none_are_refused():
    with pytest.raises(BadInputError, match="without a score"):
        pareto_front(np.array([[np.nan]]))
    with pytest.raises(BadInputError, match="negative"):
        hypervolume(np.array([[-1.0]]))


def test_standing_is_the_share_exceeded():
    assert standing(np.array([3.0, 1.0, np.nan, 2.0, 2.0])).tolist() == [1.0, 0.0, 0.0, 0.5, 0.5]


def test_known_values_count_by_their_distance_from_the_range():
    values = np.array([1.0, 2.0, 3.0, np.nan])
    part = known_part(Want("x", low=0.5, high=2.0), values)
    assert part.scores[[0, 1, 3]].tolist() == [1, 1, 0]
    assert part.scores[2] == pytest.approx(np.exp(-1 / np.nanstd(values)))
    assert known_part(Want("x", "minimise"), values).scores.tolist() == [1, 0.5, 0, 0]


def test_predicted_values_count_by_the_probability_of_the_range():
    part = predicted_part(Want("x", low=0.0, high=1.0), np.array([0.4, 3.0]), np.array([0.5, 0.1]))
    assert part.scores[0] == pytest.approx(quad(norm(0.4, 0.5).pdf, 0, 1)[0])
    assert part.scores[1] == pytest.approx(0, abs=1e-12)
    taken = predicted_part(Want("x", low=0.0, high=1.0), np.array([0.4, 3.0]), np.zeros(2))
    assert taken.scores[0] == 1
    assert taken.deviation is None


def test_screening_ranks_by_the_weighted_mean_and_finds_what_is_at_odds():
    rng = np.random.default_rng(0)
    a = rng.random(60)
    parts = [similar_part("a", "a", a), similar_part("b", "b", -a + 0.1 * rng.random(60))]
    passing = np.arange(60) != 7
    found = screen(parts, [3.0, 1.0], passing, k=10)
    total = 0.75 * parts[0].scores + 0.25 * parts[1].scores
    assert found.order.tolist() == sorted(np.flatnonzero(passing).tolist(), key=lambda i: -found.total[i])
    assert np.allclose(found.total, total)
    assert found.at_odds == [("a", "b")]
    whole = pareto_ranks(found.scores[passing])
    by_row = dict(zip(np.flatnonzero(passing).tolist(), whole.tolist(), strict=True))
    assert found.ranks.tolist() == [by_row[i] for i in found.order[:10].tolist()]
    assert 0 < found.covered <= 1


def test_nothing_that_passes_is_said():
    with pytest.raises(BadInputError, match="Loosen the conditions"):
        screen([similar_part("a", "a", np.arange(3.0))], [1.0], np.zeros(3, bool))


def test_targets_that_mean_nothing_are_refused():
    with pytest.raises(BadInputError, match="nothing is wanted"):
        Target()
    with pytest.raises(BadInputError, match="Name every property once"):
        Target(wants=(Want("x", "maximise"), Want("x", "minimise")))
    with pytest.raises(BadInputError, match="Give positive numbers for x"):
        Target(wants=(Want("x", "maximise"),), weights={"y": 1.0})


def test_dos_error_is_the_share_of_states_elsewhere():
    target = np.array([1.0, 1.0, 0.0, 0.0])
    others = np.array(
        [[2.0, 2.0, 0, 0], [0, 0, 1.0, 1.0], [0, 1.0, 1.0, 0], [0, 0, 0, 0], [1.0, np.nan, 1.0, 0]]
    )
    found = dos_error(target, others)
    assert found[:3].tolist() == [0.0, 1.0, 0.5]
    assert np.isnan(found[3])
    # Without the bin that one of them does not know, the target has all states in the first.
    assert found[4] == pytest.approx(0.5)
