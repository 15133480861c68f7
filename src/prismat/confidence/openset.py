"""'None of these': is the right entry in the gallery at all?

Open-set recognition (Scheirer et al., IEEE TPAMI 35, 1757 (2013)); energy: Liu et al., NeurIPS (2020).
Validation queries are scored twice: with their right entries in the gallery, and with these taken out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.confidence.fits import Fit, fit_logistic
from prismat.confidence.likelihood import chunks, log_total
from prismat.confidence.match import FOLDS, binary_log_loss, folds

SIGNALS: dict[str, tuple[int, ...]] = {
    "top score": (0,),
    "gap": (1,),
    "energy": (2,),
    "top probability": (3,),
    "all": (0, 1, 2, 3),
}
"""Which columns of ``signals`` each rule reads."""
KEPT = 0.95
"""Share of queries with an answer that the flag leaves alone."""


def signals(
    scores: Float[np.ndarray, "queries gallery"],
    temperature: float,
    hidden: Bool[np.ndarray, "queries gallery"] | None = None,
) -> Float[np.ndarray, "queries 4"]:
    """Best score, its gap to the next, T log Σ exp(s/T), and log-probability of the best entry.

    Args:
        scores: of a gallery of two entries at least.
        temperature: of the softmax.
        hidden: entries taken out of each query's gallery.
    """
    found = []
    for rows in chunks(*scores.shape):
        here = scores[rows] if hidden is None else np.where(hidden[rows], -np.inf, scores[rows])
        top = -np.partition(-here, 1, axis=1)[:, :2].astype(np.float64)
        energy = temperature * log_total(here, temperature)
        found.append(
            np.stack([top[:, 0], top[:, 0] - top[:, 1], energy, (top[:, 0] - energy) / temperature], axis=1)
        )
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class OpenSet:
    """The flag of one direction.

    Attributes:
        rule: which signals it reads, see ``SIGNALS``.
        fit: from these to the probability that the answer is absent, were that as likely as not.
        limit: probability above which the flag is raised.
    """

    rule: str
    fit: Fit
    limit: float

    def __call__(self, found: Float[np.ndarray, "queries 4"]) -> Float[np.ndarray, " queries"]:
        """Probability that the answer is absent."""
        return self.fit(found[:, list(SIGNALS[self.rule])])


def choose_open_set(
    present: Float[np.ndarray, "queries 4"],
    absent: Float[np.ndarray, "queries 4"],
    clusters: Int[np.ndarray, " queries"],
    kept: float = KEPT,
) -> tuple[OpenSet, dict[str, float]]:
    """The rule of the least log loss on validation, cross-fitted over clusters, and the loss of each.

    Args:
        present: signals of queries with their answer in the gallery.
        absent: of the same queries with it taken out.
        clusters: of each query.
        kept: share of queries with an answer that is not flagged.
    """
    fold, rows = folds(clusters), np.concatenate([present, absent])
    outcome = np.repeat([False, True], len(present))
    twice = np.tile(fold, 2)
    losses = {}
    for rule, columns in SIGNALS.items():
        losses[rule] = float(
            np.mean(
                [
                    binary_log_loss(
                        fit_logistic(rows[twice != n][:, columns], outcome[twice != n])(
                            rows[twice == n][:, columns]
                        ),
                        outcome[twice == n],
                    ).mean()
                    for n in range(FOLDS)
                    if (twice == n).any() and (twice != n).any()
                ]
            )
        )
    best = min(losses, key=losses.__getitem__)
    fit = fit_logistic(rows[:, SIGNALS[best]], outcome)
    limit = float(np.quantile(fit(present[:, list(SIGNALS[best])]), kept, method="higher"))
    return OpenSet(best, fit, limit), losses
