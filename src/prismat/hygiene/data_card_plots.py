"""Plots of the data card as inline SVG in the colours of the page, light or dark."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from prismat.elements import SYMBOLS, table
from prismat.page import figure as plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = plots.SERIES[0]
_LANTHANUM, _ACTINIUM = 57, 89


def card_plots(card: Mapping[str, Any]) -> dict[str, str]:
    """The plots there is something for, by name: elements, systems, sites, journals, years, texts."""
    makers: dict[str, tuple[Any, Callable[[Any], str]]] = {
        "elements": (card["elements"], element_plot),
        "systems": (card["symmetry"].get("systems"), systems_plot),
        "sites": (card["cells"].get("sites_histogram"), sites_plot),
        "journals": (card["journals"].get("most"), journals_plot),
        "years": (card["years"].get("counts"), years_plot),
    }
    made = {name: draw(values) for name, (values, draw) in makers.items() if values}
    for kind, found in card["texts"].items():
        made[f"text {kind}"] = words_plot(found["words_histogram"], kind)
    return made


def element_plot(counts: Mapping[str, int]) -> str:
    """The periodic table, each element as deep as the logarithm of its number of records."""
    from matplotlib.patches import Rectangle

    figure, axes = plots.bare_axes((9.2, 4.5))
    top = np.log1p(max(counts.values()))
    for z, row in enumerate(table(), start=1):
        x, y = _place(z, int(row["group"]), int(row["period"]))
        n = counts.get(SYMBOLS[z], 0)
        depth = 0.06 + 0.74 * (np.log1p(n) / top) ** 2 if n else 0.0
        axes.add_patch(Rectangle((x, y), 0.94, 0.94, facecolor=(*_BLUE, depth), edgecolor=plots.RULE, lw=0.7))
        ink = plots.INK if n else plots.MUTED
        axes.text(x + 0.47, y + 0.36, SYMBOLS[z], ha="center", va="center", fontsize=9.5, color=ink)
        if n:
            axes.text(x + 0.47, y + 0.72, _short(n), ha="center", va="center", fontsize=6.5, color=plots.INK)
    axes.set(xlim=(0.95, 19), ylim=(10.6, 0.95), xticks=[], yticks=[], aspect="equal")
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return plots.inline_svg(figure, "elements", "Records by element")


_BLUE = (0.22, 0.47, 0.72)


def _place(z: int, group: int, period: int) -> tuple[float, float]:
    """Column and row; the f block stands below."""
    for first, row in ((_LANTHANUM, 8.5), (_ACTINIUM, 9.5)):
        if first <= z <= first + 13:
            return 4.0 + z - first, row
    return float(group), float(period)


def _short(n: int) -> str:
    """A count in at most four characters."""
    if n < 1000:
        return str(n)
    return f"{n / 1000:.1f}k" if n < 9950 else f"{n / 1000:.0f}k" if n < 999_500 else f"{n / 1e6:.1f}M"


def systems_plot(counts: Mapping[str, int]) -> str:
    """Records by crystal system."""
    return _rows(counts, "systems", "Records by crystal system")


def journals_plot(counts: Mapping[str, int]) -> str:
    """Records by journal, the commonest first."""
    shown = {name if len(name) <= 46 else f"{name[:45]}…": n for name, n in counts.items()}
    return _rows(shown, "journals", "Records by journal")


def years_plot(counts: Mapping[str, int]) -> str:
    """Records by year of publication."""
    _, axes = plots.bare_axes()
    years = [int(year) for year in counts]
    axes.bar(years, list(counts.values()), width=0.85, color=_BAR)
    axes.locator_params(axis="x", integer=True, nbins=7)
    axes.set_xlim(min(years) - 1, max(years) + 1)
    return _columns(axes, "year of publication", "years", "Records by year")


def sites_plot(counted: Mapping[str, Sequence[float]]) -> str:
    """Records by atoms in the primitive cell, in octaves."""
    _, axes = plots.bare_axes()
    place, edges = np.arange(len(counted["counts"])), counted["edges"]
    axes.bar(place, counted["counts"], width=0.85, color=_BAR)
    spans = [_span(*ends) for ends in pairwise(edges)]
    axes.set_xticks(place, spans, fontsize=7 if len(spans) > 6 else 8.5)
    return _columns(axes, "atoms in the primitive cell", "sites", "Records by number of atoms")


def _span(low: float, high: float) -> str:
    return f"{low:.0f}" if high - low == 1 else f"{low:.0f}–{high - 1:.0f}"


def words_plot(counted: Mapping[str, Sequence[float]], kind: str) -> str:
    """Texts of one kind by number of words; the last bar is all that are longer."""
    _, axes = plots.bare_axes()
    edges, counts = list(counted["edges"]), list(counted["counts"])
    width = edges[1] - edges[0]
    axes.bar(np.arange(len(counts)) * width, counts, width=0.85 * width, align="edge", color=_BAR)
    axes.locator_params(axis="x", integer=True, nbins=8)
    return _columns(axes, "words", f"words {kind}", f"Texts of kind {kind} by number of words")


def _columns(axes: "Axes", x: str, name: str, label: str) -> str:
    axes.grid(visible=False, axis="x")
    axes.locator_params(axis="y", integer=True, nbins=6)
    plots.label_axes(axes, x, "records")
    return plots.inline_svg(axes.figure, name, label)  # ty: ignore[invalid-argument-type]


def _rows(counts: Mapping[str, int], name: str, label: str) -> str:
    """A bar for each name, its count at its end."""
    figure, axes = plots.bare_axes((4.6, 0.75 + 0.24 * len(counts)))
    place, values = np.arange(len(counts)), list(counts.values())
    axes.barh(place, values, height=0.72, color=_BAR)
    axes.set_yticks(place, list(counts))
    axes.set(ylim=(len(counts) - 0.4, -0.6), xlim=(0, 1.14 * max(*values, 1)), xticks=[])
    axes.grid(visible=False)
    for at, value in zip(place, values, strict=True):
        axes.annotate(
            f"{value:,}", (value, at), (4, 0), textcoords="offset points", va="center", fontsize=8,
            color=plots.MUTED,
        )  # fmt: skip
    axes.tick_params(axis="y", labelcolor=plots.INK)
    axes.spines["bottom"].set_visible(False)
    return plots.inline_svg(figure, name, label)
