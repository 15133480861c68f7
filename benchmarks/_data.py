"""Crystals and clock that the benchmarks of featurisation and training share."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from prismat.material import Material
from prismat.sources.amcsd import AmcsdSource

SEED = 0


def amcsd_materials(count: int, seed: int = SEED) -> list[Material]:
    """``count`` materials of AMCSD in random order, each with a structure; the same ones for one seed."""
    source = AmcsdSource()
    found: list[Material] = []
    for row in np.random.default_rng(seed).permutation(len(source)):
        found += [m for m in source.read(int(row), int(row) + 1) if isinstance(m, Material) and m.structure]
        if len(found) == count:
            return found
    raise ValueError(f"AMCSD has {len(found)} usable materials, fewer than {count}.")


def interleaved(
    calls: Mapping[str, Callable[[], object]], repeats: int, limit_s: float = float("inf")
) -> dict[str, list[float]]:
    """Wall seconds of every call, taken in turns (A B … A B …) so that other load hits all alike.

    On a busy machine rounds end once ``limit_s`` seconds have passed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + limit_s
    for done in range(repeats):
        if done and time.perf_counter() > end:
            break
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Median of each list."""
    return {name: float(np.median(values)) for name, values in seconds.items()}
