"""The page of a campaign."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.page.words import number
from prismat.tasks.active.campaign import CampaignConfig
from prismat.tasks.active.curves import Curve
from prismat.tasks.active.goals import Goal
from prismat.tasks.result import Picture, ResultPage, Table

_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 1, 1, 1)))
WORDS = {
    "expected_improvement": "expected improvement",
    "upper_bound": "upper confidence bound",
    "thompson": "Thompson sampling",
}


def named(name: str) -> str:
    """The name of a curve for people."""
    strategy, comma, features = name.partition(", ")
    return f"{WORDS.get(strategy, strategy)}{comma}{features}"


def campaign_page(
    summary: Mapping[str, Any], curves: Sequence[Curve], goal: Goal, what: str, config: CampaignConfig
) -> ResultPage:
    """A simulated campaign for people.

    Args:
        summary: from :func:`prismat.tasks.active.curves.summarise`.
        curves: of the strategies.
        goal: what was looked for.
        what: the property with its unit.
        config: length of the campaigns.
    """
    ranked = sorted(summary["curves"].items(), key=lambda item: -item[1]["found"][0])
    name, best = ranked[0]
    wanted = f"{what} {goal.told()}"
    lede = (
        f"Looked for: {wanted}. After {summary['budget']} of {summary['pool']:,} measurements, "
        f"{named(name)} has found "
        f"{_percent(best['found'])} % of {summary['hits']} hits, {best['enrichment'][0]:.1f} times "
        "as many as "
        f"random choice is expected to ({100 * summary['chance']:.0f} %)."
    )
    pictures = [_found_picture(curves, summary)]
    if goal.kind != "range":
        pictures.append(_best_picture(curves, goal, what, config.initial))
    return ResultPage("Active learning", "campaign", lede, pictures, [_table(summary, goal, config)])


def _percent(found: Sequence[float]) -> str:
    return f"{100 * found[0]:.1f} ({100 * found[1]:.1f}–{100 * found[2]:.1f})"


def _table(summary: Mapping[str, Any], goal: Goal, config: CampaignConfig) -> Table:
    """All strategies, the best first."""
    head = ["strategy", "hits found, %", "area, %", "enrichment", "to a quarter", "to half", "faster to half"]
    head += ["− random, points"]
    rows = []
    for name, f in sorted(summary["curves"].items(), key=lambda item: -item[1]["found"][0]):
        over = f.get("over_random")
        rows.append(
            [
                named(name),
                _percent(f["found"]),
                _percent(f["area"]),
                f"{f['enrichment'][0]:.1f}",
                number(f["measurements"]["0.25"]),
                number(f["measurements"]["0.5"]),
                "–" if f["acceleration"]["0.5"] is None else f"{f['acceleration']['0.5']:.1f} ×",
                _percent(over) if over else "–",
            ]
        )
    hits = "values in the range" if goal.kind == "range" else f"the best {100 * config.top:g} % of the pool"
    aside = (
        f"Hits are {hits}. {config.initial} random first records, then batches of {config.batch}; means over "
        f"{config.seeds} campaigns with 95 % bootstrap intervals. Area is the mean share found over "
        "the whole "
        "campaign. Measurements until a quarter and a half of the hits are found: the median, – "
        "where half of the "
        f"campaigns or more did not get there; times faster: against the expectation at random."
    )
    return Table("Strategies", head, rows, head[1:], aside)


def _styles(curves: Sequence[Curve]) -> dict[str, tuple[str, Any]]:
    """Colour by strategy and dashes by features."""
    strategies = list(dict.fromkeys(c.name.partition(", ")[0] for c in curves if c.name != "random"))
    features = list(dict.fromkeys(c.name.partition(", ")[2] for c in curves if c.name != "random"))
    found: dict[str, tuple[str, Any]] = {"random": (MUTED, "-")}
    for curve in curves:
        strategy, _, feature = curve.name.partition(", ")
        if curve.name != "random":
            colour = SERIES[strategies.index(strategy) % len(SERIES)]
            found[curve.name] = (colour, _DASHES[features.index(feature) % len(_DASHES)])
    return found


def _best_of_each(curves: Sequence[Curve]) -> set[str]:
    """The curve that ends highest for each kind of features, and random."""
    by_features: dict[str, Curve] = {}
    for curve in curves:
        features = curve.name.partition(", ")[2] if curve.name != "random" else "random"
        other = by_features.get(features)
        if other is None or curve.found[:, -1].mean() > other.found[:, -1].mean():
            by_features[features] = curve
    return {curve.name for curve in by_features.values()}


def _found_picture(curves: Sequence[Curve], summary: Mapping[str, Any]) -> Picture:
    """Share of the hits found against measurements."""
    figure, axes = bare_axes((7.2, 4.6))
    styles, banded = _styles(curves), _best_of_each(curves)
    x = np.arange(1, summary["budget"] + 1)
    for curve in curves:
        mean, band = curve.band()
        colour, dashes = styles[curve.name]
        if curve.name in banded:
            axes.fill_between(x, 100 * band[0], 100 * band[1], color=colour, alpha=0.15, lw=0)
        axes.plot(x, 100 * mean, color=colour, ls=dashes, lw=1.5, label=named(curve.name))
    axes.plot(x, 100 * x / summary["pool"], color=INK, lw=0.9, ls=(0, (1, 2)), label="chance")
    axes.set(xlim=(0, len(x)), ylim=(0, None))
    figure.legend(loc="outside right upper", frameon=False, fontsize=7.5, labelcolor=INK)
    label_axes(axes, "measurements", "hits found, %")
    caption = (
        "Share of the hits found by number of measurements, mean over campaigns; 95 % bands of the "
        "best strategy "
        "of each kind of features, and of random choice."
    )
    return Picture("task_campaign", inline_svg(figure, "campaign", caption), caption, wide=True)


def _best_picture(curves: Sequence[Curve], goal: Goal, what: str, initial: int) -> Picture:
    """Best value so far against measurements, from the first choice on."""
    figure, axes = bare_axes()
    styles = _styles(curves)
    sign = -1 if goal.kind == "minimise" else 1
    for curve in curves:
        colour, dashes = styles[curve.name]
        x = np.arange(initial, curve.best.shape[1] + 1)
        axes.plot(x, sign * curve.best.mean(0)[initial - 1 :], color=colour, ls=dashes, lw=1.3)
    label_axes(axes, "measurements", f"best {what} so far")
    caption = f"Best {what} so far, mean over campaigns; colours as above."
    return Picture("task_campaign_best", inline_svg(figure, "campaign-best", caption), caption)
