"""Learning rate and pair weights as functions of progress."""

import math
from dataclasses import dataclass


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


def curriculum_weights(stages: tuple[Stage, ...], progress: float) -> dict[str, float]:
    """Pair weights in force at ``progress`` (share of steps done); later stages override earlier ones."""
    weights: dict[str, float] = {}
    for stage in sorted(stages, key=lambda s: s.start):
        if progress >= stage.start:
            weights |= stage.weights
    return weights
