"""The shape of a space: gap between windows, uniformity, alignment, effective rank, mean cosine."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.distance import pdist

from prismat.errors import BadInputError
from prismat.tasks.quality.probe import choose_probe
from prismat.training.watch import effective_rank, mean_cosine

_MOST = 4_000
"""Records of which all pairs are taken; more are drawn down to this many."""


def alignment(a: Float[np.ndarray, "n dim"], b: Float[np.ndarray, "n dim"]) -> float:
    """E ‖f(x) − f(y)‖² over the two windows of one record (Wang & Isola, ICML 2020, eq. 5 with α = 2).

    Raises:
        BadInputError: nothing to compare, or shapes that differ.
    """
    if not len(a) or a.shape != b.shape:
        raise BadInputError(
            f"vectors of shapes {a.shape} and {b.shape}",
            field="alignment",
            remedy="Give both of each record.",
        )
    return float(((a.astype(np.float64) - b) ** 2).sum(axis=1).mean())


def uniformity(vectors: Float[np.ndarray, "n dim"], t: float = 2.0, seed: int = 0) -> float:
    """Log E exp(−t ‖f(x) − f(y)‖²) over pairs of different records (Wang & Isola, ICML 2020, eq. 6).

    0 where all are one point; the uniform sphere of high dimension gives −2t.

    Args:
        vectors: unit vectors.
        t: of the Gaussian kernel.
        seed: of the draw where there are many records.
    """
    if len(vectors) < 2:
        raise BadInputError("one record has no pairs", field="uniformity", remedy="Give two at least.")
    if len(vectors) > _MOST:
        vectors = vectors[np.random.default_rng(seed).choice(len(vectors), _MOST, replace=False)]
    return float(np.log(np.exp(-t * pdist(vectors.astype(np.float64), "sqeuclidean")).mean()))


def modality_gap(
    a: Float[np.ndarray, "n dim"], b: Float[np.ndarray, "m dim"], seed: int = 0
) -> dict[str, float]:
    """How far two windows of one space stand apart (Liang et al., NeurIPS 2022).

    Args:
        a: unit vectors of one window.
        b: of the other.
        seed: of the halves.

    Returns:
        ``distance`` of the centroids, and ``separable``: accuracy with which a linear probe that learned on
        half of the vectors tells the windows of the others apart; 0.5 where they are mixed.
    """
    rng = np.random.default_rng(seed)
    n = min(len(a), len(b))
    rows = [rng.permutation(len(x))[:n] for x in (a, b)]
    vectors = np.concatenate([a[rows[0]], b[rows[1]]])
    labels, half = np.repeat([0, 1], n), np.tile(np.arange(n) % 2 == 0, 2)
    probe = choose_probe(vectors[half], labels[half], vectors[half], labels[half], (1.0,))
    return {
        "distance": float(np.linalg.norm(a.mean(0) - b.mean(0))),
        "separable": float((probe.predict(vectors[~half]) == labels[~half]).mean()),
    }


def spread(vectors: Float[np.ndarray, "n dim"]) -> dict[str, float]:
    """Effective rank (Roy & Vetterli, EUSIPCO 2007) and mean cosine of one window."""
    tensor = torch.from_numpy(np.ascontiguousarray(vectors))
    return {"effective_rank": effective_rank(tensor), "mean_cosine": mean_cosine(tensor)}
