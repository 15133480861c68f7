"""Simulated campaigns over held-out records of MP-2018: strategies and features against random choice.

Two goals: the largest band gaps of the pool, and band gaps in a range. Through the code of
``prismat campaign``; a second start goes on from the logs.

Usage: python active_learning.py --run RUN --store STORE --baseline RUN
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from _machine import write

from prismat.modalities.properties import PropertySpec
from prismat.store import Store
from prismat.tasks.active.campaign import CampaignConfig, simulate
from prismat.tasks.active.curves import curves, summarise
from prismat.tasks.active.goals import parse_goal
from prismat.tasks.active.pages import campaign_page
from prismat.tasks.active.task import make_pool
from prismat.tasks.opened import open_beside, open_run
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result


@dataclass(frozen=True)
class Options:
    """What is simulated.

    Attributes:
        run: a model of structure and properties.
        store: records.
        baseline: the same trained on compositions.
        out: folder of logs and pages.
        goals: what is looked for, each in turn.
        target: the property.
        unit: of it.
        config: strategies and length.
    """

    run: Path
    store: Path = Path("stores/mp2018")
    baseline: Path | None = None
    out: Path = Path("../runs/tasks/campaign")
    goals: tuple[str, ...] = ("maximise", "1.0:1.2")
    target: str = "band_gap"
    unit: str = "eV"
    config: CampaignConfig = CampaignConfig()  # noqa: RUF009


def main(options: Options) -> None:
    """Writes results/active_learning.json."""
    opened = open_run(options.run, Store(options.store))
    others = {"composition model": open_beside(options.baseline, opened)} if options.baseline else {}
    pool = make_pool(
        {"structure": opened, **others}, PropertySpec(options.target, options.unit), "test", 4000
    )
    payload = {"target": options.target, "unit": options.unit, "goals": {}}
    for text in options.goals:
        start, goal = time.perf_counter(), parse_goal(text)
        folder = options.out / text.replace(":", "_")
        histories = simulate(
            pool, goal, options.config, folder, lambda done, total: print(done, total, flush=True)
        )
        made = curves(histories, pool, goal, options.config)
        found = summarise(made, pool, goal, options.config)
        page = campaign_page(found, made, goal, f"{options.target} ({options.unit})", options.config)
        print(write_result(folder, "campaign", found, page))
        payload["goals"][text] = {**found, "seconds": round(time.perf_counter() - start, 1)}
    print(json.dumps(to_plain(payload), indent=1, ensure_ascii=False))
    print(write("active_learning", to_plain(payload)))


if __name__ == "__main__":
    main(tyro.cli(Options))
