"""The page of a calibration: reliability, coverage, set sizes, the flag and further measurements."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from prismat.confidence.judge import Judged
from prismat.page.figure import MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.result import Picture, ResultPage, Table

_ARROW = " → "


def confidence_page(judged: Mapping[str, Judged], left_out: Mapping[str, str]) -> ResultPage:
    """Everything that a person reads of a calibration."""
    rows = [c for j in judged.values() for c in j.figures["sets"]]
    reached = sum(c.is_reached for c in rows)
    worst = max(j.top.figures["ece"][0] for j in judged.values())
    lede = (
        f"Conformal sets reach the coverage they promise in {reached} of {len(rows)} cases (directions and "
        f"levels): not below the binomial 95 % interval of one test query per group. The "
        f"probability of the best "
        f"candidate is off by {100 * worst:.1f} points at most (expected calibration error)."
    )
    tables = [
        match_table(judged),
        sets_table(judged),
        groups_table(judged),
        flag_table(judged),
        next_table(judged),
    ]
    if left_out:
        tables.append(Table("Not calibrated", ("direction", "reason"), [list(p) for p in left_out.items()]))
    return ResultPage("Confidence of matches", "confidence", lede, pictures(judged), tables)


def pictures(judged: Mapping[str, Judged]) -> list[Picture]:
    """Reliability of the best candidate, and coverage against what was promised."""
    return [
        Picture(
            "confidence",
            reliability_plot(judged),
            "Of the best candidates with a given probability, how many are right on test "
            "queries: one point per "
            "tenth of the queries, bars are 95 % bootstrap intervals over groups, the dotted "
            "line is perfect. "
            "Colours by direction, named in the figure.",
            wide=True,
        ),
        Picture(
            "confidence_coverage",
            coverage_plot(judged),
            "Share of test groups whose set holds the answer, against what was promised "
            "(dashes). The grey band "
            "is the binomial 95 % interval.",
            wide=True,
        ),
    ]


def reliability_plot(judged: Mapping[str, Judged]) -> str:
    """Share right against probability, one panel per direction."""
    from matplotlib.figure import Figure

    names = list(judged)
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(2.35 * columns, 2.3 * lines), layout="constrained", facecolor="none")
    for i, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, i + 1, facecolor="none")
        found = judged[name].top
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (1, 2)))
        bars = np.abs(np.stack([found.observed - found.low, found.high - found.observed]))
        axes.errorbar(
            found.predicted,
            found.observed,
            yerr=bars,
            fmt="o-",
            ms=3,
            lw=1.1,
            elinewidth=0.8,
            color=SERIES[0],
        )
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.set_title(name.replace("->", _ARROW), fontsize=8.5, color=MUTED)
        axes.tick_params(length=0, labelsize=8, labelcolor=MUTED)
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("bottom", "left"), color=MUTED, lw=0.6)
        label_axes(
            axes,
            "probability given" if i + columns >= len(names) else "",
            "share right" if i % columns == 0 else "",
        )
    return inline_svg(figure, "reliability", "Reliability of the best candidate by direction")


def coverage_plot(judged: Mapping[str, Judged]) -> str:
    """Coverage of every direction at every level, the levels side by side."""
    figure, axes = bare_axes((9.2, 3.0))
    names = list(judged)
    alphas = [c.alpha for c in next(iter(judged.values())).figures["sets"]]
    for level, alpha in enumerate(alphas):
        for x, name in enumerate(names):
            cell, middle = judged[name].figures["sets"][level], x + 0.27 * (level - (len(alphas) - 1) / 2)
            ends = [middle - 0.11, middle + 0.11]
            band = (cell.low / cell.groups, cell.high / cell.groups)
            axes.fill_between(ends, *band, color=MUTED, alpha=0.18, lw=0)
            axes.plot(ends, [1 - alpha] * 2, color=SERIES[level], lw=1.2)
            label = f"{100 * (1 - alpha):.0f} % promised" if x == 0 else None
            axes.plot(middle, cell.covered / cell.groups, "o", ms=5, color=SERIES[level], label=label)
    axes.set_xticks(np.arange(len(names)), [n.replace("->", "\n→ ") for n in names])
    lowest = min(c.covered / c.groups for j in judged.values() for c in j.figures["sets"])
    axes.set_ylim(min(0.7, lowest - 0.02), 1.0)
    axes.grid(visible=False, axis="x")
    place = {"loc": "lower center", "ncols": len(alphas), "bbox_to_anchor": (0.5, 1.0)}
    axes.legend(frameon=False, fontsize=8.5, labelcolor=MUTED, **place)
    label_axes(axes, "", "share of sets with the answer")
    return inline_svg(figure, "coverage", "Coverage of conformal sets by direction")


def told(cell: tuple[float, float, float], digits: int = 3) -> str:
    """A value with its interval."""
    value, low, high = cell
    return f"{value:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def match_table(judged: Mapping[str, Judged]) -> Table:
    """Calibration error and scores of the best candidate's probability."""
    rows = []
    for name, one in judged.items():
        match = one.figures["match"]
        for way in ("calibrated", "softmax", "rate of the rank"):
            figures = match[way]["best"]
            label = f"calibrated ({one.figures['method']})" if way == "calibrated" else way
            cells = [told(figures[m]) for m in ("ece", "brier", "log_loss")]
            rows.append([name.replace("->", _ARROW), f"{match['recall@1']:.3f}", label, *cells])
    return Table(
        "Probability of the best candidate",
        ("direction", "right at rank 1", "probability from", "calibration error", "Brier", "log loss"),
        rows,
        ("right at rank 1", "calibration error", "Brier", "log loss"),
        "Fitted on validation, judged on test queries; the gallery is every record of the "
        "store. 'softmax' has "
        "a fitted temperature and nothing else, 'rate of the rank' says the validation average of that rank. "
        "95 % bootstrap intervals over groups.",
    )


