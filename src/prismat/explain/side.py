"""One side of a match as a function of what it is made of: the score with some of its parts taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float

from prismat.explain.explanation import Item, Unit

Tensors = tuple[torch.Tensor, ...]
Vectors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A vector of one side against a fixed one of the other.

    Attributes:
        key: of the side that is explained.
        against: key of the other side.
        other: its unit vector, shape (dim,).
        weight: positive.
    """

    key: str
    against: str
    other: Float[np.ndarray, " dim"]
    weight: float


@dataclass(frozen=True, eq=False)
class Target:
    """The score that is explained: Σ w cos / Σ w over the comparisons of one side."""

    comparisons: Sequence[Comparison]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the explained side, each once."""
        return tuple(dict.fromkeys(c.key for c in self.comparisons))

    def score(self, vectors: Vectors) -> Float[torch.Tensor, " batch"]:
        """Of a batch of unit vectors by key; linear in them."""
        total = sum(c.weight for c in self.comparisons)
        parts = [vectors[c.key] @ self._weighted(c, vectors[c.key]) for c in self.comparisons]
        return torch.stack(parts).sum(0) / total

    @staticmethod
    def _weighted(comparison: Comparison, like: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(comparison.weight * comparison.other, dtype=like.dtype, device=like.device)


@runtime_checkable
class Side(Protocol):
    """Raw input cut into parts that can be taken away.

    Attributes:
        window: of the model.
        unit: what an item is.
        operator: what taking a part away means, in a few words.
        data: what the items lie on.
        chunk: subsets embedded at once.
    """

    window: str
    unit: Unit
    operator: str
    data: dict[str, Any]
    chunk: int

    def __len__(self) -> int:
        """Number of parts."""
        ...

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """The parts, or what they are made of, with their values."""
        ...

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors by key of the input with only the parts that are kept."""
        ...


@runtime_checkable
class Differentiable(Side, Protocol):
    """A side whose input is continuous, for integrated gradients.

    Attributes:
        baseline: where the path begins, in a few words.
    """

    baseline: str

    def path(self) -> tuple[Tensors, Tensors]:
        """Inputs and baselines."""
        ...

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors of a stack of inputs, each of shape (steps, …)."""
        ...

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Values of the parts from the mean gradients, and what belongs to none of them."""
        ...


def score_kept(
    side: Side, target: Target, kept: Bool[np.ndarray, "subsets parts"]
) -> Float[np.ndarray, " subsets"]:
    """Score of every subset of a side's parts; equal subsets are embedded once, ``side.chunk`` at a time."""
    rows, place = np.unique(kept, axis=0, return_inverse=True)
    scores = []
    with torch.inference_mode():
        for start in range(0, len(rows), side.chunk):
            found = target.score(side.embed(rows[start : start + side.chunk]))
            scores.append(found.double().cpu().numpy())
    return np.concatenate(scores)[place.ravel()] if scores else np.zeros(0)
