from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from prismat.errors import BadInputError
from prismat.training.distributed import World
from prismat.training.learner import Learner, Step
from prismat.training.loop import TrainConfig, Trainer
from prismat.training.optimizer import OptimizerConfig
from prismat.training.supervised import SupervisedLearner, predict_rows
from prismat.training.tracking import Tracker


@dataclass(frozen=True)
class Points:
    values: torch.Tensor


class Numbers:
    """Random points, a little different every time they are drawn for training."""

    def __init__(self, n=40, noise=0.1):
        self.points = torch.randn(n, 5, generator=torch.Generator().manual_seed(7))
        self.noise = noise

    def batches(self, rows, rng, windows=None):
        drawn = np.zeros((len(rows), 5)) if rng is None else rng.normal(size=(len(rows), 5)) * self.noise
        return {"points": Points(self.points[torch.from_numpy(rows)] + torch.from_numpy(drawn).float())}


class Net(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    def forward(self, batches):
        return self.layers(batches["points"].values)[:, 0]


class Rank(World):
    """One of several ranks whose sums stay its own, so that a test can add them up."""

    def total(self, value):
        return value


def targets(n=40):
    return np.random.default_rng(2).normal(size=n)


def learner(dropout=0.0, noise=0.0, **settings):
    torch.manual_seed(0)
    return SupervisedLearner(Net(dropout), Numbers(noise=noise), targets(), **settings)


def gradients(one):
    return torch.cat([p.grad.flatten() for p in one.model.parameters()])


def test_it_is_a_learner():
    assert isinstance(learner(), Learner)
    assert set(learner().modules()) == {"model"}


@pytest.mark.parametrize("chunk", [0, 1, 3, 50])
def test_the_gradient_is_that_of_the_mean_squared_error(chunk):
    one, rows = learner(chunk=chunk), np.array([3, 1, 30, 8, 5, 9, 11])
    loss = one.backward(rows, np.random.default_rng(0), Step(share=0.5))
    wanted = torch.from_numpy(targets()[rows]).float()
    naive = nn.functional.mse_loss(one.model({"points": Points(one.data.points[rows])}), wanted)
    found = gradients(one)
    one.model.zero_grad()
    (naive * 0.5).backward()
    assert torch.allclose(found, gradients(one), atol=1e-6)
    assert float(loss.total) == pytest.approx(float(naive.detach()), rel=1e-5)
    assert loss.parts == {"mse": pytest.approx(float(naive.detach()), rel=1e-5)}


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_add_up_to_one(size):
    rows, ranks = np.arange(7), [learner(world=Rank(r, size)) for r in range(size)]
    losses = [one.backward(rows, np.random.default_rng(0), Step()) for one in ranks]
    whole = learner()
    loss = whole.backward(rows, np.random.default_rng(0), Step())
    assert torch.allclose(sum(gradients(one) for one in ranks), gradients(whole), atol=1e-6)
    assert sum(float(part.total) for part in losses) == pytest.approx(float(loss.total), rel=1e-5)


def trainer(**config):
    settings = {"steps": 12, "batch": 8, "evaluate_every": 4, "seed": 0}
    optimizer = OptimizerConfig(5e-2, weight_decay=1e-5, schedule="one_cycle", warmup=0.3, ema=0.9)
    found = TrainConfig(**{**settings, "optimizer": optimizer, **config})
    return Trainer(learner(dropout=0.2, noise=0.1), np.arange(30), found)


def fit(one, folder, progress=None):
    val = np.arange(30, 40)

    def validate(model):
        mae = float(np.abs(predict_rows(model, one.learner.data, val) - targets()[val]).mean())
        return {"mae": mae, "score": -mae}

    return one.fit(folder / "checkpoint", "job", validate, Tracker(folder), progress)


def state(one):
    return {**one.model.state_dict(), **{f"average/{k}": v for k, v in one.average.weights.items()}}


@pytest.mark.parametrize("stop", [(3,), (1, 6, 11)])
def test_an_interrupted_training_ends_as_the_unbroken_one(tmp_path, stop):
    whole = trainer()
    told = fit(whole, tmp_path / "whole")
    for step in (*stop, None):
        part = trainer()

        def interrupt(done, total, entry, at=step):
            if done == at:
                raise KeyboardInterrupt

        if step is None:
            outcome = fit(part, tmp_path / "part", interrupt)
        else:
            with pytest.raises(KeyboardInterrupt):
                fit(part, tmp_path / "part", interrupt)
    assert outcome.history == told.history
    assert [k for k, v in state(whole).items() if not torch.equal(v, state(part)[k])] == []
    assert (tmp_path / "part/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


def test_the_least_validation_error_is_kept(tmp_path):
    one = trainer(steps=40, evaluate_every=2)
    outcome = fit(one, tmp_path)
    best = min(outcome.history, key=lambda entry: entry["val/mae"])
    assert outcome.best_step == best["step"]
    found = predict_rows(one.model, one.learner.data, np.arange(30, 40))
    assert float(np.abs(found - targets()[30:]).mean()) == best["val/mae"]


def test_what_is_frozen_stays(tmp_path):
    config = replace(trainer().config, optimizer=OptimizerConfig(5e-2, freeze=("layers.0.*",)))
    one = Trainer(learner(), np.arange(30), config)
    before = one.model.layers[0].weight.clone(), one.model.layers[3].weight.clone()
    one.train_step()
    assert torch.equal(before[0], one.model.layers[0].weight)
    assert not torch.equal(before[1], one.model.layers[3].weight)


def test_predictions_do_not_depend_on_chunks_or_mode():
    one, rows = learner(dropout=0.5), np.array([5, 2, 39, 7, 7])
    one.model.train()
    found = predict_rows(one.model, one.data, rows, chunk=2)
    assert one.model.training
    assert np.allclose(found, predict_rows(one.model, one.data, rows), atol=1e-6)
    assert len(predict_rows(one.model, one.data, rows[:0])) == 0


def test_constant_predictions_are_told():
    one = learner()
    one.backward(np.arange(8), np.random.default_rng(0), Step())
    measured, messages = one.watch(-1.0)
    assert measured["prediction_spread"] > 0.01
    assert messages == []
    with torch.no_grad():
        one.model.layers[-1].weight.zero_()
    one.backward(np.arange(8), np.random.default_rng(0), Step())
    assert "all alike" in one.watch(-1.0)[1][0]


def test_half_precision():
    one = learner(bf16=True)
    loss = one.backward(np.arange(8), np.random.default_rng(0), Step())
    assert torch.isfinite(loss.total)
    assert torch.isfinite(gradients(one)).all()


def test_a_row_without_a_target_is_refused():
    one = learner()
    one.targets[4] = np.nan
    with pytest.raises(BadInputError, match=r"row 4.*without the target.*Leave it out"):
        one.backward(np.arange(8), np.random.default_rng(0), Step())
