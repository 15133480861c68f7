"""Properties of candidates predicted from frozen features, with an uncertainty, by a Gaussian process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from prismat.errors import BadInputError
from prismat.heads.composition import COMPOSITION
from prismat.heads.features import composition_features, read_features
from prismat.heads.files import load_head
from prismat.heads.model import NumberPrediction
from prismat.modalities.properties import PropertySpec
from prismat.model_files import read_object
from prismat.predictor import load_predictor
from prismat.tasks.active.gaussian_process import fit, squared_distances
from prismat.tasks.design.candidates import Candidates, property_values
from prismat.tasks.opened import Opened

LEARNT = 2_000
"""Training records at most; their covariance costs n³."""
TUNED = 500
"""Training records on which hyper-parameters are chosen."""
_CHUNK = 4_096


@dataclass(frozen=True, eq=False)
class Estimate:
    """Predicted values.

    Attributes:
        mean: in the unit of the property.
        deviation: standard deviation of the value around it, with what no feature explains.
        learnt: training records; 0 where something else predicts.
    """

    mean: Float[np.ndarray, " n"]
    deviation: Float[np.ndarray, " n"]
    learnt: int


def structure_features(opened: Opened, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n dim"]:
    """Joint vectors of structures, those for different partners side by side."""
    return read_features(opened, rows, ["structure"], "joint").vectors["structure"].astype(np.float64)


def formula_features(opened: Opened, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n dim"]:
    """Features of the composition alone."""
    return composition_features(opened.records.fractions[rows]).vectors[COMPOSITION].astype(np.float64)


def labelled_rows(
    reference: Opened, spec: PropertySpec, seed: int = 0
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Training records with a structure and a value, at most ``LEARNT`` of them in random order.

    Raises:
        BadInputError: fewer than ten.
    """
    values = property_values(reference, spec)
    train = reference.rows["train"]
    usable = train[np.isfinite(values[train]) & reference.records.fractions[train].any(axis=1)]
    if len(usable) < 10:
        raise BadInputError(
            f"{len(usable)} training records have {spec.name!r}, too few to learn from",
            field="reference",
            remedy="Name a store that has it with --reference, or use mode known or joint.",
        )
    rows = np.random.default_rng(seed).permutation(usable)[:LEARNT]
    return rows, values[rows]


def estimate_with(folder: Path, pool: Candidates) -> tuple[str, str, Estimate]:
    """Values of candidates from a trained head or predictor.

    A head's conformal interval of 90 % is taken for ±1.645 standard deviations; a predictor tells no error.

    Args:
        folder: of the head or predictor, or a run with one.
        pool: the candidates.

    Returns:
        Name of the property, its unit, the values.

    Raises:
        BadInputError: neither a head nor a predictor of a number there.
    """
    stored = [c for o, r in zip(pool.opened, pool.rows, strict=True) for c in o.prepared.store.crystals(r)]
    crystals = [c for c in stored if c is not None]
    inside = folder / "model" if (folder / "model" / "config.json").is_file() else folder
    path = inside / "config.json"
    if path.is_file() and read_object(path).get("kind") == "predictor":
        predicted = load_predictor(inside).predict(crystals)
        values = predicted.values.astype(np.float64)
        return predicted.name, predicted.unit, Estimate(values, np.zeros(len(values)), 0)
    found = load_head(folder).predict(structures=crystals)
    if not isinstance(found, NumberPrediction):
        raise BadInputError(
            f"{folder} predicts classes", field="predictor", remedy="Give a head that predicts a number."
        )
    half = (found.high - found.low) / 2 / norm.ppf(0.5 + found.level / 2)
    return found.name, found.unit, Estimate(found.values.astype(np.float64), half.astype(np.float64), 0)


def estimate(
    known: Float[np.ndarray, "n dim"],
    values: Float[np.ndarray, " n"],
    wanted: Float[np.ndarray, "m dim"],
) -> Estimate:
    """Values of ``wanted`` from those of ``known``, whose order must be random.

    Hyper-parameters are chosen on the first ``TUNED`` records, the prediction is made from all.

    Args:
        known: features of records with a value.
        values: theirs.
        wanted: features of the others.
    """
    spread = known.std(axis=0)
    varying = spread > 1e-8 * (1 + np.abs(known).max(axis=0))
    centre, width = known[:, varying].mean(axis=0), spread[varying]
    x = (known[:, varying] - centre) / width
    first = x[:TUNED]
    hyper = fit(squared_distances(first, first), values[:TUNED]).hyper
    process = fit(squared_distances(x, x), values, hyper, iterations=0)
    means, deviations = [], []
    for start in range(0, len(wanted), _CHUNK):
        y = (wanted[start : start + _CHUNK, varying] - centre) / width
        mean, deviation = process.predict(squared_distances(x, y))
        means.append(mean)
        deviations.append(np.hypot(deviation, process.noise))
    return Estimate(np.concatenate(means), np.concatenate(deviations), len(x))
