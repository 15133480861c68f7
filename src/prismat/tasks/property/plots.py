"""Pictures of a fitted head: parity, coverage, learning curve, confusion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.property.curve import Point
from prismat.tasks.property.setting import COMPOSITION, MAIN
from prismat.tasks.result import Picture

SHOWN = 600
"""Points of a parity plot: more would be a blot, and a heavy page."""
_NAMES = {MAIN: "this head", COMPOSITION: "composition only"}


def parity_picture(
    truth: Float[np.ndarray, " n"], said: Mapping[str, Float[np.ndarray, " n"]], quantity: str
) -> Picture:
    """Predicted against true values of test records: the head, and the formula alone behind it.

    Args:
        truth: known values.
        said: predictions by system; ``model`` and ``composition`` are shown.
        quantity: name and unit for the axes.
    """
    figure, axes = bare_axes((4.6, 4.2))
    rows = np.random.default_rng(0).permutation(len(truth))[:SHOWN]
    for name, colour, front in ((COMPOSITION, SERIES[1], 2), (MAIN, SERIES[0], 3)):
        if name in said:
            axes.scatter(
                truth[rows],
                said[name][rows],
                s=7,
                lw=0,
                alpha=0.45,
                color=colour,
                zorder=front,
                label=_NAMES[name],
            )
    ends = [float(truth.min()), float(truth.max())]
    axes.plot(ends, ends, color=INK, lw=0.9, zorder=4)
    label_axes(axes, f"true {quantity}", f"predicted {quantity}")
    legend = axes.legend(frameon=False, fontsize=8.5, labelcolor=MUTED, loc="upper left", markerscale=2)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(0.9)
    shown = f"{len(rows):,} of {len(truth):,} test records" if len(rows) < len(truth) else "Test records"
    caption = f"{shown}: predicted against true. On the line the two agree."
    return Picture("property_parity", inline_svg(figure, "property-parity", caption), caption)


def coverage_picture(rows: Sequence[Mapping[str, Any]], is_set: bool) -> Picture:
    """Share of true values inside, against the share promised, with the range that chance allows."""
    figure, axes = bare_axes()
    level, reached = np.array([[r["level"], r["reached"]] for r in rows]).T
    low, high = np.array([r["allowed_with_calibration"] for r in rows]).T
    axes.fill_between(level, low, high, color=SERIES[1], alpha=0.25, lw=0, label="what chance allows, 95 %")
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.plot(level, reached, color=SERIES[0], marker="o", ms=4, lw=1.4, label="reached on test records")
    axes.set(xlim=(level.min() - 0.03, 1), ylim=(min(low.min(), reached.min()) - 0.03, 1.01))
    what = "sets" if is_set else "intervals"
    label_axes(axes, f"promised coverage of {what}", "reached coverage")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=MUTED, loc="upper left")
    caption = f"Conformal {what}: how often the true value lies inside, against how often it should."
    return Picture("property_coverage", inline_svg(figure, "property-coverage", caption), caption)


def curve_picture(points: Sequence[Point], measure: str) -> Picture:
    """Error against training size for the model's windows and the formula alone.

    Args:
        points: of the curve.
        measure: what the error is, with its unit.
    """
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure, axes = bare_axes()
    for name, colour in ((MAIN, SERIES[0]), (COMPOSITION, SERIES[1])):
        own = [p for p in points if p.system == name]
        if own:
            size, mean, low, high = np.array([[p.size, p.mean, p.low, p.high] for p in own]).T
            axes.fill_between(size, low, high, color=colour, alpha=0.2, lw=0)
            axes.plot(size, mean, color=colour, marker="o", ms=4, lw=1.4, label=_NAMES[name])
    axes.set_xscale("log")
    axes.set_xticks(sorted({p.size for p in points}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=0)
    label_axes(axes, "training records", measure)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=MUTED, loc="lower left")
    caption = (
        f"{measure[:1].upper()}{measure[1:]} on the test part by training size; bands are 95 % intervals."
    )
    return Picture("property_curve", inline_svg(figure, "property-curve", caption), caption)


def confusion_picture(counts: Int[np.ndarray, "classes classes"], names: Sequence[str]) -> Picture:
    """Share of each true class that is called each class."""
    figure, axes = bare_axes((4.6, 4.2))
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(share):
        axes.add_patch(_square(float(column), float(row), SERIES[0], 0.5 * float(value)))
        axes.text(
            column,
            row,
            f"{value:.0%}\n{counts[row, column]:,}",
            ha="center",
            va="center",
            color=INK,
            fontsize=8.5,
        )
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))
    axes.set_xticks(range(len(names)), names)
    if len(names) > 3:
        axes.tick_params(axis="x", labelrotation=40)
    axes.set_yticks(range(len(names)), names)
    label_axes(axes, "predicted", "true")
    caption = "Test records by true and predicted class: share of the true class, and count."
    return Picture("property_confusion", inline_svg(figure, "property-confusion", caption), caption)


def _square(x: float, y: float, colour: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.49, y - 0.49), 0.98, 0.98, color=colour, alpha=alpha, lw=0)
