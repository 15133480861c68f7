"""A training of seconds over three noisy views of random points, and what it must end with alike."""

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from prismat.model import JointModel, ProjectionConfig
from prismat.objectives.build import build_objective
from prismat.objectives.config import ObjectiveConfig
from prismat.training.learner import ContrastiveLearner
from prismat.training.loop import TrainConfig, Trainer
from prismat.training.tracking import Tracker

NAMES = ("a", "b", "c")
PAIRS = ["a-b", "a-c", "b-c"]


@dataclass(frozen=True)
class Rows:
    values: torch.Tensor
    present: torch.Tensor


class Encoder(nn.Module):
    width = 6

    def __init__(self, dropout):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(dropout))

    def forward(self, batch):
        return self.net(batch.values)


class Noisy:
    """Three noisy views of random points; some records lack one of them."""

    def __init__(self, n=30, noise=0.3, absent=()):
        self.points = torch.randn(n, 5, generator=torch.Generator().manual_seed(7))
        self.noise, self.absent = noise, absent

    def batches(self, rows, rng):
        made = {}
        for name in NAMES:
            noise = np.zeros((len(rows), 5)) if rng is None else rng.normal(size=(len(rows), 5)) * self.noise
            values = self.points[torch.from_numpy(rows)] + torch.from_numpy(noise.astype(np.float32))
            present = torch.full((len(rows),), name not in self.absent)
            made[name] = Rows(values, present)
        return made

    def same(self, rows):
        return torch.eye(len(rows), dtype=torch.bool)


def trainer(data=None, dropout=0.2, rows=30, seed=0, **config):
    torch.manual_seed(seed)
    model = JointModel({n: Encoder(dropout) for n in NAMES}, ProjectionConfig(dim=4, hidden=0)).train()
    settings = {"steps": 12, "batch": 8, "evaluate_every": 4, "seed": seed}
    objective = build_objective(ObjectiveConfig(), NAMES, dim=4)
    found = TrainConfig(**{**settings, **config})
    bf16 = found.optimizer.bf16
    learner = ContrastiveLearner(model, objective, data or Noisy(), found.chunk, bf16=bf16)
    return Trainer(learner, np.arange(rows), found)


def scored(*scores):
    """A validation that gives these scores in turn and remembers the weights that it saw."""
    left, seen = list(scores), []

    def validate(model):
        assert not model.training
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return {"score": left.pop(0), "other": 0.5}

    validate.seen = seen
    return validate


def rising(model):
    """A score that the weights decide, so that a resumed training makes the same choices."""
    return {"score": float(sum(p.detach().abs().sum() for p in model.parameters())) / 1000}


def fit(one, folder, validate=rising, progress=None, job="job"):
    return one.fit(folder / "checkpoint", job, validate, Tracker(folder), progress)


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def state(one):
    """Everything that a training must end with alike."""
    named = {f"model/{k}": v for k, v in one.model.state_dict().items()}
    named |= {f"objective/{k}": v for k, v in one.learner.objective.state_dict().items()}
    for index, values in one.optimizer.state_dict()["state"].items():
        named |= {f"optimizer/{index}/{k}": v for k, v in values.items()}
    return named


def assert_equal(one, other):
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    assert [k for k in left if not torch.equal(left[k], right[k])] == []
