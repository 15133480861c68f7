"""Where a sweep looks next: a grid, random draws, or the tree-structured Parzen estimator of Optuna."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from prismat.errors import MissingExtraError
from prismat.studies.space import Dimension

Search = Literal["grid", "random", "tpe"]
_REDRAWS = 50
"""How often a draw that was had before is drawn again."""


@dataclass(frozen=True)
class Tried:
    """A point of the space.

    Attributes:
        settings: value as text by path.
        score: on validation, the mean over seeds; None where no trial of it was finished.
    """

    settings: dict[str, str]
    score: float | None


def propose(
    search: Search, space: Sequence[Dimension], tried: Sequence[Tried], count: int, seed: int
) -> list[dict[str, str]]:
    """The next points, a function of its arguments alone: a sweep that is resumed asks the same again.

    Args:
        search: ``grid`` in an order drawn once; ``random`` without repeats where it can; ``tpe`` (Bergstra et
            al., NeurIPS 2011), which knows the scores of all points tried.
        space: the settings.
        tried: all points so far, in their order.
        count: points wanted.
        seed: of the draws.

    Returns:
        ``count`` points, fewer where a grid is used up.

    Raises:
        MissingExtraError: Optuna is wanted and not installed.
    """
    if search == "grid":
        paths = [d.path for d in space]
        points = [dict(zip(paths, p, strict=True)) for p in product(*(d.grid() for d in space))]
        order = np.random.default_rng(seed).permutation(len(points))
        return [points[i] for i in order[len(tried) : len(tried) + count]]
    if search == "tpe":
        return _parzen(space, tried, count, seed)
    found: list[dict[str, str]] = []
    for number in range(len(tried), len(tried) + count):
        rng, before = np.random.default_rng([seed, number]), [*(t.settings for t in tried), *found]
        for _ in range(_REDRAWS):
            point = {d.path: d.draw(rng) for d in space}
            if point not in before:
                break
        found.append(point)
    return found


def _parzen(
    space: Sequence[Dimension], tried: Sequence[Tried], count: int, seed: int
) -> list[dict[str, str]]:
    """Optuna's sampler, told everything anew: nothing of Optuna's is stored, and nothing is unpickled."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "hpo") from error
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Several points asked for at once are an experimental option of Optuna's sampler.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed + len(tried), n_startup_trials=max(4, count), constant_liar=True
            )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            distributions = {d.path: _distribution(d, optuna.distributions) for d in space}
            for one in tried:
                study.add_trial(_told(one, space, distributions, optuna.trial))
            asked = [study.ask(distributions) for _ in range(count)]
    finally:
        optuna.logging.set_verbosity(level)
    return [{d.path: _text(d, trial.params[d.path]) for d in space} for trial in asked]


def _distribution(dimension: Dimension, kinds: Any) -> Any:
    if dimension.kind == "choice":
        return kinds.CategoricalDistribution(dimension.choices)
    if dimension.kind == "int":
        return kinds.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return kinds.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _told(one: Tried, space: Sequence[Dimension], distributions: dict[str, Any], kinds: Any) -> Any:
    """A point tried before as Optuna's sampler is told of it."""
    numbers = {"choice": str, "int": int, "float": float}
    params = {d.path: numbers[d.kind](one.settings[d.path]) for d in space}
    state = kinds.TrialState.FAIL if one.score is None else kinds.TrialState.COMPLETE
    return kinds.create_trial(params=params, distributions=distributions, value=one.score, state=state)


def _text(dimension: Dimension, value: Any) -> str:
    """Rounded to six digits, which must not leave the range."""
    if dimension.kind != "float":
        return str(value)
    rounded = dimension.text(value)
    return rounded if dimension.low <= float(rounded) <= dimension.high else repr(value)
