"""What commands say while they work and when they are done."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from prismat.tasks.quickstart import Talk

Run = Annotated[Path, tyro.conf.arg(name="run")]
"""A run folder, ``--run`` in every verb."""


@dataclass
class Bars:
    """One progress bar per stage, on standard error, with time left."""

    open: dict[str, tqdm] = field(default_factory=dict)

    def update(self, stage: str, done: int, total: int, entry: dict) -> None:
        """Moves a stage's bar; shows the latest loss and validation score."""
        if stage not in self.open:
            self.open[stage] = tqdm(total=total, initial=0, desc=stage, file=sys.stderr, dynamic_ncols=True)
        bar = self.open[stage]
        bar.n = done
        shown = {k: f"{entry[k]:.3f}" for k in ("loss", "val/score") if k in entry}
        if shown:
            bar.set_postfix(shown, refresh=False)
        bar.refresh() if done >= total else bar.update(0)
        if done >= total:
            bar.close()

    def talk(self) -> Talk:
        """As what long jobs want."""
        return Talk(note=lambda text: print(text, file=sys.stderr), bar=self.update)

    def close(self) -> None:
        """Ends all bars where they stand, so that what follows has a line of its own."""
        for bar in self.open.values():
            bar.close()


@contextmanager
def talking(is_main: bool = True) -> Generator[Talk]:
    """Bars for the time of one job, closed however it ends; of several processes only the first talks."""
    bars = Bars()
    try:
        yield bars.talk() if is_main else Talk()
    finally:
        bars.close()


def retrieval_table(report: dict[str, Any]) -> str:
    """The retrieval figures of a report as text, each beside the composition-only baseline."""
    base = report["baselines"].get("composition", {})
    head = f"{'direction':<32}{'pool':>7}{'R@1':>8}{'R@10':>8}{'median':>8}   {'composition only':<20}"
    lines = [head, "-" * len(head)]
    for name, found, other in _table_rows(report, base):
        against = f"{other['recall@1']:.3f} / {other['recall@10']:.3f}" if other else "–"
        lines.append(
            f"{name:<32}{found['pool']:>7.0f}{found['recall@1']:>8.3f}{found['recall@10']:>8.3f}"
            f"{found['median_rank']:>8.0f}   {against:<20}"
        )
    return "\n".join(lines)


def _table_rows(report: dict[str, Any], base: dict[str, Any]) -> list[tuple[str, dict, dict | None]]:
    found = report["retrieval"]
    rows = [(name, values, base.get(name)) for name, values in found.items() if "pool" in values]
    masked, hidden = found.get("masked_text->structure", {}), base.get("masked_text->structure", {})
    rows += [(f"masked {level}->structure", values, hidden.get(level)) for level, values in masked.items()]
    return rows + [(name, values, None) for name, values in report.get("apart", {}).items()]


def hits_table(hits: list, k: int | None = None) -> str:
    """Search results as text."""
    shown = hits[:k]
    wide = max([12, *(len(h.id) for h in shown)]) + 2
    lines = [f"{'score':>6}  {'id':<{wide}}{'formula':<28}{'space group':<13}title"]
    for hit in shown:
        formula = hit.formula if len(hit.formula) <= 26 else hit.formula[:25] + "…"
        lines.append(f"{hit.score:>6.3f}  {hit.id:<{wide}}{formula:<28}{hit.spacegroup:<13}{hit.title[:70]}")
    return "\n".join(lines)


def hit_json(hit: Any) -> dict[str, Any]:
    """One result in JSON types."""
    return {
        "id": hit.id,
        "score": round(hit.score, 6),
        "scores": {k: round(v, 6) for k, v in hit.scores.items()},
        "formula": hit.formula,
        "spacegroup": hit.spacegroup,
        "spacegroup_number": hit.spacegroup_number,
        "title": hit.title,
        "elements": list(hit.elements),
        "n_sites": hit.n_sites,
        "properties": {k: {"value": p.value, "unit": p.unit} for k, p in hit.properties.items()},
    }


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells as text in columns, the first to the left and the others to the right."""
    wide = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    told = lambda line: "  ".join(  # noqa: E731
        cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, wide, strict=True))
    ).rstrip()
    return "\n".join([told(head), "-" * (sum(wide) + 2 * len(wide) - 2), *map(told, rows)])
