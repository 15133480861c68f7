"""What every objective takes and gives, and the work that all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.embedded import Embedded
from prismat.errors import BadInputError

__all__ = ["Embedded", "Loss", "Objective", "among", "at_least_single"]

MIN_RECORDS = 2

Term = tuple[str, float, Float[torch.Tensor, ""]]


@dataclass(frozen=True)
class Loss:
    """A loss and its parts.

    Attributes:
        total: what is differentiated, a scalar.
        parts: each term by name, before its weight, detached, for the log.
    """

    total: Float[torch.Tensor, ""]
    parts: dict[str, float]


class Objective(nn.Module, ABC):
    """L = Σ_terms weight · term + Σ_auxiliary weight · loss.

    A subclass says which terms there are; this class adds them up in at least single precision, whatever
    the autocast around it. Every objective is a function of the set of records: their order is of no
    consequence. A batch to which no term applies costs 0 and has no gradient.

    Args:
        windows: the modalities that meet.
        auxiliary: weight of each loss that comes computed with the batch, by name; 1 for those left out.

    Attributes:
        windows: the modalities that meet.
        views: windows of which ``Embedded.views`` must hold a second embedding.
        needs_shared_heads: reads ``Embedded.embeddings``, which a model with a head per pair does not give.
    """

    views: tuple[str, ...] = ()
    needs_shared_heads: bool = False

    def __init__(self, windows: Sequence[str], auxiliary: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.windows = tuple(windows)
        self.auxiliary = dict(auxiliary or {})

    @abstractmethod
    def terms(self, batch: Embedded, weights: Mapping[str, float]) -> Iterator[Term]:
        """Name, weight and value of every term that the batch has records for."""

    def scales(self) -> dict[str, float]:
        """The scalars of the loss, learned or fixed, by name: 1/τ by pair, and the like."""
        return {}

    def forward(self, batch: Embedded, weights: Mapping[str, float] | None = None) -> Loss:
        """Total and parts.

        Args:
            batch: embeddings and masks; what absent records hold is never read.
            weights: a curriculum's λ by pair, which replace the configured ones of the pairs they name.

        Raises:
            BadInputError: the objective needs shared projections and the batch has none, or weights by pair
                are given to an objective without pairs.
        """
        parts, total = {}, torch.zeros(())
        with torch.autocast(_device(batch), enabled=False):
            for name, weight, value in self.terms(batch, weights or {}):
                total = total.to(value.device) + weight * value
                parts[name] = float(value.detach())
        for name, value in batch.auxiliary.items():
            total = total.to(value.device) + self.auxiliary.get(name, 1.0) * value
            parts[name] = float(value.detach())
        return Loss(total, parts)

    def shared(self, batch: Embedded, window: str) -> Float[torch.Tensor, "batch dim"]:
        """The embedding of a window that serves all partners, in at least single precision.

        Raises:
            BadInputError: the model has a head per pair.
        """
        if window not in batch.embeddings:
            raise BadInputError(
                f"the objective needs one embedding of {window!r} for all partners",
                field="projection.heads",
                remedy="Set projection.heads to shared.",
            )
        return at_least_single(batch.embeddings[window])

    def refuse_weights(self, weights: Mapping[str, float]) -> None:
        """For objectives that have no pairs to weigh.

        Raises:
            BadInputError: there are weights.
        """
        if weights:
            raise BadInputError(
                f"weights of pairs {sorted(weights)}, and the objective has no pairs",
                field="train.curriculum",
                remedy="Leave the curriculum empty, or choose an objective over pairs such as infonce.",
            )


def at_least_single(vectors: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """Half precisions become single; single and double stay."""
    return vectors.float() if vectors.dtype in (torch.float16, torch.bfloat16) else vectors


def among(
    keep: Bool[torch.Tensor, " batch"], same: Bool[torch.Tensor, "batch batch"] | None
) -> Bool[torch.Tensor, "rows rows"] | None:
    """``same`` of the records kept; not copied where that is all of them."""
    if same is None or bool(keep.all()):
        return same
    return same[keep][:, keep]


def _device(batch: Embedded) -> str:
    return next((mask.device.type for mask in batch.present.values()), "cpu")
