"""How many of the held-out titles' own words are found from their structures, against simpler ways."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import load
from prismat.errors import BadInputError
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.result import Picture, ResultPage, Table
from prismat.tasks.screening.plots import tag_bars
from prismat.tasks.screening.tagger import METRICS, PLAIN, Tagger, top_metrics
from prismat.tasks.screening.tagging import (
    TagSource,
    chosen_on_validation,
    make_tagger,
    source_vocabulary,
)
from prismat.tasks.screening.vocabulary import Vocabulary, tag_matrix

MODEL, COSINE, COMPOSITION, FREQUENCY = "model", "cosine alone", "composition only", "most frequent words"
SETS = {"all": "all words", "no_chemistry": "words without elements, compounds and minerals"}
_RESAMPLES = 2000

Scores = dict[str, Float[np.ndarray, "n words"]]


def evaluate_tagging(source: TagSource, part: str = "test", seed: int = 0) -> dict[str, Any]:
    """Precision@5, precision@10 and recall@10 of each system with intervals over groups, in JSON types.

    Args:
        source: the run on its own store; its bench may have a composition-only model.
        part: which records are judged; every choice was made on ``val``.
        seed: of the bootstrap.

    Raises:
        BadInputError: no record of the part holds a word of the vocabulary.
    """
    vocabulary = source_vocabulary(source)
    rows = source.rows(part)
    own = tag_matrix([source.texts[r] for r in rows], vocabulary.words)
    taggers = {MODEL: make_tagger(source, source.bench.opened.prismat, vocabulary)}
    if source.bench.baseline is not None:
        taggers[COMPOSITION] = make_tagger(source, load(source.bench.baseline), vocabulary)
    sets = {}
    for name in SETS:
        columns = np.arange(len(vocabulary)) if name == "all" else np.flatnonzero(~vocabulary.chemical)
        if own[:, columns].any():
            sets[name] = _judged(source, taggers, own, columns, (rows, seed))
    if not sets:
        raise BadInputError(
            f"no record of {part} holds a word of the vocabulary", field="part", remedy="Give more records."
        )
    return {"part": part, "vocabulary": _counted(vocabulary), "records": len(rows), "sets": sets}


def _counted(vocabulary: Vocabulary) -> dict[str, int]:
    return {"words": len(vocabulary), "chemical": int(vocabulary.chemical.sum())}


def _judged(
    source: TagSource,
    taggers: Mapping[str, Tagger],
    own: Bool[np.ndarray, "n words"],
    columns: Int[np.ndarray, " some"],
    drawn: tuple[Int[np.ndarray, " n"], int],
) -> dict[str, Any]:
    """Figures over one set of words."""
    rows, seed = drawn
    scores, chosen = _scores(source, taggers, rows, columns)
    known = own[:, columns].any(axis=1)
    groups = source.bench.opened.groups[rows[known]]
    values = {n: top_metrics(s[known][:, columns], own[known][:, columns]) for n, s in scores.items()}
    return {
        "words": len(columns),
        "judged_records": int(known.sum()),
        "groups": len(np.unique(groups)),
        "words_per_record": float(own[known][:, columns].sum(axis=1).mean()),
        "chosen": chosen,
        "systems": {name: _intervals(v, groups, seed) for name, v in values.items()},
        "differences": {
            name: {
                m: list(paired_difference(values[MODEL][:, j], v[:, j], groups, seed, _RESAMPLES))
                for j, m in enumerate(METRICS)
            }
            for name, v in values.items()
            if name != MODEL
        },
        "chance": _chance(own[known][:, columns]),
    }


def _scores(
    source: TagSource,
    taggers: Mapping[str, Tagger],
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " some"],
) -> tuple[Scores, dict[str, Any]]:
    """Scores of every system, and what was chosen on validation records."""
    scores: Scores = {}
    chosen = {}
    for name, tagger in taggers.items():
        prismat = source.bench.opened.prismat if name == MODEL else load(source.bench.baseline)  # ty: ignore[invalid-argument-type]
        best, reached = chosen_on_validation(source, prismat, tagger, columns)
        structures = np.asarray(source.structures(prismat)[rows])
        scores[name] = best.scores(structures)
        chosen[name] = {
            "correction": best.choice.correction,
            "prior": best.choice.prior,
            "validation": reached,
        }
        if name == MODEL:
            scores[COSINE] = replace(best, choice=PLAIN).scores(structures)
    counts = taggers[MODEL].vocabulary.counts.astype(np.float64)
    scores[FREQUENCY] = np.tile(counts, (len(rows), 1))
    return scores, chosen


def _intervals(
    values: Float[np.ndarray, "n 3"], groups: Int[np.ndarray, " n"], seed: int
) -> dict[str, list[float]]:
    samples = bootstrap_means(values, groups, _RESAMPLES, seed)
    return {m: [float(values[:, j].mean()), *interval(samples[:, j])] for j, m in enumerate(METRICS)}


def _chance(own: Bool[np.ndarray, "n words"]) -> dict[str, float]:
    """What words drawn at random reach on average."""
    share = float(own.mean())
    return {"precision@5": share, "precision@10": share, "recall@10": min(1.0, 10 / own.shape[1])}


def tagging_page(result: Mapping[str, Any], store: str) -> ResultPage:
    """Bars and tables of the evaluation."""
    pictures, tables, lede = [], [], []
    for name, found in result["sets"].items():
        recall = found["systems"][MODEL]["recall@10"]
        against = found["systems"][FREQUENCY]["recall@10"]
        lede.append(
            f"Of {SETS[name]}, ten tags hold {_percent(recall)} of those in a held-out title; the ten most "
            f"frequent ones {100 * against[0]:.0f} %."
        )
        svg = tag_bars({s: f["recall@10"] for s, f in found["systems"].items()}, found["chance"]["recall@10"])
        caption = f"Recall@10, {SETS[name]}: {found['judged_records']} records of {store}, 95 % intervals."
        pictures.append(Picture(f"tags_{name}", svg, caption))
        tables.append(_table(name, found))
    return ResultPage(
        "Words of a structure", f"{result['part']} part of {store}", " ".join(lede), pictures, tables
    )


def _table(name: str, found: Mapping[str, Any]) -> Table:
    head = ["system", *METRICS, *(f"model − it, {m}" for m in METRICS[1:])]
    rows = []
    for system, figures in found["systems"].items():
        cells = [_told(figures[m]) for m in METRICS]
        less = found["differences"].get(system)
        rows.append([system, *cells, *([_told(less[m]) for m in METRICS[1:]] if less else ["", ""])])
    rows.append(["chance", *(f"{found['chance'][m]:.3f}" for m in METRICS), "", ""])
    chosen = "; ".join(
        f"{s}: {c['correction']} with prior {c['prior']:g}" for s, c in found["chosen"].items()
    )
    aside = (
        f"{found['judged_records']} records of {found['groups']} groups hold {found['words_per_record']:.1f} "
        f"of {found['words']} words each. Chosen on validation: {chosen}."
    )
    return Table(f"Tags, {SETS[name]}", head, rows, head[1:], aside)


def _percent(value: list[float]) -> str:
    return "{:.0f} % [{:.0f}, {:.0f}]".format(*(100 * v for v in value))


def _told(value: list[float]) -> str:
    return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]"
