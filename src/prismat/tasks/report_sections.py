"""The parts of the report page; each escapes what it shows and is empty where its data is missing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.page.figure import series_variable
from prismat.page.sections import facts, named, plain, section, spaced
from prismat.page.words import duration, is_number, number
from prismat.tasks import report_plots as plots
from prismat.tasks.report_words import (
    Metrics,
    direction_name,
    flat_results,
    metric,
    metric_range,
)

_COLUMNS = {
    "pool": "Pool",
    "recall@1": "R@1, %",
    "recall@5": "R@5, %",
    "recall@10": "R@10, %",
    "median_rank": "Median rank",
    "mrr": "MRR",
    "chance@1": "Chance, %",
}
_DATASET = {
    "records": "Records",
    "rejected": "Rejected",
    "with_text": "With text",
    "with_xrd": "With diffraction",
    "disordered": "Disordered",
}
_COST = {
    "prepare_s": "Preparation",
    "train_s": "Training",
    "peak_rss_mb": "Peak memory, MB",
    "epochs": "Epochs",
    "parameters": "Parameters",
}


@dataclass(frozen=True)
class Hit:
    """One answer to an example query.

    Attributes:
        id: of the record.
        formula: reduced formula.
        space_group: symbol.
        title: of the record's publication.
        score: similarity to the query.
        correct: whether it is a right answer.
    """

    id: str
    formula: str
    space_group: str
    title: str
    score: float
    correct: bool


@dataclass(frozen=True)
class Example:
    """One query with its first answers.

    Attributes:
        query: text, or the name of the record that asked.
        hits: first answers, best first.
        direction: such as ``text->structure``.
        rank: rank of the first right answer, where known.
    """

    query: str
    hits: tuple[Hit, ...]
    direction: str = ""
    rank: int | None = None


@dataclass(frozen=True, eq=False)
class ReportFigures:
    """What the report draws; anything may be left out.

    Attributes:
        history: entries with ``step``, ``loss`` and validation metrics.
        recall_curves: recall at k = 1, 2, … by direction; ``"direction | baseline"`` is drawn dashed.
        similarity: text × structure cosines of a few records, the right pairs on the diagonal.
        examples: queries with their answers.
    """

    history: Sequence[Mapping[str, Any]] = ()
    recall_curves: Mapping[str, Float[np.ndarray, " k"]] | None = None
    similarity: Float[np.ndarray, "rows columns"] | None = None
    examples: Sequence[Example] = ()


def data_section(report: Mapping[str, Any]) -> str:
    """Dataset and split, side by side."""
    dataset, split = dict(report.get("dataset") or {}), dict(report.get("split") or {})
    terms = dataset.pop("manifest", None)
    rule, hash_ = split.pop("rule", None) or {}, split.pop("hash", "")
    rows = [(part.capitalize(), escape(number(size))) for part, size in split.items()]
    rows += [(spaced(name), escape(plain(value))) for name, value in rule.items()]
    rows += (
        [("Hash", f'<code title="{escape(str(hash_))}">{escape(str(hash_)[:16])}</code>')] if hash_ else []
    )
    both = facts("Dataset", named(dataset, _DATASET) + _terms(terms)) + facts("Split", rows)
    return section("Data and split", f'<div class="facts">{both}</div>' if both else "")


def _terms(manifest: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What a store's licences ask for, in words."""
    return [("Terms", escape(str(manifest["notice"])))] if manifest and manifest.get("notice") else []


def cost_section(report: Mapping[str, Any]) -> str:
    """What it took, and on what."""
    formats = {"prepare_s": duration, "train_s": duration}
    both = facts("Cost", named(report.get("cost") or {}, _COST, formats))
    both += facts("Environment", named(report.get("environment") or {}, {}))
    return section("Cost and environment", f'<div class="facts">{both}</div>' if both else "")


def retrieval_section(report: Mapping[str, Any]) -> str:
    """Every direction with its intervals, the baselines below it."""
    results = flat_results(report.get("retrieval") or {})
    if not results:
        return ""
    baselines = {name: flat_results(r) for name, r in (report.get("baselines") or {}).items()}
    head = "".join(f'<th scope="col">{label}</th>' for label in _COLUMNS.values())
    bodies = []
    for direction, metrics in results.items():
        rows = [_row(*direction_name(direction), metrics, "model")]
        rows += [_row(n, "", b[direction], "baseline") for n, b in baselines.items() if direction in b]
        bodies.append(f"<tbody>{''.join(rows)}</tbody>")
    table = (
        f'<table><thead><tr><th scope="col">Query → answer</th>{head}</tr></thead>{"".join(bodies)}</table>'
    )
    aside = (
        "R@k: queries with a right answer among the first k. Small figures are 95 % bootstrap intervals. "
        "Ties count against the model. Chance is the exact R@1 of a random order in the same pool. "
        "Grey rows are baselines on the same queries."
    )
    return section("Retrieval", f'<div class="results">{table}</div>', aside)


def _row(name: str, remark: str, metrics: Metrics, kind: str) -> str:
    note = f"<small>{escape(remark)}</small>" if remark else ""
    cells = "".join(_cell(metrics, key, label, kind) for key, label in _COLUMNS.items())
    return f'<tr class="{kind}"><th scope="row">{escape(name)}{note}</th>{cells}</tr>'


