"""What people read of an evaluation: two plots, the figures beside their baselines, and examples."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from prismat.page.figure import MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.result import Picture, ResultPage, Table
from prismat.tasks.synthesis.evaluation import (
    BASELINE,
    FUSED,
    LIKE_PROPERTIES,
    MODEL,
    MOST_FREQUENT,
    NEAREST,
    RANDOM,
    USUAL,
    WANTED,
    Evaluation,
)
from prismat.tasks.synthesis.grades import DEPTH
from prismat.tasks.synthesis.recipes import Recipe
from prismat.tasks.synthesis.targets import METRICS, Ranking, constant_errors, differences, figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = {
    MODEL: (SERIES[0], "-"),
    FUSED: (SERIES[1], "-"),
    NEAREST: (SERIES[1], (0, (4, 2))),
    USUAL: (SERIES[3], (0, (4, 2))),
    BASELINE: (SERIES[0], (0, (4, 2))),
    WANTED: (SERIES[2], "-"),
    LIKE_PROPERTIES: (SERIES[2], (0, (4, 2))),
    MOST_FREQUENT: (MUTED, (0, (4, 2))),
    RANDOM: (MUTED, (0, (1, 2))),
}
"""Colour and stroke of each system; what needs no learning, or the composition alone, is dashed."""
_NAMES = {
    "ndcg@10": "nDCG@10",
    "precursor_ndcg@10": "nDCG@10, precursors",
    "all_precursors@10": "all precursors, %",
    "same_precursors@10": "same precursors, %",
    "temperature_error": "temperature, °C",
    "time_error": "time, h",
}
_EXAMPLES = 3
CONSTANT = "training median"
_KNOWS_TARGET = (BASELINE, NEAREST, USUAL, RANDOM, CONSTANT)
_KNOWS_PROPERTIES = (LIKE_PROPERTIES, MOST_FREQUENT, RANDOM, CONSTANT)


def result_of(found: Evaluation) -> dict[str, Any]:
    """All figures: mean, lower and upper end of the interval, and number of targets."""
    groups = found.task.targets.groups
    known = {name: figures(ranking.values, groups) for name, ranking in found.known.items()}
    return {
        "trained_on_this_split": found.is_own,
        "targets": {"test": len(found.targets), "served": len(found.task.targets)},
        "gallery": found.gallery,
        "composition_weight": found.share,
        "validation": found.validation,
        "held_out": {name: result.describe() for name, result in found.held_out.items()},
        "held_out_differences": _held_out_differences(found),
        "known": known | {CONSTANT: figures(constant_errors(found.task), groups)},
        "known_differences": _known_differences(found),
        "curves": {name: ranking.curve.tolist() for name, ranking in found.known.items()},
    }


def _known_differences(found: Evaluation) -> dict[str, Any]:
    """Model − baselines, and model with composition − its parts, for targets and for p*."""
    groups = found.task.targets.groups
    against = {MODEL: _KNOWS_TARGET, FUSED: (NEAREST, USUAL), WANTED: _KNOWS_PROPERTIES}
    values = {name: ranking.values for name, ranking in found.known.items()} | {
        CONSTANT: constant_errors(found.task)
    }
    return {
        one: differences(values[one], {n: values[n] for n in names if n in values}, groups)
        for one, names in against.items()
        if one in values
    }


def _held_out_differences(found: Evaluation) -> dict[str, Any]:
    hits = {
        name: {f"recall@{k}": result.hits(k) for k in (1, 5, 10)} for name, result in found.held_out.items()
    }
    return {
        one: differences(hits[one], {n: v for n, v in hits.items() if n != one}, found.targets.groups)
        for one in (MODEL, WANTED)
        if one in hits
    }


def page_of(found: Evaluation, result: Mapping[str, Any], name: str) -> ResultPage:
    """The page of one evaluation.

    Args:
        found: what came out.
        result: its figures, from :func:`result_of`.
        name: of the task; its pictures are called ``task_NAME`` and ``task_NAME_recall``.
    """
    return ResultPage(
        title="Synthesis recommendation",
        kind="synthesis",
        lede=_lede(result),
        pictures=(
            Picture(f"task_{name}", _ndcg_plot(found.known), _ndcg_caption(found)),
            Picture(f"task_{name}_recall", _recall_plot(found), _recall_caption(found)),
        ),
        tables=(_known_table(result), _difference_table(result), _held_out_table(found), *_examples(found)),
    )


def _lede(result: Mapping[str, Any]) -> str:
    values, near = (result["known"][name]["ndcg@10"] for name in (MODEL, NEAREST))
    mean, low, high, _ = result["known_differences"][MODEL][NEAREST]["ndcg@10"]
    verdict = "better than" if low > 0 else "worse than" if high < 0 else "no different from"
    return (
        f"For {result['targets']['served']} targets that no training recipe makes, "
        f"{result['gallery']['known']:,} known recipes are ranked: nDCG@10 is {values[0]:.3f} "
        f"[{values[1]:.3f}, {values[2]:.3f}] with the model and {near[0]:.3f} [{near[1]:.3f}, {near[2]:.3f}] "
        f"with the nearest composition. The model is {verdict} that baseline "
        f"({mean:+.3f} [{low:+.3f}, {high:+.3f}])."
    )


def _ndcg_plot(known: Mapping[str, Ranking]) -> str:
    figure, axes = bare_axes((5.2, 4.4))
    for name, ranking in known.items():
        _line(axes, name, ranking.curve)
    axes.set(xlim=(1, DEPTH), ylim=(0, 1))
    axes.set_xscale("log")
    _ticks(axes)
    label_axes(axes, "k", "nDCG@k")
    _legend(axes)
    return inline_svg(figure, "synthesis-ndcg", "nDCG at k of recommended recipes")


def _recall_plot(found: Evaluation) -> str:
    figure, axes = bare_axes((5.2, 4.0))
    for name, result in found.held_out.items():
        _line(axes, name, 100 * result.recall_curve(DEPTH))
    axes.set(xlim=(1, DEPTH), ylim=(0, 102))
    axes.set_xscale("log")
    _ticks(axes)
    label_axes(axes, "k", "recall@k, %")
    _legend(axes)
    return inline_svg(figure, "synthesis-recall", "Recall at k of a target's own recipes")


def _line(axes: "Axes", name: str, values: Float[np.ndarray, " k"]) -> None:
    colour, stroke = _LINES[name]
    width = 1.6 if stroke == "-" else 1.1
    axes.plot(np.arange(1, len(values) + 1), values, color=colour, ls=stroke, lw=width, label=name)


def _ticks(axes: "Axes") -> None:
    axes.set_xticks((1, 2, 5, 10, 20, 50), ("1", "2", "5", "10", "20", "50"))
    axes.set_xticks((), minor=True)


def _legend(axes: "Axes") -> None:
    """Below the axes, where no line runs."""
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2,
        frameon=False,
        fontsize=7.5,
        labelcolor=MUTED,
        handlelength=2.2,
    )


def _ndcg_caption(found: Evaluation) -> str:
    return (
        f"Known recipes for {len(found.task.targets)} unseen targets: grade half for shared precursors, half "
        f"for likeness of the target. Composition weighs {found.share:g}, chosen on validation."
    )


def _recall_caption(found: Evaluation) -> str:
    return (
        f"A target's own recipes among all {found.gallery['held_out']:,} held-out recipes. Recipes name "
        "their product: a look-up of its composition finds them at once."
    )


def _known_table(result: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(_cell(values.get(metric), metric) for metric in METRICS)]
        for name, values in result["known"].items()
    ]
    return Table(
        f"Known recipes for unseen targets ({result['targets']['served']} targets)",
        ["by", *_NAMES.values()],
        rows,
        list(_NAMES.values()),
        "Of the first ten recommended, with 95 % bootstrap intervals over groups of composition and article. "
        "All precursors: those of one true recipe are all among those of the ten. Same: one of the ten has "
        "just these. Temperature and time: mean absolute error of the ten's median.",
    )


def _cell(value: tuple[float, float, float, int] | None, metric: str) -> str:
    if value is None:
        return "–"
    scale, digits = (100, 1) if "precursors@" in metric else (1, 3) if "ndcg" in metric else (1, 0)
    if metric == "time_error":
        digits = 1
    mean, low, high = (f"{scale * v:.{digits}f}" for v in value[:3])
    return f"{mean} [{low},\N{NO-BREAK SPACE}{high}]"


def _difference_table(result: Mapping[str, Any]) -> Table:
    rows = [
        [one, other, *(_signed(values.get(metric), metric) for metric in METRICS)]
        for one, others in result["known_differences"].items()
        for other, values in others.items()
    ]
    return Table(
        "Paired differences",
        ["of", "from", *_NAMES.values()],
        rows,
        list(_NAMES.values()),
        "Mean over the same targets with its 95 % interval; for errors, negative is better.",
    )


def _signed(value: tuple[float, float, float, int] | None, metric: str) -> str:
    if value is None:
        return "–"
    scale, digits = (100, 1) if "precursors@" in metric else (1, 3) if "ndcg" in metric else (1, 1)
    mean, low, high = (f"{scale * v:+.{digits}f}" for v in value[:3])
    return f"{mean} [{low},\N{NO-BREAK SPACE}{high}]"


def _held_out_table(found: Evaluation) -> Table:
    rows = []
    for name, result in found.held_out.items():
        ends = result.ci95
        cells = [
            f"{100 * result.recall[k]:.1f} [{100 * ends[f'recall@{k}'][0]:.1f}, "
            f"{100 * ends[f'recall@{k}'][1]:.1f}]"
            for k in (1, 5, 10)
        ]
        rows.append([name, *cells, f"{result.mrr:.3f}", f"{result.median_rank:.0f}"])
    numbers = ["R@1, %", "R@5, %", "R@10, %", "MRR", "median rank"]
    return Table(
        f"Own recipes among all held-out ones ({len(found.targets)} targets)", ["by", *numbers], rows, numbers
    )


def _examples(found: Evaluation) -> list[Table]:
    """Recommendations for targets drawn at random, their own recipe on top."""
    task, order = found.task, found.known[MODEL].order
    drawn = np.random.default_rng(0).permutation(len(task.targets))[:_EXAMPLES]
    tables = []
    for number in drawn:
        own = task.book.recipes[task.targets.own[number][0]]
        rows = [["own recipe", *example_cells(own)]]
        rows += [
            [f"{task.gains[number, i]:.2f}", *example_cells(task.ranked.recipes[i])]
            for i in order[number, :5]
        ]
        head = ["grade", "target", "precursors", "operations", "DOI"]
        tables.append(Table(f"Example: recommended for {own.target}", head, rows, ("grade",)))
    return tables


def example_cells(recipe: Recipe) -> list[str]:
    """A recipe in a table's row."""
    return [recipe.target, ", ".join(recipe.precursors), "; ".join(recipe.steps) or "–", recipe.doi or "–"]
