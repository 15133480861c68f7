"""The formula as numbers, which a head may read beside a model's windows or alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.crystal import Crystal
from prismat.elements import MAX_Z
from prismat.elements import features as element_features
from prismat.training.records import fraction_matrix
from prismat.training.windows import StoreData

COMPOSITION = "composition"
"""Name under which features of the formula alone stand, among a head's windows too."""


@dataclass(frozen=True, eq=False)
class CompositionBatch:
    """Features of the formulas of some records.

    Attributes:
        features: shape (batch, width), zero without a structure.
        present: which records have a structure, shape (batch,).
    """

    features: Float[torch.Tensor, "batch width"]
    present: Bool[torch.Tensor, " batch"]


def composition_vectors(
    fractions: Float[np.ndarray, "records elements"],
) -> Float[np.ndarray, "records width"]:
    """Atomic fractions, their roots, which elements there are, and mean and variance of element descriptors.

    These are the inputs of :class:`prismat.encoders.composition.CompositionEncoder`, for a head to read.

    Args:
        fractions: atomic fractions by atomic number; all zero for a record without a structure.
    """
    table = element_features()
    mean = fractions @ table
    spread = (fractions @ table**2 - mean**2).clip(min=0)
    parts = [4 * fractions, 2 * np.sqrt(fractions), fractions > 0, mean, spread]
    return np.concatenate(parts, axis=1).astype(np.float32)


def composition_batch(fractions: Float[np.ndarray, "records elements"]) -> CompositionBatch:
    """As a batch, beside those of a model's windows."""
    vectors = torch.from_numpy(composition_vectors(fractions))
    return CompositionBatch(vectors, torch.from_numpy((fractions > 0).sum(axis=1) > 0))


def crystal_fractions(crystals: Sequence[Crystal | None]) -> Float[np.ndarray, "records elements"]:
    """Atomic fractions of crystals, zero for None."""
    found = np.zeros((len(crystals), MAX_Z + 1))
    for row, crystal in enumerate(crystals):
        for z, amount in (crystal.composition if crystal else {}).items():
            found[row, z] = amount
    return found / found.sum(axis=1, keepdims=True).clip(min=np.finfo(float).tiny)


def head_batches(
    data: StoreData,
    rows: Int[np.ndarray, " n"],
    rng: np.random.Generator | None,
    windows: Sequence[str],
) -> dict[str, object]:
    """Batches of a head's windows, the composition among them where it is read."""
    own = [w for w in windows if w != COMPOSITION]
    made: dict[str, object] = dict(data.batches(rows, rng, own)) if own else {}
    if COMPOSITION in windows:
        there = data.store.table.select(["elements", "fractions"]).take(rows).to_pydict()
        made[COMPOSITION] = composition_batch(fraction_matrix(there["elements"], there["fractions"]))
    return {w: made[w] for w in windows}
