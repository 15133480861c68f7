"""The pages of judged designs: random targets, and densities of states."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.design.spectra import Spectra
from prismat.tasks.result import Picture, ResultPage, Table

SYSTEMS = {
    "predicted": "predicted from the structure",
    "joint": "joint space",
    "predicted from composition": "predicted from the composition",
    "joint, composition model": "joint space of the composition model",
    "nearest composition": "nearest composition of a known record",
    "random": "random",
    "model": "joint space",
    "model on compositions": "joint space of the composition model",
    "best possible": "best possible in this pool",
}
"""How systems are named for people; ``model`` where the targets are densities of states."""
UNITS = {"phonon_dos": "cm⁻¹", "dos": "eV"}


def triple(found: Sequence[float], scale: int | float = 1, digits: int = 2) -> str:
    """A value with its interval."""
    value, low, high = (scale * x for x in found)
    return f"{value:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def trials_page(found: Mapping[str, Any]) -> ResultPage:
    """Random targets for people.

    Args:
        found: by name of the properties, from :func:`prismat.tasks.design.trials.judge_trials`.
    """
    words = []
    for name, one in found.items():
        main = next(iter(one["systems"]))
        figures = one["systems"][main]
        words.append(
            f"{name}: of the first {one['k']} candidates {triple(figures['precision'], 100, 1)} % "
            "truly lie in the "
            f"range, {figures['enrichment'][0]:.1f} times as many as at random."
        )
    pictures = [_precision_picture(found)]
    tables = [_trial_table(name, one) for name, one in found.items()]
    return ResultPage(
        "Inverse design, judged on true properties", "design", " ".join(words), pictures, tables
    )


def _trial_table(name: str, one: Mapping[str, Any]) -> Table:
    """All systems on the targets of one set of properties."""
    main = next(iter(one["systems"]))
    rows = [
        [
            SYSTEMS.get(system, system),
            triple(f["precision"], 100, 1),
            triple(f["enrichment"]),
            triple(f["error"]),
            triple(f["gain"], 100, 1) if "gain" in f else "–",
        ]
        for system, f in one["systems"].items()
    ]
    ranges = ", ".join(f"{n} ± {p['half_width']:.2g} {p['unit']}" for n, p in one["properties"].items())
    aside = (
        f"{one['targets']} ranges around the true values of held-out records ({ranges}), "
        f"{one['pool']:,} held-out "
        f"candidates, whose values no system saw. In brackets 95 % intervals over groups of records."
    )
    head = [
        "system",
        f"first {one['k']} in range, %",
        "enrichment",
        "error of the first, half widths",
        f"{SYSTEMS.get(main, main)} − this, points",
    ]
    return Table(f"Targets of {name}", head, rows, head[1:], aside)


def _precision_picture(found: Mapping[str, Any]) -> Picture:
    """Share of the first k in the range, by system, one block per set of properties."""
    names = list(dict.fromkeys(system for one in found.values() for system in one["systems"]))
    figure, axes = bare_axes((7.2, 0.55 + 0.28 * (len(names) + 1) * len(found)))
    axes.grid(visible=False, axis="y")
    ticks, labels = [], []
    for block, (title, one) in enumerate(found.items()):
        top = -block * (len(names) + 1.6)
        axes.text(
            0, top + 0.75, title.replace("_", " "), color=INK, fontsize=8.5, va="center", fontweight="bold"
        )
        for place, system in enumerate(one["systems"]):
            value, low, high = (100 * x for x in one["systems"][system]["precision"])
            colour = MUTED if system == "random" else SERIES[names.index(system) % len(SERIES)]
            axes.barh(top - place, value, 0.62, color=colour, alpha=0.75, lw=0)
            axes.plot([low, high], [top - place] * 2, color=INK, lw=1.1)
            ticks.append(top - place)
            labels.append(SYSTEMS.get(system, system))
    axes.set_yticks(ticks, labels)
    axes.set_xlim(left=0)
    axes.set_ylim(min(ticks) - 0.8, 1.3)
    label_axes(axes, "first candidates whose true values lie in the range, %", "")
    told = "Share of the first candidates that truly have what was wanted, with 95 % intervals."
    return Picture("task_design_trials", inline_svg(figure, "design-trials", told), told, wide=True)


def spectra_page(
    found: Mapping[str, Any], spectra: Spectra, first: Int[np.ndarray, "queries k"], formulas: Sequence[str]
) -> ResultPage:
    """Densities of states as targets, for people.

    Args:
        found: from :func:`prismat.tasks.design.spectra.evaluate_spectra`.
        spectra: the held-out spectra.
        first: of every target the first candidates.
        formulas: of the records.
    """
    model, random = found["systems"]["model"], found["systems"]["random"]
    lede = (
        f"{found['targets']} held-out densities of states as targets: the crystal that comes first has "
        f"{triple(model['top_1'], 100, 1)} % of its states at other energies; a random crystal "
        f"{triple(random['top_1'], 100, 1)} %."
    )
    rows = [
        [
            SYSTEMS.get(name, name),
            triple(f["top_1"], 100, 1),
            triple(f["top_k"], 100, 1),
            triple(f["model_minus_top_1"], 100, 1) if "model_minus_top_1" in f else "–",
            triple(f["model_minus_top_k"], 100, 1) if "model_minus_top_k" in f else "–",
        ]
        for name, f in found["systems"].items()
    ]
    head = [
        "system",
        "first, %",
        f"first {found['k']}, %",
        "joint − this, first",
        f"joint − this, first {found['k']}",
    ]
    aside = (
        "Share of states at other energies, half the integral of the absolute difference of two "
        "DOS of area 1: 0 for "
        "the same shape, 100 % for no energy in common. The target's own crystal and its "
        "duplicates are not in the "
        "pool. The nearest composition is that of the target's own crystal, which a designer does not know."
    )
    tables = [Table("Error of the density of states", head, rows, head[1:], aside)]
    return ResultPage(
        "From a density of states to a crystal",
        "design",
        lede,
        [_spectra_picture(found, spectra, first, formulas)],
        tables,
    )


def _spectra_picture(
    found: Mapping[str, Any], spectra: Spectra, first: Int[np.ndarray, "queries k"], formulas: Sequence[str]
) -> Picture:
    """Four targets from the best to the worst quarter with what came first."""
    errors = spectra.errors[np.arange(len(first)), first[:, 0]]
    order = np.argsort(errors)
    places = [order[int(q * (len(order) - 1))] for q in (0.125, 0.375, 0.625, 0.875)]
    figure, axes = bare_axes((7.2, 5.2))
    step = 1.25
    for line, query in enumerate(places):
        base = -step * line
        for row, colour, width in ((query, MUTED, 1.0), (first[query, 0], SERIES[0], 1.4)):
            curve = _to_one(spectra.density[row])
            axes.plot(spectra.centers, base + curve, color=colour, lw=width)
        told = f"wanted {formulas[query]}, found {formulas[first[query, 0]]}: {100 * errors[query]:.0f} %"
        axes.text(spectra.centers[-1], base + 0.85, told, color=INK, fontsize=8.5, ha="right")
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    label_axes(axes, f"energy, {UNITS.get(found['window'], '')}", "density of states")
    caption = (
        "Targets (grey) and the crystal that came first (blue), from the best to the worst eighth; "
        "the share of "
        "states at other energies."
    )
    return Picture("task_design_dos", inline_svg(figure, "design-dos", caption), caption, wide=True)


def _to_one(density: Float[np.ndarray, " bins"]) -> Float[np.ndarray, " bins"]:
    """Scaled to a largest value of 1."""
    top = np.nanmax(density)
    return density / (top if top > 0 else 1.0)
