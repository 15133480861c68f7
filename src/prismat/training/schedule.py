"""Learning rate and pair weights as functions of progress."""

import math
from dataclasses import dataclass
from typing import Literal

Schedule = Literal["cosine", "constant", "one_cycle"]
"""How the learning rate goes: a cosine after a warm-up, one rate after it, or Smith's one cycle."""


@dataclass(frozen=True)
class Stage:
    """From which share of the training on the weights of some pairs change.

    Attributes:
        start: share of the steps done, 0 … 1.
        weights: λ of the pairs named ``a-b``; a pair not named keeps its weight.
    """

    start: float
    weights: dict[str, float]


def warmup_cosine(step: int, steps: int, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to ``floor``.

    Args:
        step: 0 … steps − 1.
        steps: length of the training.
        warmup: share of the steps spent warming up.
        floor: factor at the end.
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(1, steps - rising)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def one_cycle(step: int, steps: int, rising: float = 0.3, start: float = 0.04, floor: float = 4e-6) -> float:
    """Factor on the learning rate: half a cosine up to 1, then half a cosine down (Smith 2018).

    Args:
        step: 0 … steps − 1.
        steps: length of the training.
        rising: share of the steps spent rising.
        start: factor at the first step, 1/25 as usual.
        floor: factor at the end, a ten-thousandth of the start.
    """
    peak = max(1.0, rising * steps - 1)
    if step <= peak:
        return start + (1 - start) * 0.5 * (1 - math.cos(math.pi * step / peak))
    progress = (step - peak) / max(1.0, steps - 1 - peak)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def rate_factor(schedule: Schedule, step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate at a step.

    Args:
        schedule: ``cosine`` (``warmup_cosine``), ``constant`` after a linear warm-up, or ``one_cycle``, whose
            rise is the warm-up.
        step: 0 … steps − 1.
        steps: length of the training.
        warmup: share of the steps.
    """
    if schedule == "one_cycle":
        return one_cycle(step, steps, warmup)
    if schedule == "constant":
        return min(1.0, (step + 1) / max(1, round(warmup * steps)))
    return warmup_cosine(step, steps, warmup)


def curriculum_weights(stages: tuple[Stage, ...], progress: float) -> dict[str, float]:
    """Pair weights in force at ``progress`` (share of steps done); later stages override earlier ones."""
    weights: dict[str, float] = {}
    for stage in sorted(stages, key=lambda s: s.start):
        if progress >= stage.start:
            weights |= stage.weights
    return weights
