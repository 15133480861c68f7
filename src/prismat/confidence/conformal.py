"""Sets of gallery entries that hold the right one with a chosen probability: split conformal prediction.

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); adaptive sets (APS): Romano, Sesia &
Candès, NeurIPS (2020), and regularised (RAPS): Angelopoulos et al., ICLR (2021). Queries of one composition
or publication are not exchangeable with one another, whole groups are: the quantile is that of hierarchical
conformal prediction (Lee, Barber & Willett, arXiv:2306.06342; Dunn, Wasserman & Ramdas, JASA 118, 2491
(2023)).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.confidence.likelihood import chunks, log_total
from prismat.errors import BadInputError

Kind = Literal["rank", "gap", "softmax", "aps", "raps"]
KINDS: tuple[Kind, ...] = ("rank", "gap", "softmax", "aps", "raps")


@dataclass(frozen=True)
class Nonconformity:
    """How strange an entry would be as the answer; small is plausible, and it never falls along the ranking.

    Attributes:
        kind: ``rank`` of the entry (top-k sets); ``gap`` to the best score; ``softmax`` −log p; ``aps`` the
            mass of all entries that score at least as high; ``raps`` that and ``penalty`` for every rank
            beyond ``free``.
        temperature: of the softmax.
        penalty: of RAPS per rank.
        free: ranks that cost nothing under RAPS.
    """

    kind: Kind = "rank"
    temperature: float = 0.05
    penalty: float = 0.001
    free: int = 5

    def of_score(
        self, scores: Float[np.ndarray, "queries gallery"], at: Float[np.ndarray, " queries"]
    ) -> Float[np.ndarray, " queries"]:
        """Nonconformity of an entry with score ``at``; ties stand before it.

        Args:
            scores: of the gallery.
            at: score of the entry asked for, by query.
        """
        total, found = log_total(scores, self.temperature), []
        for rows in chunks(*scores.shape):
            here, level = scores[rows], at[rows].astype(scores.dtype)[:, None]
            ahead = here >= level
            log_mass = here / scores.dtype.type(self.temperature) - total[rows, None].astype(scores.dtype)
            mass = np.exp(log_mass, where=ahead, out=np.zeros_like(here)).sum(axis=1, dtype=np.float64)
            own = level[:, 0].astype(np.float64)
            rank, gap = ahead.sum(axis=1).astype(np.float64), here.max(axis=1).astype(np.float64) - own
            found.append(self._combined(rank, gap, own / self.temperature - total[rows], mass))
        return np.concatenate(found)

    def of_all(self, scores: Float[np.ndarray, "queries gallery"]) -> Float[np.ndarray, "queries gallery"]:
        """Nonconformity of every entry."""
        values = np.empty(scores.shape)
        for rows in chunks(*scores.shape):
            order = np.argsort(-scores[rows], axis=1, kind="stable")
            along = self.along(np.take_along_axis(scores[rows], order, axis=1))
            part = np.empty_like(along)
            np.put_along_axis(part, order, along, axis=1)
            values[rows] = part
        return values

    def along(self, ordered: Float[np.ndarray, "queries gallery"]) -> Float[np.ndarray, "queries gallery"]:
        """Nonconformity of every entry of galleries sorted by falling score; ties as in ``of_score``."""
        here = ordered.astype(np.float64)
        places = np.arange(here.shape[1])
        # The last place of every run of equal scores.
        ends = np.where(
            np.append(np.diff(here, axis=1) != 0, np.ones((len(here), 1), bool), axis=1), places, -1
        )
        last = np.minimum.accumulate(np.where(ends < 0, here.shape[1], ends)[:, ::-1], axis=1)[:, ::-1]
        log_p = here / self.temperature - log_total(here, self.temperature)[:, None]
        mass = np.take_along_axis(np.cumsum(np.exp(log_p), axis=1), last, axis=1)
        return self._combined(last + 1.0, here[:, :1] - here, log_p, mass)

    def _combined(self, rank: np.ndarray, gap: np.ndarray, log_p: np.ndarray, mass: np.ndarray) -> np.ndarray:
        values = {"rank": rank, "gap": gap, "softmax": -log_p, "aps": mass}
        if self.kind == "raps":
            return mass + self.penalty * np.maximum(rank - self.free, 0)
        return values[self.kind]


def best_right(
    scores: Float[np.ndarray, "queries gallery"], relevant: Bool[np.ndarray, "queries gallery"]
) -> Int[np.ndarray, " queries"]:
    """Column of the best right entry of each query."""
    return np.concatenate(
        [np.where(relevant[r], scores[r], -np.inf).argmax(axis=1) for r in chunks(*scores.shape)]
    )


def hierarchical_quantile(
    values: Float[np.ndarray, " queries"], clusters: Int[np.ndarray, " queries"], alpha: float
) -> float:
    """(1 − α) quantile of Σ_k Σ_i δ(v_ki) / ((K + 1) n_k) + δ(∞) / (K + 1).

    K clusters, n_k queries in cluster k. With one query per cluster it is the ⌈(1 − α)(K + 1)⌉-th smallest
    value of split conformal prediction. A new query of a new cluster has a value no greater with probability
    at least 1 − α.

    Args:
        values: nonconformity of calibration queries.
        clusters: of each.
        alpha: share that may be missed.

    Returns:
        The quantile; infinite where there are too few clusters for this α.

    Raises:
        BadInputError: α outside (0, 1), or nothing to calibrate with.
    """
    if not 0 < alpha < 1:
        raise BadInputError(f"alpha is {alpha}", field="alpha", remedy="Give a share between 0 and 1.")
    if not len(values) or len(values) != len(clusters):
        raise BadInputError(
            f"{len(values)} values in {len(clusters)} clusters", field="conformal", remedy="Give one each."
        )
    _, member, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    weight = 1.0 / ((len(sizes) + 1) * sizes[member.ravel()])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    # Rounding of the sum must not cost a rank.
    place = int(np.searchsorted(reached, (1 - alpha) * (1 - 1e-12), side="left"))
    return float(values[order[place]]) if place < len(values) else float("inf")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Nonconformity of calibration queries, from which the threshold of any α follows.

    Attributes:
        values: by query.
        clusters: of each query, within which queries are not exchangeable.
        groups: of each query, for thresholds of their own (Mondrian); −1 for none.
    """

    values: Float[np.ndarray, " queries"]
    clusters: Int[np.ndarray, " queries"]
    groups: Int[np.ndarray, " queries"]

    def threshold(self, alpha: float, group: int | None = None, least: int = 20) -> tuple[float, bool]:
        """The largest nonconformity that stays in the set, and whether it is the group's own.

        Args:
            alpha: share that may be missed.
            group: which group; None for all queries together.
            least: clusters that a group needs; a smaller one, or one too small for this α, takes the pooled
                threshold.
        """
        if group is not None:
            inside = self.groups == group
            clusters = len(np.unique(self.clusters[inside]))
            if clusters >= max(least, int(np.ceil(1 / alpha)) - 1):
                return hierarchical_quantile(self.values[inside], self.clusters[inside], alpha), True
        return hierarchical_quantile(self.values, self.clusters, alpha), group is None


def set_sizes(
    values: Float[np.ndarray, "queries gallery"],
    thresholds: Float[np.ndarray, "queries gallery"] | Float[np.ndarray, "queries 1"],
) -> Int[np.ndarray, " queries"]:
    """Number of entries in each query's set; the best entry is always in it.

    Args:
        values: nonconformity of every entry.
        thresholds: for each query, or for each entry of each query's gallery.
    """
    return np.maximum((values <= thresholds).sum(axis=1), 1)
