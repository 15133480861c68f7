"""The verb compute: densities of states and electron densities with Abinit."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from prismat.commands.talk import talking
from prismat.compute.campaign import Campaign, Outcome, run_campaign
from prismat.compute.program import find_program
from prismat.compute.pseudopotentials import Pseudopotentials
from prismat.compute.results import FAILURES, read_facts
from prismat.compute.sandbox import Limits
from prismat.compute.selection import Choice, choose
from prismat.compute.settings import AbinitSettings, Quantity
from prismat.store import Store


@dataclass(frozen=True)
class Compute:
    """Compute densities of states and electron densities of small cells with Abinit. Resumes.

    Local density approximation, without spin polarisation, structures as they are. Needs Abinit and its
    pseudopotentials from the system: apt install abinit abinit-data.

    Attributes:
        quantity: ``dos``, ``density`` or ``both``.
        store: made by ``prismat prepare``; its primitive cells are computed.
        out: receives results/ and failures.jsonl.
        choice: which crystals; the cheapest first.
        settings: accuracy; results of other settings need another folder.
        limits: of one run.
        workers: runs at a time, of one thread each.
        retry_failed: compute those that failed before as well.
        abinit: the executable; found on the search path where left out.
        pseudopotentials: folder of HGH pseudopotentials; found in the usual places where left out.
        plan: only say what would be computed.
        json: print the summary as JSON.
    """

    quantity: tyro.conf.Positional[Quantity] = "both"
    store: Path = Path("stores/amcsd")
    out: Path = Path("computed")
    choice: Choice = field(default_factory=Choice)
    settings: AbinitSettings = field(default_factory=AbinitSettings)
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
    retry_failed: bool = False
    abinit: Path | None = None
    pseudopotentials: Path | None = None
    plan: bool = False
    json: bool = False

    def run(self) -> None:
        """Computes and says what was written, what failed, and what to run next."""
        files = Pseudopotentials(self.pseudopotentials)
        settings = replace(self.settings, quantity=self.quantity)
        chosen = choose(Store(self.store), files, settings, self.choice)
        if self.plan:
            print(
                f"{len(chosen.tasks):,} crystals would be computed.\n{counted('Left out', chosen.left_out)}"
            )
            return
        campaign = Campaign(self.out, settings, find_program(self.abinit), files, self.limits)
        with talking() as talk:
            outcome = run_campaign(
                campaign,
                chosen.tasks,
                self.workers,
                self.retry_failed,
                lambda done, total: talk.bar("compute", done, total, {}),
            )
        report = summary(self.out, [task.id for task in chosen.tasks], outcome)
        if self.json:
            print(json.dumps({**report, "left_out": chosen.left_out}, indent=2, ensure_ascii=False))
            return
        print(times_table(report))
        print(counted("Left out", chosen.left_out))
        self.tell(report)

    def tell(self, report: dict[str, Any]) -> None:
        """Says what is where, and what to run next."""
        print(f"{report['computed']:,} results → {self.out}")
        if report["failed"]:
            print(f"{counted('Failed', report['failures'])}\nWith reasons: {self.out / FAILURES}")
        if report["computed"]:
            print(f"Next: prismat prepare SOURCE --attach {self.out} --out stores/computed")


def summary(folder: Path, ids: list[str], outcome: Outcome) -> dict[str, Any]:
    """Figures of a campaign: results, failures by kind, seconds by number of atoms.

    Args:
        folder: of the campaign.
        ids: the crystals that were asked for; results of others are left out.
        outcome: how it ended.
    """
    wanted = set(ids)
    facts = [told for id_, told in read_facts(folder).items() if id_ in wanted]
    kinds: dict[str, int] = {}
    for failure in outcome.failed.values():
        kinds[failure.kind] = kinds.get(failure.kind, 0) + 1
    sizes = sorted({told["n_atoms"] for told in facts})
    by_atoms = {n: [told["seconds"] for told in facts if told["n_atoms"] == n] for n in sizes}
    return {
        "computed": len(facts),
        "computed_now": outcome.computed,
        "failed": len(outcome.failed),
        "failures": kinds,
        "second_attempts": sum(told["attempts"] > 1 for told in facts),
        "seconds": _spread([told["seconds"] for told in facts]),
        "seconds_by_atoms": {str(n): _spread(seconds) for n, seconds in by_atoms.items()},
    }


def _spread(seconds: list[float]) -> dict[str, int | float]:
    if not seconds:
        return {"count": 0}
    median, p90 = np.percentile(seconds, [50, 90])
    return {
        "count": len(seconds),
        "median": round(float(median), 1),
        "p90": round(float(p90), 1),
        "max": round(max(seconds), 1),
    }


def times_table(report: dict[str, Any]) -> str:
    """Seconds per crystal by number of atoms, as text."""
    lines = [f"{'atoms':<8}{'crystals':>9}{'median s':>10}{'90 % s':>9}{'max s':>9}"]
    lines.append("-" * len(lines[0]))
    rows = [*report["seconds_by_atoms"].items(), ("all", report["seconds"])]
    for name, found in rows:
        if found["count"]:
            lines.append(
                f"{name:<8}{found['count']:>9}{found['median']:>10.1f}{found['p90']:>9.1f}{found['max']:>9.1f}"
            )
    return "\n".join(lines)


def counted(title: str, counts: dict[str, int]) -> str:
    """Numbers by reason, most frequent first, one to a line."""
    rows = sorted(counts.items(), key=lambda item: -item[1])
    return "\n".join([f"{title}:", *(f"{number:>8,}  {reason}" for reason, number in rows)])
