"""The pages of designs and of their judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.design.candidates import Candidates
from prismat.tasks.design.parts import Part
from prismat.tasks.design.screen import Screened
from prismat.tasks.design.target import Target
from prismat.tasks.design.wants import Want
from prismat.tasks.result import Picture, ResultPage, Table

Triple = Sequence[float]


@dataclass(frozen=True, eq=False)
class Design:
    """A screening and everything it was made of.

    Attributes:
        target: what was wanted.
        pool: the candidates.
        parts: scored.
        screened: the ranking.
        k: results shown.
        truths: known values by property, for those candidates that have them; shown, never used in modes
            other than ``known``.
    """

    target: Target
    pool: Candidates
    parts: Sequence[Part]
    screened: Screened
    k: int
    truths: Mapping[str, Float[np.ndarray, " candidates"]]

    @property
    def first(self) -> Int[np.ndarray, " k"]:
        """The candidates shown."""
        return self.screened.order[: self.k]

    def checks(self) -> dict[str, dict[str, int]]:
        """Of each range: how many of the first k, and of all that pass, have a known value, and lie in it."""
        found: dict[str, dict[str, int]] = {}
        for want, part in zip(self.target.wants, self.parts, strict=False):
            if want.kind != "range" or want.name not in self.truths:
                continue
            own, known = want.converted(part.unit or want.unit), self.truths[want.name]
            first, all_ = known[self.first], known[self.screened.order]
            if not np.isfinite(all_).any():
                continue
            found[want.name] = {
                "first_known": int(np.isfinite(first).sum()),
                "first_inside": int((own.distance(first) == 0).sum()),
                "all_known": int(np.isfinite(all_).sum()),
                "all_inside": int((own.distance(all_) == 0).sum()),
            }
        return found

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        at_odds = self.screened.at_odds
        return {
            "target": self.target.told(),
            "mode": self.target.mode,
            "weights": dict(zip(self.target.names, self.target.weight_list(), strict=True)),
            "candidates": len(self.pool),
            "passing": len(self.screened.order),
            "hits": [self.hit(place) for place in range(len(self.first))],
            "front": [self.pool.ids[i] for i in self.screened.front],
            "hypervolume_share": self.screened.covered,
            "correlations": {" | ".join(pair): v for pair, v in self.screened.conflicts.items()},
            "at_odds": [" | ".join(pair) for pair in at_odds],
            "checks": self.checks(),
        }

    def hit(self, place: int) -> dict[str, Any]:
        """One result in JSON types."""
        row = int(self.first[place])
        table = {
            name: self.pool.table[name][row].as_py() for name in ("id", "formula", "spacegroup", "n_sites")
        }
        parts = {}
        for column, part in enumerate(self.parts):
            told: dict[str, Any] = {
                "score": float(self.screened.scores[row, column]),
                "value": float(part.values[row]),
            }
            if part.deviation is not None:
                told["deviation"] = float(part.deviation[row])
            if part.name in self.truths and np.isfinite(self.truths[part.name][row]):
                told["known"] = float(self.truths[part.name][row])
            parts[part.name] = told
        rank = int(self.screened.ranks[place])
        return {**table, "total": float(self.screened.total[row]), "front": rank, "parts": parts}


def design_page(design: Design) -> ResultPage:
    """A ranking for people."""
    return ResultPage(
        "Inverse design by screening",
        "design",
        lede(design),
        [picture for picture in (_picture(design),) if picture],
        [_hits_table(design), *_conflict_tables(design)],
    )


def lede(design: Design) -> str:
    """What was wanted, among how many, and how the first do."""
    hit = design.hit(0)
    words = [
        f"Wanted: {design.target.told()}. Of {len(design.pool):,} candidates "
        f"{len(design.screened.order):,} meet "
        f"the conditions; the first is {hit['formula']} ({hit['id']}) with {hit['total']:.3f} of 1."
    ]
    for name, c in design.checks().items():
        words.append(
            f"Known values of {name}: {c['first_inside']} of {c['first_known']} among the first "
            f"{len(design.first)} "
            f"lie in the range, of all candidates {c['all_inside']:,} of {c['all_known']:,}."
        )
    if design.screened.at_odds:
        pairs = ", ".join(f"{a} and {b}" for a, b in design.screened.at_odds)
        words.append(f"At odds with each other: {pairs}; see the front below.")
    return " ".join(words)


def _hits_table(design: Design) -> Table:
    """The first candidates with their scores; predicted beside known values."""
    names = [p.name for p in design.parts]
    head = ["", "id", "formula", "space group", "total", "front", *map(_spaced, names)]
    rows = []
    for place in range(len(design.first)):
        hit = design.hit(place)
        row = [str(place + 1), hit["id"], hit["formula"], hit["spacegroup"]]
        row += [f"{hit['total']:.3f}", str(hit["front"])]
        for n in names:
            told = hit["parts"][n]
            spread = f" ± {told['deviation']:.2g}" if "deviation" in told else ""
            known = f" ({told['known']:.3g})" if "known" in told and design.target.mode != "known" else ""
            row.append(f"{told['value']:.3g}{spread}{known}; {told['score']:.2f}")
        rows.append(row)
    aside = {
        "predicted": "Values are predicted from the structure; in brackets known ones, which were not used.",
        "known": "Values are those that the records have.",
        "joint": "Values are cosines in the joint space; in brackets known ones, which were not used.",
    }[design.target.mode]
    units = {p.name: p.unit for p in design.parts if p.unit}
    told = "After the semicolon the score. " + "; ".join(f"{_spaced(n)} in {u}" for n, u in units.items())
    return Table(
        "First candidates", head, rows, [h for h in head if h not in head[1:4]], f"{aside} {told}".strip()
    )


def verified_table(found: Mapping[str, Any]) -> Table:
    """What calculations said of the first small crystals and of random ones."""
    rows = [
        [
            "first" if name == "hits" else "random",
            line["id"],
            line["formula"],
            str(line["rank"]),
            f"{100 * line['error']:.1f}" if "error" in line else line["failure"],
        ]
        for name in ("hits", "random")
        for line in found[name]
    ]
    aside = f"Share of states at other energies than the target's. {found['method']}."
    head = ["", "id", "formula", "rank", "states elsewhere, %"]
    return Table("Checked by first principles", head, rows, head[3:], aside)


def _spaced(name: str) -> str:
    """A name that a narrow column can break."""
    return name.replace("_", " ")


def _conflict_tables(design: Design) -> list[Table]:
    """Which wishes are at odds."""
    if not design.screened.conflicts:
        return []
    rows = [
        [f"{a} and {b}", f"{v:+.2f}", f"{low:+.2f} to {high:+.2f}", "yes" if high < 0 else "no"]
        for (a, b), (v, low, high) in design.screened.conflicts.items()
    ]
    aside = (
        f"Spearman's correlation of scores over the candidates that pass. The first front, where nothing is "
        f"better in every part, has {len(design.screened.front):,} candidates; the first {len(design.first)} "
        f"cover {100 * design.screened.covered:.0f} % of its hypervolume."
    )
    return [
        Table(
            "Are the wishes at odds?",
            ["parts", "correlation", "95 %", "at odds"],
            rows,
            ["correlation"],
            aside,
        )
    ]


def _picture(design: Design) -> Picture | None:
    """Two parts against each other, or the values of one."""
    if len(design.parts) >= 2:
        return _trade_off(design)
    return _histogram(design)


def _trade_off(design: Design) -> Picture:
    """Values of the first two parts: all candidates, the first front, the first k."""
    figure, axes = bare_axes((7.2, 4.4))
    a, b = design.parts[:2]
    rows, first, front = design.screened.order, design.first, design.screened.front
    axes.plot(a.values[rows], b.values[rows], ".", color=MUTED, ms=3.5, alpha=0.45, mew=0, label="candidates")
    for want, span in zip(design.target.wants[:2], (axes.axvspan, axes.axhspan), strict=False):
        _band(want, a if want.name == a.name else b, span, axes)
    axes.plot(a.values[front], b.values[front], "o", color=SERIES[1], ms=4, mfc="none", label="first front")
    axes.plot(
        a.values[first], b.values[first], "o", color=SERIES[0], ms=4.5, mew=0, label=f"first {len(first)}"
    )
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    label_axes(axes, _axis(a, design), _axis(b, design))
    told = f"{a.told} against {b.told}; the bands are what is wanted."
    return Picture("task_design", inline_svg(figure, "design", "Two parts of the target"), told, wide=True)


def _band(want: Want, part: Part, span: Any, axes: Any) -> None:
    """What is wanted, where the axis shows values."""
    if want.kind != "range" or not part.unit:
        return
    own = want.converted(part.unit)
    horizontal = span == axes.axhspan
    limits = axes.get_ylim() if horizontal else axes.get_xlim()
    span(max(own.low, limits[0]), min(own.high, limits[1]), color=SERIES[2], alpha=0.18, lw=0)


def _axis(part: Part, design: Design) -> str:
    """Name of what an axis shows."""
    if not part.unit:
        return f"{part.name}, cosine"
    return f"{'known' if design.target.mode == 'known' else 'predicted'} {part.name}, {part.unit}"


def _histogram(design: Design) -> Picture | None:
    """Values of one part among all that pass and among the first k: true ones where known."""
    part = design.parts[0]
    values = design.truths.get(part.name, part.values)
    if not np.isfinite(values[design.first]).any():
        values = part.values
    true = values is not part.values or design.target.mode == "known"
    all_, first = (v[np.isfinite(v)] for v in (values[design.screened.order], values[design.first]))
    figure, axes = bare_axes((7.2, 3.4))
    edges = np.histogram_bin_edges(np.concatenate([all_, first]), 40)
    for found, colour, name in ((all_, MUTED, "all candidates"), (first, SERIES[0], f"first {len(first)}")):
        share = 100 * np.histogram(found, edges)[0] / max(len(found), 1)
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.45, label=name)
    if design.target.wants and part.unit:
        _band(design.target.wants[0], part, axes.axvspan, axes)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    name = f"{'known' if true else 'predicted' if part.unit else 'cosine of'} {part.name}"
    label_axes(axes, f"{name}{f', {part.unit}' if part.unit else ''}", "share, %")
    return Picture("task_design", inline_svg(figure, "design", name), f"{name}: {part.told}.", wide=True)
