"""A trained model on the held-out records of another database, beside its baselines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from prismat.errors import BadInputError
from prismat.hygiene.leakage import SetLeakage, leakage
from prismat.hygiene.parts import Part, chosen
from prismat.hygiene.structures import CompareSettings
from prismat.page.figure import INK, SERIES, bare_axes, inline_svg, label_axes
from prismat.recipes.base import SplitConfig
from prismat.splits import Split
from prismat.store import Store
from prismat.tasks.assemble import compare_results
from prismat.tasks.evaluation import Embeddings, Evaluator
from prismat.tasks.opened import Opened, open_beside, open_run, run_folder
from prismat.tasks.result import Picture, ResultPage, Table
from prismat.tasks.retrieval import RetrievalResult, pooled_metrics

POOL = 1024
"""Size of the pools in which CLaC and MultiMat give zero-shot figures."""
TestPart = Literal["test", "all"]
LARGEST = 20_000
"""Most records of a gallery in which every query is compared with every item."""
ENOUGH = 100
"""Unseen records of which the headline may speak."""
SEEN = ("structure", "formula", "text")
"""What a record must not share with those learnt from to count as unseen."""


def open_models(
    run: Path, store: Store, split: SplitConfig | None = None, text_view: str | None = None
) -> dict[str, Opened]:
    """A run's model under ``main``, and its baselines by name, on one store.

    Raises:
        BadInputError: no model there, or a split that cannot be read or made.
        MismatchError: the store was prepared with other settings than a model reads.
    """
    found = {"main": open_run(run, store, split, text_view)}
    for folder in sorted((run_folder(run) / "baselines").glob("*/model")):
        name = folder.parent.name.replace("_", " ")
        found[name] = open_beside(folder, found["main"], text_view)
    return found


def learnt_overlap(
    run: Path,
    learnt: Store,
    opened: Opened,
    settings: CompareSettings | None = None,
    part: TestPart = "test",
) -> SetLeakage:
    """What the held-out rows share with the records that the run was trained on.

    Args:
        run: the run.
        learnt: the store that it was trained on.
        opened: the run on the store to be tested on.
        settings: tolerances and time for a pair of structures.
        part: which rows, as in :func:`held_out`.

    Raises:
        BadInputError: the run has no split, or it is not of the store named.
    """
    path = run_folder(run) / "split.json"
    if not path.is_file():
        raise BadInputError(f"no split.json in {path.parent}", field="run", remedy="Give a run folder.")
    split = Split.from_json(path.read_text(encoding="utf-8"))
    train = chosen(learnt, split.train, "train part")
    test = Part("held out", opened.prepared.store, held_out(opened, part))
    return leakage(train, [test], settings).sets[0]


def held_out(opened: Opened, part: TestPart = "test") -> Int[np.ndarray, " n"]:
    """The rows that a model is measured on, ascending.

    Args:
        opened: the model on a store.
        part: ``all`` for every record of a store that the model was not trained on.

    Raises:
        BadInputError: all records of the model's own store are asked for, or more than a gallery may hold.
    """
    if part == "test":
        return np.sort(opened.rows["test"])
    problem = "the model was trained on records of this store" if opened.is_own else ""
    if len(opened.records) > LARGEST:
        problem = f"{len(opened.records):,} records are more than the {LARGEST:,} of the largest gallery"
    if problem:
        raise BadInputError(problem, field="part", remedy="Use the test part.")
    return np.arange(len(opened.records))


def transfer(
    models: Mapping[str, Opened], overlap: SetLeakage | None = None, part: TestPart = "test"
) -> dict[str, Any]:
    """Retrieval between all windows of a store's records, over the whole gallery and in pools.

    Args:
        models: from :func:`open_models`.
        overlap: from :func:`learnt_overlap`; the figures are then given once more for unseen records alone.
        part: ``test``, or ``all`` records of a store that the model was not trained on.

    Raises:
        BadInputError: no record has two of the model's windows, or as :func:`held_out`.
    """
    main = models["main"]
    rows = held_out(main, part)
    parts = {"all": _judged(models, rows)}
    if overlap is not None:
        unseen = _unseen(main, rows, overlap)
        parts |= {"unseen": _judged(models, unseen)} if len(unseen) > 1 else {}
    return {
        "recipe": main.prismat.recipe.name,
        "model_hash": main.prismat.hash,
        "store": main.prepared.store.info["job"]["source"],
        "is_own": main.is_own,
        "part": part,
        "records": len(rows),
        "split": main.prepared.split.hash,
        "overlap": overlap.describe() if overlap is not None else None,
        "parts": parts,
    }


def _unseen(main: Opened, rows: Int[np.ndarray, " n"], overlap: SetLeakage) -> Int[np.ndarray, " unseen"]:
    """Rows that share nothing that tells with a record learnt from."""
    kinds = [kind for kind in SEEN if kind in overlap.shared]
    seen = set(overlap.ids(kinds))
    return np.array([r for r in rows if main.records.ids[r] not in seen], dtype=np.int64)


def _judged(models: Mapping[str, Opened], rows: Int[np.ndarray, " n"]) -> dict[str, Any]:
    """Figures of every model over one gallery, and the paired differences to each baseline."""
    main = models["main"]
    evaluator = Evaluator(main.records, rows, main.groups)
    embedded = {name: evaluator.embed(o.prismat, o.data) for name, o in models.items()}
    whole = {n: evaluator.retrieval(o.prismat, embedded[n]) for n, o in models.items()}
    if not whole["main"]:
        raise BadInputError(
            "no held-out record has two of the model's windows",
            field="store",
            remedy=f"The model reads {', '.join(main.prismat.recipe.windows)}.",
        )
    pools = _pooled(main, evaluator, embedded["main"])
    differences = {name: compare_results(whole["main"], whole[name]) for name in models if name != "main"}
    return {
        "records": len(rows),
        "retrieval": {name: {d: r.describe() for d, r in found.items()} for name, found in whole.items()},
        "pools": {d: r.describe() for d, r in pools.items()},
        "differences": differences,
    }


def _pooled(main: Opened, evaluator: Evaluator, embedded: Embeddings) -> dict[str, RetrievalResult]:
    found = {}
    for query, gallery in evaluator.directions(main.prismat):
        scores, relevant, groups = evaluator.scores(main.prismat, embedded, query, gallery)
        if len(scores):
            found[f"{query}->{gallery}"] = pooled_metrics(scores, relevant, POOL, groups=groups)
    return found


def transfer_page(result: Mapping[str, Any], run: str, store: str) -> ResultPage:
    """The result for people."""
    parts = result["parts"]
    is_enough = parts.get("unseen", {"records": 0})["records"] >= ENOUGH
    first = parts["unseen"] if is_enough else parts["all"]
    direction = next(iter(first["retrieval"]["main"]))
    figures = first["retrieval"]["main"][direction]
    which = "unseen records" if is_enough else "records"
    told = (
        f"{run} on {first['records']:,} {which} of {store}: {direction.replace('->', ' → ')} finds "
        f"{100 * figures['recall@10']:.1f} % among the first ten of {figures['pool']:,.0f}"
    )
    against = first["differences"].get("composition", {}).get(direction)
    if against:
        mean, low, high = against["recall@10"]
        told += f", {100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] points over composition alone"
    tables = [_table(name, part) for name, part in parts.items()]
    pictures = [Picture("transfer", transfer_plot(first), "Recall among the first ten, 95 % intervals.")]
    return ResultPage("On another database", "transfer", f"{told}.", pictures, tables)


_TITLES = {"all": "All held-out records", "unseen": "Records that share nothing with those learnt from"}
_HEAD = ("Direction", "Model", "Gallery", "R@1", "R@10", "95 %", "Over composition", "R@1 in pools")


def _table(name: str, part: Mapping[str, Any]) -> Table:
    rows = []
    for model, found in part["retrieval"].items():
        for direction, r in found.items():
            low, high = r["ci95"]["recall@10"]
            gained = part["differences"].get("composition", {}).get(direction) if model == "main" else None
            pool = part["pools"].get(direction) if model == "main" else None
            rows.append(
                (
                    direction.replace("->", " → "),
                    "this" if model == "main" else model,
                    f"{r['pool']:,.0f}",
                    f"{r['recall@1']:.3f}",
                    f"{r['recall@10']:.3f}",
                    f"{low:.3f}–{high:.3f}",
                    "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gained["recall@10"]) if gained else "",
                    f"{pool['recall@1']:.3f}" if pool else "",
                )
            )
    rows.sort(key=lambda row: row[0])
    return Table(_TITLES[name], _HEAD, rows, _HEAD[2:], f"{part['records']:,} records.")


def transfer_plot(part: Mapping[str, Any]) -> str:
    """Recall@10 by direction, a bar for each model."""
    directions = [d for d in part["retrieval"]["main"] if "->" in d]
    models = [m for m, found in part["retrieval"].items() if set(found) & set(directions)]
    figure, axes = bare_axes((2.4 + 1.1 * len(directions), 3.2))
    width = 0.8 / len(models)
    for n, model in enumerate(models):
        at = np.arange(len(directions)) + (n - (len(models) - 1) / 2) * width
        found = [part["retrieval"][model].get(d) for d in directions]
        height = np.array([r["recall@10"] if r else 0.0 for r in found])
        ends = np.array([r["ci95"]["recall@10"] if r else (0.0, 0.0) for r in found])
        colour = SERIES[n % len(SERIES)]
        axes.bar(at, height, width * 0.92, color=colour, label="this model" if model == "main" else model)
        axes.vlines(at, ends[:, 0], ends[:, 1], color=INK, lw=0.9)
    axes.set_xticks(np.arange(len(directions)), [d.replace("->", " →\n") for d in directions])
    axes.set_ylim(0, 1)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    label_axes(axes, "", "recall@10")
    return inline_svg(figure, "transfer", "Recall among the first ten by direction and model")
