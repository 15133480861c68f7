"""Bands of energy of a density of states as parts of a match."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from prismat.api import Prismat
from prismat.device import moved
from prismat.explain.explanation import Item, Unit
from prismat.explain.side import Tensors, Vectors
from prismat.modalities.dos import DENSITY_SCALE, ENERGY_SCALE, DosBatch, DosModality

BANDS = 20


class SpectrumSide:
    """Bands of equal width as parts; taking one away masks its points, as those that were not computed are.

    Args:
        prismat: the model.
        window: ``dos`` or ``phonon_dos``.
        batch: one density of states.
        bands: parts wanted; bands without a known point are none.
    """

    unit: Unit = "energy"
    operator = "bands of energy are masked, as if they had not been computed"
    baseline = "a density that is its mean everywhere"
    chunk = 256

    def __init__(self, prismat: Prismat, window: str, batch: DosBatch, bands: int = BANDS) -> None:
        modality = prismat.modalities[window]
        assert isinstance(modality, DosModality)  # noqa: S101  the window is one of densities of states
        self.model, self.window, self.batch, self.settings = prismat.model, window, batch, modality.settings
        known = batch.mask[0].numpy()
        kind = self.settings.kind
        self.energy = batch.energy[0].numpy().astype(np.float64) * ENERGY_SCALE[kind]
        self.density = batch.density[0].numpy().astype(np.float64) / DENSITY_SCALE[kind]
        edges = np.linspace(self.settings.low, self.settings.high, bands + 1)
        place = np.clip(np.searchsorted(edges, self.energy, side="right") - 1, 0, bands - 1)
        there, number = np.unique(place[known], return_inverse=True)
        self.low, self.high = edges[there], edges[there + 1]
        self.band = np.full(len(known), -1)
        self.band[known] = number
        self.data: dict[str, Any] = {
            "energies": self.energy[known].round(6).tolist(),
            "densities": self.density[known].round(6).tolist(),
            "unit": self.settings.unit,
        }

    def __len__(self) -> int:
        return len(self.low)

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """One item per band."""
        told = zip(self.low, self.high, values, strict=True)
        unit = "eV" if self.settings.unit == "eV" else "cm⁻¹"
        return [
            Item(f"{a:g} to {b:g} {unit}", float(v), x=float(a + b) / 2, low=float(a), high=float(b))
            for a, b, v in told
        ]

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors of the density of states with only some of its bands known."""
        padded = np.concatenate([kept, np.zeros((len(kept), 1), dtype=bool)], axis=1)
        mask = torch.from_numpy(padded[:, self.band])
        return self._embed(self.batch.density * mask, mask)

    def _embed(self, density: torch.Tensor, mask: torch.Tensor) -> Vectors:
        n = len(density)
        batch = replace(
            self.batch,
            energy=self.batch.energy * mask,
            density=density,
            mask=mask,
            spin=self.batch.spin.expand(n),
            present=self.batch.present.expand(n),
        )
        return self.model.embed(self.window, moved(batch, next(self.model.parameters()).device))

    def path(self) -> tuple[Tensors, Tensors]:
        """The densities, from their mean."""
        density, mask = self.batch.density[0], self.batch.mask[0]
        return (density,), (torch.where(mask, density[mask].mean(), density.new_zeros(())),)

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors of other densities at the same energies."""
        return self._embed(inputs[0], self.batch.mask.expand(len(inputs[0]), -1))

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Sums over each band; nothing is left over."""
        (density,), (flat,) = self.path()
        each = ((density - flat) * gradients[0]).double().cpu().numpy()
        known = self.band >= 0
        return np.bincount(self.band[known], weights=each[known], minlength=len(self)), 0.0
