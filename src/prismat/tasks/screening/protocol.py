"""CLaSP's keyword retrieval with intervals and baselines (Suzuki et al., 2024, section 4.1 and table 1).

A word is the query, held-out structures are the gallery, and a structure is right if the title of its
publication has the word or a variation of it. A title names what its authors found remarkable, not all that
holds: the figures compare models, they are no rates of success.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import interval
from prismat.tasks.screening.curves import (
    DRAWS,
    METRICS,
    RESAMPLES,
    all_metrics,
    bootstrap_metrics,
    drawn_average_precision,
)
from prismat.tasks.words import word_labels


@dataclass(frozen=True)
class ProtocolConfig:
    """How the protocol is run.

    Attributes:
        least_positives: right structures that a word must have.
        least_groups: groups that they must come from; records of one group are not independent.
        resamples: of the bootstrap.
        draws: of CLaSP's balanced subset.
        seed: of both.
    """

    least_positives: int = 5
    least_groups: int = 3
    resamples: int = RESAMPLES
    draws: int = DRAWS
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Judged:
    """Which structures of a gallery are right, by word.

    Attributes:
        words: those that can be scored.
        labels: right structures of each, shape (words, items).
        groups: of each structure.
        left_out: right structures and their groups of the words that too few titles have.
    """

    words: tuple[str, ...]
    labels: Bool[np.ndarray, "words items"]
    groups: Int[np.ndarray, " items"]
    left_out: dict[str, tuple[int, int]]


def judge(
    titles: Sequence[str],
    groups: Int[np.ndarray, " items"],
    words: Mapping[str, Sequence[str]],
    config: ProtocolConfig = ProtocolConfig(),
) -> Judged:
    """Right structures by word, and the words that can be scored.

    Args:
        titles: of the gallery's structures.
        groups: of the structures, within which they are not independent.
        words: variations by word.
        config: how many right structures and groups a word needs.

    Raises:
        BadInputError: no word can be scored; tells how many titles have each.
    """
    kept, left_out = {}, {}
    for word, variations in words.items():
        labels = word_labels(titles, word, variations)
        there = len(np.unique(groups[labels]))
        enough = labels.sum() >= config.least_positives and there >= config.least_groups
        if enough and labels.sum() <= (~labels).sum():
            kept[word] = labels
        else:
            left_out[word] = (int(labels.sum()), there)
    if not kept:
        told = ", ".join(f"{word} {n}" for word, (n, _) in left_out.items())
        raise BadInputError(
            f"no word can be scored on {len(titles)} titles; titles that have it: {told}",
            field="words",
            remedy=f"A word needs {config.least_positives} titles of {config.least_groups} groups.",
        )
    return Judged(tuple(kept), np.stack(list(kept.values())), groups, left_out)


def run_protocol(
    scores: Mapping[str, Float[np.ndarray, "words items"]],
    judged: Judged,
    config: ProtocolConfig = ProtocolConfig(),
) -> dict[str, Any]:
    """Figures of several systems over the same words and structures, in JSON types.

    Args:
        scores: by system, of every word and structure; the first is compared with each of the others.
        judged: what is right.
        config: intervals and draws.

    Returns:
        ``words`` {word: positives, groups, chance, systems {name: {metric: [value, low, high]}},
        differences}, ``mean`` over the words in the same form, ``left_out`` and ``structures``.
    """
    names = list(scores)
    stacked = np.stack([scores[name] for name in names])
    samples = bootstrap_metrics(stacked, judged.labels, judged.groups, config.resamples, config.seed)
    ones = np.ones((1, judged.labels.shape[1]))
    values = np.array(
        [[all_metrics(s, y, ones)[0] for s, y in zip(one, judged.labels, strict=True)] for one in stacked]
    )
    words = {
        word: _word(judged, i, values[:, i], samples[:, :, i], names)
        | _drawn(stacked[:, i], judged.labels[i], names, config)
        for i, word in enumerate(judged.words)
    }
    with np.errstate(invalid="ignore"):
        mean = _compared(values.mean(axis=1), _mean_over_words(samples), names)
    left_out = {word: {"positives": n, "groups": g} for word, (n, g) in judged.left_out.items()}
    return {"structures": len(judged.groups), "words": words, "mean": mean, "left_out": left_out}


def _mean_over_words(
    samples: Float[np.ndarray, "resamples systems words 3"],
) -> Float[np.ndarray, "resamples systems 3"]:
    """Mean over the words that a resample has right structures of."""
    known = np.isfinite(samples)
    return np.where(known, samples, 0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)


def _word(
    judged: Judged, i: int, values: np.ndarray, samples: np.ndarray, names: list[str]
) -> dict[str, Any]:
    labels = judged.labels[i]
    counted = {
        "positives": int(labels.sum()),
        "groups": len(np.unique(judged.groups[labels])),
        "chance": {
            "roc_auc": 0.5,
            "average_precision": float(labels.mean()),
            "balanced_average_precision": 0.5,
        },
    }
    return counted | _compared(values, samples, names)


def _compared(
    values: Float[np.ndarray, "systems 3"],
    samples: Float[np.ndarray, "resamples systems 3"],
    names: list[str],
) -> dict[str, Any]:
    """Value and interval of every metric by system, and the first system minus each other."""
    systems = {
        name: {m: _with_interval(values[s, j], samples[:, s, j]) for j, m in enumerate(METRICS)}
        for s, name in enumerate(names)
    }
    differences = {
        name: {
            m: _with_interval(values[0, j] - values[s, j], samples[:, 0, j] - samples[:, s, j])
            for j, m in enumerate(METRICS)
        }
        for s, name in enumerate(names)
        if s
    }
    return {"systems": systems, "differences": differences}


def _with_interval(value: float, samples: Float[np.ndarray, " resamples"]) -> list[float]:
    """Value, lower and upper end; resamples without a right structure say nothing."""
    return [float(value), *interval(samples[np.isfinite(samples)])]


def _drawn(
    scores: Float[np.ndarray, "systems items"],
    labels: Bool[np.ndarray, " items"],
    names: list[str],
    config: ProtocolConfig,
) -> dict[str, Any]:
    """CLaSP's literal draw of as many wrong structures: mean, and the range of 95 % of the draws."""
    drawn = {}
    for name, one in zip(names, scores, strict=True):
        samples = drawn_average_precision(one, labels, config.draws, config.seed)
        drawn[name] = [float(samples.mean()), *interval(samples)]
    return {"drawn_average_precision": {"draws": config.draws, "seed": config.seed, "systems": drawn}}
