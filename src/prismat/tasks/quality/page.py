"""The page of embedding quality."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from prismat.page.figure import MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.quality.study import COMPOSITION, FRACTIONS, shown_name
from prismat.tasks.result import Picture, ResultPage, Table

_SHOWN = ("crystal system", "chemistry", "space group")


def told(cell: tuple[float, float, float]) -> str:
    """A value with its interval."""
    return f"{cell[0]:.3f} ({cell[1]:.3f}–{cell[2]:.3f})"


def class_rows(found: Mapping[str, Any]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Head and rows of one way of classing; the last row of numbers is that of shuffled labels."""
    head = (
        "space", "silhouette", "Davies–Bouldin", "purity@1", "purity@10", "purity@10, other groups",
        "silhouette by chance", "purity@10 by chance",
    )  # fmt: skip
    rows = [
        [
            shown_name(name), told(f["silhouette"]), f"{f['davies_bouldin']:.2f}", told(f["purity@1"]),
            told(f["purity@10"]), told(f["purity@10 of other groups"]), f"{f['chance']['silhouette']:.3f}",
            f"{f['chance']['purity@10']:.3f}",
        ]
        for name, f in found.items()
    ]  # fmt: skip
    return head, rows


def probe_rows(found: Mapping[str, Any]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Head and rows of the probes: one line per space, one column per way of classing."""
    ways = [way for way in found if found[way]]
    names = list(dict.fromkeys(n for way in ways for n in found[way]["spaces"]))
    rows = []
    for name in names:
        cells = [shown_name(name)]
        for way in ways:
            one = found[way]["spaces"][name]
            above = one.get("above_fractions")
            cells += [
                told(one["accuracy"]),
                "" if above is None else f"{above[0]:+.3f} ({above[1]:+.3f} to {above[2]:+.3f})",
            ]
        rows.append(cells)
    return ("space", *(part for way in ways for part in (way, "− element fractions"))), rows


def quality_page(result: Mapping[str, Any]) -> ResultPage:
    """Everything that a person reads."""
    tables = [
        Table(
            f"By {way}",
            *class_rows(found),
            numbers=class_rows(found)[0][1:],
            aside="Held-out test records; 95 % bootstrap intervals over groups of linked compositions, "
            "publications and minerals. 'Other groups' leaves a record's own group out of its neighbours.",
        )
        for way, found in result["classes"].items()
        if found
    ]
    head, rows = probe_rows(result["probes"])
    probes = Table(
        "Linear probes",
        head,
        rows,
        head[1:],
        "Accuracy of a ridge probe that learned on training records, its ridge chosen on "
        "validation, with the "
        "paired difference to the probe of raw element fractions.",
    )
    return ResultPage(
        "Quality of the embedding space",
        "embedding quality",
        _lede(result),
        [
            Picture("task_quality", purity_plot(result), "Share of the ten nearest held-out "
            "records that are of the "
                    "same class, records of the same group left out. Hollow: labels shuffled.", wide=True),
            Picture("quality_probe", probe_plot(result), "Accuracy of linear probes on test "
            "records; the line is the "
                    "most frequent class.", wide=True),
        ],
        [probes, *tables, _geometry_table(result), _pair_table(result)],
    )  # fmt: skip


def _lede(result: Mapping[str, Any]) -> str:
    found = result["classes"].get("crystal system", {})
    own = {n: f for n, f in found.items() if n != FRACTIONS and not n.startswith(COMPOSITION)}
    if not own:
        return f"{result['records']:,} held-out records."
    share = {n: 100 * f["purity@10 of other groups"][0] for n, f in found.items()}
    best = max(own, key=share.__getitem__)
    said = (
        f"Of the ten nearest held-out records of other groups, {share[best]:.0f} % share the crystal system "
        f"under {shown_name(best)}"
    )
    if FRACTIONS in found:
        said += f", {share[FRACTIONS]:.0f} % under raw element fractions"
    return f"{said}, {100 * own[best]['chance']['purity@10']:.0f} % by chance."


def _geometry_table(result: Mapping[str, Any]) -> Table:
    head = ("space", "effective rank", "mean cosine", "uniformity", "hubness")
    keys = ("mean_cosine", "uniformity", "hubness")
    rows = [
        [shown_name(n), f"{f['effective_rank']:.1f}", *(f"{f[k]:.3f}" for k in keys)]
        for n, f in result["geometry"].items()
        if f
    ]
    aside = (
        "Hubness is the skewness of how often a record is among the ten nearest of others; 0 without hubs."
    )
    return Table("Shape of each space", head, rows, head[1:], aside)


def _pair_table(result: Mapping[str, Any]) -> Table:
    head = ("windows", "distance of centroids", "told apart", "alignment", "alignment of strangers")
    keys = ("distance", "separable", "alignment", "alignment_of_strangers")
    rows = [[n, *(f"{f[k]:.3f}" for k in keys)] for n, f in result["pairs"].items()]
    aside = (
        "'Told apart' is the accuracy of a linear probe of the window; 0.5 where both mix. Alignment is the "
        "mean squared distance of one record's two vectors."
    )
    return Table("Between windows", head, rows, head[1:], aside)


def purity_plot(result: Mapping[str, Any]) -> str:
    """Purity of every space by way of classing."""
    ways = [w for w in _SHOWN if result["classes"].get(w)]
    names = list(dict.fromkeys(n for w in ways for n in result["classes"][w]))
    figure, axes = bare_axes((9.2, 0.5 + 0.27 * len(names)))
    for level, way in enumerate(ways):
        for row, name in enumerate(names):
            cell = result["classes"][way].get(name)
            if cell is None:
                continue
            value, low, high = cell["purity@10 of other groups"]
            y = row + 0.2 * (level - (len(ways) - 1) / 2)
            axes.plot([low, high], [y, y], color=SERIES[level], lw=1.2)
            axes.plot(value, y, "o", ms=4.5, color=SERIES[level], label=way if row == 0 else None)
            axes.plot(cell["chance"]["purity@10"], y, "o", ms=3.5, mfc="none", mew=0.9, color=SERIES[level])
    _rows(axes, names)
    label_axes(axes, "purity of the ten nearest of other groups", "")
    return inline_svg(figure, "quality", "Neighbourhood purity by space")


def probe_plot(result: Mapping[str, Any]) -> str:
    """Accuracy of the probes by way of classing."""
    ways = [w for w in _SHOWN if result["probes"].get(w)]
    names = [n for n in (result["probes"][ways[0]]["spaces"] if ways else ()) if n != "most frequent"]
    figure, axes = bare_axes((9.2, 0.5 + 0.27 * max(len(names), 1)))
    for level, way in enumerate(ways):
        found = result["probes"][way]["spaces"]
        axes.axvline(found["most frequent"]["accuracy"][0], color=SERIES[level], lw=0.8, ls=(0, (1, 2)))
        for row, name in enumerate(names):
            value, low, high = found[name]["accuracy"]
            y = row + 0.2 * (level - (len(ways) - 1) / 2)
            axes.plot([low, high], [y, y], color=SERIES[level], lw=1.2)
            axes.plot(value, y, "o", ms=4.5, color=SERIES[level], label=way if row == 0 else None)
    _rows(axes, names)
    label_axes(axes, "accuracy of a linear probe", "")
    return inline_svg(figure, "probe", "Linear probes by space")


def _rows(axes: Any, names: list[str]) -> None:
    """One line per space, the first on top, and what the colours mean."""
    axes.set_yticks(np.arange(len(names)), [shown_name(n) for n in names])
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.grid(visible=False, axis="y")
    if names:
        axes.legend(
            frameon=False,
            fontsize=8.5,
            labelcolor=MUTED,
            loc="lower center",
            ncols=3,
            bbox_to_anchor=(0.5, 1.0),
        )
