"""Areas under curves for many weightings of the same items at once: bootstrap and balanced draws."""

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import resample_counts

RESAMPLES = 2000
DRAWS = 1000
METRICS = ("roc_auc", "average_precision", "balanced_average_precision")
_WEIGHTS_AT_ONCE = 2_000_000

Scores = Float[np.ndarray, " items"]
Labels = Bool[np.ndarray, " items"]
Weights = Float[np.ndarray, "draws items"]


def roc_curve(
    scores: Scores, labels: Labels
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """False and true positive rate over the distinct scores from above, from (0, 0) to (1, 1)."""
    order, ends = _falling(scores)
    right = np.cumsum(labels[order])[ends] / labels.sum()
    wrong = np.cumsum(~labels[order])[ends] / (~labels).sum()
    return np.concatenate([[0.0], wrong]), np.concatenate([[0.0], right])


def weighted_roc_auc(scores: Scores, labels: Labels, weights: Weights) -> Float[np.ndarray, " draws"]:
    """ROC-AUC under each weighting of the items; a tie counts one half.

    AUC = Σ_p w_p (W⁻(< s_p) + W⁻(= s_p) / 2) / (W⁺ W⁻); NaN where a weighting leaves a class empty.
    """
    order, ends = _falling(scores)
    right, wrong = _split(labels[order], weights[:, order])
    above = np.cumsum(wrong, axis=1)[:, ends]
    total = above[:, -1:]
    before = np.concatenate([np.zeros_like(total), above[:, :-1]], axis=1)
    gained = np.diff(np.cumsum(right, axis=1)[:, ends], axis=1, prepend=0)
    won = (gained * (total - (before + above) / 2)).sum(axis=1)
    return _ratio(won, gained.sum(axis=1) * total[:, 0])


def weighted_average_precision(
    scores: Scores, labels: Labels, weights: Weights, balanced: bool = False
) -> Float[np.ndarray, " draws"]:
    """Σ (R_n − R_{n−1}) P_n under each weighting of the items; NaN where a weighting leaves a class empty.

    Args:
        scores: of each item.
        labels: which items are right.
        weights: of each item, one row per weighting.
        balanced: all wrong items together weigh as much as all right ones.
    """
    order, ends = _falling(scores)
    right, wrong = (np.cumsum(w, axis=1)[:, ends] for w in _split(labels[order], weights[:, order]))
    positives, negatives = right[:, -1], wrong[:, -1]
    if balanced:
        wrong = wrong * _ratio(positives, negatives)[:, None]
    # Where nothing was drawn yet, nothing is gained either.
    precision = right / np.where(right + wrong > 0, right + wrong, 1.0)
    found = (np.diff(right, axis=1, prepend=0) * precision).sum(axis=1)
    return np.where(negatives > 0, _ratio(found, positives), np.nan)


def all_metrics(scores: Scores, labels: Labels, weights: Weights) -> Float[np.ndarray, "draws 3"]:
    """The three of ``METRICS`` under each weighting."""
    return np.stack(
        [
            weighted_roc_auc(scores, labels, weights),
            weighted_average_precision(scores, labels, weights),
            weighted_average_precision(scores, labels, weights, balanced=True),
        ],
        axis=1,
    )


def bootstrap_metrics(
    scores: Float[np.ndarray, "systems words items"],
    labels: Bool[np.ndarray, "words items"],
    groups: Int[np.ndarray, " items"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, "resamples systems words 3"]:
    """``METRICS`` of every system and word in every resample of whole groups; the same resamples for all."""
    names, cluster = np.unique(groups, return_inverse=True)
    found = []
    step = max(1, _WEIGHTS_AT_ONCE // len(cluster))
    for counts in resample_counts(len(names), resamples, seed):
        for start in range(0, len(counts), step):
            weights = counts[start : start + step, cluster.ravel()].astype(np.float64)
            systems = [
                [all_metrics(s, y, weights) for s, y in zip(one, labels, strict=True)] for one in scores
            ]
            found.append(np.transpose(np.array(systems), (2, 0, 1, 3)))
    return np.concatenate(found)


def drawn_average_precision(
    scores: Scores, labels: Labels, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, " draws"]:
    """Average precision over all right items and as many wrong ones, drawn anew each time: CLaSP's subset.

    Raises:
        BadInputError: there are fewer wrong items than right ones.
    """
    right, wrong = int(labels.sum()), np.flatnonzero(~labels)
    if not 0 < right <= len(wrong):
        raise BadInputError(
            f"{right} right and {len(wrong)} wrong items", field="labels", remedy="Give more wrong items."
        )
    rng = np.random.default_rng(seed)
    weights = np.tile(labels.astype(np.float64), (draws, 1))
    chosen = np.argsort(rng.random((draws, len(wrong))), axis=1)[:, :right]
    weights[np.arange(draws)[:, None], wrong[chosen]] = 1.0
    return weighted_average_precision(scores, labels, weights)


def _falling(scores: Scores) -> tuple[Int[np.ndarray, " items"], Int[np.ndarray, " runs"]]:
    """Order from the highest score down, and where runs of equal scores end in it."""
    order = np.argsort(-scores, kind="stable")
    return order, np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))


def _split(labels: Labels, weights: Weights) -> tuple[Weights, Weights]:
    """Weights of the right and of the wrong items."""
    return weights * labels, weights * ~labels


def _ratio(top: Float[np.ndarray, " n"], bottom: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Quotient, NaN over zero."""
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
