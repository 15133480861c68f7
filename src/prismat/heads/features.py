"""Features of many records: what a trained model makes of their windows, and which windows they have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.device import moved
from prismat.errors import BadInputError
from prismat.files import digest, replacing
from prismat.heads.composition import COMPOSITION, CompositionBatch, composition_vectors, head_batches
from prismat.heads.config import Feature
from prismat.heads.network import Presence, Vectors
from prismat.model import JointModel
from prismat.tasks.opened import Opened
from prismat.training.windows import StoreData

CHUNK = 256
"""Records encoded at once."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Features:
    """Vectors of records by window.

    Attributes:
        vectors: by window, shape (records, width), zero where absent.
        present: by window, which records have it, shape (records,).
    """

    vectors: dict[str, Float[np.ndarray, "records _"]]
    present: dict[str, Bool[np.ndarray, " records"]]

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))

    @property
    def widths(self) -> dict[str, int]:
        """Width of each window's vectors."""
        return {w: v.shape[1] for w, v in self.vectors.items()}

    @property
    def any_present(self) -> Bool[np.ndarray, " records"]:
        """Which records have a window at all."""
        return np.logical_or.reduce(list(self.present.values()))

    def take(self, rows: Int[np.ndarray, " n"]) -> "Features":
        """The rows asked for, in that order."""
        return Features(
            {w: v[rows] for w, v in self.vectors.items()}, {w: p[rows] for w, p in self.present.items()}
        )

    def tensors(self) -> tuple[Vectors, Presence]:
        """Both as tensors in single precision."""
        vectors = {w: torch.from_numpy(v.astype(np.float32, copy=False)) for w, v in self.vectors.items()}
        return vectors, {w: torch.from_numpy(p) for w, p in self.present.items()}


def model_features(
    model: JointModel, batches: dict[str, object], feature: Feature = "encoder"
) -> tuple[Vectors, Presence]:
    """Features of one batch by window, with their gradient.

    Args:
        model: the trained network.
        batches: by window.
        feature: ``encoder`` for the encoders' output, ``joint`` for unit vectors; those for different
            partners stand side by side. The composition is itself.
    """
    vectors, present = {}, {}
    for window, batch in batches.items():
        present[window] = batch.present  # ty: ignore[missing-attribute]
        if isinstance(batch, CompositionBatch):
            vectors[window] = batch.features
        elif feature == "joint":
            vectors[window] = torch.cat(list(model.embed(window, batch).values()), dim=1)
        else:
            vectors[window] = model.encoders[window](batch).float()
    return vectors, present


def check_windows(prismat: Prismat, windows: Sequence[str]) -> None:
    """Refuses windows that a model does not have.

    Raises:
        BadInputError: none named, one twice, or one that the model lacks.
    """
    known = (*prismat.recipe.windows, COMPOSITION)
    wrong = [w for w in windows if w not in known] or [w for w in windows if list(windows).count(w) > 1]
    if wrong or not windows:
        raise BadInputError(
            f"this model has no {wrong[0]!r} window, or it is named twice" if wrong else "no window is named",
            field="windows",
            remedy=f"Name some of: {', '.join(known)}.",
        )


