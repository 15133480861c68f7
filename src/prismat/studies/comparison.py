"""Many runs in one table and one plot: figures with intervals against cost, split by split."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, astuple, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from prismat.errors import BadInputError
from prismat.files import write_text
from prismat.page.words import is_number
from prismat.studies.cells import COSTS, cost_cells, with_ends
from prismat.studies.collect import MODEL, RETRIEVAL, VALIDATION, Figure, collect
from prismat.studies.measure import ERROR
from prismat.studies.plots import Point, front, value_against_cost
from prismat.tasks.result import Picture, ResultPage, Table, write_result

HEAD = ("run", "system", "task", "part", "measure", "value", *COSTS)
SHOWN = ("*recall@1", "*recall@10", "*mae", "*rmse", "*accuracy", "*roc_auc*", "*f1*", ERROR)
"""Measures of the table where none are asked for; all are in the CSV and JSON files."""
_RETRIEVALS = (RETRIEVAL, VALIDATION, "ablation", "sweep")
_LESS = ("mae", "rmse", "error", "median_rank", "ece", "brier")
COST_NAMES = {
    "train_s": "training in seconds",
    "device_hours": "device hours",
    "peak_rss_mb": "peak memory in MB",
    "parameters": "parameters",
    "cpu_s": "processor seconds",
}
"""What a value can be held against."""


def compare_runs(
    folders: Sequence[Path], out: Path, measures: Sequence[str] = (), score: str = "", cost: str = "train_s"
) -> dict[str, Any]:
    """Collects runs and writes ``comparison.json``, ``.md``, ``.csv``, ``.html`` and a picture.

    Figures of different splits stand in tables of their own, and only runs of one split, part and measure
    are held against one another in the plot.

    Args:
        folders: runs, quickstarts and studies.
        out: receives the files.
        measures: patterns of the measures in the table, such as ``*recall@10``.
        score: measure of the plot; the one that most runs have where empty.
        cost: of the plot, one of ``COST_NAMES``.

    Returns:
        ``figures``, ``splits``, ``score``, ``front`` (runs that no cheaper one beats, by split) and
        ``skipped`` (folders that could not be read, with the reason).

    Raises:
        BadInputError: none of the folders can be read, or no such measure or cost.
    """
    figures, skipped = _collected(folders)
    if cost not in COST_NAMES:
        raise BadInputError(f"no cost {cost!r}", field="cost", remedy=f"Use one of {', '.join(COST_NAMES)}.")
    shown = _shown(figures, measures)
    score = score or _most_shared(shown, cost)
    points = _points(figures, score, cost)
    splits = list(dict.fromkeys(f.split for f in figures))
    fronts = {
        group: [p.name for p in front([p for p in points if p.group == group], is_less_better(score))]
        for group in dict.fromkeys(p.group for p in points)
    }
    result = {
        "figures": [asdict(f) for f in figures],
        "splits": splits,
        "score": score,
        "cost": cost,
        "front": fronts,
        "skipped": skipped,
    }
    page = _page(shown, splits, points, (score, cost), skipped)
    write_result(out, "comparison", result, page)
    write_text(Path(out) / "comparison.csv", as_csv(figures))
    write_text(Path(out) / "comparison.md", as_markdown(page))
    return result


def _collected(folders: Sequence[Path]) -> tuple[list[Figure], dict[str, str]]:
    found: list[Figure] = []
    skipped: dict[str, str] = {}
    for folder in folders:
        try:
            found += collect(folder)
        except BadInputError as error:
            skipped[str(folder)] = str(error)
    if not found:
        reason = next(iter(skipped.values()), "no run is named")
        raise BadInputError(f"nothing to report: {reason}", field="runs", remedy="Give finished runs.")
    return found, skipped


def _shown(figures: Sequence[Figure], measures: Sequence[str]) -> list[Figure]:
    """The rows of the table: what is asked for, or the usual measures, or all where none is usual."""
    patterns = measures or SHOWN
    found = [f for f in figures if any(fnmatch(f.measure, p) for p in patterns)]
    if not found and measures:
        known = ", ".join(list(dict.fromkeys(f.measure for f in figures))[:12])
        raise BadInputError(
            f"no measure is like {measures[0]!r}", field="measures", remedy=f"There are {known}."
        )
    return found or list(figures)


def _most_shared(figures: Sequence[Figure], cost: str) -> str:
    """The measure that most runs have with their cost; the first of equals."""
    of = {(f.run, f.measure): f for f in figures if f.system == MODEL and is_number(f.cost.get(cost))}
    counts = Counter(measure for _, measure in of)
    return counts.most_common(1)[0][0] if counts else ""


def _points(figures: Sequence[Figure], score: str, cost: str) -> list[Point]:
    return [
        Point(f.run, float(f.cost[cost]), f.value, _or(f.low, f.value), _or(f.high, f.value), group_of(f))
        for f in figures
        if f.measure == score and f.system == MODEL and is_number(f.cost.get(cost))
    ]


def _or(end: float | None, value: float) -> float:
    return value if end is None else end


def group_of(figure: Figure) -> str:
    """What may be compared with one another: one part of one split under one task."""
    split = figure.split[:8] if figure.split else "unknown"
    # Recall by direction is one measure wherever it was taken; other tasks may use a word by chance.
    task = "" if figure.task in _RETRIEVALS else f", {figure.task}"
    return f"split {split}, {figure.part or 'part not told'}{task}"


def is_less_better(measure: str) -> bool:
    """Whether small values of a measure are good ones."""
    return any(measure.lower().endswith(word) for word in _LESS)


def _page(
    shown: Sequence[Figure],
    splits: Sequence[str],
    points: Sequence[Point],
    axes: tuple[str, str],
    skipped: dict,
) -> ResultPage:
    score, cost = axes
    groups = list(dict.fromkeys(group_of(f) for f in shown))
    runs = len(dict.fromkeys(f.run for f in shown))
    lede = (
        f"{runs} run{'s' if runs != 1 else ''}, {len(shown)} figures, with their 95 % intervals where known. "
    )
    if len(splits) > 1:
        lede += (
            f"They are of {len(splits)} different divisions of records: figures of different splits cannot "
            "be compared, and stand in tables of their own."
        )
    pictures = []
    if points:
        drawn = value_against_cost(points, COST_NAMES[cost], score, is_less_better(score))
        caption = (
            f"{score} against {COST_NAMES[cost]}; a line joins the runs of one split that none cheaper beats."
        )
        pictures = [Picture("comparison", drawn, caption, wide=True)]
    tables = [
        Table(group[:1].upper() + group[1:], HEAD, [_row(f) for f in shown if group_of(f) == group], HEAD[5:])
        for group in groups
    ]
    if skipped:
        tables.append(Table("Left out", ("folder", "reason"), [list(item) for item in skipped.items()]))
    return ResultPage("Comparison of runs", "report", lede, pictures, tables)


def _row(figure: Figure) -> list[str]:
    ends = [figure.value, figure.low, figure.high]
    named = [figure.run, figure.system, figure.task, figure.part, figure.measure]
    return [*named, with_ends(ends), *cost_cells(figure.cost)]


def as_csv(figures: Sequence[Figure]) -> str:
    """All figures, one per line, costs in columns of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [f.name for f in fields(Figure) if f.name != "cost"]
    writer.writerow([*names, *COST_NAMES])
    for figure in figures:
        writer.writerow([*astuple(figure)[: len(names)], *(figure.cost.get(c, "") for c in COST_NAMES)])
    return stream.getvalue()


def as_markdown(page: ResultPage) -> str:
    """A page's words and tables as Markdown."""
    lines = [f"# {page.title}", "", page.lede, ""]
    for table in page.tables:
        rule = ["---:" if h in table.numbers else "---" for h in table.head]
        lines += [f"## {table.title}", "", *([table.aside, ""] if table.aside else [])]
        lines += [_line(table.head), _line(rule), *map(_line, table.rows), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(str(c).replace('|', chr(92) + '|') for c in cells)} |"
