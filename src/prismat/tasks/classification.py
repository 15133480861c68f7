"""How well classes are predicted: eight measures, each with a bootstrap interval, and two baselines.

Macro averages are over the classes that occur among the true or the predicted ones; a ratio without a
denominator is zero. The calibration error is that of Guo et al., ICML 2017 (arXiv:1706.04599), eq. 3, with 15
bins of equal width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import interval, resample_counts

METRICS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "calibration_error",
)
PER_CLASS = ("precision", "recall", "f1")
RESAMPLES = 2_000
BINS = 15
DRAWS = 200
_SUM = 1e-3
_LEAST = np.finfo(np.float64).tiny
_WEIGHTS_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class _Scored:
    """Records with what every resample needs of them.

    Attributes:
        truth: class of each record as columns of zeros and ones.
        predicted: the same of the predicted class.
        probabilities: of each class.
        wrongness: negative logarithm of the probability of the true class.
        gap: whether right, minus the probability of the predicted class.
        bins: bin of that probability as columns of zeros and ones.
    """

    truth: Float[np.ndarray, "n classes"]
    predicted: Float[np.ndarray, "n classes"]
    probabilities: Float[np.ndarray, "n classes"]
    wrongness: Float[np.ndarray, " n"]
    gap: Float[np.ndarray, " n"]
    bins: Float[np.ndarray, "n bins"]


def classification_metrics(
    truth: Int[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "others classes"],
    groups: Int[np.ndarray, " labels"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy, macro precision, recall and F1, ROC-AUC, average precision, log loss and calibration error.

    ROC-AUC and average precision are those of class 1 where there are two classes, and otherwise the mean
    over the classes, each against the rest. A measure that is not defined is NaN. Groups are drawn as wholes.

    Args:
        truth: class of each record, from 0.
        probabilities: of each class; the predicted class is the first of the most probable ones.
        groups: of each record; each by itself where left out.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Returns:
        By name of ``METRICS``: value, lower and upper end of the 95 % interval; ``per_class``: for each class
        the same for ``PER_CLASS`` and its ``support``; ``confusion``: counts by true and predicted class.

    Raises:
        BadInputError: the lengths differ, there is nothing, fewer than two classes, a class that is not among
            the columns, or rows that are no probabilities.
    """
    _check(truth, probabilities, groups)
    scored = _scored(truth, probabilities.astype(np.float64))
    whole, whole_classes = _weighted(scored, np.ones((1, len(truth))))
    parts = [_weighted(scored, weight) for weight in _weights(len(truth), groups, resamples, seed)]
    samples = np.concatenate([p[0] for p in parts])
    class_samples = np.concatenate([p[1] for p in parts])
    found: dict[str, Any] = {
        name: (float(whole[0, i]), *_interval(samples[:, i])) for i, name in enumerate(METRICS)
    }
    found["per_class"] = [
        {
            name: (float(whole_classes[0, c, i]), *_interval(class_samples[:, c, i]))
            for i, name in enumerate(PER_CLASS)
        }
        | {"support": int(scored.truth[:, c].sum())}
        for c in range(probabilities.shape[1])
    ]
    found["confusion"] = confusion_matrix(truth, probabilities.argmax(1), probabilities.shape[1])
    return found


