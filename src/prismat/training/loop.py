"""The training step and the loop around it."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from prismat.errors import BadInputError
from prismat.objectives.base import Loss
from prismat.training.learner import Learner, Step
from prismat.training.optimizer import MovingAverage, OptimizerConfig, build_optimizer, freeze
from prismat.training.schedule import Stage, curriculum_weights, rate_factor
from prismat.training.state import load_state, save_state
from prismat.training.tracking import Tracker
from prismat.training.watch import drift_of

logger = logging.getLogger(__name__)

SETTLED = 0.25
"""Share of the steps after which signs of failure are told to the user; they are always recorded."""


@dataclass(frozen=True)
class TrainConfig:
    """Length and rhythm of a training.

    Attributes:
        steps: optimiser steps: the budget, so that two runs do the same work.
        batch: records per batch; each is a contrastive pool of its own. Ranks share it.
        chunk: records embedded at once, with cached gradients; 0 for the whole batch. It bounds the memory
            and changes nothing else, but see ``learner``.
        micro_batches: batches whose gradients are averaged per step. This is gradient accumulation:
            it steadies the gradient and adds no negatives.
        evaluate_every: steps between validations.
        patience: validations without improvement before stopping; 0 for never.
        curriculum: pair weights by progress.
        optimizer: AdamW and its schedule.
        seed: of weights, batches and views.
        device: ``auto`` for a GPU where there is one, ``cpu``, ``cuda``.
        tensorboard: also write event files (extra ``tracking``).
    """

    steps: int = 400
    batch: int = 512
    chunk: int = 0
    micro_batches: int = 1
    evaluate_every: int = 100
    patience: int = 0
    curriculum: tuple[Stage, ...] = ()
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    seed: int = 0
    device: str = "auto"
    tensorboard: bool = False


Validate = Callable[[torch.nn.Module], dict[str, float]]
Progress = Callable[[int, int, dict], None]


@dataclass
class Outcome:
    """What a training did.

    Attributes:
        history: one entry per validation.
        best_step: step of the weights kept.
        seconds: time spent in this process and in those it resumed.
        epochs: passes over the training rows.
    """

    history: list[dict]
    best_step: int
    seconds: float
    epochs: float


class Trainer:
    """Trains a model and can be stopped at any moment; one of several ranks, or alone.

    Args:
        learner: the model, its loss and its data; the model ends with the weights of the best validation.
        rows: training rows.
        config: length and rhythm.
    """

    def __init__(self, learner: Learner, rows: Int[np.ndarray, " n"], config: TrainConfig) -> None:
        self.learner, self.model, self.world, self.config = learner, learner.model, learner.world, config
        self.rows, self.batch = np.sort(rows), min(config.batch, len(rows))
        self.rng = np.random.default_rng(config.seed)
        freeze(self.model, config.optimizer.freeze)
        self.optimizer = build_optimizer(list(learner.modules().values()), config.optimizer)
        decay = config.optimizer.ema
        self.average = MovingAverage(self.model, decay) if decay else None
        self.step, self.seconds = 0, 0.0
        self.best: float | None = None
        self.best_step, self.stale = 0, 0
        self.history: list[dict] = []
        self.pool = np.zeros(0, dtype=np.int64)
        self.best_weights: dict[str, torch.Tensor] = _weights(self.model)

    def train_step(self) -> Loss:
        """One optimiser step over ``micro_batches`` batches."""
        config, optimizer = self.config, self.config.optimizer
        factor = rate_factor(optimizer.schedule, self.step, config.steps, optimizer.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = optimizer.learning_rate * factor * group["scale"]
        weights = curriculum_weights(config.curriculum, self.step / config.steps)
        step = Step(1 / config.micro_batches, weights)
        self.optimizer.zero_grad(set_to_none=True)
        losses = [
            self.learner.backward(self._next_rows(), self.rng, step) for _ in range(config.micro_batches)
        ]
        self.learner.reduce()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, optimizer.clip)
        self.optimizer.step()
        self.step += 1
        if self.average:
            self.average.update(self.model, self.step)
        return _mean(losses)

    def _next_rows(self) -> Int[np.ndarray, " batch"]:
        """The next rows of a shuffled pass; a pass that runs short is topped up from the next one."""
        if len(self.pool) < self.batch:
            rest = np.setdiff1d(self.rows, self.pool)
            self.pool = np.concatenate([self.pool, self.rng.permutation(rest)])
        rows, self.pool = self.pool[: self.batch], self.pool[self.batch :]
        return rows

    def fit(
        self, folder: Path, job: str, validate: Validate, tracker: Tracker, progress: Progress | None = None
    ) -> Outcome:
        """Trains to the end, resuming from ``folder`` where a checkpoint of the same job lies there.

        Args:
            folder: of the checkpoint.
            job: hash of data and settings; a checkpoint of another one is refused.
            validate: scores the model; must give ``score``.
            tracker: receives the metrics.
            progress: called after every step.

        Raises:
            MismatchError: the checkpoint belongs to another job.
            BadInputError: the loss is not finite.
        """
        if (folder / "progress.json").is_file():
            self._resume(folder, job)
        self.world.barrier()
        # Steps after the checkpoint, or all of them where there is none, are taken and logged again.
        if self.world.is_main:
            tracker.truncate(self.step)
        started, before = time.monotonic(), self.seconds
        while self.step < self.config.steps and not self._out_of_patience():
            loss = self.train_step()
            self.seconds = before + time.monotonic() - started
            entry = {"step": self.step, "loss": _finite(loss, self.step), **loss.parts}
            is_due = self.step % self.config.evaluate_every == 0 or self.step == self.config.steps
            if is_due:
                entry |= self._validate(validate, entry)
                self.history.append(entry)
            if self.world.is_main:
                tracker.log(entry)
                if is_due:
                    self._save(folder, job)
                if progress:
                    progress(self.step, self.config.steps, entry)
        self.model.load_state_dict(self.best_weights)
        seen = self.step * self.batch * self.config.micro_batches
        return Outcome(self.history, self.best_step, self.seconds, seen / len(self.rows))

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.stale

    def _validate(self, validate: Validate, entry: dict) -> dict:
        """Scores the model, keeps its weights where they are the best, and looks for signs of failure."""
        if self.average:
            self.average.swap(self.model)
        self.world.average_buffers(self.model)
        self.model.eval()
        with torch.no_grad():
            # The others wait: one rank's figures are every rank's.
            scores = self.world.agree(validate(self.model) if self.world.is_main else None)
        self.model.train()
        if self.best is None or scores["score"] > self.best:
            self.best, self.best_step, self.stale = scores["score"], self.step, 0
            self.best_weights = _weights(self.model)
        else:
            self.stale += 1
        if self.average:
            self.average.swap(self.model)
        measured, messages = self.learner.watch(scores["score"])
        messages += drift_of(self.history, entry)
        # In the first steps every model's embeddings crowd together.
        if messages and self.step > self.config.steps * SETTLED:
            logger.warning("step %d: %s", self.step, "; ".join(messages))
        return {**{f"val/{k}": v for k, v in scores.items()}, **measured, "warnings": messages}

    def _modules(self) -> dict[str, torch.nn.Module]:
        kept = {**self.learner.modules(), "best": _Weights(self.best_weights)}
        return kept | ({"average": _Weights(self.average.weights)} if self.average else {})

    def _save(self, folder: Path, job: str) -> None:
        counters = {"job": job, "step": self.step, "best": self.best, "best_step": self.best_step}
        counters |= {"stale": self.stale, "history": self.history, "pool": self.pool.tolist()}
        save_state(folder, self._modules(), self.optimizer, self.rng, {**counters, "seconds": self.seconds})

    def _resume(self, folder: Path, job: str) -> None:
        there = load_state(folder, self._modules(), self.optimizer, self.rng, job)
        self.step, self.best, self.best_step = there["step"], there["best"], there["best_step"]
        self.stale, self.history, self.seconds = there["stale"], there["history"], there["seconds"]
        self.pool = np.array(there["pool"], dtype=np.int64)
        logger.info("resumed at step %d", self.step)


class _Weights(torch.nn.Module):
    """Named tensors as a module, so that they are saved and restored like one."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.tensors = tensors

    def state_dict(self, *_: object, **__: object) -> dict[str, torch.Tensor]:
        return self.tensors

    def load_state_dict(self, state_dict: dict[str, torch.Tensor], *_: object, **__: object) -> None:  # ty: ignore[incompatible-method-override]
        # A file is read to the CPU; these stay where the model is.
        found = {k: v.to(self.tensors[k].device) if k in self.tensors else v for k, v in state_dict.items()}
        self.tensors.clear()
        self.tensors.update(found)


def _mean(losses: list[Loss]) -> Loss:
    """What a step is logged with: the mean over its batches, each part over those that have it."""
    if len(losses) == 1:
        return losses[0]
    names = dict.fromkeys(name for loss in losses for name in loss.parts)
    found = {name: [loss.parts[name] for loss in losses if name in loss.parts] for name in names}
    total = torch.stack([loss.total.detach() for loss in losses]).mean()
    return Loss(total, {name: sum(values) / len(values) for name, values in found.items()})


def _finite(loss: Loss, step: int) -> float:
    value = float(loss.total.detach())
    if not math.isfinite(value):
        raise BadInputError(
            f"the loss is {value} at step {step}", field="train", remedy="Lower the learning rate."
        )
    return value


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}
