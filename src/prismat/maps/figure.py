"""Pictures of a map for print and for pages: PNG, SVG and PDF, points as pixels and words as letters."""

import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from prismat.files import replacing
from prismat.maps.colours import CLUSTERS, HEAT, HEAT_ENDS, NUMBERS
from prismat.maps.labels import place_labels
from prismat.maps.overlays import Overlay
from prismat.maps.world import MaterialsMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER, INK, MUTED, FAINT = "#fdfdfb", "#1c1f24", "#62676f", "#dcdbd4"
_SERIF = ("Palatino", "Palatino Linotype", "P052", "Georgia", "Liberation Serif", "DejaVu Serif")
_SANS = ("Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans")
FORMATS = ("png", "svg", "pdf")
_DPI = 200
_LEGEND_COLUMNS = 4


def cluster_figure(world: MaterialsMap, size: float = 8.4) -> "Figure":
    """The map with its regions in colours, named."""
    figure, (axes,) = _canvas(world, 1, size)
    colours = np.array([CLUSTERS[c % len(CLUSTERS)] for c in range(max(len(world.clusters), 1))])
    _points(axes, world, colours[world.cluster], _mark(world, size), 0.75)
    _names(figure, axes, world)
    return figure


def heat_figure(world: MaterialsMap, words: Sequence[str], size: float = 4.2) -> "Figure":
    """One map for each of the words, warm where points are near to them."""
    figure, all_axes = _canvas(world, len(words), size, 0.62)
    for axes, word in zip(all_axes, words, strict=True):
        values = world.heats[word]
        low, high = np.percentile(values, HEAT_ENDS)
        _scaled(axes, world, values, (float(low), float(high)), HEAT["light"], size)
        _titled(axes, word)
        _scale(figure, axes, HEAT["light"], (float(low), float(high)), "cosine")
    return figure


