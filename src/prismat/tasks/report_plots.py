"""Plots of the report as inline SVG whose colours follow the page, light or dark."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib writes plain colours; these stand for the page's CSS variables and are swapped in the SVG.
_INK, _MUTED, _RULE = "#010203", "#010204", "#010205"
_SERIES = tuple(f"#0106{n:02x}" for n in range(6))
_VARIABLES = {_INK: "ink", _MUTED: "muted", _RULE: "rule"} | {c: f"s{n}" for n, c in enumerate(_SERIES)}

_SIZE = (4.6, 3.1)
_MOST_POINTS = 300


def series_variable(index: int) -> str:
    """CSS variable of the n-th line of a plot."""
    return f"var(--s{index % len(_SERIES)})"


def recall_plot(curves: Mapping[str, Float[np.ndarray, " k"]], pool: int | float | None = None) -> str:
    """Recall@k against k on a logarithmic axis.

    Args:
        curves: recall at k = 1, 2, … by name; names that hold ``" | "`` are baselines and dashed, in the
            colour of the part before it.
        pool: gallery size, for the chance line of one right item.
    """
    figure, axes = _axes()
    colours = series_of(list(curves))
    for name, curve in curves.items():
        k = np.arange(1, len(curve) + 1)
        style, width = ((0, (4, 2)), 1.1) if " | " in name else ("-", 1.6)
        axes.plot(k, 100 * np.asarray(curve), color=_SERIES[colours[name]], ls=style, lw=width)
    longest = max(len(curve) for curve in curves.values())
    if pool:
        k = np.arange(1, longest + 1)
        axes.plot(k, np.minimum(100 * k / pool, 100), color=_MUTED, lw=1, ls=(0, (1, 2)))
    axes.set(xscale="log", xlim=(1, max(longest, 2)), ylim=(0, 100))
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= longest]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.set_xticks([], minor=True)
    _label(axes, "k", "recall@k, %")
    return _svg(figure, "recall", "Recall at k by direction")


def series_of(names: Sequence[str]) -> dict[str, int]:
    """Colour number of each curve; a baseline shares that of the direction before its ``" | "``."""
    numbers: dict[str, int] = {}
    return {name: numbers.setdefault(name.split(" | ")[0], len(numbers)) % len(_SERIES) for name in names}


def history_plot(history: Sequence[Mapping[str, Any]], keys: Sequence[str], unit: str) -> str:
    """Curves of the training history against the step; entries without a key are skipped.

    Args:
        history: entries with ``step`` and the keys.
        keys: what to draw, one line each.
        unit: label of the vertical axis; ``"%"`` multiplies by 100.
    """
    figure, axes = _axes()
    for index, key in enumerate(keys):
        points = np.array([(float(e["step"]), float(e[key])) for e in history if is_number(e.get(key))])
        points = points[np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).round().astype(int)]
        values = points[:, 1] * (100 if unit.endswith("%") else 1)
        marker = "o" if len(points) <= 12 else ""
        colour = _SERIES[index % len(_SERIES)]
        axes.plot(points[:, 0], values, color=colour, lw=1.5, marker=marker, ms=2.4)
    if unit.endswith("%"):
        axes.set_ylim(bottom=0)
    _label(axes, "step", unit)
    return _svg(figure, f"history-{unit}", f"{unit} against training step")


def similarity_plot(matrix: Float[np.ndarray, "rows columns"], rows: str, columns: str) -> str:
    """Heat map of a similarity matrix; the colour fades into the page, light or dark."""
    from matplotlib.colors import LinearSegmentedColormap

    figure, axes = _axes((4.6, 4.1))
    blue = (0.22, 0.47, 0.72)
    colours = LinearSegmentedColormap.from_list("fade", [(*blue, 0.0), (*blue, 1.0)])
    low, high = np.quantile(matrix, 0.05), matrix.max()
    image = axes.imshow(matrix, cmap=colours, vmin=low, vmax=high, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=_RULE)
    bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.03)
    bar.outline.set(edgecolor=_RULE)
    bar.ax.set_facecolor("none")
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=_MUTED)
    _label(axes, columns, rows)
    return _svg(figure, "similarity", f"Similarity of {rows} and {columns}")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number (True and False are not)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return math.isfinite(value)


def _axes(size: tuple[float, float] = _SIZE) -> "tuple[Figure, Axes]":
    """A bare figure in the report's style, outside pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    axes.grid(visible=True, color=_RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelsize=8.5, labelcolor=_MUTED)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=_MUTED, lw=0.7)
    return figure, axes


def _label(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x, color=_MUTED, fontsize=8.5)
    axes.set_ylabel(y, color=_MUTED, fontsize=8.5)


def _svg(figure: "Figure", name: str, label: str) -> str:
    """The figure as an SVG element with the page's colours and font, and no time or machine in it."""
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"prismat-{name}"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    # Ids are per figure: two figures on one page must not share a clip path.
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{re.sub(r'[^a-z]+', '-', name)}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
