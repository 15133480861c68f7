"""How far can a match be trusted, on test crystals and on measured patterns?

Needs a finished quickstart and what ``prismat calibrate`` wrote for it (the figures of its report are taken
over), and measured patterns as in ``measured.py``. A pattern's answer is right as there; patterns of crystals
that the index lacks are queries without an answer. Nothing is fitted on measured patterns.

Usage: python confidence.py --run ../runs/quickstart --patterns xrd_measured.parquet
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tyro
from _machine import write
from measured import right_records

from prismat.api import load
from prismat.confidence.confidence import Confidence
from prismat.confidence.gallery import Direction
from prismat.confidence.identify import Identifier
from prismat.confidence.reliability import reliability
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.search.index import Index
from prismat.search.query import Query
from prismat.store import Store
from prismat.tasks.bootstrap import bootstrap_means, interval
from prismat.tasks.report import to_plain
from prismat.tasks.words import roc_auc
from prismat.training.records import fraction_matrix

ALPHAS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        run: a quickstart folder.
        confidence: the folder of ``prismat calibrate``.
        patterns: the Parquet file.
    """

    run: Path = Path("../runs/quickstart")
    confidence: Path = Path("../runs/quickstart/run/confidence")
    patterns: Path = Path("../../shared/data/xrd_measured.parquet")


def main(options: Options) -> None:
    """Takes over the figures on test crystals and adds those on measured patterns."""
    prismat, store = load(options.run), Store(options.run / "store")
    confidence = Confidence.load(options.confidence, prismat.hash)
    identifier = Identifier(prismat, Index.open(options.run / "index", prismat.hash), confidence)
    table = store.table.to_pydict()
    fractions = fraction_matrix(table["elements"], table["fractions"])
    spacegroups = np.array(table["spacegroup_number"])
    rows = pq.read_table(options.patterns).to_pylist()
    found = {
        name: measured(identifier, Direction.named(name), rows, fractions, spacegroups)
        for name in ("xrd->xrd", "xrd->structure")
        if name in confidence.directions
    }
    report = json.loads((options.confidence / "report.json").read_text(encoding="utf-8"))
    write("confidence", to_plain({"test": report["directions"], "measured": found}))


def measured(
    identifier: Identifier,
    direction: Direction,
    patterns: list[dict],
    fractions: np.ndarray,
    spacegroups: np.ndarray,
) -> dict:
    """Probabilities, sets and the flag on measured patterns."""
    confidence, facts = identifier.confidence, []
    for row in patterns:
        right = right_records(row, fractions, spacegroups)
        pattern = Pattern(np.array(row["two_theta"], float), np.array(row["intensity"], float))
        if right is None:
            continue
        try:
            scores, entries = identifier.scores(Query(xrd=pattern), direction)
        except BadInputError:
            continue
        best, p = confidence.probabilities(scores, direction.name, 1)
        sets = [set(confidence.conformal_set(scores, a, direction.name).columns.tolist()) for a in ALPHAS]
        answers = set(np.flatnonzero(right[entries]).tolist())
        facts.append(
            {
                "answered": bool(answers),
                "p": float(p[0]),
                "right": int(best[0]) in answers,
                "sizes": [len(s) for s in sets],
                "covered": [bool(s & answers) for s in sets],
                "absent": confidence.none_of_these(scores, direction.name),
            }
        )
    return figures(facts)


def figures(facts: list[dict]) -> dict:
    """Shares with intervals over patterns."""
    known = [f for f in facts if f["answered"]]
    missing = [f for f in facts if not f["answered"]]
    right = np.array([f["right"] for f in known])
    p = np.array([f["p"] for f in known])
    found = {
        "with_answer": len(known),
        "without_answer": len(missing),
        "right_at_rank_1": share(right),
        "mean_probability": float(p.mean()),
        "best": reliability(p, right, bins=5).figures,
        "sets": [
            {
                "promised": 1 - alpha,
                "covered": share(np.array([f["covered"][i] for f in known])),
                "median_size": float(np.median([f["sizes"][i] for f in known])),
            }
            for i, alpha in enumerate(ALPHAS)
        ],
        "kept": share(np.array([not f["absent"].is_flagged for f in known])),
    }
    if missing:
        values = np.array([f["absent"].probability for f in [*known, *missing]])
        found["flagged_of_absent"] = share(np.array([f["absent"].is_flagged for f in missing]))
        found["roc_auc"] = roc_auc(values, np.repeat([False, True], [len(known), len(missing)]))
    return found


def share(hits: np.ndarray) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval."""
    means = bootstrap_means(hits.astype(float)[:, None])[:, 0]
    return (float(hits.mean()), *interval(means))


if __name__ == "__main__":
    main(tyro.cli(Options))
