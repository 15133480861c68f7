import json

import numpy as np
import pytest

from helpers_confidence import draw_facts, draw_scored
from prismat.confidence.confidence import Confidence
from prismat.confidence.direction import fit_direction
from prismat.confidence.gallery import Direction
from prismat.confidence.next_measurement import Windows
from prismat.errors import BadInputError, MismatchError, VersionError

NAME = "xrd->structure"
FACTS = draw_facts(150)
SCORES = draw_scored(5).scores[0]


@pytest.fixture(scope="module")
def confidence():
    own = fit_direction(Direction("xrd", "structure"), draw_scored(1), FACTS.systems)
    return Confidence("model", "store", {NAME: own}, {"text->xrd": "too few"})


@pytest.fixture
def saved(confidence, tmp_path):
    confidence.save(tmp_path / "confidence")
    return tmp_path / "confidence"


@pytest.mark.parametrize("group", [None, "crowding", "crystal system"])
def test_what_is_loaded_answers_as_what_was_saved(confidence, saved, group):
    again = Confidence.load(saved, "model")
    for left, right in zip(
        confidence.probabilities(SCORES, NAME), again.probabilities(SCORES, NAME), strict=True
    ):
        np.testing.assert_array_equal(left, right)
    sets = [c.conformal_set(SCORES, 0.1, NAME, group, FACTS.systems) for c in (confidence, again)]
    np.testing.assert_array_equal(sets[0].columns, sets[1].columns)
    assert confidence.none_of_these(SCORES, NAME) == again.none_of_these(SCORES, NAME)
    assert again.left_out == {"text->xrd": "too few"}


def test_probabilities_come_best_first(confidence):
    columns, p = confidence.probabilities(SCORES, NAME, 7)
    np.testing.assert_array_equal(columns, np.argsort(-SCORES, kind="stable")[:7])
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(p) <= 1e-12).all()


def test_a_wider_promise_gives_a_larger_set_around_the_best(confidence):
    sizes = [len(confidence.conformal_set(SCORES, a, NAME).columns) for a in (0.3, 0.1, 0.05)]
    assert sizes == sorted(sizes)
    assert confidence.conformal_set(SCORES, 0.9, NAME).columns[0] == SCORES.argmax()
    whole = confidence.conformal_set(SCORES, 0.001, NAME)
    assert len(whole.columns) == 150
    assert "the set is the whole gallery" in whole.note
    assert "the pooled threshold" in confidence.conformal_set(SCORES, 0.014, NAME, "crowding").note


def test_a_measurement_that_tells_all_is_recommended(confidence):
    everything = np.eye(150, dtype=np.float32)
    windows = Windows(
        {"text": everything, "dos": np.ones((150, 4), np.float32)},
        {"text": np.ones(150, bool), "dos": np.ones(150, bool)},
        {"text": everything, "dos": np.ones((150, 4), np.float32)},
        {"text": 0.02, "dos": 0.02},
    )
    found = confidence.next_measurement(SCORES, NAME, windows, FACTS)
    assert found[0].name == "text"
    assert found[0].remaining_bits == pytest.approx(0, abs=1e-6)
    by_name = {r.name: r for r in found}
    assert by_name["dos"].gain_bits == pytest.approx(0, abs=1e-9)
    assert 0 < by_name["crystal system"].gain_bits <= np.log2(7)


def test_another_model_is_refused(saved):
    with pytest.raises(MismatchError, match="was calibrated for another model"):
        Confidence.load(saved, "other")


def test_damage_is_seen(saved, tmp_path):
    with pytest.raises(BadInputError, match="No calibration in"):
        Confidence.load(tmp_path)
    tensors = saved / "confidence.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInputError, match="missing or damaged"):
        Confidence.load(saved)
    content = json.loads((saved / "confidence.json").read_text())
    (saved / "confidence.json").write_text(json.dumps(content | {"format_version": 99}))
    with pytest.raises(VersionError, match="another format version"):
        Confidence.load(saved)


@pytest.mark.parametrize("scores", [np.array([0.1, np.nan]), np.array([0.5])], ids=["nan", "one entry"])
def test_scores_that_tell_nothing_are_refused(confidence, scores):
    with pytest.raises(BadInputError, match="scores of shape"):
        confidence.probabilities(scores, NAME)


def test_a_direction_that_was_not_calibrated_is_refused(confidence):
    with pytest.raises(BadInputError, match=r"text->xrd was not calibrated\. Use one of xrd->structure"):
        confidence.none_of_these(SCORES, "text->xrd")
    with pytest.raises(BadInputError, match="'xrd' is no direction"):
        Direction.named("xrd")
