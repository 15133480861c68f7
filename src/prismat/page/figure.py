"""Figures as inline SVG whose colours follow the page, light or dark."""

import io
import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib writes plain colours; these stand for the page's CSS variables and are swapped in the SVG.
INK, MUTED, RULE = "#010203", "#010204", "#010205"
SERIES = tuple(f"#0106{n:02x}" for n in range(6))
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule"} | {c: f"s{n}" for n, c in enumerate(SERIES)}

_SIZE = (4.6, 3.1)


def series_variable(index: int) -> str:
    """CSS variable of the n-th line of a plot."""
    return f"var(--s{index % len(SERIES)})"


def bare_axes(size: tuple[float, float] = _SIZE) -> "tuple[Figure, Axes]":
    """A bare figure in the report's style, outside pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    axes.grid(visible=True, color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelsize=8.5, labelcolor=MUTED)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=MUTED, lw=0.7)
    return figure, axes


def label_axes(axes: "Axes", x: str, y: str) -> None:
    """Names both axes in the report's style."""
    axes.set_xlabel(x, color=MUTED, fontsize=8.5)
    axes.set_ylabel(y, color=MUTED, fontsize=8.5)


def inline_svg(figure: "Figure", name: str, label: str) -> str:
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
