"""What commands say while they work and when they are done."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from prismat.search.answer import Answer, hit_dict
from prismat.search.hits import Hit
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


def hit_json(hit: Hit) -> dict[str, Any]:
    """One result in JSON types."""
    return hit_dict(hit)


def answer_table(answer: Answer) -> str:
    """An answer for people: total, score of each part where there are several, and probability if any."""
    matches, trust = answer.matches, answer.trust
    lines = [
        f"{answer.matching:,} of {answer.gallery:,} records meet the conditions; {answer.took_ms:,.0f} ms"
    ]
    if not matches:
        return "\n".join(["no crystal meets the conditions", *answer.notes])
    parts = list(dict.fromkeys(part for match in matches for part in match.parts))
    shown = parts if len(parts) > 1 else []
    has_probability = any(match.probability is not None for match in matches)
    rows = []
    for match in matches:
        hit = match.hit
        scores = [f"{match.parts[part]:.3f}" if part in match.parts else "–" for part in shown]
        sure = [f"{100 * match.probability:.1f} %" if match.probability is not None else "–"]
        formula = hit.formula if len(hit.formula) <= 26 else hit.formula[:25] + "…"
        named = [f"{hit.score:.3f}", *scores, *(sure if has_probability else []), formula, hit.spacegroup]
        rows.append([hit.id, *named, hit.title[:60]])
    probability = ["probability"] if has_probability else []
    head = ["id", "score", *shown, *probability, "formula", "space group", "title"]
    lines = [_left_table(head, rows, right=range(1, len(head) - 3)), "", *lines, *answer.notes]
    if trust.missing is not None:
        said = "none of these, it seems" if trust.is_flagged else "it may well be one of these"
        said = said if trust.is_reliable else "not to be relied on here"
        lines.append(f"Probability that the answer is missing: {100 * trust.missing:.0f} %: {said}.")
    return "\n".join([*lines, *trust.notes])


def _left_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: range) -> str:
    """Cells in columns, words to the left and numbers to the right."""
    wide = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    told = lambda line: "  ".join(  # noqa: E731
        cell.rjust(w) if i in right else cell.ljust(w)
        for i, (cell, w) in enumerate(zip(line, wide, strict=True))
    ).rstrip()
    return "\n".join([told(head), "-" * (sum(wide) + 2 * len(wide) - 2), *map(told, rows)])


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells as text in columns, the first to the left and the others to the right."""
    wide = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    told = lambda line: "  ".join(  # noqa: E731
        cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, wide, strict=True))
    ).rstrip()
    return "\n".join([told(head), "-" * (sum(wide) + 2 * len(wide) - 2), *map(told, rows)])
