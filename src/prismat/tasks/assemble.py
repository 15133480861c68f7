"""From trained models to the one report: figures, baselines, paired differences, examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prismat.duplicates import same_matrix, text_labels
from prismat.hygiene.manifest import manifest
from prismat.modalities.text_views import as_rows, description_view
from prismat.tasks.bootstrap import paired_difference
from prismat.tasks.evaluation import Embeddings, Evaluator
from prismat.tasks.report import Example, Hit, ReportFigures
from prismat.tasks.retrieval import RetrievalResult, retrieval_metrics
from prismat.training.session import Prepared, Trained, environment, peak_memory_mb

CURVE = 100
MATRIX = 48


@dataclass(frozen=True, eq=False)
class Judged:
    """One model on the held-out rows.

    Attributes:
        trained: the model.
        embedded: held-out records in its space.
        results: retrieval by direction, and ``polymorph``.
    """

    trained: Trained
    embedded: Embeddings
    results: dict[str, RetrievalResult]


def judge(trained: Trained, evaluator: Evaluator) -> Judged:
    """Embeds the held-out rows and measures every direction."""
    embedded = evaluator.embed(trained.prismat, trained.data)
    return Judged(trained, embedded, evaluator.retrieval(trained.prismat, embedded))


def compare(main: Judged, other: Judged) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Recall@1 and recall@10, main − other, over the same queries: (mean, low, high) of 95 %."""
    return compare_results(main.results, other.results)