def confusion_matrix(
    truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Number of records by true class (rows) and predicted class (columns)."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_frequencies(train: Int[np.ndarray, " n"], classes: int) -> Float[np.ndarray, " classes"]:
    """Share of each class among training records.

    Raises:
        BadInputError: there are no training records.
    """
    if not len(train):
        raise BadInputError(
            "there are no training records", field="baseline", remedy="Give the training classes."
        )
    return np.bincount(train, minlength=classes) / len(train)


def baseline_metrics(
    truth: Int[np.ndarray, " n"],
    train: Int[np.ndarray, " m"],
    classes: int,
    groups: Int[np.ndarray, " n"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """What is reached without looking at a record, in the form of :func:`classification_metrics`.

    ``most frequent`` gives every record the class frequencies of the training records as probabilities, so
    that its class is the most frequent one. ``stratified chance`` draws a class for each record by these
    frequencies: its figures are means over 200 draws, its intervals those of the draws; it has no log loss
    and no calibration error, for a draw is no probability.

    Args:
        truth: class of each record, from 0.
        train: class of each training record.
        classes: how many there are.
        groups: of each record; each by itself where left out.
        resamples: number of bootstrap resamples.
        seed: of the resampling and of the draws.

    Raises:
        BadInputError: as ``classification_metrics``, or there are no training records.
    """
    share = class_frequencies(train, classes)
    constant = np.tile(share, (len(truth), 1))
    frequent = classification_metrics(truth, constant, groups, resamples, seed)
    return {"most frequent": frequent, "stratified chance": _stratified(truth, share, seed)}


def _stratified(
    truth: Int[np.ndarray, " n"], share: Float[np.ndarray, " classes"], seed: int
) -> dict[str, Any]:
    rng, eye = np.random.default_rng(seed), np.eye(len(share))
    every = np.ones((1, len(truth)))
    draws = [eye[rng.choice(len(share), size=len(truth), p=share)] for _ in range(DRAWS)]
    parts = [_weighted(_scored(truth, drawn), every) for drawn in draws]
    values, by_class = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    undefined = {"log_loss", "calibration_error"}
    found: dict[str, Any] = {
        name: (np.nan,) * 3 if name in undefined else (float(values[:, i].mean()), *_interval(values[:, i]))
        for i, name in enumerate(METRICS)
    }
    found["per_class"] = [
        {
            name: (float(by_class[:, c, i].mean()), *_interval(by_class[:, c, i]))
            for i, name in enumerate(PER_CLASS)
        }
        | {"support": int((truth == c).sum())}
        for c in range(len(share))
    ]
    mean = np.mean([confusion_matrix(truth, d.argmax(1), len(share)) for d in draws], axis=0)
    found["confusion"] = mean
    return found


def _check(truth: np.ndarray, probabilities: np.ndarray, groups: np.ndarray | None) -> None:
    n, classes = probabilities.shape
    if not n or len(truth) != n or (groups is not None and len(groups) != n):
        raise BadInputError(
            f"{len(truth)} classes, {n} predictions"
            + (f" and {len(groups)} groups" if groups is not None else ""),
            field="classification",
            remedy="Give one of each per record, for one record at least.",
        )
    if classes < 2 or truth.min() < 0 or truth.max() >= classes:
        raise BadInputError(
            f"classes {truth.min()} to {truth.max()} with {classes} columns of probabilities",
            field="classification",
            remedy="Give a column for each class, two at least, and number the classes from 0.",
        )
    if (
        not (np.isfinite(probabilities).all() and (probabilities >= 0).all())
        or (np.abs(probabilities.sum(1) - 1) > _SUM).any()
    ):
        raise BadInputError(
            "rows that are no probabilities",
            field="classification",
            remedy="Give numbers from 0 to 1 that add up to 1.",
        )


def _scored(truth: Int[np.ndarray, " n"], probabilities: Float[np.ndarray, "n classes"]) -> _Scored:
    eye, predicted = np.eye(probabilities.shape[1]), probabilities.argmax(1)
    confidence = probabilities[np.arange(len(truth)), predicted]
    # Bins are open below and closed above, as in the source.
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return _Scored(
        truth=eye[truth],
        predicted=eye[predicted],
        probabilities=probabilities,
        wrongness=-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST)),
        gap=(predicted == truth) - confidence,
        bins=np.eye(BINS)[bins],
    )


def _weights(
    n: int, groups: np.ndarray | None, resamples: int, seed: int
) -> Iterator[Float[np.ndarray, "chunk n"]]:
    """How often each record was drawn in each resample, a bounded number of them at a time."""
    numbers, cluster = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    step = max(1, _WEIGHTS_AT_ONCE // n)
    for counts in resample_counts(len(numbers), resamples, seed):
        for start in range(0, len(counts), step):
            yield counts[start : start + step, cluster.ravel()].astype(np.float64)


def _interval(samples: Float[np.ndarray, " resamples"]) -> tuple[float, float]:
    samples = samples[np.isfinite(samples)]
    return interval(samples) if len(samples) else (np.nan, np.nan)


def _weighted(
    scored: _Scored, weight: Float[np.ndarray, "resamples n"]
) -> tuple[Float[np.ndarray, "resamples metrics"], Float[np.ndarray, "resamples classes three"]]:
    """All measures where record i counts ``weight[:, i]`` times: over all, and by class."""
    total = weight.sum(1)
    right = weight @ (scored.truth * scored.predicted)
    support, claimed = weight @ scored.truth, weight @ scored.predicted
    by_class = np.stack(
        [_ratio(right, claimed), _ratio(right, support), _ratio(2 * right, support + claimed)], axis=2
    )
    occurs = (support + claimed) > 0
    macro = (by_class * occurs[:, :, None]).sum(1) / occurs.sum(1)[:, None]
    auc, precision = _ranking(scored, weight)
    columns = [
        right.sum(1) / total,
        *macro.T,
        auc,
        precision,
        weight @ scored.wrongness / total,
        np.abs(weight @ (scored.gap[:, None] * scored.bins)).sum(1) / total,
    ]
    return np.stack(columns, axis=1), by_class


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient, 0 where the denominator is."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _ranking(
    scored: _Scored, weight: Float[np.ndarray, "resamples n"]
) -> tuple[Float[np.ndarray, " resamples"], Float[np.ndarray, " resamples"]]:
    """ROC-AUC and average precision of class 1 of two, or the means over the classes against the rest."""
    classes = scored.truth.shape[1]
    wanted = [1] if classes == 2 else range(classes)
    pairs = [_ranking_of(scored.probabilities[:, c], scored.truth[:, c] > 0, weight) for c in wanted]
    return _mean([auc for auc, _ in pairs]), _mean([precision for _, precision in pairs])


def _mean(columns: list[Float[np.ndarray, " resamples"]]) -> Float[np.ndarray, " resamples"]:
    """Mean over the classes for which it is defined; NaN where none is."""
    stacked = np.stack(columns)
    known = np.isfinite(stacked)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, stacked, 0).sum(0) / np.maximum(count, 1), np.nan)


