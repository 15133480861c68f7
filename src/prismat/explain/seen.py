"""A query or a record as the model reads it, window by window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from prismat.api import PROFILE, SENTENCE, Prismat
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.explain.density_side import DensitySide
from prismat.explain.pattern_side import PatternSide
from prismat.explain.side import Differentiable, Side
from prismat.explain.sites import Sites
from prismat.explain.spectrum_side import SpectrumSide
from prismat.explain.structure_side import AtomSide, structure_batch
from prismat.explain.text_side import TextSide
from prismat.explain.token_path import differentiable_text
from prismat.material import Material
from prismat.measurements import Pattern
from prismat.modalities.base import pack_features
from prismat.modalities.charge_density import DensityBatch
from prismat.modalities.dos import DosBatch
from prismat.modalities.profile import XrdBatch
from prismat.modalities.text import check_query

WINDOWS = ("text", "structure", "xrd", "dos", "phonon_dos", "charge_density")
"""Windows whose input can be explained."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The windows of one query or record.

    Attributes:
        text: words, or None.
        sites: the structure as given and as read, or None.
        batches: of one, by every window but text.
        wavelength: Å, in which angles of the pattern are told.
    """

    text: str | None = None
    sites: Sites | None = None
    batches: Mapping[str, object] = field(default_factory=dict)
    wavelength: float | None = None

    @classmethod
    def of(
        cls,
        prismat: Prismat,
        material: Material,
        windows: Iterable[str],
        stored: Mapping[str, object] | None = None,
    ) -> "Seen":
        """Reads raw input.

        Args:
            prismat: the model.
            material: what is there; of its texts ``context`` is read, else ``title``, else any other.
            windows: those wanted; ones that the material or the model lacks are left out.
            stored: batches of one that a store gave, taken as they are.
        """
        wanted = [w for w in windows if w in prismat.recipe.windows]
        texts = material.texts
        text = texts.get("context") or texts.get("title") or next(iter(texts.values()), None)
        sites = _sites(prismat, material.structure) if "structure" in wanted else None
        kept = [w for w in stored or {} if w in wanted and w not in {"text", "structure"}]
        batches: dict[str, object] = {window: (stored or {})[window] for window in kept}
        if sites is not None:
            batches["structure"] = structure_batch(prismat, sites)
        for window in wanted:
            if window not in batches and window in prismat.modalities and window != "structure":
                batch = _batch(prismat, window, material)
                if batch is not None:
                    batches[window] = batch
        pattern = material.measurement("xrd", Pattern) if "xrd" in wanted else None
        return cls(
            check_query(text) if text and "text" in wanted else None,
            sites,
            batches,
            pattern.wavelength if pattern is not None else None,
        )

    @property
    def windows(self) -> tuple[str, ...]:
        """Those that are there."""
        return (*(("text",) if self.text else ()), *self.batches)

    def vectors(self, prismat: Prismat, window: str) -> dict[str, np.ndarray]:
        """Unit vectors of one window by key, each of shape (dim,)."""
        if window == "text":
            found = prismat.embed(texts=[self.text or ""])
        else:
            found = prismat.embed_batch(window, self.batches[window])
        return {key: rows[0] for key, rows in found.items()}

    def side(self, prismat: Prismat, window: str, by_gradients: bool = False) -> Side | Differentiable:
        """The window as parts that can be taken away.

        Raises:
            BadInputError: a window that cannot be explained.
        """
        batch = self.batches.get(window)
        if window == "text" and self.text is not None:
            return differentiable_text(prismat, self.text) if by_gradients else TextSide(prismat, self.text)
        if window == "structure" and self.sites is not None:
            return AtomSide(prismat, self.sites)
        if isinstance(batch, XrdBatch):
            return PatternSide(prismat, batch.profile[0].numpy(), self.wavelength)
        if isinstance(batch, DosBatch):
            return SpectrumSide(prismat, window, batch)
        if isinstance(batch, DensityBatch):
            return DensitySide(prismat, batch)
        raise BadInputError(
            f"{window} cannot be explained", field="explain", remedy=f"Choose from {', '.join(WINDOWS)}."
        )


def window_of(key: str) -> str:
    """The window that a key's vectors are of."""
    return {SENTENCE: "text", PROFILE: "xrd"}.get(key, key.partition("@")[0])


def _sites(prismat: Prismat, crystal: Crystal | None) -> Sites | None:
    return None if crystal is None else Sites.of(crystal, prismat.recipe.graph.symprec)


def _batch(prismat: Prismat, window: str, material: Material) -> object | None:
    modality = prismat.modalities[window]
    features = modality.featurize(material)
    return None if features is None else modality.collate(pack_features(modality.columns, [features]))
