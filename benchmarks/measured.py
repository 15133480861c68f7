"""Which known crystal made this measured pattern? Recall over the whole index, beside classical matching.

Needs a finished quickstart and measured patterns as a Parquet file with columns ``sample`` (ending in
``_<space group>``), ``formula``, ``two_theta``, ``intensity`` (Cu Kα). A record is right when its element
fractions agree within 0.03 and its space group is the sample's; samples without a right record are left out.
The index holds crystals that the model was trained on, as an index for identification does. Three ways are
compared: ``search`` as users get it, ``learned`` with structure embeddings
alone (no pattern of the record), ``classical`` with profiles alone.

Usage: python measured.py --run ../runs/quickstart --patterns xrd_measured.parquet
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tyro
from _machine import describe, write

from prismat.api import load
from prismat.elements import MAX_Z
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.modalities.formula_text import parse_formula
from prismat.modalities.measured import from_measured
from prismat.modalities.rendering import render
from prismat.search.engine import Blend, SearchEngine
from prismat.search.query import Query
from prismat.store import Store
from prismat.tasks.bootstrap import bootstrap_means, interval
from prismat.training.records import fraction_matrix

WAYS = ("search", "learned", "classical")
LEARNED = Blend({"xrd": {"structure": 1.0}}, {"xrd": 0.0}, {"xrd": 0.0})


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        run: a quickstart folder.
        patterns: the Parquet file.
    """

    run: Path = Path("../runs/quickstart")
    patterns: Path = Path("../../shared/data/xrd_measured.parquet")


def main(options: Options) -> None:
    """Measures both ways of finding a pattern's crystal, with and without knowing its elements."""
    model, store = load(options.run), Store(options.run / "store")
    engine = SearchEngine.open(model, options.run / "index")
    learned = SearchEngine(model, engine.index, LEARNED)
    table = store.table.to_pydict()
    fractions, groups = (
        fraction_matrix(table["elements"], table["fractions"]),
        np.array(table["spacegroup_number"]),
    )
    profiles = simulated(store, engine)
    ranks: dict[str, list[int]] = {name: [] for name in WAYS + tuple(f"{w}_elements" for w in WAYS)}
    for row in pq.read_table(options.patterns).to_pylist():
        right = right_records(row, fractions, groups)
        pattern = Pattern(np.array(row["two_theta"], float), np.array(row["intensity"], float))
        if right is None or not right.any():
            continue
        try:
            measured = from_measured(pattern, model.recipe.profile)
        except BadInputError:
            continue
        scores = {
            "search": engine_scores(engine, pattern, len(store)),
            "learned": engine_scores(learned, pattern, len(store)),
            "classical": profiles @ measured,
        }
        same = ((fractions > 0) == (fractions[right.argmax()] > 0)).all(1)
        for name, values in scores.items():
            ranks[name].append(rank_of(values, right))
            ranks[f"{name}_elements"].append(rank_of(np.where(same, values, -np.inf), right))
    write(
        "measured",
        {"machine": describe(), "gallery": len(store), **{n: figures(np.array(r)) for n, r in ranks.items()}},
    )


def simulated(store: Store, engine: SearchEngine) -> np.ndarray:
    """Unit profiles of all records."""
    rows, settings = np.arange(len(store)), engine.prismat.recipe.profile
    parts = [
        render(store.take(r, list(engine.prismat.xrd.columns)), settings).numpy()
        for r in np.array_split(rows, 20)
    ]
    profiles = np.concatenate(parts)
    return profiles / np.linalg.norm(profiles, axis=1, keepdims=True).clip(1e-9)


def right_records(row: dict, fractions: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Records of the sample's composition and space group."""
    parsed = parse_formula(re.sub(r"\s", "", row["formula"]))
    if parsed is None:
        return None
    wanted = np.zeros(MAX_Z + 1)
    for z, amount in parsed:
        wanted[z] += amount
    wanted /= wanted.sum()
    return (np.abs(fractions - wanted).max(1) < 0.03) & (groups == int(row["sample"].rsplit("_", 1)[1]))


def engine_scores(engine: SearchEngine, pattern: Pattern, n: int) -> np.ndarray:
    """The engine's score of every record."""
    scores = np.full(n, -np.inf)
    for hit in engine.answer(Query(xrd=pattern, k=n)):
        scores[hit.row] = hit.score
    return scores


def rank_of(scores: np.ndarray, right: np.ndarray) -> int:
    """Rank of the best right record, ties against it."""
    return 1 + int(((scores >= scores[right].max()) & ~right).sum())


def figures(ranks: np.ndarray) -> dict:
    """Recall with intervals."""
    hits = np.stack([ranks <= k for k in (1, 5, 10)], axis=1).astype(float)
    samples = bootstrap_means(hits)
    found: dict = {"queries": len(ranks), "median_rank": float(np.median(ranks))}
    for i, k in enumerate((1, 5, 10)):
        found[f"recall@{k}"] = float(hits[:, i].mean())
        found[f"recall@{k}_ci95"] = list(interval(samples[:, i]))
    return found


if __name__ == "__main__":
    main(tyro.cli(Options))