def _ranking_of(
    score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weight: Float[np.ndarray, "resamples n"]
) -> tuple[Float[np.ndarray, " resamples"], Float[np.ndarray, " resamples"]]:
    """ROC-AUC, ties counted half, and average precision over distinct thresholds; NaN where undefined."""
    order = np.argsort(-score, kind="stable")
    _, first = np.unique(-score[order], return_index=True)
    ordered = weight[:, order]
    hit = np.add.reduceat(ordered * positive[order], first, axis=1)
    miss = np.add.reduceat(ordered, first, axis=1) - hit
    hits, misses = np.cumsum(hit, axis=1), np.cumsum(miss, axis=1)
    below = misses[:, -1:] - misses + miss / 2
    area = (hit * below).sum(1)
    precise = (hit * _ratio(hits, hits + misses)).sum(1)
    positives, negatives = hits[:, -1], misses[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = np.where((positives > 0) & (negatives > 0), area / (positives * negatives), np.nan)
        return auc, np.where(positives > 0, precise / positives, np.nan)


def paired_differences(
    truth: Int[np.ndarray, " n"],
    first: Float[np.ndarray, "n classes"],
    second: Float[np.ndarray, "n classes"],
    groups: Int[np.ndarray, " labels"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float, float]]:
    """Each of ``METRICS`` of one system minus that of another on the same records, with its 95 % interval.

    Both are measured in every resample, so that what they share cancels.

    Args:
        truth: class of each record, from 0.
        first: probabilities of one system.
        second: those of the other.
        groups: of each record; each by itself where left out.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Raises:
        BadInputError: as ``classification_metrics``.
    """
    _check(truth, first, groups)
    _check(truth, second, groups)
    both = [_scored(truth, p.astype(np.float64)) for p in (first, second)]
    every = np.ones((1, len(truth)))
    whole = _weighted(both[0], every)[0][0] - _weighted(both[1], every)[0][0]
    parts = [
        _weighted(both[0], weight)[0] - _weighted(both[1], weight)[0]
        for weight in _weights(len(truth), groups, resamples, seed)
    ]
    samples = np.concatenate(parts)
    return {name: (float(whole[i]), *_interval(samples[:, i])) for i, name in enumerate(METRICS)}
