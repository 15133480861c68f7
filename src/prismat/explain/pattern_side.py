"""Peaks of a powder pattern as parts of a match."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.signal import find_peaks

from prismat.api import PROFILE, Prismat
from prismat.device import moved
from prismat.explain.explanation import Item, Unit
from prismat.explain.side import Tensors, Vectors
from prismat.modalities.profile import ProfileSettings, XrdBatch, XrdModality
from prismat.modalities.rendering import normalise

MOST_PEAKS = 40
LEAST = 0.05
"""A peak stands out by this share of the highest of the square-root profile, 0.25 % of its intensity."""


class PatternSide:
    """Peaks as parts: the grid is cut at the lowest points between neighbouring peaks.

    Taking a peak away flattens its stretch to the background, which is zero once a pattern is cleaned, and
    the rest is brought to root mean square 1 again, as any pattern is.

    Args:
        prismat: the model.
        profile: square root of intensity on the model's grid, root mean square 1, shape (points,).
        wavelength: Å, in which angles are told.
    """

    window = "xrd"
    unit: Unit = "peak"
    operator = "peaks are flattened to the background"
    baseline = "a pattern that is as high everywhere"
    chunk = 512

    def __init__(
        self, prismat: Prismat, profile: Float[np.ndarray, " points"], wavelength: float | None = None
    ) -> None:
        modality = prismat.modalities["xrd"]
        assert isinstance(modality, XrdModality)  # noqa: S101  the window is the pattern's
        self.model, self.settings = prismat.model, modality.settings
        self.wavelength = wavelength or modality.settings.wavelength
        self.profile = torch.from_numpy(np.asarray(profile, dtype=np.float32))
        self.tops, self.segment = peak_segments(np.asarray(profile, dtype=np.float64))
        self.data: dict[str, Any] = self._data()

    def __len__(self) -> int:
        return len(self.tops)

    def _angles(self) -> Float[np.ndarray, " points"]:
        """2θ in degrees of the grid at the wavelength told; 180 where that radiation does not reach."""
        return angles(self.settings, self.wavelength)

    def _data(self) -> dict[str, Any]:
        reached = self._angles() < 180
        intensity = self.profile.numpy().astype(np.float64) ** 2
        return {
            "two_theta": self._angles()[reached].round(4).tolist(),
            "intensity": (100 * intensity / max(intensity.max(), 1e-12))[reached].round(3).tolist(),
            "wavelength": self.wavelength,
        }

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """One item per peak."""
        angle = self._angles()
        first = np.searchsorted(self.segment, np.arange(len(self)))
        last = np.searchsorted(self.segment, np.arange(len(self)), side="right") - 1
        return [
            Item(
                f"{angle[top]:.1f}°",
                float(value),
                x=float(angle[top]),
                low=float(angle[a]),
                high=float(angle[b]),
            )
            for top, value, a, b in zip(self.tops, values, first, last, strict=True)
        ]

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors of the pattern with only some of its peaks."""
        mask = torch.from_numpy(kept[:, self.segment])
        return self._embed(normalise(self.profile * mask))

    def _embed(self, profile: Float[torch.Tensor, "batch points"]) -> Vectors:
        device = next(self.model.parameters()).device
        batch = XrdBatch(profile, torch.ones(len(profile), dtype=torch.bool))
        found = self.model.embed("xrd", moved(batch, device))
        return {**found, PROFILE: torch.nn.functional.normalize(profile, dim=1)}

    def path(self) -> tuple[Tensors, Tensors]:
        """The profile, from one that is 1 everywhere: flat, and of the same root mean square."""
        return (self.profile,), (torch.ones_like(self.profile),)

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors on the way from the baseline."""
        return self._embed(inputs[0])

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Sums over the stretch of each peak; nothing is left over."""
        (profile,), (flat,) = self.path()
        each = ((profile - flat) * gradients[0]).double().numpy()
        return np.bincount(self.segment, weights=each, minlength=len(self)), 0.0


def angles(settings: ProfileSettings, wavelength: float) -> Float[np.ndarray, " points"]:
    """2θ in degrees of every grid point; 180 beyond what the radiation reaches."""
    sine = settings.grid * wavelength / (4 * np.pi)
    return 2 * np.degrees(np.arcsin(np.clip(sine, 0, 1)))


def peak_segments(
    profile: Float[np.ndarray, " points"], most: int = MOST_PEAKS
) -> tuple[Int[np.ndarray, " peaks"], Int[np.ndarray, " points"]]:
    """Tops of the peaks, ascending, and the peak that every grid point belongs to.

    Args:
        profile: not negative.
        most: peaks kept, those that stand out most; lesser ones belong to a neighbour.
    """
    highest = float(profile.max())
    padded = np.pad(profile, 1)
    tops, found = find_peaks(padded, prominence=max(LEAST * highest, 1e-12))
    strongest = np.argsort(-found["prominences"], kind="stable")[:most]
    tops = np.sort(tops[strongest]) - 1
    if not len(tops):
        return np.array([int(profile.argmax())]), np.zeros(len(profile), dtype=np.int64)
    # The middle of the lowest stretch between two tops.
    cuts = [a + int(np.median(_lowest(profile[a:b]))) for a, b in pairwise(tops)]
    return tops, np.searchsorted(np.array(cuts, dtype=np.int64), np.arange(len(profile)), side="left")


def _lowest(values: Float[np.ndarray, " n"]) -> Int[np.ndarray, " lowest"]:
    return np.flatnonzero(values <= values.min() + 1e-9)
