"""Figures of the grids, from the tables that ``grids.py`` writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from prismat.files import replacing

INK, SOFT, BLUE, GREEN, RED = "#1c2430", "#8a94a3", "#2f6db3", "#3a8f6b", "#c2503a"
NAMES = {
    "text->structure": "title → structure, recall@10",
    "structure->text": "structure → title, recall@10",
    "words": "mean ROC-AUC of words",
}
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "prismat",
}
Table = Mapping[str, Mapping]


def draw(payload: Table, folder: Path) -> list[Path]:
    """One figure per grid that has cells; gives their paths."""
    makers = {
        "margin_scale": margin_scale,
        "temperature": temperature,
        "batch": batch,
        "loss_terms": loss_terms,
    }
    written = []
    for name, maker in makers.items():
        if payload["grids"][name]["structure"]:
            with rc_context(STYLE):
                figure = maker(payload["grids"][name], payload["chance"])
                written.append(save(figure, folder / f"grid_{name}.svg"))
    return written


def save(figure: Figure, path: Path) -> Path:
    """Writes the same bytes for the same figure."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path


def canvas(width: float, height: float, title: str) -> Figure:
    """An empty white figure with its title."""
    figure = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10.5, x=0.01, ha="left")
    return figure


def points(
    axes: Axes, x: Sequence[float] | np.ndarray, entries: Sequence[Sequence[float]], color: str, label: str
) -> None:
    """Means joined by a line, with their intervals."""
    mean, low, high = np.array(entries).T
    errors = np.maximum([mean - low, high - mean], 0)
    axes.errorbar(
        x, mean, errors, color=color, label=label, marker="o", markersize=4, linewidth=1.2, capsize=2.5
    )


def baseline(axes: Axes, x: Sequence[float] | np.ndarray, entries: Sequence[Sequence[float]]) -> None:
    """Composition alone: a line with a band for its interval."""
    mean, low, high = np.array(entries).T
    axes.plot(x, mean, color=RED, linewidth=1.2, label="composition alone")
    axes.fill_between(x, low, high, color=RED, alpha=0.12, linewidth=0)


def chance_line(axes: Axes, value: float) -> None:
    """Where a random order lies."""
    axes.axhline(value, color=SOFT, linestyle=":", linewidth=1.2, label="chance")


def margin_scale(table: Table, chance: Mapping[str, float]) -> Figure:
    """Three metrics before and after the second stage, as tables of margin and scale."""
    title = "Margin and scale (CLaSP, table 2), before and after the second stage on keywords; validation"
    figure = canvas(11.0, 5.2, title)
    axes = figure.subplots(2, 3)
    for column, metric in enumerate(NAMES):
        values = {(s, n): c[s][metric][0] for n, c in table["structure"].items() for s in ("before", "after")}
        lowest, highest = min(values.values()), max(values.values())
        for row, stage in enumerate(("before", "after")):
            heat(axes[row, column], table, stage, metric, (lowest, highest), chance[metric])
    return figure


def heat(
    axes: Axes, table: Table, stage: str, metric: str, limits: tuple[float, float], chance: float
) -> None:
    """One table of means; the best one is framed."""
    names = list(table["structure"])
    margins = sorted({n.split()[0] for n in names})
    scales = sorted({n.split()[1] for n in names}, key=lambda s: float(s[2:]))
    cells = {n: table["structure"][n][stage][metric] for n in names}
    grid = np.array([[cells.get(f"{m} {s}", [np.nan])[0] for s in scales] for m in margins])
    axes.imshow(
        grid, cmap="Blues", vmin=limits[0] - (limits[1] - limits[0]) * 0.4, vmax=limits[1], aspect="auto"
    )
    best = np.unravel_index(np.nanargmax(grid), grid.shape)
    middle = limits[0] + 0.6 * (limits[1] - limits[0])
    for (y, x), value in np.ndenumerate(grid):
        weight = "bold" if (y, x) == best else "normal"
        color = "white" if value > middle else INK
        text = f"{value:.3f}".removeprefix("0")
        axes.text(x, y, text, ha="center", va="center", color=color, weight=weight, fontsize=8.5)
    axes.set_xticks(range(len(scales)), [s[2:] for s in scales])
    axes.set_yticks(range(len(margins)), [m[2:] for m in margins])
    axes.set_xlabel("scale s")
    axes.set_ylabel("margin m")
    for spine in axes.spines.values():
        spine.set_visible(False)
    half = np.mean([(high - low) / 2 for _, low, high in cells.values()])
    base = [c[stage][metric][0] for c in table["composition"].values()]
    alone = f"; composition alone {short(min(base))}–{short(max(base))}" if base else ""
    below = f"± {short(half)} (95 %){alone}; chance {short(chance)}"
    axes.set_title(f"{stage}: {NAMES[metric]}\n{below}", loc="left", fontsize=8)


def short(value: float) -> str:
    """Two digits, without the leading zero."""
    return f"{value:.2f}".removeprefix("0")


