"""Encoders trained along with a head that was first fitted to them frozen.

Starting from a fitted head keeps the first steps from undoing what the encoders know (Kumar et al., ICLR
2022, arXiv:2202.10054). AdamW, a linear warm-up and half a cosine; the encoders learn at a lower rate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Num

from prismat.api import Prismat
from prismat.device import moved
from prismat.files import digest
from prismat.heads.base import lean_model
from prismat.heads.composition import head_batches
from prismat.heads.config import Feature, HeadConfig, TuneConfig
from prismat.heads.features import CHUNK, model_features
from prismat.heads.fit import Fitted, head_loss
from prismat.heads.network import Head
from prismat.model import JointModel
from prismat.objectives.base import Loss
from prismat.recipes.serial import to_json
from prismat.recipes.systems import PLAIN
from prismat.tasks.opened import Opened
from prismat.training.distributed import World
from prismat.training.learner import Step
from prismat.training.loop import Outcome, TrainConfig, Trainer
from prismat.training.optimizer import OptimizerConfig
from prismat.training.state import check_job
from prismat.training.tracking import Tracker
from prismat.training.windows import StoreData

Rows = Int[np.ndarray, " _"]
Told = Callable[[int, int, dict], None]


class TunedNetwork(torch.nn.Module):
    """Encoders and a head on them.

    Args:
        base: the joint model; its windows that the head does not read are left alone.
        head: on its features.
        feature: which of them.
        encoder_rate: the encoders' share of the learning rate.
    """

    def __init__(self, base: JointModel, head: Head, feature: Feature, encoder_rate: float) -> None:
        super().__init__()
        self.base, self.head = base, head
        self.feature: Feature = feature
        self.encoder_rate = encoder_rate
        for name, parameter in base.named_parameters():
            is_read = any(name.startswith(f"encoders.{w}.") for w in head.widths)
            is_read |= feature == "joint" and name.startswith("projections.")
            parameter.requires_grad_(parameter.requires_grad and is_read)

    def learning_rates(self) -> dict[str, float]:
        """The encoders' parameters by name, at their share of the rate."""
        return {name: self.encoder_rate for name, _ in self.named_parameters() if name.startswith("base.")}

    def forward(self, batches: dict[str, object]) -> Float[torch.Tensor, "batch outputs"]:
        """What the head says of one batch."""
        return self.head(*model_features(self.base, batches, self.feature))


class HeadLearner:
    """The gradient of a head's loss through the encoders, for :class:`prismat.training.loop.Trainer`.

    Args:
        network: trained in place.
        data: windows of the store.
        wanted: standardised numbers or class numbers by row of the store.
        weights: of the classes.
    """

    world = World()

    def __init__(
        self,
        network: TunedNetwork,
        data: StoreData,
        wanted: Num[torch.Tensor, " records"],
        weights: Float[torch.Tensor, " outputs"] | None = None,
    ) -> None:
        self.network, self.data, self.wanted, self.weights = network, data, wanted, weights

    @property
    def model(self) -> torch.nn.Module:
        """The network."""
        return self.network

    def modules(self) -> dict[str, torch.nn.Module]:
        """The network alone: nothing else is trained."""
        return {"model": self.network}

    def backward(self, rows: Rows, rng: np.random.Generator, step: Step) -> Loss:
        """Adds the gradient of ``step.share`` × the loss over the rows."""
        self.network.train()
        loss = head_loss(self._said(rows, rng), self.wanted[rows], self.weights)
        (loss * step.share).backward()
        return Loss(loss.detach(), {"head": float(loss.detach())})

    def validate(self, rows: Rows) -> dict[str, float]:
        """Loss over validation rows, and its negative as the score."""
        total = 0.0
        for start in range(0, len(rows), CHUNK):
            own = rows[start : start + CHUNK]
            total += float(head_loss(self._said(own, None), self.wanted[own], reduction="sum"))
        return {"loss": total / len(rows), "score": -total / len(rows)}

    def _said(self, rows: Rows, rng: np.random.Generator | None) -> Float[torch.Tensor, "n outputs"]:
        device = next(self.network.parameters()).device
        batches = head_batches(self.data, rows, rng, tuple(self.network.head.widths))
        return self.network({w: moved(b, device) for w, b in batches.items()})

    def reduce(self) -> None:
        """Nothing: one process holds the whole batch."""

    def watch(self, score: float) -> tuple[dict[str, float], list[str]]:  # noqa: ARG002
        """Nothing beyond the loss."""
        return {}, []


