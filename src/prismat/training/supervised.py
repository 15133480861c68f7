"""The gradient of a squared error, and predictions over the rows of a store."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int

from prismat.device import moved
from prismat.errors import BadInputError
from prismat.objectives.base import Loss
from prismat.training.distributed import World
from prismat.training.learner import Step
from prismat.training.replay import own_streams

Rows = Int[np.ndarray, " n"]

CHUNK = 256
"""Records predicted at once."""
LEAST_SPREAD = 0.01
"""Predictions of a batch that differ by less, in standard deviations of the target, are all the same."""


@runtime_checkable
class Batches(Protocol):
    """What supervised learning needs of the data."""

    def batches(
        self, rows: Rows, rng: np.random.Generator | None, windows: Sequence[str] | None = None
    ) -> dict[str, object]:
        """Batches by window; training views where a generator is given."""
        ...


class SupervisedLearner:
    """A network that predicts one number per record, and the standardised numbers it should predict.

    The loss is Σ (ŷ − y)² / n over the records of all ranks and chunks, so shares of any size give the
    gradient of the whole batch. Batch normalisation sees the records of a chunk on its rank only.

    Args:
        model: batches by window → (batch,); trained in place.
        data: windows of all records.
        targets: standardised, by row of the store; never read where not trained on.
        chunk: records whose activations are kept at once; 0 for the whole batch.
        world: the ranks that share a batch.
        bf16: mixed precision; None for where the device gains from it.

    Raises:
        BadInputError: when a step meets a row without a target.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        data: Batches,
        targets: Float[np.ndarray, " records"],
        chunk: int = 0,
        world: World = World(),
        bf16: bool | None = None,
    ) -> None:
        self._model, self.data, self.targets = model, data, targets
        self.chunk, self.world = chunk, world
        self.bf16 = torch.device(world.device).type == "cuda" if bf16 is None else bf16
        self._spread = 0.0

    @property
    def model(self) -> torch.nn.Module:
        """The network."""
        return self._model

    def modules(self) -> dict[str, torch.nn.Module]:
        """The network alone: nothing else is trained."""
        return {"model": self._model}

    def backward(self, rows: Rows, rng: np.random.Generator, step: Step) -> Loss:
        """Adds the gradient of ``step.share`` × the mean squared error over the rows of all ranks.

        Args:
            rows: of the whole batch; each rank predicts its own part of them.
            rng: of the training views.
            step: share of the gradient.
        """
        self._model.train()
        world, own = self.world, self.world.share(rows)
        if world.size > 1:
            rng, _ = own_streams(rng, world.rank)
        size, total, found = self.chunk or len(own), 0.0, []
        for part in np.split(own, range(size, len(own), size)):
            predicted = self._predict(part, rng)
            loss = (predicted - self._wanted(part)).square().sum() / len(rows)
            (loss * step.share).backward()
            total += float(loss.detach())
            found.append(predicted.detach())
        self._spread = float(torch.cat(found).std(correction=0))
        total = world.total(total)
        return Loss(torch.tensor(total, dtype=torch.float64), {"mse": total})

    def _predict(self, rows: Rows, rng: np.random.Generator) -> Float[torch.Tensor, " n"]:
        device = self.world.device
        batches = {w: moved(b, device) for w, b in self.data.batches(rows, rng).items()}
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=self.bf16):
            return self._model(batches).float()

    def _wanted(self, rows: Rows) -> Float[torch.Tensor, " n"]:
        wanted = self.targets[rows]
        if not np.isfinite(wanted).all():
            raise BadInputError(
                "a record without the target is to be trained on",
                record=f"row {rows[~np.isfinite(wanted)][0]}",
                field="targets",
                remedy="Leave it out of the training rows.",
            )
        return torch.from_numpy(wanted.astype(np.float32)).to(self.world.device)

    def reduce(self) -> None:
        """Makes every rank's gradients those of the whole batch; once, after all batches of a step."""
        self.world.reduce_gradients(self._model.parameters())

    def watch(self, score: float) -> tuple[dict[str, float], list[str]]:  # noqa: ARG002
        """How far this rank's last predictions spread, and a sentence where they are all the same."""
        message = f"predictions differ by {self._spread:.1g} standard deviations of the target, all alike"
        return {"prediction_spread": self._spread}, [message] if self._spread < LEAST_SPREAD else []


def predict_rows(
    model: torch.nn.Module, data: Batches, rows: Rows, chunk: int = CHUNK
) -> Float[np.ndarray, " n"]:
    """Standardised predictions for rows of a store; the model is afterwards in the mode that it was in."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    found = [np.zeros(0)]
    with torch.inference_mode():
        for start in range(0, len(rows), chunk):
            batches = data.batches(rows[start : start + chunk], None)
            predicted = model({w: moved(b, device) for w, b in batches.items()})
            found.append(predicted.float().cpu().numpy().astype(np.float64))
    model.train(was_training)
    return np.concatenate(found)
