"""The training step and the loop around it."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int

from prismat.embedded import Embedded
from prismat.errors import BadInputError
from prismat.model import JointModel
from prismat.objectives.base import Loss
from prismat.objectives.infonce import InfoNce
from prismat.training.schedule import Stage, curriculum_weights, warmup_cosine
from prismat.training.state import load_state, save_state
from prismat.training.tracking import Tracker
from prismat.training.watch import warnings_for

logger = logging.getLogger(__name__)

SETTLED = 0.25
"""Share of the steps after which signs of failure are told to the user; they are always recorded."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its schedule.

    Attributes:
        learning_rate: peak, after the warm-up.
        weight_decay: decoupled; not applied to temperatures, biases and norms.
        warmup: share of the steps.
        clip: largest gradient norm.
        bf16: mixed precision; None for where the device gains from it (a GPU).
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: float = 0.1
    clip: float = 1.0
    bf16: bool | None = None


@dataclass(frozen=True)
class TrainConfig:
    """Length and rhythm of a training.

    Attributes:
        steps: optimiser steps: the budget, so that two runs do the same work.
        batch: records per micro-batch; each is a contrastive pool of its own.
        micro_batches: micro-batches whose gradients are averaged per step. This is gradient accumulation:
            it steadies the gradient and adds no negatives.
        evaluate_every: steps between validations.
        patience: validations without improvement before stopping; 0 for never.
        curriculum: pair weights by progress.
        optimizer: AdamW and its schedule.
        seed: of weights, batches and views.
        tensorboard: also write event files (extra ``tracking``).
    """

    steps: int = 400
    batch: int = 512
    micro_batches: int = 1
    evaluate_every: int = 100
    patience: int = 0
    curriculum: tuple[Stage, ...] = ()
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    seed: int = 0
    tensorboard: bool = False


@runtime_checkable
class Data(Protocol):
    """What the loop needs of the data."""

    def batches(self, rows: Int[np.ndarray, " n"], rng: np.random.Generator | None) -> dict[str, object]:
        """Batches of all windows; training views where a generator is given."""
        ...

    def same(self, rows: Int[np.ndarray, " n"]) -> Bool[torch.Tensor, "n n"]:
        """Records that are no negatives of each other."""
        ...


