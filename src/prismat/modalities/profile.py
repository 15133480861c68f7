"""The diffraction window: powder profiles, simulated from structures or measured.

Simulated lines and measured patterns come onto one grid of q = 4π sin θ / λ and pass through the same last
steps (square root, normalisation), so that what was learned on the one can be applied to the other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Pattern
from prismat.modalities.base import Columns, Features
from prismat.modalities.measured import from_measured
from prismat.modalities.rendering import Cleaning, ProfileNoise, ProfileSettings, render
from prismat.modalities.texture import ORDERS
from prismat.modalities.xrd import XrdSettings, powder_lines
from prismat.ragged import Packed, Ragged

__all__ = [
    "Cleaning",
    "ProfileNoise",
    "ProfileSettings",
    "XrdBatch",
    "XrdModality",
    "from_measured",
    "render",
]


@dataclass(frozen=True)
class XrdBatch:
    """Profiles of a batch.

    Attributes:
        profile: square root of intensity with root mean square 1; zeros where absent, shape (batch, points).
        present: which records have a pattern, shape (batch,).
    """

    profile: Float[torch.Tensor, "batch points"]
    present: Bool[torch.Tensor, " batch"]


class XrdModality:
    """The diffraction window: lines of the structure, and the measured profile where there is one."""

    name = "xrd"

    def __init__(
        self,
        settings: ProfileSettings = ProfileSettings(),
        lines: XrdSettings = XrdSettings(),
    ) -> None:
        if settings.wavelength != lines.wavelength:
            raise BadInputError(
                f"lines are computed with {lines.wavelength} Å but read as {settings.wavelength} Å",
                field="wavelength",
                remedy="Give both settings the same wavelength.",
            )
        self.settings, self.lines = settings, lines
        column: tuple[np.dtype, tuple[int, ...]] = (np.dtype(np.float32), ())
        self.columns: Columns = {"xrd.two_theta": column, "xrd.intensity": column, "xrd.profile": column}
        if lines.texture:
            # Half precision is finer than the series that the moments enter.
            self.columns["xrd.texture"] = (np.dtype(np.float16), (len(ORDERS),))

    def featurize(self, material: Material) -> Features | None:
        """Lines of the structure and the profile of ``measurements["xrd"]``; None with neither.

        Raises:
            BadInputError: the structure gives no lines or the pattern cannot be used; names the material.
        """
        pattern = material.measurement("xrd", Pattern)
        # Lines are those of a lattice: a molecule has none.
        crystal = (
            material.structure if material.structure is not None and material.structure.periodic else None
        )
        if crystal is None and pattern is None:
            return None
        features = {name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in self.columns.items()}
        try:
            if crystal is not None:
                lines = powder_lines(crystal, self.lines)
                features["xrd.two_theta"] = lines.two_theta.astype(np.float32)
                features["xrd.intensity"] = lines.intensity.astype(np.float32)
                if lines.texture is not None:
                    features["xrd.texture"] = lines.texture.astype(np.float16)
            if pattern is not None:
                features["xrd.profile"] = from_measured(pattern, self.settings)
        except BadInputError as error:
            raise error.at(material.id) from error
        return features

    def collate(
        self,
        packed: Packed,
        noise: ProfileNoise | None = None,
        generator: torch.Generator | None = None,
        same: Bool[torch.Tensor, "batch batch"] | None = None,
    ) -> XrdBatch:
        """Profiles of a batch: the measured one where there is one, else the lines rendered.

        Args:
            packed: the columns.
            noise: distortions of the rendered profiles; measured ones stay as they are.
            generator: source of the draws.
            same: records of one material, which are no impurities of each other.

        Raises:
            BadInputError: stored profiles have another number of points than the settings, or preferred
                orientation is asked for and the lines do not tell of it.
        """
        profile = render(packed, self.settings, noise, generator, same)
        measured = packed["xrd.profile"]
        has = torch.from_numpy(measured.lengths > 0)
        if has.any():
            profile[has] = torch.from_numpy(self._stored(measured))
        return XrdBatch(profile, has | torch.from_numpy(packed["xrd.two_theta"].lengths > 0))

    def _stored(self, measured: Ragged) -> Float[np.ndarray, "measured points"]:
        lengths = np.unique(measured.lengths[measured.lengths > 0])
        if lengths.tolist() != [self.settings.points]:
            raise BadInputError(
                f"profiles of {lengths.tolist()} points where the settings say {self.settings.points}",
                field="xrd.profile",
                remedy="Prepare the store again, or use the settings it was made with.",
            )
        return measured.values.reshape(-1, self.settings.points).astype(np.float32, copy=False)
