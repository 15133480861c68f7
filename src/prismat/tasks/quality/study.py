"""The quality of a trained space on held-out records, beside composition alone and raw element fractions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import PROFILE, SENTENCE
from prismat.errors import BadInputError
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened, open_run, run_folder
from prismat.tasks.quality.classes import Classes, record_classes
from prismat.tasks.quality.clusters import davies_bouldin, silhouettes
from prismat.tasks.quality.geometry import alignment, modality_gap, spread, uniformity
from prismat.tasks.quality.neighbours import hubness, nearest, purity
from prismat.tasks.quality.probe import choose_probe, most_frequent

KS = (1, 5, 10, 20)
RESAMPLES = 2_000
FRACTIONS = "element fractions"
COMPOSITION = "composition only"
PROBED = ("crystal system", "space group", "chemistry")
LEAST = 10
"""Held-out records that a figure needs more than."""
SMALLEST = 5
"""Held-out records that a class needs to count."""


@dataclass(frozen=True, eq=False)
class Spaces:
    """Vectors of all records by name of the space, and which records have them.

    Attributes:
        vectors: by name, such as ``structure@text``; baselines too.
        present: by name.
    """

    vectors: dict[str, Float[np.ndarray, "records _"]]
    present: dict[str, Bool[np.ndarray, " records"]]


def read_spaces(opened: Opened, run: Path) -> Spaces:
    """The run's spaces, those of its composition-only baseline where it has one, and element fractions."""
    rows = np.arange(len(opened.records))
    vectors, present = embed_rows(opened.prismat, opened.data, rows)
    baseline = run_folder(run) / "baselines" / "composition"
    if (baseline / "model" / "config.json").is_file():
        # Only the structures: its other windows see what the run's own see.
        other = open_run(baseline, opened.prepared.store)
        found, there = embed_rows(other.prismat, other.data, rows, ["structure"])
        vectors |= {f"{COMPOSITION}: {key}": v for key, v in found.items()}
        present |= {f"{COMPOSITION}: {key}": p for key, p in there.items()}
    if opened.records.fractions.any():
        vectors[FRACTIONS] = opened.records.fractions.astype(np.float32)
        present[FRACTIONS] = np.asarray(opened.records.fractions.any(axis=1), dtype=bool)
    return Spaces(vectors, present)


def study(opened: Opened, spaces: Spaces, seed: int = 0) -> dict[str, Any]:
    """Every figure, by space and way of classing.

    Args:
        opened: the run on its store.
        spaces: from ``read_spaces``.
        seed: of permutations, bootstraps and draws.

    Returns:
        ``classes`` and ``probes`` {way: {space: figures}}, ``geometry`` {space: figures}, ``pairs``
        {pair of windows: figures}.

    Raises:
        BadInputError: too few held-out records.
    """
    test, ways = np.sort(opened.rows["test"]), record_classes(opened.records)
    classes = {way.name: class_figures(opened, spaces, way, test, seed) for way in ways}
    if not any(classes.values()):
        raise BadInputError(
            f"{len(test)} held-out records give no two classes of {SMALLEST}",
            field="store",
            remedy="Use a larger store, or a larger test part.",
        )
    return {
        "records": len(test),
        "classes": classes,
        "probes": {w.name: probe_figures(opened, spaces, w, seed) for w in ways if w.name in PROBED},
        "geometry": {name: geometry_figures(spaces, name, test, seed) for name in spaces.vectors},
        "pairs": pair_figures(opened, spaces, test, seed),
    }


def class_figures(
    opened: Opened, spaces: Spaces, way: Classes, rows: Int[np.ndarray, " test"], seed: int
) -> dict[str, Any]:
    """Silhouette, Davies–Bouldin index and purity of each space under one way of classing."""
    labels = way.labels[rows]
    counts = np.bincount(labels[labels >= 0], minlength=len(way.names))
    kept = (labels >= 0) & (counts[labels] >= SMALLEST)
    found = {}
    for name, vectors in spaces.vectors.items():
        here = rows[kept & spaces.present[name][rows]]
        if len(here) > LEAST and len(np.unique(way.labels[here])) > 1:
            groups = opened.groups[here].astype(np.int64)
            found[name] = _ordered(vectors[here].astype(np.float64), way.labels[here], groups, seed)
    return found


