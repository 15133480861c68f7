"""What a trained job is worth on held-out records, query by query, so that jobs can be compared in pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.files import read_limited, replacing
from prismat.tasks.evaluation import Evaluator
from prismat.tasks.prediction import TrainedPredictor, label
from prismat.training.session import Prepared, Trained
from prismat.training.supervised import predict_rows

CUTOFF = 10
"""Retrieval is judged by recall@10, as checkpoints are."""
ERROR = "absolute error"
"""The measure of a predictor; smaller is better."""
_LARGEST = 1 << 28


@dataclass(frozen=True, eq=False)
class Values:
    """One measure of every query.

    Attributes:
        rows: record of each query, ascending, shape (queries,).
        values: 1 where the right answer is among the first ten, else 0; or the absolute error.
        chance: what a random order is expected to reach; NaN for an error.
    """

    rows: Int[np.ndarray, " queries"]
    values: Float[np.ndarray, " queries"]
    chance: float

    @property
    def mean(self) -> float:
        """Over the queries."""
        return float(self.values.mean())


Measured = Mapping[str, Values]
"""Values by direction of retrieval, or by ``absolute error``."""


def measure(trained: Trained | TrainedPredictor, prepared: Prepared, part: str) -> dict[str, Values]:
    """Hits of every direction of retrieval, or errors of a predictor, on one part of the records.

    Args:
        trained: a model of either kind.
        prepared: store, records and split.
        part: ``val`` or ``test``.
    """
    if isinstance(trained, TrainedPredictor):
        return {ERROR: _errors(trained, prepared, part)}
    recipe = trained.prismat.recipe
    properties = recipe.measured.properties if "properties" in recipe.windows else None
    evaluator = Evaluator(prepared.records, prepared.rows[part], properties=properties)
    embedded, found = evaluator.embed(trained.prismat, trained.data), {}
    for query, gallery in evaluator.directions(trained.prismat):
        cosines, relevant, _ = evaluator.scores(trained.prismat, embedded, query, gallery)
        if len(cosines):
            rows = embedded.rows[evaluator.queries(trained.prismat, embedded, query, gallery)]
            found[f"{query}->{gallery}"] = Values(rows, _hits(cosines, relevant), chance(relevant))
    return found


def _hits(
    cosines: Float[np.ndarray, "queries items"], relevant: Bool[np.ndarray, "queries items"]
) -> Float[np.ndarray, " queries"]:
    """1 where the rank of the best right answer is ≤ 10; ties count against the model."""
    best = np.where(relevant, cosines, -2).max(axis=1, keepdims=True)
    rank = 1 + ((cosines >= best) & ~relevant).sum(axis=1)
    return (rank <= CUTOFF).astype(np.float64)


def chance(relevant: Bool[np.ndarray, "queries items"], k: int = CUTOFF) -> float:
    """Expected recall@k of a random order: 1 − Π_{i<k} (n − r − i)/(n − i), the mean over queries.

    n is the size of the gallery and r the number of right answers of a query (hypergeometric).
    """
    n, right = relevant.shape[1], relevant.sum(axis=1)
    drawn = np.arange(min(k, n))
    missed = np.clip((n - right[:, None] - drawn) / (n - drawn), 0, 1).prod(axis=1)
    return float(1 - missed.mean())


def _errors(trained: TrainedPredictor, prepared: Prepared, part: str) -> Values:
    labelled = label(prepared, trained.predictor.target.spec)
    rows = labelled.rows[part]
    found = labelled.target.restored(predict_rows(trained.predictor.model, trained.data, rows))
    return Values(rows, np.abs(found - labelled.values[rows]), float("nan"))


def save_measured(path: Path, measured: Measured) -> None:
    """Writes all values as one .npz file, whole or not at all."""
    arrays: dict[str, np.ndarray] = {}
    for name, of in measured.items():
        arrays |= {
            f"{name}.rows": of.rows,
            f"{name}.values": of.values,
            f"{name}.chance": np.array(of.chance),
        }
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_measured(path: Path) -> dict[str, Values]:
    """Reads what ``save_measured`` wrote; no pickle is read.

    Raises:
        BadInputError: no such file.
    """
    read_limited(path, _LARGEST)
    with np.load(path, allow_pickle=False) as arrays:
        names = [n.removesuffix(".rows") for n in arrays.files if n.endswith(".rows")]
        return {
            n: Values(arrays[f"{n}.rows"], arrays[f"{n}.values"], float(arrays[f"{n}.chance"])) for n in names
        }