@dataclass(frozen=True, eq=False)
class Tuned:
    """Encoders and head after training.

    Attributes:
        prismat: a model of its own, with the trained encoders.
        fitted: the one head on it.
        outcome: history and cost.
    """

    prismat: Prismat
    fitted: Fitted
    outcome: Outcome


def tune_head(
    opened: Opened,
    windows: Sequence[str],
    start: Fitted,
    targets: Num[np.ndarray, " records"],
    rows_train: Rows,
    rows_val: Rows,
    config: TuneConfig,
    folder: Path,
    told: Told | None = None,
) -> Tuned:
    """Trains the encoders of some windows together with a head, or goes on with it.

    The opened model stays as it is. Weights are those of the best validation, that before the first step
    included.

    Args:
        opened: model and store.
        windows: that the head reads.
        start: the head fitted to the frozen encoders; its first member is taken.
        targets: by row of the store: numbers, or class numbers.
        rows_train: rows of the store to learn from.
        rows_val: rows by which weights are chosen.
        config: length and rates.
        folder: of the checkpoint.
        told: called after every step.

    Raises:
        MismatchError: the folder holds a checkpoint of another job.
    """
    first, head = start.heads[0], start.heads[0].config
    own = Head(head, first.widths, first.outputs)
    own.load_state_dict(first.state_dict())
    prismat = lean_model(opened.prismat, windows, head.feature)
    network = TunedNetwork(prismat.model, own, head.feature, config.encoder_rate)
    data = StoreData(
        opened.prepared.store,
        opened.prismat.recipe.windows,
        opened.prismat.modalities,
        opened.data.text,
        PLAIN,
        (),
    )
    learner = HeadLearner(network, data, _wanted(start, targets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        job = _identity(opened, windows, head, config, targets[rows_train])
        check_job(folder / "checkpoint", job)
        trainer = Trainer(learner, rows_train, _train_config(config))
        network.eval()
        with torch.inference_mode():
            before = learner.validate(rows_val)["score"]
        if trainer.best is None:
            trainer.best = before
        outcome = trainer.fit(
            folder / "checkpoint", job, lambda _: learner.validate(rows_val), Tracker(folder), told
        )
    network.eval().requires_grad_(True)
    with torch.inference_mode():
        loss = learner.validate(rows_val)["loss"]
    fitted = Fitted((own.eval(),), start.loss, start.mean, start.spread, (loss,))
    return Tuned(prismat, fitted, outcome)


def _wanted(start: Fitted, targets: Num[np.ndarray, " records"]) -> Num[torch.Tensor, " records"]:
    if start.loss == "squared":
        return torch.from_numpy(((targets - start.mean) / start.spread).astype(np.float32))
    return torch.from_numpy(np.where(np.isfinite(targets), targets, -1).astype(np.int64))


def _train_config(config: TuneConfig) -> TrainConfig:
    optimizer = OptimizerConfig(
        config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.999), warmup=config.warmup
    )
    return TrainConfig(
        steps=config.steps,
        batch=config.batch,
        evaluate_every=min(config.evaluate_every, config.steps),
        patience=config.patience,
        optimizer=optimizer,
        seed=config.seed,
        device="cpu",
    )


def _identity(
    opened: Opened, windows: Sequence[str], head: HeadConfig, config: TuneConfig, targets: np.ndarray
) -> str:
    return digest(
        opened.prismat.hash,
        opened.prepared.store.hash,
        list(windows),
        to_json(head),
        to_json(config),
        targets.tolist(),
    )
