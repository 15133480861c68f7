"""The default recipe against composition alone over several seeds, on one split of the quickstart's store.

For each seed both models are trained with the same steps; recall on the test rows and the paired difference
over the same queries are kept, and the mean and range over seeds. The split does not depend on the seed.

Usage: python seeds.py --run ../runs/quickstart --seeds 1 2
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from _machine import describe, write

from prismat.recipes.base import Job
from prismat.store import Store
from prismat.tasks.assemble import compare, judge
from prismat.tasks.quickstart import baseline_jobs, test_evaluator, train_recipe
from prismat.training.session import open_prepared


@dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
        run: a finished quickstart: its store, and its report as seed 0.
        seeds: further seeds.
    """

    run: Path = Path("../runs/quickstart")
    seeds: tuple[int, ...] = (1, 2)


def main(options: Options) -> None:
    """Trains, measures and writes one entry per seed and a summary."""
    job = Job()
    prepared = open_prepared(Store(options.run / "store"), job.split)
    evaluator = test_evaluator(prepared, job)
    report = json.loads((options.run / "run" / "report.json").read_text(encoding="utf-8"))
    found = {"0": first(report)}
    for seed in options.seeds:
        wanted = replace(job, train=replace(job.train, seed=seed))
        with tempfile.TemporaryDirectory() as folder:
            both = (wanted, baseline_jobs(wanted)["composition"])
            judged = [judge(train_recipe(prepared, j, Path(folder) / j.recipe.name), evaluator) for j in both]
        gains = compare(*judged)
        found[str(seed)] = {
            direction: {
                "recall@1": judged[0].results[direction].recall[1],
                "recall@10": judged[0].results[direction].recall[10],
                "gain@1": list(gains[direction]["recall@1"]),
                "gain@10": list(gains[direction]["recall@10"]),
            }
            for direction in gains
        }
    write(
        "seeds",
        {"machine": describe(), "split": prepared.split.hash, "seeds": found, "summary": summary(found)},
    )


def first(report: dict) -> dict:
    """Seed 0 from the quickstart's report."""
    return {
        direction: {
            "recall@1": report["retrieval"][direction]["recall@1"],
            "recall@10": report["retrieval"][direction]["recall@10"],
            "gain@1": entry["composition"]["recall@1"],
            "gain@10": entry["composition"]["recall@10"],
        }
        for direction, entry in report["differences"].items()
    }


def summary(found: dict) -> dict:
    """Mean, least and greatest over seeds, and the least lower end of the intervals of the gain."""
    made: dict = {}
    for direction in found["0"]:
        made[direction] = {}
        for name in ("recall@1", "recall@10", "gain@1", "gain@10"):
            values = [np.atleast_1d(entry[direction][name]) for entry in found.values()]
            means = [float(v[0]) for v in values]
            made[direction][name] = {
                "mean": float(np.mean(means)),
                "least": min(means),
                "greatest": max(means),
            }
            if name.startswith("gain"):
                made[direction][name]["least_lower_end"] = min(float(v[1]) for v in values)
    return made


if __name__ == "__main__":
    main(tyro.cli(Options))