def _ordered(
    vectors: Float[np.ndarray, "n dim"],
    labels: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    seed: int,
) -> dict[str, Any]:
    """Figures of one space; ``chance`` is the same after the labels were shuffled."""
    shuffled = np.random.default_rng(seed).permutation(labels)
    widths = silhouettes(vectors, labels)
    ks = [k for k in KS if k < len(labels)]
    near, apart = nearest(vectors, max(ks)), nearest(vectors, max(ks), groups)
    figures: dict[str, Any] = {
        "records": len(labels),
        "classes": len(np.unique(labels)),
        "silhouette": _with_interval(widths, groups, seed),
        "davies_bouldin": davies_bouldin(vectors, labels),
        "chance": {
            "silhouette": float(silhouettes(vectors, shuffled).mean()),
            "davies_bouldin": davies_bouldin(vectors, shuffled),
            **{f"purity@{k}": float(np.nanmean(purity(near[:, :k], shuffled))) for k in ks},
        },
    }
    for k in ks:
        figures[f"purity@{k}"] = _with_interval(purity(near[:, :k], labels), groups, seed)
        figures[f"purity@{k} of other groups"] = _with_interval(purity(apart[:, :k], labels), groups, seed)
    return figures


def _with_interval(
    values: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"], seed: int
) -> tuple[float, float, float]:
    """Mean and its bootstrap interval over groups; undefined values are left out."""
    there = np.isfinite(values)
    means = bootstrap_means(values[there][:, None], groups[there], RESAMPLES, seed)[:, 0]
    return (float(values[there].mean()), *interval(means))


def probe_figures(opened: Opened, spaces: Spaces, way: Classes, seed: int) -> dict[str, Any]:
    """Accuracy of a linear probe of each space on the same test records, and its lead over the fractions.

    Learned on training rows, the ridge chosen on validation. Records need every space and a class that
    training has.
    """
    everywhere = np.logical_and.reduce(list(spaces.present.values())) & (way.labels >= 0)
    parts = {p: np.sort(r)[everywhere[np.sort(r)]] for p, r in opened.rows.items()}
    known = np.unique(way.labels[parts["train"]])
    if len(known) < 2:
        return {}
    parts = {p: r[np.isin(way.labels[r], known)] for p, r in parts.items()}
    train, val, test = (parts[p] for p in ("train", "val", "test"))
    if not len(val) or not len(test):
        return {}
    labels, groups = way.labels, opened.groups[test].astype(np.int64)
    right = {"most frequent": (labels[test] == most_frequent(labels[train])).astype(np.float64)}
    ridges = {}
    for name, vectors in spaces.vectors.items():
        probe = choose_probe(vectors[train], labels[train], vectors[val], labels[val])
        right[name] = (probe.predict(vectors[test]) == labels[test]).astype(np.float64)
        ridges[name] = probe.ridge
    found = {}
    for name, hits in right.items():
        cell: dict[str, Any] = {"accuracy": _with_interval(hits, groups, seed), "ridge": ridges.get(name)}
        if FRACTIONS in right and name != FRACTIONS:
            cell["above_fractions"] = paired_difference(hits, right[FRACTIONS], groups, seed, RESAMPLES)
        found[name] = cell
    return {"train": len(train), "test": len(test), "spaces": found}


def geometry_figures(
    spaces: Spaces, name: str, rows: Int[np.ndarray, " test"], seed: int
) -> dict[str, float]:
    """Effective rank, mean cosine, uniformity and hubness of one space, brought to unit length."""
    here = rows[spaces.present[name][rows]]
    if len(here) <= LEAST:
        return {}
    vectors = spaces.vectors[name][here].astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return {
        "records": float(len(here)),
        **spread(vectors),
        "uniformity": uniformity(vectors, seed=seed),
        "hubness": hubness(nearest(vectors, 10)),
    }


def pair_figures(
    opened: Opened, spaces: Spaces, rows: Int[np.ndarray, " test"], seed: int
) -> dict[str, dict[str, float]]:
    """Gap and alignment of every pair of windows, and the alignment of strangers."""
    windows, found = opened.prismat.recipe.windows, {}
    for i, first in enumerate(windows):
        for second in windows[i + 1 :]:
            a, b = (opened.prismat.key(x, y) for x, y in ((first, second), (second, first)))
            here = rows[spaces.present[a][rows] & spaces.present[b][rows]]
            if len(here) < 2 * SMALLEST:
                continue
            left, right = spaces.vectors[a][here], spaces.vectors[b][here]
            other = np.random.default_rng(seed).permutation(len(here))
            found[f"{first} and {second}"] = {
                "records": float(len(here)),
                **modality_gap(left, right, seed),
                "alignment": alignment(left, right),
                "alignment_of_strangers": alignment(left, right[other]),
            }
    return found


def shown_name(name: str) -> str:
    """A space as a page calls it."""
    named = {SENTENCE: "frozen sentence", PROFILE: "diffraction profile"}
    return named.get(name, name.replace("@", " for "))
