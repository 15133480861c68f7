"""Campaigns from folders to pages: open, embed, simulate or suggest, write."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError
from prismat.modalities.properties import PropertySpec
from prismat.store import Store
from prismat.tasks.active.campaign import CampaignConfig, Pool, simulate
from prismat.tasks.active.curves import curves, summarise
from prismat.tasks.active.goals import Goal
from prismat.tasks.active.pages import campaign_page
from prismat.tasks.active.strategies import Strategy
from prismat.tasks.active.suggest import suggest
from prismat.tasks.design.candidates import PartName, property_values, usable_rows
from prismat.tasks.design.estimate import formula_features, structure_features
from prismat.tasks.opened import Opened, open_beside, open_run
from prismat.tasks.prediction import target_of
from prismat.tasks.result import ResultPage, Table, write_result


def run_campaigns(
    runs: Sequence[Path],
    store: Store,
    wanted: tuple[str, Goal],
    config: CampaignConfig,
    pool: tuple[PartName, int],
    folder: Path,
    told: Callable[[int, int], None] = lambda _, __: None,
) -> tuple[dict[str, Any], Path]:
    """Simulates campaigns on frozen embeddings and on the composition alone; writes the page.

    Args:
        runs: whose embeddings are read: the first is called ``structure``, others by their folders.
        store: the records.
        wanted: the property and the goal, a range in the store's unit.
        config: strategies and length.
        pool: part of the division, and the largest pool.
        folder: of log, JSON and page.
        told: called with finished and all campaigns.

    Returns:
        The figures and the path of the page.

    Raises:
        BadInputError: a property that nobody has, or a pool that is too small.
        MismatchError: the folder holds the log of another campaign.
    """
    name, goal = wanted
    spec, opened = target_of(store, name), open_run(runs[0], store)
    others = {_run_name(run): open_beside(run, opened) for run in runs[1:]}
    hidden = make_pool({"structure": opened, **others}, spec, *pool)
    histories = simulate(hidden, goal, config, folder, told)
    made = curves(histories, hidden, goal, config)
    found = summarise(made, hidden, goal, config)
    summary = {"target": name, "unit": spec.unit, "goal": goal.told(), "part": pool[0], **found}
    page = campaign_page(summary, made, goal, f"{name}{f' ({spec.unit})' if spec.unit else ''}", config)
    return summary, write_result(folder, "campaign", summary, page)


def make_pool(opened: Mapping[str, Opened], spec: PropertySpec, part: PartName, most: int) -> Pool:
    """Records of a part with a value, seen through the models and by their composition.

    Args:
        opened: models on one store, by the name under which their embeddings of structures are compared.
        spec: the property.
        part: of the division; held-out records that share a composition with a training record are left out.
        most: largest pool; more are drawn from.
    """
    first = next(iter(opened.values()))
    known = property_values(first, spec)
    rows = _pool_rows(first, known, part, most)
    features = {name: structure_features(one, rows) for name, one in opened.items()}
    ids = [first.records.ids[row] for row in rows]
    return Pool(ids, known[rows], {**features, "composition": formula_features(first, rows)})


def _run_name(run: Path) -> str:
    """What a run's embeddings are called."""
    return run.parent.name if run.name in ("model", "run") else run.name


def _pool_rows(
    opened: Opened, known: Float[np.ndarray, " records"], part: PartName, most: int
) -> Int[np.ndarray, " n"]:
    """Records of the part with a value and a structure, at most so many."""
    rows = usable_rows(opened, part, fresh=True)
    rows = rows[np.isfinite(known[rows])]
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, size=most, replace=False))
    return rows


def suggest_records(
    run: Path, store: Store, wanted: tuple[str, Goal], asked: tuple[int, Strategy], folder: Path
) -> tuple[dict[str, Any], Path]:
    """Suggests records of a store whose value is missing, and writes ``suggest.json`` and its page.

    Args:
        run: whose embeddings are read.
        store: the records.
        wanted: the property and the goal.
        asked: how many records, and how they are chosen.
        folder: of the result.

    Raises:
        BadInputError: a property that nobody has, or nothing to learn from or to suggest.
    """
    (name, goal), (count, strategy) = wanted, asked
    spec, opened = target_of(store, name), open_run(run, store)
    rows = np.flatnonzero(opened.records.fractions.any(axis=1))
    if not len(rows):
        raise BadInputError("no record has a structure", field="store", remedy="Give another store.")
    values = property_values(opened, spec, rows)
    found = suggest(structure_features(opened, rows), values, goal, count, strategy)
    table = opened.records.table
    chosen = [
        {
            **{key: table[key][rows[row]] for key in ("id", "formula", "spacegroup")},
            "mean": float(mean),
            "deviation": float(deviation),
        }
        for row, mean, deviation in zip(found.rows, found.mean, found.deviation, strict=True)
    ]
    told = {"known": found.known, "candidates": found.candidates}
    result = {
        "target": name,
        "unit": spec.unit,
        "goal": goal.told(),
        "strategy": strategy,
        **told,
        "rows": chosen,
    }
    return result, write_result(folder, "suggest", result, _suggest_page(result))


def _suggest_page(result: dict[str, Any]) -> ResultPage:
    """The suggestions for people."""
    column = f"{result['target']}, {result['unit']}" if result["unit"] else result["target"]
    rows = [
        [str(n), r["id"], r["formula"], r["spacegroup"], f"{r['mean']:.4g} ± {r['deviation']:.2g}"]
        for n, r in enumerate(result["rows"], start=1)
    ]
    head = ["", "id", "formula", "space group", column]
    lede = (
        f"{len(rows)} records to measure next for {result['target']}, {result['goal']}: chosen by "
        f"{result['strategy'].replace('_', ' ')} from {result['candidates']:,} records without a "
        "value, given "
        f"{result['known']:,} known ones."
    )
    aside = "Predicted value with the standard deviation of a measurement there."
    return ResultPage(
        "What to measure next", "campaign", lede, [], [Table("Records", head, rows, [column], aside)]
    )
