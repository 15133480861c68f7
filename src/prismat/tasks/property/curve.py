"""How error falls with the number of training records: the model's windows against the formula alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from prismat.heads.features import Features
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.property.figures import RESAMPLES
from prismat.tasks.property.setting import COMPOSITION, MAIN, Setting, fit_system, places
from prismat.tasks.property.subsets import LEAST_STOP, shuffled_by_group
from prismat.tasks.quickstart import Talk

STOP_SHARE = 0.25


@dataclass(frozen=True)
class Point:
    """One size of a learning curve for one system.

    Attributes:
        system: the model, or the formula alone.
        size: training records.
        mean: error on the test part, mean over the draws of the training records: the absolute error, or the
            share of wrong classes.
        low: lower end of the 95 % interval over test groups, of errors averaged over the draws.
        high: its upper end.
        draws: error of each draw.
        difference: of the model to the formula alone, with its interval; None for the latter.
    """

    system: str
    size: int
    mean: float
    low: float
    high: float
    draws: tuple[float, ...]
    difference: tuple[float, float, float] | None = None


def learning_curve(setting: Setting, systems: Mapping[str, Features], talk: Talk = Talk()) -> list[Point]:
    """Errors on the test part by training size.

    Subsets are drawn group by group, and the smaller ones of a draw lie in its larger ones. Validation
    shrinks along, to a quarter of the training records: who has few labels has few to choose by. One member.

    Args:
        setting: target and rows; its curve names the sizes.
        systems: features by name, ``model`` and ``composition``.
        talk: how progress is told.
    """
    limited = setting.config.limited
    available = len(setting.rows.train)
    sizes = sorted({size for size in limited.curve if size <= available})
    jobs = [(size, draw) for size in sizes for draw in range(limited.repeats)]
    errors: dict[tuple[str, int], list[np.ndarray]] = {}
    for done, (size, draw) in enumerate(jobs, start=1):
        for name, features in systems.items():
            errors.setdefault((name, size), []).append(_errors(setting, features, size, draw))
        talk.bar("learning curve", done, len(jobs), {})
    groups = setting.opened.groups[setting.rows.test]
    return [_point(name, size, errors, groups) for name in systems for size in sizes]


def _errors(setting: Setting, features: Features, size: int, draw: int) -> Float[np.ndarray, " test"]:
    """Error of each test record after learning from one draw of ``size`` records."""
    where, groups, config = places(setting), setting.opened.groups[setting.rows.all], setting.config
    train = shuffled_by_group(where["train"], groups, draw)[:size]
    stop = shuffled_by_group(where["stop"], groups, draw)[: max(round(STOP_SHARE * size), LEAST_STOP)]
    values = setting.labelled.values[setting.rows.all]
    if np.ptp(values[train]) == 0:
        # Nothing can be learnt from equal targets: the constant is all there is.
        said = np.full(len(where["test"]), values[train][0])
        return np.abs(said - values[where["test"]]).clip(max=1 if setting.classes else None)
    fit = replace(
        config.fit, members=1, seed=config.fit.seed + draw, batch=min(config.fit.batch, max(8, size // 4))
    )
    fitted = fit_system(setting, features, train, stop, fit)
    said = fitted.predict(features.take(where["test"]))
    if setting.classes:
        return (said.argmax(1) != values[where["test"]]).astype(np.float64)
    return np.abs(said[:, 0] - values[where["test"]])


def _point(
    name: str,
    size: int,
    errors: Mapping[tuple[str, int], list[np.ndarray]],
    groups: Int[np.ndarray, " test"],
) -> Point:
    drawn = np.stack(errors[name, size])
    mean = drawn.mean(0)
    low, high = interval(bootstrap_means(mean[:, None], groups, RESAMPLES)[:, 0])
    difference = None
    if name == MAIN and (COMPOSITION, size) in errors:
        other = np.stack(errors[COMPOSITION, size]).mean(0)
        difference = paired_difference(mean, other, groups, resamples=RESAMPLES)
    return Point(name, size, float(mean.mean()), low, high, tuple(drawn.mean(1).tolist()), difference)