def overlay_figure(world: MaterialsMap, name: str, size: float = 5.2) -> "Figure":
    """The map coloured by one overlay."""
    shown = world.overlays[name]
    lines = -(-len(shown.categories) // _LEGEND_COLUMNS)
    figure, (axes,) = _canvas(world, 1, size, 0.62 + 0.19 * lines)
    title = name.replace("_", " ").replace("tag:", "")
    if shown.categories:
        _titled(axes, title, pad=8 + 13.5 * lines)
        _categories(axes, world, shown, size)
    else:
        _titled(axes, title)
        _scaled(axes, world, shown.values, (shown.low, shown.high), NUMBERS["light"], size)
        _scale(figure, axes, NUMBERS["light"], (shown.low, shown.high), shown.unit)
    return figure


def highlight_figure(
    maps: Mapping[str, Float[np.ndarray, "n 2"]],
    marked: Mapping[str, np.ndarray],
    captions: Mapping[str, str],
    size: float = 4.6,
) -> "Figure":
    """Several maps side by side with some of their points marked.

    Args:
        maps: places by name, in the box from −1 to 1.
        marked: by name, which points.
        captions: a line below each name.
        size: of one map in inches.
    """
    from matplotlib.figure import Figure

    low, high = (float(f([f(xy[:, 1]) for xy in maps.values()])) for f in (np.min, np.max))
    tall = size * (high - low + 0.1) / 2.1
    figure = Figure(figsize=(size * len(maps), tall + 0.7), facecolor=PAPER)
    for i, (name, xy) in enumerate(maps.items()):
        share = 1 / len(maps)
        axes = figure.add_axes((i * share, 0.0, share, tall / (tall + 0.7)))
        _bare(axes, ((-1.05, 1.05), (low - 0.05, high + 0.05)))
        area = np.clip(size**2 * 700 / max(len(xy), 1), 0.6, 18)
        mark = marked[name]
        axes.scatter(*xy[~mark].T, s=area, c=FAINT, lw=0, rasterized=True)
        axes.scatter(*xy[mark].T, s=1.6 * area, c=CLUSTERS[1], alpha=0.85, lw=0, rasterized=True)
        _titled(axes, name, captions[name])
    return figure


def write_figure(figure: "Figure", path: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Writes a picture in several formats, without time or machine in it.

    Args:
        figure: the picture.
        path: without its ending.
        formats: endings.
    """
    import matplotlib as mpl

    written = []
    salt: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": path.name, "pdf.fonttype": 42}
    for kind in formats:
        stream, dates = (
            io.BytesIO(),
            {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}},
        )
        with mpl.rc_context(salt):
            figure.savefig(stream, format=kind, dpi=_DPI, facecolor=PAPER, metadata=dates[kind])
        target = path.with_name(f"{path.name}.{kind}")
        with replacing(target) as temporary:
            temporary.write_bytes(_small(stream.getvalue()) if kind == "png" else stream.getvalue())
        written.append(target)
    return written


def _small(png: bytes) -> bytes:
    """The same picture in 256 colours, a third of the size."""
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


@cache
def _fonts(names: tuple[str, ...]) -> list[str]:
    """The first of some families that is installed, and for signs it lacks the last, matplotlib's own."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return list(dict.fromkeys([next((n for n in names if n in installed), names[-1]), names[-1]]))


def _canvas(world: MaterialsMap, count: int, size: float, head: float = 0.0) -> "tuple[Figure, list[Axes]]":
    """Axes side by side, as high as the map is."""
    from matplotlib.figure import Figure

    x0, y0, x1, y1 = world.bounds
    pad = 0.05
    tall = size * (y1 - y0 + 2 * pad) / (x1 - x0 + 2 * pad)
    figure = Figure(figsize=(size * count, tall + head), facecolor=PAPER)
    limits = ((x0 - pad, x1 + pad), (y0 - pad, y1 + pad))
    found = []
    for i in range(count):
        axes = figure.add_axes((i / count, 0.0, 1 / count, tall / (tall + head)))
        _bare(axes, limits)
        found.append(axes)
    return figure, found


def _bare(axes: "Axes", limits: tuple[tuple[float, float], tuple[float, float]]) -> None:
    axes.set_axis_off()
    axes.set(xlim=limits[0], ylim=limits[1])


def _mark(world: MaterialsMap, size: float) -> float:
    """Area of a point in square printer's points, smaller the more there are."""
    return float(np.clip(size**2 * 1500 / max(len(world), 1), 0.4, 60))


def _points(axes: "Axes", world: MaterialsMap, colours: np.ndarray, area: float, alpha: float) -> None:
    order = np.random.default_rng(0).permutation(len(world))
    axes.scatter(*world.xy[order].T, s=area, c=colours[order], alpha=alpha, lw=0, rasterized=True)


def _scaled(
    axes: "Axes",
    world: MaterialsMap,
    values: np.ndarray,
    ends: tuple[float, float],
    stops: Sequence[str],
    size: float,
) -> None:
    """Points by a number, the greatest on top."""
    from matplotlib.colors import LinearSegmentedColormap

    table = LinearSegmentedColormap.from_list("scale", list(stops))
    known = np.isfinite(values)
    area = 1.35 * _mark(world, size)
    axes.scatter(*world.xy[~known].T, s=area, c=FAINT, lw=0, rasterized=True)
    order = np.flatnonzero(known)[np.argsort(values[known], kind="stable")]
    shown = np.clip((values[order] - ends[0]) / max(ends[1] - ends[0], 1e-12), 0, 1)
    axes.scatter(*world.xy[order].T, s=area, c=table(shown), alpha=0.9, lw=0, rasterized=True)


def _categories(axes: "Axes", world: MaterialsMap, shown: Overlay, size: float) -> None:
    colours = np.full(len(world), FAINT, dtype=object)
    for i in range(len(shown.categories)):
        colours[shown.values == i] = CLUSTERS[i % len(CLUSTERS)]
    _points(axes, world, colours, 1.2 * _mark(world, size), 0.8)
    for i, name in enumerate(shown.categories):
        axes.scatter([], [], s=26, c=CLUSTERS[i % len(CLUSTERS)], lw=0, label=name)
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=7.5,
        labelcolor=MUTED,
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _titled(axes: "Axes", title: str, caption: str = "", pad: float = 20) -> None:
    axes.set_title(_mathless(title), fontfamily=_fonts(_SERIF), fontsize=14, color=INK, pad=pad)
    if caption:
        axes.annotate(
            caption,
            (0.5, 1.0),
            (0, 9),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=MUTED,
            fontfamily=_fonts(_SANS),
        )


def _mathless(text: str) -> str:
    """Words from anyone without what matplotlib would take for mathematics."""
    return text.replace("$", r"\$")


def _scale(
    figure: "Figure", axes: "Axes", stops: Sequence[str], ends: tuple[float, float], unit: str
) -> None:
    """A slim bar of colours below a title, its ends in numbers."""
    from matplotlib.colors import LinearSegmentedColormap

    box = axes.get_position()
    bar = figure.add_axes((box.x0 + 0.35 * box.width, box.y1 + 0.012, 0.3 * box.width, 0.014))
    table = LinearSegmentedColormap.from_list("scale", list(stops))
    bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=table)
    bar.set_axis_off()
    for x, text, side in (
        (-0.04, f"{ends[0]:.3g}", "right"),
        (1.04, f"{ends[1]:.3g} {unit}".strip(), "left"),
    ):
        bar.text(x, 0.4, text, transform=bar.transAxes, ha=side, va="center", fontsize=7.5, color=MUTED)


def subscripted(text: str) -> str:
    """Formulas among words with their numbers as subscripts."""
    low = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    formula = re.compile(r"(?:[A-Z][a-z]?\d*){2,}")
    words = (w.translate(low) if formula.fullmatch(w) else w for w in text.split(" "))
    return " ".join(words)


_Label = tuple[dict[str, Any], dict[str, Any]]
"""The large and the small line of a name, as matplotlib takes them."""


def _names(figure: "Figure", axes: "Axes", world: MaterialsMap) -> None:
    """The clusters' names, the first word large and the others below it."""
    labels = [_label(cluster.name) for cluster in world.clusters]
    inverse = axes.transData.inverted()
    unit = np.abs(inverse.transform((1, 1)) - inverse.transform((0, 0)))
    boxes = [tuple(_extent(figure, axes, line) for line in label) for label in labels]
    sizes = [[max(a[0], b[0]) * unit[0], (a[1] + b[1] + 2) * unit[1]] for a, b in boxes]
    places = [[c.x, c.y] for c in world.clusters]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    as_pairs = lambda values: np.array(values, dtype=np.float64).reshape(-1, 2)  # noqa: E731
    found = place_labels(as_pairs(places), as_pairs(sizes), (left, low, right, high), 3 * float(unit.max()))
    for (big, small), (a, b), place in zip(labels, boxes, found, strict=True):
        if place is not None:
            _haloed(axes, place[0], place[1] + (b[1] / 2 + 1) * unit[1], big)
            _haloed(axes, place[0], place[1] - (a[1] / 2 + 1) * unit[1], small)


def _label(name: str) -> _Label:
    first, *rest = (_mathless(subscripted(t)) for t in name.split(" · "))
    middle = {"ha": "center", "va": "center"}
    big = {
        "s": first,
        "fontsize": 11.5,
        "weight": "bold",
        "color": INK,
        "fontfamily": _fonts(_SERIF),
        **middle,
    }
    small = {"s": " · ".join(rest), "fontsize": 7.4, "color": MUTED, "fontfamily": _fonts(_SANS), **middle}
    return big, small


def _extent(figure: "Figure", axes: "Axes", line: dict[str, Any]) -> tuple[float, float]:
    """Width and height of a line of text in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    text = axes.text(0, 0, **line)
    box = text.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    text.remove()
    return box.width, box.height


def _haloed(axes: "Axes", x: float, y: float, line: dict[str, Any]) -> None:
    """A line of text over its own outline; apart, so that the text stays text in SVG and PDF."""
    from matplotlib.patheffects import Stroke

    halo = [Stroke(linewidth=3.2, foreground=PAPER, alpha=0.92)]
    axes.text(x, y, **line, path_effects=halo, zorder=5)
    axes.text(x, y, **line, zorder=6)
