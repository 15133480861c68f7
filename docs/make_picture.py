"""The README's picture: one measured pattern, one sentence, and what they find, from a finished quickstart.

Usage: python docs/make_picture.py --run runs/quickstart --pattern measured.xy --label "what it is"
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import prismat
from prismat.api import load
from prismat.files import replacing
from prismat.modalities.measured import from_measured
from prismat.modalities.rendering import ProfileSettings, render
from prismat.search.engine import SearchEngine
from prismat.store import Store

INK, SOFT, BLUE, RED = "#1c2430", "#8a94a3", "#2f6db3", "#c2503a"


@dataclass(frozen=True)
class Options:
    """What to draw.

    Attributes:
        run: a quickstart folder.
        pattern: a measured .xy file.
        label: what the pattern is of.
        text: the sentence searched for.
        out: the picture.
    """

    run: Path = Path("runs/quickstart")
    pattern: Path = Path("measured.xy")
    label: str = "measured pattern"
    text: str = "zeolite framework aluminosilicate"
    out: Path = Path("docs/images/search.png")


def draw(options: Options) -> None:
    """Draws both searches side by side."""
    model = load(options.run)
    engine = SearchEngine.open(model, options.run / "index")
    figure = Figure(figsize=(12, 4.6), dpi=160, facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1], gridspec_kw={"wspace": 0.08})
    pattern = prismat.read_xy(options.pattern, record=str(options.pattern))
    draw_pattern(left, engine, Store(options.run / "store"), pattern, options)
    draw_hits(right, f"“{options.text}”", engine.search(text=options.text, k=7))
    figure.subplots_adjust(left=0.02, right=0.98, top=0.9, bottom=0.1)
    FigureCanvasAgg(figure)
    with replacing(options.out) as temporary:
        figure.savefig(temporary, format="png")


def draw_pattern(
    axis: Any, engine: SearchEngine, store: Store, pattern: prismat.Pattern, options: Options
) -> None:
    """The measured profile above the simulated ones of the first three crystals found."""
    settings: ProfileSettings = engine.prismat.recipe.profile
    hits = engine.search(xrd=pattern, k=3)
    columns = list(engine.prismat.xrd.columns)
    simulated = render(store.take(np.array([h.row for h in hits]), columns), settings).numpy()
    q = np.linspace(settings.q_min, settings.q_max, settings.points)
    rows = [(from_measured(pattern, settings), INK, f"measured: {options.label}")]
    rows += [
        (curve, BLUE, f"{h.score:.2f}   {h.formula}   {h.spacegroup}   {h.title[:52]}")
        for curve, h in zip(simulated, hits, strict=True)
    ]
    for level, (curve, color, name) in enumerate(reversed(rows)):
        axis.plot(q, level + 0.72 * curve / curve.max(), color=color, linewidth=0.9)
        axis.text(q[0], level + 0.84, name, color=color, fontsize=8.5)
    axis.set_xlabel("q / Å⁻¹", color=SOFT, fontsize=9)
    axis.set_yticks([])
    axis.tick_params(colors=SOFT, labelsize=8)
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(SOFT)
    axis.set_title("Which crystal made this pattern?", loc="left", color=INK, fontsize=12, fontweight="bold")


def draw_hits(axis: Any, title: str, hits: list) -> None:
    """A list of results with bars for their scores."""
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(len(hits), -0.2)
    low = min(h.score for h in hits) - 0.05
    for i, hit in enumerate(hits):
        axis.barh(i + 0.78, (hit.score - low) / (hits[0].score - low) * 0.16, 0.1, 0.06, color=RED)
        axis.text(0.06, i + 0.45, f"{hit.formula}", fontsize=9.5, color=INK, fontweight="bold", va="center")
        axis.text(0.98, i + 0.45, hit.spacegroup, fontsize=8.5, color=SOFT, va="center", ha="right")
        axis.text(0.24, i + 0.8, hit.title[:66], fontsize=7.8, color=SOFT, va="center")
    axis.set_title(title, loc="left", x=0.06, color=INK, fontsize=12, fontweight="bold")


if __name__ == "__main__":
    draw(tyro.cli(Options))
