"""What a training does with its weights: rates, averages, parts at rest, and what it tells of a step."""

import json
import logging

import pytest
import torch

from helpers_loop import PAIRS, Noisy, Rows, assert_equal, fit, metrics, scored, trainer
from prismat.objectives.base import Loss
from prismat.training.loop import _Weights
from prismat.training.optimizer import OptimizerConfig
from prismat.training.schedule import rate_factor
from prismat.training.watch import drift_of


def averaged(**config):
    return trainer(optimizer=OptimizerConfig(ema=0.9, learning_rate=0.05), **config)


def test_the_average_of_the_weights_is_validated_and_kept(tmp_path):
    run, validate, walked = averaged(), scored(0.2, 0.7, 0.3), []
    step = run.train_step

    def remembering():
        loss = step()
        walked.append({k: v.detach().clone() for k, v in run.model.named_parameters()})
        return loss

    start = {k: v.detach().clone() for k, v in run.model.named_parameters()}
    run.train_step = remembering
    assert fit(run, tmp_path, validate).best_step == 8
    expected, at = start, {}
    for t, weights in enumerate(walked, start=1):
        decay = min(0.9, (1 + t) / (10 + t))
        expected = {k: decay * v + (1 - decay) * weights[k] for k, v in expected.items()}
        at[t] = expected
    for seen, t in zip(validate.seen, (4, 8, 12), strict=True):
        for name, value in at[t].items():
            torch.testing.assert_close(seen[name], value, rtol=1e-4, atol=1e-6)
    kept = run.model.state_dict()
    assert all(torch.equal(kept[k], v) for k, v in validate.seen[1].items())
    weight = "encoders.a.net.0.weight"
    assert not torch.allclose(kept[weight], walked[7][weight], atol=1e-3)
    # Validation put the weights themselves back.
    plain = trainer(optimizer=OptimizerConfig(learning_rate=0.05))
    fit(plain, tmp_path / "plain", scored(0.2, 0.7, 0.3))
    last = [
        json.loads((f / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
        for f in (tmp_path, tmp_path / "plain")
    ]
    assert last[0] == last[1]


@pytest.mark.parametrize("stop", [2, 4, 7])
def test_an_interrupted_training_with_an_average_ends_as_the_unbroken_one(tmp_path, stop):
    def interrupt(done, *_):
        if done == stop:
            raise KeyboardInterrupt

    whole = averaged()
    told = fit(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(averaged(), tmp_path / "part", progress=interrupt)
    part = averaged()
    assert fit(part, tmp_path / "part").history == told.history
    assert_equal(part, whole)
    assert all(torch.equal(v, whole.average.weights[k]) for k, v in part.average.weights.items())
    assert (tmp_path / "part/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


@pytest.mark.parametrize("chunk", [0, 3])
def test_frozen_weights_stay(tmp_path, chunk):
    run = trainer(chunk=chunk, optimizer=OptimizerConfig(freeze=("encoders.a.*", "projections.b@*"), ema=0.5))
    before = {k: v.detach().clone() for k, v in run.model.named_parameters()}
    fit(run, tmp_path)
    same = {k for k, v in run.model.named_parameters() if torch.equal(v, before[k])}
    expected = {k for k in before if k.startswith(("encoders.a.", "projections.b@"))}
    assert same == expected
    assert len(same) == 8


def test_a_model_of_which_nothing_is_trained_keeps_its_weights(tmp_path):
    for chunk in (0, 3):
        run = trainer(chunk=chunk, optimizer=OptimizerConfig(freeze=("*",)))
        before = {k: v.detach().clone() for k, v in run.model.named_parameters()}
        scales = run.learner.objective.scales()
        fit(run, tmp_path / str(chunk))
        assert all(torch.equal(v, before[k]) for k, v in run.model.named_parameters())
        assert run.learner.objective.scales() != scales


@pytest.mark.parametrize("schedule", ["cosine", "constant", "one_cycle"])
def test_every_schedule_acts(schedule):
    optimizer = OptimizerConfig(schedule=schedule, learning_rate=1e-3, warmup=0.3, betas=(0.5, 0.6))
    run = trainer(optimizer=optimizer)
    for step in range(12):
        run.train_step()
        assert {g["lr"] for g in run.optimizer.param_groups} == {1e-3 * rate_factor(schedule, step, 12, 0.3)}
    assert {g["betas"] for g in run.optimizer.param_groups} == {(0.5, 0.6)}


def test_the_parts_of_a_step_are_means_over_its_batches(tmp_path):
    """A part that only some batches have is the mean over those."""

    class Second(Noisy):
        calls = 0

        def batches(self, rows, rng):
            made = super().batches(rows, rng)
            self.calls += 1
            return (
                made if self.calls % 2 else {**made, "c": Rows(made["c"].values, torch.zeros(len(rows)) > 0)}
            )

    losses, run = [], trainer(Second(), micro_batches=2, steps=4)
    backward = run.learner.backward

    def remembering(*given):
        losses.append(backward(*given))
        return losses[-1]

    run.learner.backward = remembering
    fit(run, tmp_path)
    first, second = losses[:2]
    entry = metrics(tmp_path)[0]
    assert set(first.parts) == set(PAIRS)
    assert set(second.parts) == {"a-b"}
    assert entry["loss"] == pytest.approx((first.total.item() + second.total.item()) / 2, rel=1e-6)
    assert entry["a-b"] == pytest.approx((first.parts["a-b"] + second.parts["a-b"]) / 2)
    assert entry["a-c"] == first.parts["a-c"]


def test_a_language_model_that_forgets_is_told_of(tmp_path, caplog):
    run, nats = trainer(), iter([2.0] * 4 + [1.5] * 4 + [2.2] * 4)
    backward = run.learner.backward

    def telling(*given):
        loss = backward(*given)
        return Loss(loss.total, {**loss.parts, "masked_language": next(nats)})

    run.learner.backward = telling
    with caplog.at_level(logging.WARNING, logger="prismat"):
        outcome = fit(run, tmp_path)
    said = "masked_language: 2.20 nats, was 1.50: the text encoder forgets its language"
    assert said in caplog.text
    assert [said in e["warnings"] for e in outcome.history] == [False, False, True]


def test_drift_is_a_rise_above_the_least():
    history = [{"masked_language": 3.0}, {"masked_language": 2.0}, {}]
    assert drift_of(history, {"masked_language": 2.5}) == []
    assert drift_of(history, {"masked_language": 2.6}) != []
    assert drift_of(history, {"masked_language": 2.6}, rise=0.7) == []
    assert drift_of([], {"masked_language": 9.0}) == []
    assert drift_of(history, {"loss": 9.0}) == []


def test_weights_that_are_read_back_go_where_the_model_is():
    """``meta`` stands in for a GPU."""
    kept = {"there": torch.zeros(2, device="meta"), "here": torch.zeros(2)}
    _Weights(kept).load_state_dict({"there": torch.ones(2), "here": torch.ones(2)})
    assert {k: v.device.type for k, v in kept.items()} == {"there": "meta", "here": "cpu"}
    assert kept["here"].tolist() == [1, 1]
