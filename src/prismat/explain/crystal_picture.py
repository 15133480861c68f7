"""A unit cell in projection, its atoms coloured by what they contribute."""

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from prismat.crystal import Crystal
from prismat.elements import column
from prismat.explain.explanation import Part
from prismat.page.figure import INK, MUTED, RULE, SERIES, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EDGE = 0.03
"""An atom this close to a face, in fractional coordinates, is drawn at the opposite face too."""
_MOST_ATOMS, _MOST_LABELS = 400, 90


def crystal_svg(part: Part, strength: Float[np.ndarray, " sites"], crystal: Crystal, name: str) -> str:
    """The cell seen along a direction near its longest axis' normal, near atoms over far ones.

    Args:
        part: values of atoms; their ``site`` is a place in ``crystal``.
        strength: of each item, −1 to 1.
        crystal: the structure as given.
        name: of the figure, which its ids begin with.
    """
    from matplotlib.figure import Figure

    site, frac = drawn_atoms(crystal)
    flat, depth = projected(frac @ crystal.lattice)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    axes.set_axis_off()
    axes.set_aspect("equal")
    if crystal.periodic:
        _cell(axes, crystal)
    _bonds(axes, crystal, site, frac, flat, depth)
    by_site = dict(zip((item.site for item in part.items), strength, strict=True))
    _atoms(axes, crystal, part, site, flat, depth, np.array([by_site.get(int(s), 0.0) for s in site]))
    return inline_svg(figure, name, f"structure of the {part.side}, atoms filled by attribution")


def drawn_atoms(crystal: Crystal) -> tuple[Int[np.ndarray, " drawn"], Float[np.ndarray, "drawn 3"]]:
    """Site and fractional coordinates of every atom in the cell, those on its faces on both sides."""
    if not crystal.periodic:
        return np.arange(len(crystal)), crystal.frac
    inside = crystal.frac - np.floor(crystal.frac + 1e-9)
    sites, rows = [np.arange(len(crystal))], [inside]
    for shift in product((0, 1, -1), repeat=3):
        moved = inside + shift
        shown = np.all((moved > -_EDGE) & (moved < 1 + _EDGE), axis=1)
        if any(shift) and shown.any():
            sites.append(np.flatnonzero(shown))
            rows.append(moved[shown])
    return np.concatenate(sites)[:_MOST_ATOMS], np.concatenate(rows)[:_MOST_ATOMS]


def projected(
    positions: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Orthographic projection from above the front right: places on the page, and height above it."""
    turn, tilt = np.radians(-24), np.radians(18)
    around = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    over = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    x, depth, y = (positions @ around.T @ over.T).T
    return np.column_stack([x, y]), -depth


def _cell(axes: "Axes", crystal: Crystal) -> None:
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    for a, b in product(range(8), repeat=2):
        if a < b and np.abs(corners[a] - corners[b]).sum() == 1:
            ends, _ = projected(corners[[a, b]] @ crystal.lattice)
            axes.plot(*ends.T, color=MUTED, lw=0.7, alpha=0.55, zorder=-1e6)


def _radii(crystal: Crystal) -> Float[np.ndarray, " sites"]:
    radius = column("covalent_radius")
    return np.array([max(float(np.nan_to_num(radius[z], nan=1.2)) for z, _ in s) for s in crystal.sites])


def _bonds(
    axes: "Axes",
    crystal: Crystal,
    site: Int[np.ndarray, " drawn"],
    frac: Float[np.ndarray, "drawn 3"],
    flat: Float[np.ndarray, "drawn 2"],
    depth: Float[np.ndarray, " drawn"],
) -> None:
    """Lines between drawn atoms that are as close as a bond; none between two metals' large radii."""
    positions, radius = frac @ crystal.lattice, _radii(crystal)[site]
    apart = np.linalg.norm(positions[:, None] - positions, axis=2)
    limit = 1.12 * (radius[:, None] + radius)
    number = np.array([s[-1][0] for s in crystal.sites])[site]
    other = number[:, None] != number
    for i, j in np.argwhere(np.triu((apart < limit) & (apart > 0.5) & (other | (len(set(number)) == 1)), 1)):
        axes.plot(
            *flat[[i, j]].T, color=MUTED, lw=1.4, alpha=0.5, zorder=float(min(depth[i], depth[j])) - 0.01
        )


def _atoms(
    axes: "Axes",
    crystal: Crystal,
    part: Part,
    site: Int[np.ndarray, " drawn"],
    flat: Float[np.ndarray, "drawn 2"],
    depth: Float[np.ndarray, " drawn"],
    strength: Float[np.ndarray, " drawn"],
) -> None:
    """Discs as large as their atom and their value, filled by it."""
    radius = (0.22 + 0.16 * _radii(crystal)[site]) * (0.8 + 0.5 * np.abs(strength))
    symbols = {item.site: (item.element or "").split("/")[0] for item in part.items}
    for i in np.argsort(depth):
        value = float(strength[i])
        _disc(axes, flat[i], float(radius[i]), value, float(depth[i]))
        if len(site) <= _MOST_LABELS:
            colour = RULE if abs(value) > 0.55 else INK
            x, y = flat[i].tolist()
            symbol = axes.text(
                x, y, symbols[int(site[i])], fontsize=7, color=colour, ha="center", va="center"
            )
            symbol.set_zorder(float(depth[i]) + 3e-4)
    room = float(radius.max())
    axes.set_xlim(flat[:, 0].min() - room, flat[:, 0].max() + room)
    axes.set_ylim(flat[:, 1].min() - room, flat[:, 1].max() + room)


def _disc(axes: "Axes", place: Float[np.ndarray, " 2"], radius: float, strength: float, front: float) -> None:
    """One atom; an opaque disc first, so that nothing behind shines through."""
    from matplotlib.patches import Circle

    where, colour = (float(place[0]), float(place[1])), SERIES[0] if strength > 0 else SERIES[1]
    axes.add_patch(Circle(where, radius, facecolor=RULE, edgecolor="none", zorder=front))
    alpha = 0.06 + 0.94 * abs(strength)
    axes.add_patch(Circle(where, radius, facecolor=colour, alpha=alpha, lw=0, zorder=front + 1e-4))
    axes.add_patch(Circle(where, radius, fill=False, edgecolor=MUTED, lw=0.7, zorder=front + 2e-4))
