"""Plots of the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.page.figure import MUTED, RULE, SERIES, bare_axes, inline_svg, label_axes
from prismat.page.words import is_number

_MOST_POINTS = 300


def recall_plot(curves: Mapping[str, Float[np.ndarray, " k"]], pool: int | float | None = None) -> str:
    """Recall@k against k on a logarithmic axis.

    Args:
        curves: recall at k = 1, 2, … by name; names that hold ``" | "`` are baselines and dashed, in the
            colour of the part before it.
        pool: gallery size, for the chance line of one right item.
    """
    figure, axes = bare_axes()
    colours = series_of(list(curves))
    for name, curve in curves.items():
        k = np.arange(1, len(curve) + 1)
        style, width = ((0, (4, 2)), 1.1) if " | " in name else ("-", 1.6)
        axes.plot(k, 100 * np.asarray(curve), color=SERIES[colours[name]], ls=style, lw=width)
    longest = max(len(curve) for curve in curves.values())
    if pool:
        k = np.arange(1, longest + 1)
        axes.plot(k, np.minimum(100 * k / pool, 100), color=MUTED, lw=1, ls=(0, (1, 2)))
    axes.set(xscale="log", xlim=(1, max(longest, 2)), ylim=(0, 100))
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= longest]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.set_xticks([], minor=True)
    label_axes(axes, "k", "recall@k, %")
    return inline_svg(figure, "recall", "Recall at k by direction")


def series_of(names: Sequence[str]) -> dict[str, int]:
    """Colour number of each curve; a baseline shares that of the direction before its ``" | "``."""
    numbers: dict[str, int] = {}
    return {name: numbers.setdefault(name.split(" | ")[0], len(numbers)) % len(SERIES) for name in names}


def history_plot(history: Sequence[Mapping[str, Any]], keys: Sequence[str], unit: str) -> str:
    """Curves of the training history against the step; entries without a key are skipped.

    Args:
        history: entries with ``step`` and the keys.
        keys: what to draw, one line each.
        unit: label of the vertical axis; ``"%"`` multiplies by 100.
    """
    figure, axes = bare_axes()
    for index, key in enumerate(keys):
        points = np.array([(float(e["step"]), float(e[key])) for e in history if is_number(e.get(key))])
        points = points[np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).round().astype(int)]
        values = points[:, 1] * (100 if unit.endswith("%") else 1)
        marker = "o" if len(points) <= 12 else ""
        colour = SERIES[index % len(SERIES)]
        axes.plot(points[:, 0], values, color=colour, lw=1.5, marker=marker, ms=2.4)
    if unit.endswith("%"):
        axes.set_ylim(bottom=0)
    label_axes(axes, "step", unit)
    return inline_svg(figure, f"history-{unit}", f"{unit} against training step")


def similarity_plot(matrix: Float[np.ndarray, "rows columns"], rows: str, columns: str) -> str:
    """Heat map of a similarity matrix; the colour fades into the page, light or dark."""
    from matplotlib.colors import LinearSegmentedColormap

    figure, axes = bare_axes((4.6, 4.1))
    blue = (0.22, 0.47, 0.72)
    colours = LinearSegmentedColormap.from_list("fade", [(*blue, 0.0), (*blue, 1.0)])
    low, high = np.quantile(matrix, 0.05), matrix.max()
    image = axes.imshow(matrix, cmap=colours, vmin=low, vmax=high, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=RULE)
    bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.03)
    bar.outline.set(edgecolor=RULE)
    bar.ax.set_facecolor("none")
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    label_axes(axes, columns, rows)
    return inline_svg(figure, "similarity", f"Similarity of {rows} and {columns}")
