import numpy as np
import pytest
from scipy.special import log_softmax

from helpers_confidence import draw_facts
from prismat.confidence.gallery import Facts, read_facts, store_density
from prismat.confidence.likelihood import fit_temperature, log_total, score_entropy
from prismat.confidence.next_measurement import MISREAD, Windows, fact_evidence, recommend
from prismat.errors import BadInputError

FACTS = draw_facts(12, seed=3)
EMPTY = Windows({}, {}, {}, {})


def by_hand(p, facts):
    """Expected entropy in bits after the crystal system is known, entry by entry."""
    left = 0.0
    for i in range(len(p)):
        q = np.array([p[j] * (1 if facts.systems[j] == facts.systems[i] else MISREAD) for j in range(len(p))])
        q /= q.sum()
        left += p[i] * -(q * np.log2(q)).sum()
    return left


def test_the_expected_information_is_that_of_a_loop():
    log_p = log_softmax(np.random.default_rng(1).normal(size=12))
    found = {r.name: r for r in recommend(log_p, EMPTY, FACTS)}
    p = np.exp(log_p)
    assert found["crystal system"].remaining_bits == pytest.approx(by_hand(p, FACTS))
    gain = -(p * np.log2(p)).sum() - by_hand(p, FACTS)
    assert found["crystal system"].gain_bits == pytest.approx(gain)


def test_what_is_unknown_tells_nothing():
    blank = Facts(np.full(12, -1), np.zeros((12, 99), bool), np.full(12, np.nan))
    found = recommend(log_softmax(np.arange(12.0)), EMPTY, blank)
    assert all(r.gain_bits == pytest.approx(0, abs=1e-12) for r in found)
    missing = Windows({"text": np.eye(12)}, {"text": np.zeros(12, bool)}, {"text": np.eye(12)}, {"text": 0.1})
    assert {r.name: r for r in recommend(np.zeros(12), missing, blank)}["text"].gain_bits == pytest.approx(0)


def test_densities_that_agree_speak_for_an_entry():
    near = Facts(np.zeros(3, int), np.zeros((3, 99), bool), np.array([3.0, 3.03, 6.0]))
    evidence = fact_evidence("density", near.take(np.array([0])), near)[0]
    assert evidence[0] > evidence[1] > evidence[2]
    assert evidence[2] == pytest.approx(np.log(MISREAD))


def test_light_elements_are_not_seen():
    facts = read_facts([225, None], [["Li", "O", "Cl"], ["Cl"]], [2.1, None])
    assert facts.elements.sum() == 2
    assert facts.systems.tolist() == [6, -1]
    assert fact_evidence("elements", facts, facts).tolist() == [[0, 0], [0, 0]]


def test_density_in_another_unit_is_unknown():
    rows = [
        [{"name": "density", "value": 2.0, "unit": "g/cm3"}],
        [{"name": "density", "value": 2.0, "unit": "kg/m3"}],
        [],
    ]
    assert store_density(rows) == [2.0, None, None]


def test_the_temperature_of_a_known_softmax_is_found():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 20)) * 0.2
    p = np.exp(log_softmax(scores / 0.15, axis=1))
    answer = (p.cumsum(1) > rng.random((4000, 1))).argmax(1)
    relevant = np.arange(20) == answer[:, None]
    assert fit_temperature(scores, relevant) == pytest.approx(0.15, rel=0.08)
    log_p = log_softmax(scores / 0.15, axis=1)
    np.testing.assert_allclose(score_entropy(scores, 0.15), -(np.exp(log_p) * log_p).sum(1) / np.log(2))
    np.testing.assert_allclose(log_total(scores, 0.15), np.log(np.exp(scores / 0.15).sum(1)))


def test_a_query_without_an_answer_cannot_be_fitted():
    with pytest.raises(BadInputError, match="1 queries, of which 1 have no right entry"):
        fit_temperature(np.ones((1, 3)), np.zeros((1, 3), bool))
