"""Pictures of a store as an image encoder reads them, and what can be told of them without one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.modalities.image import ImageBatch, ImageModality
from prismat.modalities.image_views import ImageViews
from prismat.modalities.windows import MeasuredSettings
from prismat.recipes.base import SplitConfig
from prismat.recipes.serial import from_json
from prismat.splits import group_records
from prismat.store import Store
from prismat.tasks.opened import open_run
from prismat.training.session import Prepared, open_prepared

BINS = 32
_LOW, _HIGH = -3.0, 3.0
CHUNK = 128


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of a divided store.

    Attributes:
        prepared: store, records and split.
        modality: how they become tensors.
        groups: of each record, within which pictures are not independent.
        size: edge in pixels at which they are read; smaller than stored ones are averaged down.
        prismat: the model whose encoder reads them; None without a run.
        is_own: whether that model was trained on the train part of this very split.
    """

    prepared: Prepared
    modality: ImageModality
    groups: Int[np.ndarray, " records"]
    size: int
    prismat: Prismat | None = None
    is_own: bool = False

    @property
    def present(self) -> Bool[np.ndarray, " records"]:
        """Which records have a picture."""
        store, column = self.prepared.store, next(iter(self.modality.columns))
        try:
            return store.lengths(column) > 0
        except FileNotFoundError:
            return np.zeros(len(store), dtype=bool)

    def batch(
        self, rows: Int[np.ndarray, " n"], views: ImageViews | None = None, seed: int | None = None
    ) -> ImageBatch:
        """Standardised pictures; views of them where a seed is given."""
        packed = self.prepared.store.take(rows, list(self.modality.columns))
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        batch = self.modality.collate(packed, views if generator else None, generator)
        if batch.pixels.shape[-1] == self.size:
            return batch
        shape = (self.size, self.size)
        pixels = torch.nn.functional.interpolate(batch.pixels, shape, mode="bilinear", antialias=True)
        return ImageBatch(pixels, batch.present)


def open_pictures(store: Store, run: Path | None = None, size: int = 128) -> Pictures:
    """Opens a store's pictures as a run reads them, or as they were prepared.

    Args:
        store: the records.
        run: a run whose model has an image window.
        size: edge in pixels without a run; larger than the stored pictures are they are kept as they are.

    Raises:
        BadInputError: no model there, or one without an image window.
        MismatchError: the store was prepared with other settings than the model reads.
    """
    if run is None:
        prepared = open_prepared(store, SplitConfig())
        settings = from_json(MeasuredSettings, store.info["job"]["settings"]["measured"], "measured").image
        records = prepared.records
        groups = group_records(records.fractions, list(records.keys.values()), SplitConfig().tolerance)
        return Pictures(prepared, ImageModality(settings), groups, min(size, settings.size))
    opened = open_run(run, store, SplitConfig())
    modality = opened.prismat.modalities.get("image")
    if not isinstance(modality, ImageModality):
        raise BadInputError(
            f"the model of {run} has no image window",
            field="run",
            remedy=f"It has {', '.join(opened.prismat.recipe.windows)}; give one trained with images.",
        )
    return Pictures(
        opened.prepared, modality, opened.groups, modality.settings.size, opened.prismat, opened.is_own
    )


def picture_statistics(pictures: Pictures, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n statistics"]:
    """Shares of 32 intensities, mean and standard deviation: what is left when a picture is shuffled."""
    edges = np.linspace(_LOW, _HIGH, BINS + 1)
    found = []
    for start in range(0, len(rows), CHUNK):
        pixels = pictures.batch(rows[start : start + CHUNK]).pixels.flatten(1).numpy()
        inside = np.clip(pixels, _LOW, _HIGH)
        place = np.clip(np.digitize(inside, edges) - 1, 0, BINS - 1) + BINS * np.arange(len(pixels))[:, None]
        shares = np.bincount(place.ravel(), minlength=BINS * len(pixels)).reshape(len(pixels), BINS)
        parts = [shares / pixels.shape[1], pixels.mean(1, keepdims=True), pixels.std(1, keepdims=True)]
        found.append(np.concatenate(parts, axis=1))
    return np.concatenate(found).astype(np.float32)