Validate = Callable[[JointModel], dict[str, float]]
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
    """Trains a joint model in one process and can be stopped at any moment.

    Args:
        model: to be trained in place; ends with the weights of the best validation.
        objective: the loss, with its own learned temperatures.
        data: windows of all records.
        rows: training rows.
        config: length and rhythm.
    """

    def __init__(
        self,
        model: JointModel,
        objective: InfoNce,
        data: Data,
        rows: Int[np.ndarray, " n"],
        config: TrainConfig,
    ) -> None:
        self.model, self.objective, self.data, self.config = model, objective, data, config
        self.rows, self.batch = np.sort(rows), min(config.batch, len(rows))
        self.rng = np.random.default_rng(config.seed)
        self.optimizer = build_optimizer([model, objective], config.optimizer)
        self.step, self.seconds = 0, 0.0
        self.best, self.best_step, self.stale = -1.0, 0, 0
        self.history: list[dict] = []
        self.pool = np.zeros(0, dtype=np.int64)
        self.best_weights: dict[str, torch.Tensor] = _weights(model)

    def train_step(self) -> Loss:
        """One optimiser step over ``micro_batches`` micro-batches."""
        config = self.config
        factor = warmup_cosine(self.step, config.steps, config.optimizer.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = config.optimizer.learning_rate * factor * group["scale"]
        weights = curriculum_weights(config.curriculum, self.step / config.steps)
        self.optimizer.zero_grad(set_to_none=True)
        for _ in range(config.micro_batches):
            embedded = self._embed(self._next_rows())
            loss = self.objective(embedded, weights)
            # A batch without two complete records of any pair teaches nothing.
            if loss.total.requires_grad:
                (loss.total / config.micro_batches).backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.clip)
        self.optimizer.step()
        self.step += 1
        self.last = embedded
        return loss

    def _embed(self, rows: Int[np.ndarray, " n"]) -> Embedded:
        batches = self.data.batches(rows, self.rng)
        device = next(self.model.parameters()).device.type
        bf16 = self.config.optimizer.bf16
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda" if bf16 is None else bf16):
            return self.model(batches, self.data.same(rows))

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
        # Steps after the checkpoint, or all of them where there is none, are taken and logged again.
        tracker.truncate(self.step)
        started, before = time.monotonic(), self.seconds
        while self.step < self.config.steps and not self._out_of_patience():
            loss = self.train_step()
            self.seconds = before + time.monotonic() - started
            entry = {"step": self.step, "loss": _finite(loss, self.step), **loss.parts}
            if self.step % self.config.evaluate_every == 0 or self.step == self.config.steps:
                entry |= self._validate(validate)
                self.history.append(entry)
                tracker.log(entry)
                self._save(folder, job)
            else:
                tracker.log(entry)
            if progress:
                progress(self.step, self.config.steps, entry)
        self.model.load_state_dict(self.best_weights)
        seen = self.step * self.batch * self.config.micro_batches
        return Outcome(self.history, self.best_step, self.seconds, seen / len(self.rows))

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.stale

    def _validate(self, validate: Validate) -> dict:
        self.model.eval()
        with torch.no_grad():
            scores = validate(self.model)
        self.model.train()
        if scores["score"] > self.best:
            self.best, self.best_step, self.stale = scores["score"], self.step, 0
            self.best_weights = _weights(self.model)
        else:
            self.stale += 1
        present = self.last.present
        vectors = {f"{a}@{b}": v[present[a]].detach() for (a, b), v in self.last.toward.items()}
        vectors |= {name: v[present[name]].detach() for name, v in self.last.embeddings.items()}
        measured, messages = warnings_for(vectors, _batch_recall(self.last), scores["score"])
        # In the first steps every model's embeddings crowd together.
        if messages and self.step > self.config.steps * SETTLED:
            logger.warning("step %d: %s", self.step, "; ".join(messages))
        return {**{f"val/{k}": v for k, v in scores.items()}, **measured, "warnings": messages}

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"model": self.model, "objective": self.objective, "best": _Weights(self.best_weights)}

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
        self.tensors.clear()
        self.tensors.update(state_dict)


def _finite(loss: Loss, step: int) -> float:
    value = float(loss.total.detach())
    if not math.isfinite(value):
        raise BadInputError(
            f"the loss is {value} at step {step}", field="train", remedy="Lower the learning rate."
        )
    return value


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def _batch_recall(embedded: Embedded) -> float:
    """Mean recall@1 inside the last training batch, over pairs."""
    hits = []
    for a, b in embedded.pairs:
        keep = embedded.present[a] & embedded.present[b]
        left, right = (v[keep].detach() for v in embedded.pair(a, b))
        if len(left):
            hits.append(float(((left @ right.T).argmax(1) == torch.arange(len(left))).float().mean()))
    return float(np.mean(hits)) if hits else 0.0


@runtime_checkable
class LayerRates(Protocol):
    """A module whose parameters do not all learn at the recipe's rate."""

    def learning_rates(self) -> dict[str, float]:
        """Share of the recipe's learning rate by parameter name; 1 for those left out."""
        ...


def build_optimizer(modules: list[torch.nn.Module], config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW with decay on matrices only; vectors (biases, norms, temperatures) are left alone.

    The groups of a share other than 1 follow those of the full rate; each has its share as ``scale``.
    """
    scales = _scales(modules)
    parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
    shares = sorted({scales.get(id(p), 1.0) for p in parameters} - {1.0}, reverse=True)
    groups = []
    for share in [1.0, *shares]:
        own = [p for p in parameters if scales.get(id(p), 1.0) == share]
        for decay, members in (
            (config.weight_decay, [p for p in own if p.ndim > 1]),
            (0.0, [p for p in own if p.ndim <= 1]),
        ):
            lr = config.learning_rate * share
            groups.append({"params": members, "weight_decay": decay, "scale": share, "lr": lr})
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def _scales(modules: list[torch.nn.Module]) -> dict[int, float]:
    """Share of the learning rate of every parameter that has one, by the parameter's ``id``."""
    scales = {}
    for part in (part for module in modules for part in module.modules()):
        if isinstance(part, LayerRates):
            named = dict(part.named_parameters())
            scales |= {id(named[name]): rate for name, rate in part.learning_rates().items()}
    return scales