def _cell(metrics: Metrics, key: str, label: str, kind: str) -> str:
    value = metrics.get(key)
    label = label.removesuffix(", %")
    if key == "pool":
        few = is_number(value) and value < 10
        pool = f"{value:.3g}" if few else f"{value:,.0f}" if is_number(value) else "–"
        return f'<td data-label="{label}">{pool}</td>'
    bar = ""
    if key.startswith("recall") and is_number(value):
        bar = f'<span class="bar"><i style="width:{100 * min(max(float(value), 0), 1):.1f}%"></i></span>'
    ends = metric_range(metrics, key) if kind == "model" and key != "chance@1" else ""
    small = f"<small>{escape(ends)}</small>" if ends else ""
    return f'<td data-label="{label}">{escape(metric(value, key))}{bar}{small}</td>'


def figure_section(report: Mapping[str, Any], figures: ReportFigures) -> str:
    """Recall curves, learning curves and the similarity matrix, as far as there are any."""
    parts = []
    if figures.recall_curves:
        pool = (
            (report.get("retrieval") or {})
            .get(next(iter(figures.recall_curves)).split(" | ")[0], {})
            .get("pool")
        )
        caption = "Share of queries with a right answer among the first k."
        caption += f" Dotted: chance with one right answer among {number(pool)}." if is_number(pool) else ""
        svg = plots.recall_plot(figures.recall_curves, pool if is_number(pool) else None)
        parts.append(_figure(svg, caption, plots.series_of(list(figures.recall_curves))))
    parts += _history_figures(figures.history)
    if figures.similarity is not None and figures.similarity.size:
        rows, columns = figures.similarity.shape
        caption = (
            f"Cosine similarity of {rows} texts and {columns} structures; right pairs lie on the diagonal."
        )
        parts.append(_figure(plots.similarity_plot(figures.similarity, "texts", "structures"), caption))
    return section("Curves", f'<div class="figures">{"".join(parts)}</div>' if parts else "")


def _history_figures(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Loss against step, and validation recall against step."""
    keys = list(dict.fromkeys(k for e in history for k, v in e.items() if "step" in e and is_number(v)))
    recalls = [k for k in keys if k.endswith("recall@10")] or [k for k in keys if "recall" in k]
    losses = [k for k in keys if k == "loss" or k.endswith("_loss") or k == "val/loss"]
    made = []
    if losses:
        made.append(_figure(plots.history_plot(history, losses, "loss"), "Loss by step.", _legend(losses)))
    if recalls:
        svg = plots.history_plot(
            history, recalls, "recall@10, %" if recalls[0].endswith("@10") else "recall, %"
        )
        made.append(_figure(svg, "Recall on the validation part by step.", _legend(recalls)))
    return made


def _legend(keys: list[str]) -> dict[str, int]:
    names = [k.removeprefix("val/").removesuffix("/recall@10") for k in keys]
    return {name: index % 6 for index, name in enumerate(names)} if len(names) > 1 else {}


def _figure(svg: str, caption: str, legend: Mapping[str, int] | None = None) -> str:
    """A figure with its legend in HTML, where it wraps on a narrow screen."""
    items = []
    for name, series in (legend or {}).items():
        direction, _, baseline = name.partition(" | ")
        words = direction_name(direction)[0] + (f", {baseline}" if baseline else "")
        kind = ' class="dashed"' if baseline else ""
        colour = series_variable(series)
        items.append(f'<li{kind}><i style="border-color:{colour}"></i>{escape(words)}</li>')
    key = f'<ul class="legend">{"".join(items)}</ul>' if items else ""
    return f"<figure>{svg}<figcaption>{key}{escape(caption)}</figcaption></figure>"


def example_section(figures: ReportFigures) -> str:
    """Queries with their first answers; right ones carry a mark."""
    cards = "".join(_example(example) for example in figures.examples)
    aside = "The first answers to queries of the test part. ✓ marks a right one."
    return section("Examples", f'<div class="examples">{cards}</div>' if cards else "", aside)


def _example(example: Example) -> str:
    told = [direction_name(example.direction)[0]] if example.direction else []
    told += [f"right answer at rank {number(example.rank)}"] if example.rank is not None else []
    under = f'<p class="rank">{escape(" · ".join(told))}</p>' if told else ""
    hits = "".join(_hit(hit, place) for place, hit in enumerate(example.hits, start=1))
    query = f"<blockquote>{escape(example.query)}</blockquote>"
    return f'<article class="example">{query}{under}<ol>{hits}</ol></article>'


def _hit(hit: Hit, place: int) -> str:
    mark = (
        '<span class="mark" title="right answer">✓</span>'
        if hit.correct
        else f'<span class="mark">{place}</span>'
    )
    group = f'<span class="group">{escape(hit.space_group)}</span>' if hit.space_group else ""
    title = " · ".join(part for part in (escape(hit.title), f"<code>{escape(hit.id)}</code>") if part)
    score = f"{hit.score:.3f}" if is_number(hit.score) else "–"
    return (
        f"<li{' class=right' if hit.correct else ''}>{mark}"
        f'<span class="what">{formula(hit.formula)}{group}</span>'
        f'<span class="score">{score}</span><span class="title">{title}</span></li>'
    )


def formula(text: str) -> str:
    """A chemical formula as HTML, its amounts set low."""
    pieces = re.split(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", text)
    return "".join(f"<sub>{p}</sub>" if n % 2 else escape(p) for n, p in enumerate(pieces))
