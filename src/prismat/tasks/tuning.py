"""A classifier trained as a whole, encoder and head: cross-entropy, AdamW, best weights by validation."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int

from prismat.objectives.base import Loss
from prismat.training.distributed import World
from prismat.training.learner import Step
from prismat.training.loop import Outcome, TrainConfig, Trainer
from prismat.training.tracking import Tracker

Rows = Int[np.ndarray, " n"]
Told = Callable[[int, int, dict], None]

CHUNK = 64
"""Records predicted at once."""


@runtime_checkable
class Examples(Protocol):
    """Records with the classes of what is in them: one of a picture, one for each word of a sentence."""

    def batch(self, rows: Rows, rng: np.random.Generator | None) -> object:
        """What the network reads; a training view where a generator is given."""
        ...

    def wanted(self, rows: Rows) -> Int[torch.Tensor, " outputs"]:
        """Classes, in the order of the network's outputs."""
        ...


class ClassLearner:
    """The gradient of the mean cross-entropy of a network's outputs.

    Args:
        network: batch → (outputs, classes); trained in place.
        examples: batches and classes.
    """

    world = World()

    def __init__(self, network: torch.nn.Module, examples: Examples) -> None:
        self._network, self.examples = network, examples

    @property
    def model(self) -> torch.nn.Module:
        """The network."""
        return self._network

    def modules(self) -> dict[str, torch.nn.Module]:
        """The network alone: nothing else is trained."""
        return {"model": self._network}

    def backward(self, rows: Rows, rng: np.random.Generator, step: Step) -> Loss:
        """Adds the gradient of ``step.share`` × the mean cross-entropy (nats)."""
        self._network.train()
        said = self._network(self.examples.batch(rows, rng))
        loss = torch.nn.functional.cross_entropy(said.float(), self.examples.wanted(rows))
        (loss * step.share).backward()
        return Loss(loss.detach(), {"cross_entropy": float(loss.detach())})

    def reduce(self) -> None:
        """Nothing: there is one process."""

    def watch(self, score: float) -> tuple[dict[str, float], list[str]]:  # noqa: ARG002
        """Nothing beyond the loss."""
        return {}, []


def tune(
    network: torch.nn.Module,
    examples: Examples,
    rows: dict[str, Rows],
    config: TrainConfig,
    folder: Path,
    identity: str,
    told: Told | None = None,
) -> Outcome:
    """Trains a classifier, or goes on with it; it ends with the weights of the best validation.

    Weights are chosen by the cross-entropy on validation.

    Args:
        network: batch → (outputs, classes).
        examples: batches and classes.
        rows: of ``train`` and ``val``; no other is read.
        config: length and rhythm.
        folder: of the checkpoint and the metrics.
        identity: hash of data and settings; a checkpoint of another one is refused.
        told: called after every step.

    Raises:
        MismatchError: the checkpoint belongs to another job.
        BadInputError: the loss is not finite.
    """

    def validate(model: torch.nn.Module) -> dict[str, float]:
        p = class_probabilities(model, examples, rows["val"])
        wanted = examples.wanted(rows["val"]).numpy()
        own = p[np.arange(len(wanted)), wanted]
        loss = float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean())
        return {"accuracy": float((p.argmax(1) == wanted).mean()), "loss": loss, "score": -loss}

    trainer = Trainer(ClassLearner(network, examples), rows["train"], config)
    outcome = trainer.fit(folder / "checkpoint", identity, validate, Tracker(folder, False), told)
    network.eval()
    return outcome


def class_probabilities(
    network: torch.nn.Module, examples: Examples, rows: Rows, chunk: int = CHUNK
) -> Float[np.ndarray, "outputs classes"]:
    """What a network says of rows; it is afterwards in the mode that it was in."""
    was_training = network.training
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), chunk):
            said = network(examples.batch(rows[start : start + chunk], None))
            found.append(said.double().softmax(1).numpy())
    network.train(was_training)
    return np.concatenate(found)
