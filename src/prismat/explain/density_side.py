"""Blocks of voxels of a charge density as parts of a match."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from prismat.api import Prismat
from prismat.device import moved
from prismat.explain.explanation import Item, Unit
from prismat.explain.side import Tensors, Vectors
from prismat.modalities.charge_density import DensityBatch

BLOCKS = 4


class DensitySide:
    """Blocks of the reduced cell as parts; one that is taken away becomes as dense as the whole's mean.

    Electron count and cell stay.

    Args:
        prismat: the model.
        batch: one density.
        blocks: along each axis.
    """

    window = "charge_density"
    unit: Unit = "voxel"
    operator = "blocks of voxels are set to the mean of the density; cell and electron count stay"
    baseline = "a density that is its mean everywhere"
    chunk = 16

    def __init__(self, prismat: Prismat, batch: DensityBatch, blocks: int = BLOCKS) -> None:
        self.model, self.batch = prismat.model, batch
        shape = batch.values.shape[1:]
        self.blocks = tuple(min(blocks, n) for n in shape)
        place = [np.arange(n) * b // n for n, b in zip(shape, self.blocks, strict=True)]
        numbers = np.arange(int(np.prod(self.blocks))).reshape(self.blocks)
        self.block = torch.from_numpy(numbers[np.ix_(*place)])
        self.mean = batch.values[0].mean()
        self.data: dict[str, Any] = {"lattice": batch.lattice[0].tolist(), "blocks": list(self.blocks)}

    def __len__(self) -> int:
        return int(np.prod(self.blocks))

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """One item per block."""
        found = []
        for number, value in enumerate(values):
            at = np.array(np.unravel_index(number, self.blocks))
            a, b, c = ((at + 0.5) / self.blocks).tolist()
            found.append(Item(f"({a:.2f}, {b:.2f}, {c:.2f})", float(value), position=(a, b, c)))
        return found

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors of the density with only some of its blocks."""
        mask = torch.from_numpy(kept)[:, self.block]
        return self.embed_inputs((torch.where(mask, self.batch.values, self.mean),))

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors of other densities in the same cell."""
        n = len(inputs[0])
        batch = replace(
            self.batch,
            values=inputs[0],
            lattice=self.batch.lattice.expand(n, -1, -1),
            electrons=self.batch.electrons.expand(n),
            kind=self.batch.kind.expand(n),
            present=self.batch.present.expand(n),
        )
        return self.model.embed(self.window, moved(batch, next(self.model.parameters()).device))

    def path(self) -> tuple[Tensors, Tensors]:
        """The values, from their mean."""
        return (self.batch.values[0],), (torch.full_like(self.batch.values[0], float(self.mean)),)

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Sums over each block; nothing is left over."""
        each = ((self.batch.values[0] - self.mean) * gradients[0]).double().cpu().numpy()
        return np.bincount(self.block.numpy().ravel(), weights=each.ravel(), minlength=len(self)), 0.0
