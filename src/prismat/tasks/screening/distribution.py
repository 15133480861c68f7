"""Does a phrase sort by a property? The top of a ranking against a random draw (CLaSP, figure 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import interval, resample_counts

NARROW = 1.1
"""Band gap of silicon in eV, below which CLaSP calls a gap narrow."""


@dataclass(frozen=True)
class DrawConfig:
    """How the top of a ranking is compared with chance.

    Attributes:
        k: crystals at the top, and of the random draw.
        threshold: the share below it is compared.
        resamples: of the bootstrap over groups.
        permutations: of the groups.
        seed: of all draws.
    """

    k: int = 100
    threshold: float = NARROW
    resamples: int = 2000
    permutations: int = 2000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Compared:
    """The top of several rankings against a random draw.

    Attributes:
        values: by phrase, of its top; and of the draw under ``random``.
        top: by phrase, positions in the gallery.
        figures: in JSON types.
    """

    values: dict[str, Float[np.ndarray, " k"]]
    top: dict[str, Int[np.ndarray, " k"]]
    figures: dict[str, Any]


def compare_tops(
    scores: Mapping[str, Float[np.ndarray, " items"]],
    values: Float[np.ndarray, " items"],
    groups: Int[np.ndarray, " items"],
    config: DrawConfig = DrawConfig(),
) -> Compared:
    """Shares below a threshold at the top of each ranking, in a random draw, and in the gallery.

    The share of a random draw is, on average, that of the gallery: differences are taken to it, with an
    interval by resampling whole groups. The p-value comes from putting the values of whole groups elsewhere
    (block permutation), for crystals of one group lie together both in value and in rank.

    Args:
        scores: by phrase, of each crystal.
        values: of each crystal.
        groups: of each crystal.
        config: sizes and seeds.

    Raises:
        BadInputError: the gallery has no more crystals than the top, or unknown values.
    """
    if len(values) <= config.k or not np.isfinite(values).all():
        raise BadInputError(
            f"a top of {config.k} in a gallery of {int(np.isfinite(values).sum())} crystals with a value",
            field="k",
            remedy="Ask for fewer, or give a larger store.",
        )
    below = values < config.threshold
    top = {phrase: np.argsort(-one, kind="stable")[: config.k] for phrase, one in scores.items()}
    drawn = np.random.default_rng(config.seed).choice(len(values), config.k, replace=False)
    chosen = np.zeros((len(scores), len(values)), dtype=bool)
    for row, some in zip(chosen, top.values(), strict=True):
        row[some] = True
    differences = _differences(below, chosen, groups, config)
    p_values = block_permutation_p(below, chosen, groups, config.permutations, config.seed)
    correlations = rank_correlations(np.stack(list(scores.values())), values, groups, config)
    phrases = {
        phrase: _set_figures(values, below, top[phrase])
        | {"groups": len(np.unique(groups[top[phrase]])), "difference": differences[i]}
        | {"p_value": float(p_values[i]), "rank_correlation": correlations[i]}
        for i, phrase in enumerate(scores)
    }
    random, gallery = _set_figures(values, below, drawn), _set_figures(values, below, np.arange(len(values)))
    figures = {
        "threshold": config.threshold,
        "k": config.k,
        "seed": config.seed,
        "phrases": phrases,
        "random": random,
        "gallery": gallery | {"crystals": len(values), "groups": len(np.unique(groups))},
    }
    return Compared({p: values[t] for p, t in top.items()} | {"random": values[drawn]}, top, figures)


def _set_figures(values: np.ndarray, below: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values[chosen], [0.25, 0.5, 0.75])
    return {
        "share_below": float(below[chosen].mean()),
        "share_zero": float((values[chosen] <= 0).mean()),
        "median": middle,
        "quartile_1": low,
        "quartile_3": high,
    }


def _differences(
    below: Bool[np.ndarray, " items"],
    chosen: Bool[np.ndarray, "phrases items"],
    groups: Int[np.ndarray, " items"],
    config: DrawConfig,
) -> list[list[float]]:
    """Share below among the chosen minus that of the gallery, with its interval over groups, by phrase."""
    gallery = np.stack([below, np.ones_like(below)])
    columns = np.concatenate([chosen & below, chosen, gallery]).astype(np.float64)
    drawn, n = _drawn_sums(columns, groups, config), len(chosen)
    base = drawn[:, -2] / drawn[:, -1]
    told = []
    for i in range(n):
        # A resample that holds none of the top says nothing of it.
        some = drawn[:, n + i] > 0
        samples = drawn[some, i] / drawn[some, n + i] - base[some]
        told.append([float(below[chosen[i]].mean() - below.mean()), *interval(samples)])
    return told


def _drawn_sums(
    columns: Float[np.ndarray, "columns items"], groups: Int[np.ndarray, " items"], config: DrawConfig
) -> Float[np.ndarray, "resamples columns"]:
    """Sum of every column over the items of each resample of whole groups."""
    names, cluster = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), len(columns)))
    np.add.at(sums, cluster.ravel(), columns.T)
    chunks = resample_counts(len(names), config.resamples, config.seed)
    return np.concatenate([counts.astype(np.float64) @ sums for counts in chunks])


def block_permutation_p(
    flags: Bool[np.ndarray, " items"],
    chosen: Bool[np.ndarray, "phrases items"],
    groups: Int[np.ndarray, " items"],
    permutations: int = 2000,
    seed: int = 0,
) -> Float[np.ndarray, " phrases"]:
    """Two-sided p-values of the share of flags among the chosen, groups kept whole.

    Items are laid out group by group; the flags are laid out again with the groups in a random order, the
    choice stays where it is. With every item a group of its own this is the plain permutation test. The
    observed order counts as one of them (Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39).

    Args:
        flags: of each item.
        chosen: a choice of items per row, none of them empty.
        groups: of each item.
        permutations: of the groups.
        seed: of the permutations.
    """
    order = np.argsort(groups, kind="stable")
    sizes = np.unique(groups, return_counts=True)[1]
    first, flags, chosen = np.cumsum(sizes) - sizes, flags[order], chosen[:, order]
    row, place = np.nonzero(chosen)
    counts, mean, rng = chosen.sum(axis=1), flags.mean(), np.random.default_rng(seed)
    observed = np.abs(np.bincount(row, flags[place], len(chosen)) / counts - mean)
    extreme = np.zeros(len(chosen), dtype=np.int64)
    for _ in range(permutations):
        layout = rng.permutation(len(sizes))
        ends = np.cumsum(sizes[layout])
        block = np.searchsorted(ends, place, side="right")
        # Position within its block, counted from the first item of the group that now lies there.
        items = first[layout[block]] + place - (ends[block] - sizes[layout[block]])
        extreme += np.abs(np.bincount(row, flags[items], len(chosen)) / counts - mean) >= observed - 1e-12
    return (1 + extreme) / (1 + permutations)


def rank_correlations(
    scores: Float[np.ndarray, "phrases items"],
    values: Float[np.ndarray, " items"],
    groups: Int[np.ndarray, " items"],
    config: DrawConfig = DrawConfig(),
) -> list[list[float]]:
    """Spearman's correlation of score and value over the whole gallery with its interval over groups.

    The ranks are those of the gallery, resampled as they are.
    """
    y = rankdata(values) / len(values) - 0.5
    x = rankdata(scores, axis=1) / len(values) - 0.5
    columns = np.concatenate([x * y, x, x * x, np.stack([y, y * y, np.ones_like(y)])])
    drawn, whole, n = _drawn_sums(columns, groups, config), columns.sum(axis=1)[None], len(scores)
    found = []
    for i in range(n):
        parts = [i, n + i, -3, 2 * n + i, -2, -1]
        found.append([float(_pearson(whole[:, parts])[0]), *interval(_pearson(drawn[:, parts]))])
    return found


def _pearson(sums: Float[np.ndarray, "draws 6"]) -> Float[np.ndarray, " draws"]:
    """Correlation from Σxy, Σx, Σy, Σx², Σy² and the count; 0 where one of them does not vary."""
    xy, x, y, xx, yy = (sums[:, :5] / sums[:, 5:]).T
    spread = np.sqrt(np.maximum((xx - x * x) * (yy - y * y), 0.0))
    return np.divide(xy - x * y, spread, out=np.zeros(len(xy)), where=spread > 1e-12)
