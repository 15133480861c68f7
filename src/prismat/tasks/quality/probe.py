"""A linear probe: how much of a class can be read off a space by one linear map."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError

RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True, eq=False)
class Probe:
    """Ridge regression on ±1 class indicators, the largest output wins.

    Attributes:
        classes: labels by output.
        centre: mean of the training features.
        weights: shape (dim, classes).
        offset: of each output.
        ridge: strength of the shrinkage.
    """

    classes: Int[np.ndarray, " classes"]
    centre: Float[np.ndarray, " dim"]
    weights: Float[np.ndarray, "dim classes"]
    offset: Float[np.ndarray, " classes"]
    ridge: float

    def predict(self, features: Float[np.ndarray, "n dim"]) -> Int[np.ndarray, " n"]:
        """Class of each record."""
        outputs = (features - self.centre) @ self.weights + self.offset
        return self.classes[outputs.argmax(axis=1)]


def fit_probes(
    features: Float[np.ndarray, "n dim"], labels: Int[np.ndarray, " n"], ridges: Sequence[float] = RIDGES
) -> list[Probe]:
    """One probe per ridge, from one eigendecomposition: W = (XᵀX + λ)⁻¹ XᵀY, X and Y centred.

    Args:
        features: of the training records; not scaled.
        labels: their classes.
        ridges: values of λ.

    Raises:
        BadInputError: fewer than two classes.
    """
    classes, member = np.unique(labels, return_inverse=True)
    if len(classes) < 2 or len(features) != len(labels):
        raise BadInputError(
            f"{len(classes)} classes among {len(features)} records",
            field="probe",
            remedy="Give one label per record, two classes at least.",
        )
    target = np.where(member.ravel()[:, None] == np.arange(len(classes)), 1.0, -1.0)
    centre, offset = features.mean(0).astype(np.float64), target.mean(0)
    x = features.astype(np.float64) - centre
    values, axes = np.linalg.eigh(x.T @ x)
    projected = axes.T @ (x.T @ (target - offset))
    return [
        Probe(classes, centre, axes @ (projected / (np.maximum(values, 0) + ridge)[:, None]), offset, ridge)
        for ridge in ridges
    ]


def choose_probe(
    features: Float[np.ndarray, "n dim"],
    labels: Int[np.ndarray, " n"],
    val_features: Float[np.ndarray, "m dim"],
    val_labels: Int[np.ndarray, " m"],
    ridges: Sequence[float] = RIDGES,
) -> Probe:
    """The probe of the ridge that is right most often on validation; of equals the strongest ridge."""
    probes = fit_probes(features, labels, sorted(ridges, reverse=True))
    return max(probes, key=lambda p: float((p.predict(val_features) == val_labels).mean()))


def most_frequent(labels: Int[np.ndarray, " n"]) -> int:
    """The class that most records have; of equals the smallest."""
    classes, counts = np.unique(labels, return_counts=True)
    return int(classes[counts.argmax()])
