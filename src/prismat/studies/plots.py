"""Pictures of studies: differences with intervals, value against cost, and how a sweep went."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes


@dataclass(frozen=True)
class Point:
    """Something that has a value and a cost.

    Attributes:
        name: beside it.
        cost: in the unit of the axis.
        value: with its 95 % interval.
        low, high: ends of the interval; equal to the value where there is none.
        group: only points of one group are compared; each has a colour.
    """

    name: str
    cost: float
    value: float
    low: float
    high: float
    group: str = ""


def front(points: Sequence[Point], less_is_better: bool = False) -> list[Point]:
    """The points that no other one beats in value at the same or less cost, by cost (the Pareto front)."""
    sign = -1 if less_is_better else 1
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -sign * p.value)):
        if not kept or sign * point.value > sign * kept[-1].value:
            kept.append(point)
    return kept


def value_against_cost(points: Sequence[Point], x: str, y: str, less_is_better: bool = False) -> str:
    """Values with intervals against cost; a line joins the Pareto front of each group.

    Args:
        points: at least one.
        x: name of the cost.
        y: name of the value.
        less_is_better: whether small values are good ones.

    Returns:
        An SVG element.
    """
    figure, axes = bare_axes((7.4, 4.2))
    groups = list(dict.fromkeys(p.group for p in points))
    for number, group in enumerate(groups):
        own, colour = [p for p in points if p.group == group], SERIES[number % len(SERIES)]
        best = front(own, less_is_better)
        costs, values = np.array([p.cost for p in own]), np.array([p.value for p in own])
        ends = np.array([[p.value - p.low for p in own], [p.high - p.value for p in own]]).clip(0)
        axes.errorbar(costs, values, ends, fmt="o", ms=4.5, lw=1, color=colour, label=group or None)
        axes.plot([p.cost for p in best], [p.value for p in best], color=colour, lw=1.2, alpha=0.6)
        for point in own if len(points) <= _NAMED else best:
            axes.annotate(
                point.name,
                (point.cost, point.value),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=7.5,
                color=INK,
            )
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    axes.margins(x=0.16, y=0.08)
    label_axes(axes, x, y)
    return inline_svg(figure, "value against cost", f"{y} against {x} of {len(points)} trainings")


_NAMED = 14
"""With more points than this only those of the front are named."""


def forest(points: Sequence[Point], x: str) -> str:
    """Differences to the base with their intervals, one line each, largest above.

    Args:
        points: at least one; costs are not shown.
        x: what the difference is of.

    Returns:
        An SVG element.
    """
    ordered = sorted(points, key=lambda p: p.value)
    figure, axes = bare_axes((7.4, 1.1 + 0.27 * len(ordered)))
    heights, values = np.arange(len(ordered)), np.array([p.value for p in ordered])
    ends = np.array([[p.value - p.low for p in ordered], [p.high - p.value for p in ordered]]).clip(0)
    axes.errorbar(values, heights, xerr=ends, fmt="o", ms=4.5, lw=1.2, color=SERIES[0])
    axes.axvline(0, color=MUTED, lw=0.9)
    axes.set_yticks(heights, [p.name for p in ordered])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    label_axes(axes, x, "")
    return inline_svg(figure, "differences", f"{x}: {len(ordered)} variants")


def course(scores: Sequence[float | None], base: float | None, y: str) -> str:
    """Score of each point of a sweep in the order of the search, the best so far, and the base.

    Args:
        scores: None for a point without a finished trial.
        base: score of the base; None where it was not finished.
        y: name of the score.

    Returns:
        An SVG element.
    """
    figure, axes = bare_axes((7.4, 3.4))
    there = [(n, s) for n, s in enumerate(scores) if s is not None]
    if there:
        numbers, found = np.array([n for n, _ in there]), np.array([s for _, s in there])
        axes.plot(numbers, found, "o", ms=5, color=SERIES[0], label="point")
        best = np.maximum.accumulate(found)
        axes.step(numbers, best, where="post", color=SERIES[1], lw=1.3, label="best so far")
    if base is not None:
        axes.axhline(base, color=MUTED, lw=1, ls="--", label="base job")
    axes.set_xticks(range(0, max(len(scores), 1), max(1, len(scores) // 12)))
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    label_axes(axes, "point, in the order of the search", y)
    return inline_svg(figure, "course of the sweep", f"{y} of {len(there)} points")
