"""Explanations drawn: on the structure, the pattern, the DOS, the density and the text."""

from typing import TYPE_CHECKING

import numpy as np

from prismat.crystal import Crystal
from prismat.explain.crystal_picture import crystal_svg
from prismat.explain.explanation import Curves, Part
from prismat.explain.word_picture import words_svg
from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOR, AGAINST = SERIES[0], SERIES[1]
"""Colours of what holds a match up, and of what works against it."""

_WIDE = (8.6, 3.0)


def strengths(part: Part) -> np.ndarray:
    """Values divided by the greatest absolute one; zeros where all are."""
    values = np.array([item.value for item in part.items])
    most = np.abs(values).max(initial=0.0)
    return values / most if most > 0 else values


def part_svg(part: Part, crystal: Crystal | None = None) -> str:
    """An explanation's part as an SVG element in the page's colours.

    Args:
        part: what to draw.
        crystal: the structure of a part of atoms or bonds; bonds are listed where there is none.
    """
    name = f"{part.side}-{part.window}-{part.unit}-{part.method}"
    if part.unit == "word":
        return words_svg(part, strengths(part))
    if part.unit == "atom" and crystal is not None:
        return crystal_svg(part, strengths(part), crystal, name)
    if part.unit == "peak":
        return _curve_svg(part, name, "2θ / °", "intensity")
    if part.unit == "energy":
        unit = "eV" if part.data["unit"] == "eV" else "cm⁻¹"
        return _curve_svg(part, name, f"energy / {unit}", f"states / atom / {unit}")
    if part.unit == "voxel":
        return _blocks_svg(part, name)
    return _bars_svg(part, name)


def check_svg(check: Curves, name: str) -> str:
    """Deletion and insertion curves beside those of random orders."""
    figure, axes = bare_axes((4.3, 3.0))
    low, high = np.quantile(check.random_deletion, [0.05, 0.95], axis=0)
    axes.fill_between(check.share, low, high, color=MUTED, alpha=0.18, lw=0)
    axes.plot(check.share, check.random_deletion.mean(0), color=MUTED, lw=1.2, ls=(0, (4, 3)))
    axes.plot(check.share, check.deletion, color=FOR, lw=1.8)
    axes.plot(check.share, check.insertion, color=SERIES[2], lw=1.8)
    _direct_labels(axes)
    axes.set_xlim(0, 1)
    label_axes(axes, "share taken away (put back)", "score")
    told = f"Deletion and insertion curves of {name.replace('-', ' ')}, random orders dashed"
    return inline_svg(figure, f"check-{name}", told)


def _direct_labels(axes: "Axes") -> None:
    """Names of the curves, in their colours, above the plot."""
    told = (("deletion", FOR), ("insertion", SERIES[2]), ("random deletion, 5 to 95 %", MUTED))
    for place, (text, colour) in zip((0.0, 0.22, 0.46), told, strict=True):
        axes.text(place, 1.03, text, color=colour, fontsize=8.5, transform=axes.transAxes)


def _curve_svg(part: Part, name: str, x_name: str, y_name: str) -> str:
    """A pattern or a spectrum whose stretches are filled by their values."""
    figure, axes = bare_axes(_WIDE)
    axes.grid(visible=False)
    if part.unit == "peak":
        x, y = np.array(part.data["two_theta"]), np.sqrt(np.array(part.data["intensity"]))
        axes.set_yticks([])
        y_name = "√ intensity"
    else:
        x, y = np.array(part.data["energies"]), np.array(part.data["densities"])
    for item, strength in zip(part.items, strengths(part), strict=True):
        inside = (x >= (item.low or 0)) & (x <= (item.high or 0))
        if inside.any():
            colour = FOR if strength > 0 else AGAINST
            axes.fill_between(x[inside], 0, y[inside], color=colour, alpha=0.12 + 0.88 * abs(strength), lw=0)
    axes.plot(x, y, color=INK, lw=0.7)
    _label_tops(axes, part, x, y)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(0, 1.18 * max(float(y.max()), 1e-9))
    label_axes(axes, x_name, y_name)
    return inline_svg(figure, name, f"{part.window} of the {part.side}, filled by attribution")


def _label_tops(axes: "Axes", part: Part, x: np.ndarray, y: np.ndarray, most: int = 6) -> None:
    """Labels of the most important stretches that do not run into each other."""
    taken: list[float] = []
    room = 0.05 * (x[-1] - x[0])
    for i in np.argsort(-np.abs(strengths(part)), kind="stable"):
        item = part.items[i]
        at = item.x or 0.0
        if len(taken) == most or any(abs(at - other) < room for other in taken) or item.value == 0:
            continue
        taken.append(at)
        inside = (x >= (item.low or at)) & (x <= (item.high or at))
        top = float(y[inside].max()) if inside.any() else 0.0
        text = f"{at:.1f}°" if part.unit == "peak" else f"{at:g}"
        axes.annotate(
            text,
            (at, top),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=FOR if item.value > 0 else AGAINST,
        )


def _bars_svg(part: Part, name: str, most: int = 10) -> str:
    """The greatest values as bars, named."""
    order = np.argsort(-np.abs(strengths(part)), kind="stable")[:most][::-1]
    figure, axes = bare_axes((4.6, 0.55 + 0.27 * len(order)))
    axes.grid(visible=False)
    values = np.array([part.items[i].value for i in order])
    axes.barh(range(len(order)), values, color=[FOR if v > 0 else AGAINST for v in values], height=0.62)
    axes.set_yticks(range(len(order)), [part.items[i].label for i in order])
    axes.axvline(0, color=MUTED, lw=0.7)
    label_axes(axes, "change of the score", "")
    return inline_svg(figure, name, f"{part.unit}s of the {part.side} by attribution")


def _blocks_svg(part: Part, name: str) -> str:
    """Slices of the cell along its third axis, each block filled by its value."""
    from matplotlib.figure import Figure

    nx, ny, nz = part.data["blocks"]
    values = strengths(part).reshape(nx, ny, nz)
    figure: Figure = Figure(figsize=(2.1 * nz, 2.5), layout="constrained", facecolor="none")
    for k in range(nz):
        axes = figure.add_subplot(1, nz, k + 1, facecolor="none")
        _slice(axes, values[:, :, k])
        axes.set_title(f"z = {(k + 0.5) / nz:.2f}", fontsize=8.5, color=MUTED)
    return inline_svg(figure, name, f"charge density of the {part.side} in slices, filled by attribution")


def _slice(axes: "Axes", values: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    for (i, j), value in np.ndenumerate(values):
        colour = FOR if value > 0 else AGAINST
        axes.add_patch(Rectangle((i, j), 1, 1, facecolor=colour, alpha=abs(float(value)), lw=0))
    axes.set(xlim=(0, values.shape[0]), ylim=(0, values.shape[1]), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set(color=MUTED, lw=0.7)
