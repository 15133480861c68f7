"""What a phrase sorts by, on a run: tops of rankings, a random draw, and values of every crystal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from prismat.api import load
from prismat.errors import BadInputError
from prismat.tasks.screening.distribution import Compared, DrawConfig, compare_tops
from prismat.tasks.screening.evaluation import COMPOSITION, WORD, Bench, Part, rows_of
from prismat.tasks.screening.prompts import ALONE, PromptConfig, check_windows, prompts_for
from prismat.tasks.screening.values import Values

PHRASES = ("narrow-bandgap material", "insulator")
"""The phrases of CLaSP's figure 4."""

ValuesOf = Callable[[Int[np.ndarray, " n"]], Values]


@dataclass(frozen=True, eq=False)
class Sorted:
    """Tops of rankings with their values.

    Attributes:
        compared: shares, differences and the values of each top.
        values: of the whole gallery.
        rows: of the gallery in the store.
        prompts: by phrase.
    """

    compared: Compared
    values: Values
    rows: Int[np.ndarray, " n"]
    prompts: dict[str, tuple[str, ...]]


def sort_by_phrases(
    bench: Bench,
    values_of: ValuesOf,
    phrases: Sequence[str] = PHRASES,
    part: Part | None = None,
    prompts: PromptConfig = PromptConfig(),
    draw: DrawConfig = DrawConfig(),
) -> Sorted:
    """Tops of several phrases against a random draw, beside the word alone and the composition-only model.

    Args:
        bench: the models on a store.
        values_of: gives the values of rows: the store's own or predicted ones.
        phrases: what is asked.
        part: the gallery; held-out records of the run's own store and all records of another one if left out.
        prompts: how a phrase is worded.
        draw: sizes and seeds.

    Raises:
        BadInputError: the model lacks a window, a phrase has no word, or too few crystals have a value.
    """
    check_windows(bench.opened.prismat)
    if not phrases:
        raise BadInputError("no phrase", field="violin", remedy="Give one at least.")
    asked = {phrase: prompts_for(phrase, prompts) for phrase in phrases}
    part = part or ("held-out" if bench.opened.is_own else "all")
    rows = rows_of(bench.opened, part)
    rows = rows[bench.present()[rows]]
    values = values_of(rows)
    known = np.isfinite(values.values)
    rows, values = rows[known], replace(values, values=values.values[known])
    compared = compare_tops(_scores(bench, asked, rows), values.values, bench.opened.groups[rows], draw)
    return Sorted(compared, values, rows, asked)


def _scores(
    bench: Bench, asked: dict[str, tuple[str, ...]], rows: Int[np.ndarray, " n"]
) -> dict[str, np.ndarray]:
    """By phrase, and beside it by the word alone and under the composition-only model."""
    own, ensembles = bench.opened.prismat, list(asked.values())
    alone = [prompts_for(phrase, ALONE) for phrase in asked]
    found = {"": bench.scored(own, ensembles, rows), f" | {WORD}": bench.scored(own, alone, rows)}
    if bench.baseline is not None:
        found[f" | {COMPOSITION}"] = bench.scored(load(bench.baseline), ensembles, rows)
    return {f"{phrase}{end}": one[i] for end, one in found.items() for i, phrase in enumerate(asked)}


def sorted_result(found: Sorted, store: Any) -> dict[str, Any]:
    """Figures in JSON types, with the ids of each top."""
    ids = store.ids
    top = {p: [ids[found.rows[i]] for i in t] for p, t in found.compared.top.items() if " | " not in p}
    return {
        **found.compared.figures,
        "property": {"name": found.values.name, "unit": found.values.unit, "source": found.values.source},
        "failed": found.values.failed,
        "prompts": found.prompts,
        "top": top,
    }
