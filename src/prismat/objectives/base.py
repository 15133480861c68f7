"""What every objective takes and gives."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from prismat.embedded import Embedded

__all__ = ["Embedded", "Loss"]


@dataclass(frozen=True)
class Loss:
    """A loss and its parts.

    Attributes:
        total: what is differentiated, a scalar.
        parts: each term by name, detached, for the log.
    """

    total: Float[torch.Tensor, ""]
    parts: dict[str, float]