def temperature(table: Table, chance: Mapping[str, float]) -> Figure:
    """Three metrics over τ, the learned one at the right."""
    figure = canvas(
        9.6, 3.3, "InfoNCE at fixed and learned temperature; validation, 95 % intervals over records"
    )
    names = [n for n in table["structure"] if n != "learned"]
    x = np.array([float(n) for n in names])
    place = 4.0
    for axes, metric in zip(figure.subplots(1, 3), NAMES, strict=True):
        own = table["structure"]
        points(axes, x, [own[n]["before"][metric] for n in names], BLUE, "structure features")
        if "learned" in own:
            points(axes, [place], [own["learned"]["before"][metric]], GREEN, "structure features, τ learned")
        known = [n for n in names if n in table["composition"]]
        if known:
            baseline(
                axes, [float(n) for n in known], [table["composition"][n]["before"][metric] for n in known]
            )
        if "learned" in table["composition"]:
            learned = table["composition"]["learned"]["before"][metric][0]
            axes.plot([place], [learned], color=RED, marker="D", markersize=4, linestyle="none")
        chance_line(axes, chance[metric])
        axes.set_xscale("log")
        axes.set_xticks([0.01, 0.1, 1, place], ["0.01", "0.1", "1", "learned"])
        axes.set_xlabel("temperature τ")
        axes.set_title(NAMES[metric], loc="left")
        axes.set_ylim(bottom=0.45 if metric == "words" else 0)
    legend(figure, axes)
    return figure


def batch(table: Table, chance: Mapping[str, float]) -> Figure:
    """Three metrics and the cost over the batch, at equal records and at equal steps."""
    title = "Batch (above 512 by cached gradients), InfoNCE; validation, 95 % intervals over records"
    figure = canvas(12.4, 3.3, title)
    *panels, cost = figure.subplots(1, 4)
    own = table["structure"]
    kinds = {kind: [n for n in own if n.endswith(kind)] for kind in ("records", "steps")}
    labels = {k: f"structure, equal {k} ({told(own, names, k)})" for k, names in kinds.items() if names}
    for axes, metric in zip(panels, NAMES, strict=True):
        for (kind, label), color in zip(labels.items(), (BLUE, GREEN), strict=False):
            points(axes, sizes(kinds[kind]), [own[n]["before"][metric] for n in kinds[kind]], color, label)
        base = [n for n in kinds["records"] if n in table["composition"]]
        if base:
            baseline(axes, sizes(base), [table["composition"][n]["before"][metric] for n in base])
        chance_line(axes, chance[metric])
        axes.set_title(NAMES[metric], loc="left")
        axes.set_ylim(bottom=0.45 if metric == "words" else 0)
    for kind, color in zip(labels, (BLUE, GREEN), strict=False):
        seconds = [own[n]["before"]["cpu_s"] for n in kinds[kind]]
        cost.plot(sizes(kinds[kind]), seconds, color=color, marker="o", markersize=4, linewidth=1.2)
    cost.set_yscale("log")
    cost.set_title("CPU seconds of a training", loc="left")
    for axes in (*panels, cost):
        axes.set_xscale("log", base=2)
        axes.set_xticks([8, 32, 128, 512, 4096], ["8", "32", "128", "512", "4096"])
        axes.set_xlabel("batch")
    legend(figure, panels[0])
    return figure


def told(own: Mapping[str, Mapping], names: Sequence[str], kind: str) -> str:
    """What is equal, in numbers."""
    first = own[names[0]]
    return f"{first['records_seen']:,} records" if kind == "records" else f"{first['steps']} steps"


def sizes(names: Sequence[str]) -> list[float]:
    """Batches of cells."""
    return [float(n.split()[0]) for n in names]


def loss_terms(table: Table, chance: Mapping[str, float]) -> Figure:
    """Three metrics by terms of the Jensen–Shannon loss."""
    title = "Terms of the Jensen–Shannon loss (CLaC); validation, 95 % intervals over records"
    figure = canvas(9.6, 2.9, title)
    names = list(table["structure"])
    y = np.arange(len(names))[::-1]
    for i, (axes, metric) in enumerate(zip(figure.subplots(1, 3), NAMES, strict=True)):
        for crystals, color, label, shift in (
            ("structure", BLUE, "structure features", 0.12),
            ("composition", RED, "composition alone", -0.12),
        ):
            known = [k for k, n in enumerate(names) if n in table[crystals]]
            if known:
                mean, low, high = np.array([table[crystals][names[k]]["before"][metric] for k in known]).T
                errors = np.maximum([mean - low, high - mean], 0)
                style = {"fmt": "o", "markersize": 4.5, "capsize": 2.5, "linewidth": 1.2}
                axes.errorbar(mean, y[known] + shift, xerr=errors, color=color, label=label, **style)
        axes.axvline(chance[metric], color=SOFT, linestyle=":", linewidth=1.2, label="chance")
        axes.set_yticks(y, names if i == 0 else [""] * len(names))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_title(NAMES[metric], loc="left")
        axes.set_xlim(left=0.45 if metric == "words" else 0)
    legend(figure, axes)
    return figure


def legend(figure: Figure, axes: Axes) -> None:
    """One legend for all panels, below them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8.5)