def compare_results(
    main: Mapping[str, RetrievalResult], other: Mapping[str, RetrievalResult]
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """As :func:`compare`, of figures by direction; directions with other queries are left out."""
    found = {}
    for direction, result in main.items():
        against = other.get(direction)
        if against is None or len(against.ranks) != len(result.ranks):
            continue
        found[direction] = {
            f"recall@{k}": paired_difference(result.hits(k), against.hits(k), result.groups) for k in (1, 10)
        }
    return found


def formula_text(judged: Judged, prepared: Prepared, evaluator: Evaluator) -> dict[str, RetrievalResult]:
    """Text that states the formula → structure: it holds the answer, and is reported apart."""
    prismat = judged.trained.prismat
    if not {"text", "structure"} <= set(prismat.recipe.windows):
        return {}
    rows = as_rows({k: [v[i] for i in evaluator.rows] for k, v in prepared.records.table.items()})
    key = prismat.key("structure", "text")
    keep = judged.embedded.present[key]
    if not keep.any():
        return {}
    texts = [description_view(r) for r, k in zip(rows, keep, strict=True) if k]
    query = prismat.embed(texts=texts)
    # Crystals that the same words describe are all right answers, as everywhere.
    relevant = evaluator.relevant["structure"][keep][:, keep] | same_matrix(text_labels(texts))
    groups = evaluator.groups[evaluator.rows[keep]]
    scores = query[prismat.key("text", "structure")] @ judged.embedded.vectors[key][keep].T
    return {"text_with_formula->structure": retrieval_metrics(scores, relevant, groups)}


def assemble(
    main: Judged,
    baselines: Mapping[str, Judged],
    prepared: Prepared,
    evaluator: Evaluator,
    cost: dict[str, float],
) -> dict[str, Any]:
    """The content of report.json."""
    prismat, outcome = main.trained.prismat, main.trained.outcome
    masked = evaluator.masked_text(prismat, main.embedded, prepared.records.minerals)
    retrieval = {name: result.describe() for name, result in main.results.items()}
    if masked:
        retrieval["masked_text->structure"] = {level: r.describe() for level, r in masked.items()}
    apart = {name: r.describe() for name, r in formula_text(main, prepared, evaluator).items()}
    described = {name: {k: r.describe() for k, r in b.results.items()} for name, b in baselines.items()}
    for name, judged in baselines.items():
        hidden = evaluator.masked_text(judged.trained.prismat, judged.embedded, prepared.records.minerals)
        if hidden:
            described[name]["masked_text->structure"] = {level: r.describe() for level, r in hidden.items()}
    return {
        "recipe": prismat.recipe.name,
        "dataset": _dataset(prepared),
        "split": _split(prepared),
        "retrieval": retrieval,
        "apart": apart,
        "baselines": described,
        "differences": _by_direction({name: compare(main, b) for name, b in baselines.items()}),
        "cost": {
            **cost,
            "train_s": round(outcome.seconds, 1),
            "peak_rss_mb": round(peak_memory_mb(), 1),
            "epochs": round(outcome.epochs, 2),
            "parameters": prismat.model.n_parameters,
            "best_step": outcome.best_step,
        },
        "environment": environment() | (prismat.reader.describe() if prismat.reader else {}),
        "model_hash": prismat.hash,
    }


def _by_direction(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{baseline: {direction: …}} as {direction: {baseline: …}}."""
    directions = {direction: None for entries in found.values() for direction in entries}
    return {d: {name: entries[d] for name, entries in found.items() if d in entries} for d in directions}


def _dataset(prepared: Prepared) -> dict[str, Any]:
    store, table = prepared.store, prepared.records.table
    return {
        "source": store.info["job"]["source"],
        "records": len(store),
        "rejected": store.info["rejected"],
        "with_text": sum(bool(t) for t in prepared.records.titles),
        "with_xrd": int((store.lengths("xrd.two_theta") + store.lengths("xrd.profile") > 0).sum()),
        "disordered": sum(not ordered for ordered in table["ordered"]),
        "licence": store.info["licence"],
        "citation": store.info["citation"],
        "manifest": manifest(store),
    }


def _split(prepared: Prepared) -> dict[str, Any]:
    sizes = {part: len(rows) for part, rows in prepared.rows.items()}
    return {**sizes, "hash": prepared.split.hash, "rule": prepared.split.rule}


def figures(main: Judged, prepared: Prepared, evaluator: Evaluator, seed: int = 0) -> ReportFigures:
    """Learning curves, recall curves, a similarity matrix and example queries."""
    curves = {name: result.recall_curve(CURVE) for name, result in main.results.items() if "->" in name}
    similarity = np.zeros((0, 0))
    if "text->structure" in main.results:
        scores, relevant, _ = evaluator.scores(main.trained.prismat, main.embedded, "text", "structure")
        similarity = _matched_square(scores, relevant, seed)
    return ReportFigures(
        history=main.trained.outcome.history,
        recall_curves=curves,
        similarity=similarity,
        examples=examples(main, prepared, evaluator, seed),
    )


def _matched_square(scores: np.ndarray, relevant: np.ndarray, seed: int) -> np.ndarray:
    """Scores of some queries against their own answers, query i's at column i."""
    order = np.random.default_rng(seed).permutation(len(scores))
    answer = relevant.argmax(axis=1)
    _, first = np.unique(answer[order], return_index=True)
    rows = order[np.sort(first)][:MATRIX]
    return scores[np.ix_(rows, answer[rows])]


def examples(
    main: Judged, prepared: Prepared, evaluator: Evaluator, seed: int, count: int = 10
) -> list[Example]:
    """Random titles of the held-out rows with the five structures found first."""
    if "text->structure" not in main.results:
        return []
    prismat, records = main.trained.prismat, prepared.records
    scores, relevant, _ = evaluator.scores(prismat, main.embedded, "text", "structure")
    asked = main.embedded.rows[evaluator.queries(prismat, main.embedded, "text", "structure")]
    found = main.embedded.rows[main.embedded.present[prismat.key("structure", "text")]]
    drawn = np.random.default_rng(seed).choice(len(asked), size=min(count, len(asked)), replace=False)
    made = []
    for query in drawn:
        best = np.argsort(-scores[query], kind="stable")[:5]
        hits = [_hit(records, int(found[b]), float(scores[query, b]), bool(relevant[query, b])) for b in best]
        ahead = (scores[query] >= scores[query][relevant[query]].max()) & ~relevant[query]
        rank = 1 + int(ahead.sum())
        made.append(Example(records.titles[asked[query]], tuple(hits), "text->structure", rank))
    return made


def _hit(records: Any, row: int, score: float, right: bool) -> Hit:
    table = records.table
    return Hit(
        id=records.ids[row],
        formula=table["formula"][row],
        space_group=table["spacegroup"][row],
        title=records.titles[row] or records.minerals[row],
        score=score,
        correct=right,
    )
