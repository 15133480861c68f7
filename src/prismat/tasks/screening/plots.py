"""Pictures of screening and tagging."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from prismat.page.figure import INK, MUTED, RULE, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.screening.curves import roc_curve, weighted_roc_auc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_STYLES: tuple[tuple[str, str | tuple, float], ...] = (
    (SERIES[0], "-", 1.7),
    (SERIES[1], (0, (4, 2)), 1.2),
    (SERIES[2], (0, (1, 1.5)), 1.4),
)


def roc_panels(
    words: Sequence[str],
    labels: Sequence[Bool[np.ndarray, " items"]],
    scores: Mapping[str, Sequence[Float[np.ndarray, " items"]]],
) -> str:
    """One panel of ROC curves per word, one line per system, and the diagonal of chance.

    Args:
        words: names of the panels.
        labels: right structures, by word.
        scores: by system, by word; three systems at most.
    """
    from matplotlib.figure import Figure

    rows = ceil(len(words) / _COLUMNS)
    columns = min(len(words), _COLUMNS)
    side = max(2.3, 4.3 / columns)
    size = (side * columns + 0.3, (side + 0.15) * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained", facecolor="none")
    for i, word in enumerate(words):
        axes = figure.add_subplot(rows, columns, i + 1, facecolor="none")
        _panel(axes, labels[i], {name: one[i] for name, one in scores.items()})
        axes.set_title(f"{word} ({int(labels[i].sum())})", fontsize=9, color=INK, loc="left")
        axes.set_xlabel("false positives" if i >= len(words) - columns else "", color=MUTED, fontsize=8)
        axes.set_ylabel("true positives" if i % columns == 0 else "", color=MUTED, fontsize=8)
    handles, names = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(
        handles, names, loc="outside upper left", ncols=4 if columns > 2 else 2, frameon=False, fontsize=8.5
    )
    for text in legend.get_texts():
        text.set_color(INK)
    return inline_svg(figure, "roc", "ROC curves of words")


def _panel(axes: "Axes", labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (1, 2)), label="chance")
    areas = []
    for (name, one), (colour, style, width) in zip(scores.items(), _STYLES, strict=False):
        wrong, right = roc_curve(one, labels)
        axes.plot(wrong, right, color=colour, ls=style, lw=width, label=name)
        areas.append((weighted_roc_auc(one, labels, np.ones((1, len(labels))))[0], colour))
    for line, (area, colour) in enumerate(reversed(areas)):
        axes.text(0.97, 0.05 + 0.11 * line, f"{area:.2f}", color=colour, fontsize=8, ha="right")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], aspect="equal")
    axes.grid(visible=True, color=RULE, lw=0.6)
    axes.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=MUTED, lw=0.7)


def violins(
    values: Mapping[str, Float[np.ndarray, " k"]],
    threshold: float,
    labels: tuple[str, str],
    shares: Mapping[str, float],
) -> str:
    """Distributions side by side, each crystal a point, with the line of the threshold.

    Args:
        values: by name, the random draw among them.
        threshold: where the line is.
        labels: of the vertical axis, property and unit; and where the numbers come from, above the figure.
        shares: below the threshold, by name; written above each.
    """
    figure, axes = bare_axes((1.55 * len(values) + 1.3, 3.9))
    rng = np.random.default_rng(0)
    top, bottom = (
        max(float(np.max(v)) for v in values.values()),
        min(float(np.min(v)) for v in values.values()),
    )
    for i, (name, some) in enumerate(values.items()):
        colour = MUTED if name == "random" else SERIES[i % len(SERIES)]
        drawn = axes.violinplot([some], [i], widths=0.82, showextrema=False, bw_method=0.25)
        for body in drawn["bodies"]:  # ty: ignore[not-iterable]
            body.set(facecolor=colour, alpha=0.3, edgecolor=colour, linewidth=1.0)
        axes.scatter(
            i + rng.uniform(-0.07, 0.07, len(some)), some, s=5, color=colour, alpha=0.55, linewidths=0
        )
        axes.hlines(np.median(some), i - 0.24, i + 0.24, color=INK, lw=1.6)
        axes.text(i, top * 1.05, f"{100 * shares[name]:.0f} %", ha="center", fontsize=8.5, color=INK)
    axes.axhline(threshold, color=SERIES[1], lw=1.1, ls=(0, (4, 2)))
    axes.text(len(values) - 0.5, threshold, f"{threshold:g}", color=SERIES[1], fontsize=8.5, va="bottom")
    axes.set_title(labels[1], fontsize=8.5, color=MUTED, loc="left")
    axes.set_xticks(range(len(values)), [_folded(name) for name in values], fontsize=8.5, color=INK)
    axes.set(xlim=(-0.55, len(values) - 0.3), ylim=(min(-0.03 * top, 1.1 * bottom), 1.14 * top))
    axes.grid(visible=False, axis="x")
    label_axes(axes, f"share below {threshold:g} above each", labels[0])
    return inline_svg(figure, "violins", f"{labels[0]} of the tops of rankings and of a random draw")


def _folded(name: str, width: int = 16) -> str:
    """A name over several lines."""
    lines = [""]
    for word in name.split():
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if len(joined) <= width or not lines[-1] else [*lines, word]
    return "\n".join(lines)


def tag_bars(values: Mapping[str, Sequence[float]], chance: float) -> str:
    """A point with its interval per system, chance as a line.

    Args:
        values: value, lower and upper end by system.
        chance: of the same figure.
    """
    figure, axes = bare_axes((4.6, 0.42 * len(values) + 1.0))
    for i, (value, low, high) in enumerate(values.values()):
        colour = SERIES[0] if i == 0 else MUTED
        axes.plot([low, high], [-i, -i], color=colour, lw=1.6, solid_capstyle="butt")
        axes.plot([value], [-i], "o", color=colour, ms=5)
        axes.text(value, 0.2 - i, f"{value:.2f}", fontsize=8.5, color=INK, ha="center")
    axes.axvline(chance, color=MUTED, lw=0.9, ls=(0, (1, 2)))
    axes.set_yticks([-i for i in range(len(values))], list(values), fontsize=8.5, color=INK)
    axes.set(ylim=(-len(values) + 0.5, 0.6), xlim=(0, None))
    axes.grid(visible=False, axis="y")
    label_axes(axes, "recall@10 of a held-out title's own words", "")
    return inline_svg(figure, "tags", "Recall of own words by system")
