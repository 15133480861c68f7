"""Scored queries drawn from a known model, in clusters."""

import numpy as np

from prismat.confidence.gallery import Facts
from prismat.confidence.scored import Scored


def draw_scored(seed, clusters=120, entries=150, signal=1.4, first_row=0):
    """Queries whose right entry scores higher, by a shift that each cluster of one to five has of its own."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rng.integers(1, 6, size=clusters))
    queries, answer = len(cluster), rng.integers(entries, size=len(cluster))
    scores = 0.1 * rng.normal(size=(queries, entries))
    shift = 0.5 * rng.normal(size=clusters)
    scores[np.arange(queries), answer] += 0.1 * (signal + shift[cluster])
    relevant = np.arange(entries) == answer[:, None]
    rows = first_row + np.arange(queries)
    return Scored(rows, np.arange(entries), scores.astype(np.float32), relevant, cluster + 1000 * seed)


def draw_facts(entries, seed=0):
    """Random facts."""
    rng = np.random.default_rng(seed)
    elements = rng.random((entries, 99)) < 0.03
    return Facts(rng.integers(7, size=entries), elements, rng.uniform(2, 9, size=entries))