def sets_table(judged: Mapping[str, Judged]) -> Table:
    """Coverage and sizes of the sets."""
    rows = [
        [
            name.replace("->", _ARROW), f"{100 * (1 - c.alpha):.0f} %", f"{c.covered} of {c.groups}",
            f"{c.low}–{c.high}", "yes" if c.is_reached else "no", f"{c.by_group:.3f}", told(c.by_query),
            f"{c.median:,.0f}", f"{c.ninety:,.0f}", f"{c.top_k:,.0f}",
        ]
        for name, one in judged.items()
        for c in one.figures["sets"]
    ]  # fmt: skip
    head = (
        "direction", "promised", "covered", "binomial 95 %", "reached", "by group", "by query",
        "median size", "90 % of sizes", "top-k",
    )  # fmt: skip
    return Table(
        "Conformal sets",
        head,
        rows,
        head[1:],
        "'covered' counts one test query of each group of linked compositions, publications and minerals; "
        "'by group' is the mean over groups, which is what is promised; top-k is the size of "
        "the trivial set of "
        "the same promise.",
    )


def groups_table(judged: Mapping[str, Judged]) -> Table:
    """Coverage within groups at 90 %."""
    rows = [
        [
            name.replace("->", _ARROW), g["by"], g["group"], f"{g['groups']}", f"{g['pooled']:.3f}",
            f"{g['own']:.3f}" + ("" if g["has_own"] else " (pooled)"), f"{g['pooled_median']:,.0f}",
            f"{g['own_median']:,.0f}",
        ]
        for name, one in judged.items()
        for g in one.figures["sets_by_group"]
    ]  # fmt: skip
    head = (
        "direction", "by", "group", "test groups", "coverage, one threshold", "coverage, own threshold",
        "median size, one threshold", "median size, own threshold",
    )  # fmt: skip
    return Table(
        "Sets at 90 % within groups of queries",
        head,
        rows,
        head[3:],
        "'(pooled)' marks groups with too few calibration groups, which keep the common threshold.",
    )


def flag_table(judged: Mapping[str, Judged]) -> Table:
    """The flag 'none of these'."""
    rows = []
    for name, one in judged.items():
        flag = one.figures["none_of_these"]
        for case in ("answer removed", "whole group removed", "foreign"):
            if case not in flag:
                continue
            found = flag[case]
            is_foreign = case == "foreign"
            rows.append(
                [
                    name.replace("->", _ARROW), flag["rule"], case,
                    f"{found['roc_auc']:.3f}" if is_foreign else told(found["roc_auc"]), told(flag["kept"]),
                    f"{found['flagged']:.3f}" if is_foreign else told(found["flagged"]),
                ]
            )  # fmt: skip
    head = (
        "direction",
        "reads",
        "answer is absent because",
        "ROC-AUC",
        "true answers kept",
        "absent answers flagged",
    )
    return Table(
        "None of these",
        head,
        rows,
        head[3:],
        "The threshold keeps 95 % of the validation queries whose answer is there. By chance "
        "the area is 0.5 and "
        "5 % are flagged. 'foreign' are crystals of another database whose composition the gallery lacks.",
    )


def next_table(judged: Mapping[str, Judged]) -> Table:
    """What one further measurement leaves in doubt."""
    rows = []
    for name, one in judged.items():
        found: dict[str, Any] = one.figures["next"]
        if not found:
            continue
        for policy, cell in found["entropy"].items():
            label = f"fixed: {found['fixed']}" if policy == "fixed" else policy
            rank, loss = found["rank"][policy], found["log_loss"][policy]
            rows.append([name.replace("->", _ARROW), label, told(cell, 2), told(rank, 1), told(loss, 2)])
    head = ("direction", "next measurement", "entropy left, bits", "rank of the answer", "log loss")
    return Table(
        "Which measurement next",
        head,
        rows,
        head[2:],
        "Replayed on one test record per group. Ranks are geometric means. 'fixed' is the "
        "measurement that was "
        "best on validation, 'random' the mean over all.",
    )