def read_features(
    opened: Opened,
    rows: Int[np.ndarray, " n"],
    windows: Sequence[str],
    feature: Feature = "encoder",
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Features:
    """Features of rows of a store under a trained model, in the order of ``rows``.

    Args:
        opened: model and store.
        rows: which records.
        windows: which of the model's windows, and ``composition`` for the formula as numbers.
        feature: of the encoders, or of the joint space.
        cache: a folder that keeps the features of each window for the next time; None keeps none.
        progress: told how many of how many records are encoded.

    Raises:
        BadInputError: a window that the model does not have, or no rows.
    """
    check_windows(opened.prismat, windows)
    if not len(rows):
        raise BadInputError("there are no records", field="rows", remedy="Give one at least.")
    vectors, present = {}, {}
    for window in windows:
        if window == COMPOSITION:
            formula = composition_features(opened.records.fractions[rows])
            vectors[window], present[window] = formula.vectors[window], formula.present[window]
            continue
        known = _Cached(cache, opened, window, feature)
        vectors[window], present[window] = known.take(np.asarray(rows, np.int64), progress)
    return Features(vectors, present)


def encode_rows(
    prismat: Prismat,
    data: StoreData,
    rows: Int[np.ndarray, " n"],
    windows: Sequence[str],
    feature: Feature = "encoder",
    progress: Progress | None = None,
) -> Features:
    """As ``read_features``, of any store's windows and without a cache."""
    device, found = next(prismat.model.parameters()).device, []
    prismat.model.eval()
    for start in range(0, max(len(rows), 1), CHUNK):
        batches = head_batches(data, rows[start : start + CHUNK], None, windows)
        with torch.inference_mode():
            made = model_features(prismat.model, {w: moved(b, device) for w, b in batches.items()}, feature)
        found.append(as_features(*made))
        if progress:
            progress(min(start + CHUNK, len(rows)), len(rows))
    return joined(found)


def as_features(vectors: Vectors, present: Presence) -> Features:
    """Tensors of one batch as arrays, zero where a window is absent."""
    there = {w: p.cpu().numpy() for w, p in present.items()}
    arrays = {w: v.cpu().numpy() for w, v in vectors.items()}
    return Features({w: np.where(there[w][:, None], v, np.float32(0)) for w, v in arrays.items()}, there)


def joined(parts: Sequence[Features]) -> Features:
    """Features of consecutive records as one."""
    names = list(parts[0].vectors)
    return Features(
        {w: np.concatenate([p.vectors[w] for p in parts]) for w in names},
        {w: np.concatenate([p.present[w] for p in parts]) for w in names},
    )


def composition_features(fractions: Float[np.ndarray, "records elements"]) -> Features:
    """The formula alone, as :func:`prismat.heads.composition.composition_vectors` tells it."""
    present = (fractions > 0).sum(axis=1) > 0
    return Features({COMPOSITION: composition_vectors(fractions)}, {COMPOSITION: present})


class _Cached:
    """Features of one window of a store that grow in a file as they are asked for."""

    def __init__(self, folder: Path | None, opened: Opened, window: str, feature: Feature) -> None:
        self.opened, self.window, self.feature = opened, window, feature
        text = opened.data.text.names if window == "text" and opened.data.text else ()
        key = digest(opened.prismat.hash, opened.prepared.store.hash, window, feature, list(text))
        self.path = None if folder is None else Path(folder) / f"{window}-{key[:16]}.npz"

    def take(
        self, rows: Int[np.ndarray, " n"], progress: Progress | None
    ) -> tuple[Float[np.ndarray, "n width"], Bool[np.ndarray, " n"]]:
        known, vectors, present = self._read()
        missing = np.setdiff1d(rows, known)
        if len(missing) or not len(known):
            made = encode_rows(
                self.opened.prismat, self.opened.data, missing, [self.window], self.feature, progress
            )
            new, there = made.vectors[self.window], made.present[self.window]
            vectors = np.concatenate([vectors, new]) if len(known) else new
            present = np.concatenate([present, there])
            known = np.concatenate([known, missing])
            self._write(known, vectors, present)
        order = np.argsort(known)
        place = order[np.searchsorted(known[order], rows)]
        return vectors[place], present[place]

    def _read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.path is None or not self.path.is_file():
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float32), np.zeros(0, bool)
        try:
            with np.load(self.path, allow_pickle=False) as held:
                return held["rows"], held["vectors"], held["present"]
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BadInputError(
                f"{self.path} is damaged", field="features", remedy="Delete it; it is made anew."
            ) from error

    def _write(self, rows: np.ndarray, vectors: np.ndarray, present: np.ndarray) -> None:
        if self.path is not None:
            with replacing(self.path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, rows=rows, vectors=vectors, present=present)
