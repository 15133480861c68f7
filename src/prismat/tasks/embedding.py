"""Embeddings of many records of a store, chunk by chunk."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.training.windows import StoreData

Vectors = dict[str, Float[np.ndarray, "records dim"]]
Present = dict[str, Bool[np.ndarray, " records"]]

CHUNK = 512


def embed_rows(
    prismat: Prismat, data: StoreData, rows: Int[np.ndarray, " n"], windows: Sequence[str] | None = None
) -> tuple[Vectors, Present]:
    """Unit vectors of store rows under every key, and which of them have the window.

    Args:
        prismat: the model.
        data: windows of the store.
        rows: which records.
        windows: which modalities; all of the model's where left out.

    Returns:
        Vectors by key, shape (rows, dim), zero where absent; presence by key.
    """
    wanted = windows or prismat.recipe.windows
    vectors: dict[str, list[np.ndarray]] = {}
    present: dict[str, list[np.ndarray]] = {}
    was_training = prismat.model.training
    prismat.model.eval()
    for start in range(0, len(rows), CHUNK):
        batches = data.batches(rows[start : start + CHUNK], None)
        for window in wanted:
            here = batches[window].present.numpy()  # ty: ignore[missing-attribute]
            for key, found in prismat.embed_batch(window, batches[window]).items():
                vectors.setdefault(key, []).append(found * here[:, None])
                present.setdefault(key, []).append(here)
    prismat.model.train(was_training)
    return _joined(vectors), _joined(present)


def _joined(parts: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.concatenate(arrays) for key, arrays in parts.items()}
