"""Recommendation of recipes measured on held-out targets, under two protocols, beside what needs no learning.

``held_out``: a target's own recipes are looked for among those of all held-out records (Recall@k, MRR).
``known``: recipes of training records alone are recommended for a target that none of them makes, and are
judged by grades (nDCG), by precursors, and by firing temperature and time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertiesModality
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened
from prismat.tasks.retrieval import RetrievalResult, retrieval_metrics
from prismat.tasks.synthesis.baselines import frequency, property_scores, usual_scores
from prismat.tasks.synthesis.composition import composition_similarity
from prismat.tasks.synthesis.index import text_vectors
from prismat.tasks.synthesis.recipes import RecipeBook, read_book
from prismat.tasks.synthesis.targets import Ranking, Targets, Task, rank, targets_of

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Weights of the composition that validation chooses from."""
MODEL, WANTED = "model, structure", "model, properties p*"
BASELINE = "composition-only model"
NEAREST, USUAL = "nearest composition", "usual precursors"
FUSED = "model, structure and composition"
LIKE_PROPERTIES, MOST_FREQUENT, RANDOM = "nearest properties", "most frequent precursors", "random"
"""Names of what is compared."""

Scores = Float[np.ndarray, "targets gallery"]
Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out.

    Attributes:
        held_out: retrieval of a target's own recipes by system.
        known: rankings of known recipes by system.
        task: targets and recipes of ``known``.
        targets: of the test part; in ``known`` those that any recipe can serve.
        gallery: sizes of the two galleries.
        share: weight of the composition in ``FUSED``, chosen on validation.
        validation: mean nDCG@10 on validation by that weight.
        unserved: test targets that share no precursor with any known recipe.
        is_own: whether the model was trained on this very division.
    """

    held_out: dict[str, RetrievalResult]
    known: dict[str, Ranking]
    task: Task
    targets: Targets
    gallery: dict[str, int]
    share: float
    validation: dict[str, float]
    unserved: int
    is_own: bool


@dataclass(frozen=True, eq=False)
class Side:
    """One model's vectors of a store's recipes and of targets.

    Attributes:
        prismat: the model.
        texts: vectors of all recipes by key.
        opened: the model on the store.
    """

    prismat: Prismat
    texts: dict[str, Float[np.ndarray, "recipes dim"]]
    opened: Opened

    def scores(
        self, window: str, rows: Int[np.ndarray, " targets"], items: Int[np.ndarray, " some"]
    ) -> Scores:
        """Cosine of each target's window with each recipe."""
        vectors, _ = embed_rows(self.prismat, self.opened.data, rows, (window,))
        query = vectors[self.prismat.key(window, "text")]
        return (query @ self.texts[self.prismat.key("text", window)][items].T).astype(np.float64)


def evaluate(opened: Opened, baseline: Opened | None = None, note: Note = lambda _: None) -> Evaluation:
    """Measures a model, once, on the test targets of a store.

    Args:
        opened: the model on the store, with recipes as its text view.
        baseline: the same training with the composition alone, or None.
        note: is told what is done.

    Raises:
        BadInputError: a store without recipes or without structures of their targets, or a model without a
            structure or a text window.
    """
    _check(opened.prismat)
    store = opened.prepared.store
    book = read_book(store)
    note(f"{len(book):,} recipes, {len(opened.records):,} records")
    sides = {MODEL: Side(opened.prismat, text_vectors(opened.prismat, opened.data, book), opened)}
    if baseline is not None:
        texts = text_vectors(baseline.prismat, baseline.data, book)
        sides[BASELINE] = Side(baseline.prismat, texts, baseline)
    validation = _known(opened, book, "val")
    note(f"choosing the weight of the composition on {len(validation.targets)} validation targets")
    tried = _validate(sides[MODEL], validation)
    share = max(tried, key=lambda weight: tried[weight])
    task = _known(opened, book, "test")
    targets = targets_of(opened, book, "test")
    note(f"measuring {len(targets)} test targets")
    held_out = book.among(opened.rows["test"])
    return Evaluation(
        held_out=_held_out(sides, book, targets, held_out),
        known=_rankings(sides, task, share),
        task=task,
        targets=targets,
        gallery={"held_out": len(held_out), "known": len(task.gallery)},
        share=share,
        validation={f"{weight:g}": value for weight, value in tried.items()},
        unserved=len(targets) - len(task.targets),
        is_own=opened.is_own,
    )


def _check(prismat: Prismat) -> None:
    missing = [w for w in ("structure", "text") if w not in prismat.recipe.windows]
    if missing:
        raise BadInputError(
            f"this model has no {missing[0]} window",
            field="run",
            remedy=f"It has {', '.join(prismat.recipe.windows)}; train one with structure and text.",
        )


def _known(opened: Opened, book: RecipeBook, part: str) -> Task:
    """Targets of a part and the recipes of training records, without targets that none of these can serve."""
    gallery = book.among(opened.rows["train"])
    targets = targets_of(opened, book, part)
    task = Task(book, targets, gallery, opened.records.fractions[targets.rows])
    served = task.answered()
    if not len(served):
        raise BadInputError(
            f"no target of the {part} part shares a precursor with a training recipe",
            field="store",
            remedy="Use more recipes.",
        )
    kept = Targets(targets.rows[served], [targets.own[i] for i in served], targets.groups[served])
    return replace(task, targets=kept, fractions=task.fractions[served])


def _validate(side: Side, task: Task) -> dict[float, float]:
    """Mean nDCG@10 on validation by the weight of the composition."""
    cosine = side.scores("structure", task.targets.rows, task.gallery)
    likeness = composition_similarity(task.fractions, task.ranked.fractions)
    return {
        share: float(rank(task, (1 - share) * cosine + share * likeness).values["ndcg@10"].mean())
        for share in SHARES
    }


def _rankings(sides: dict[str, Side], task: Task, share: float) -> dict[str, Ranking]:
    """All systems on known recipes; those that go by p* after those that know the target."""
    rows, ranked = task.targets.rows, task.ranked
    often = frequency(ranked)
    likeness = composition_similarity(task.fractions, ranked.fractions)
    scores = {name: side.scores("structure", rows, task.gallery) for name, side in sides.items()}
    found = {FUSED: (1 - share) * scores[MODEL] + share * likeness, **scores}
    # Recipes for one composition are equally near: the more frequent precursors come first.
    found[NEAREST] = likeness + 1e-6 * often
    found[USUAL] = usual_scores(ranked, task.fractions)
    side = sides[MODEL]
    if "properties" in side.prismat.recipe.windows:
        found[WANTED] = side.scores("properties", rows, task.gallery)
        values = property_table(side.opened)
        found[LIKE_PROPERTIES] = property_scores(values[rows], values[ranked.first]) + 1e-6 * often
    found[MOST_FREQUENT] = np.broadcast_to(often, likeness.shape)
    found[RANDOM] = np.random.default_rng(0).random(likeness.shape)
    return {name: rank(task, each) for name, each in found.items()}


def property_table(opened: Opened) -> Float[np.ndarray, "records properties"]:
    """Values of the model's properties in its units for every record, NaN where unknown."""
    store, modality = opened.prepared.store, PropertiesModality(opened.prismat.recipe.measured.properties)
    column = modality.rows(store.table["properties"], store.ids)
    table = np.full((len(store), len(modality.settings.properties)), np.nan)
    table[column.lengths > 0] = column.values.reshape(-1, table.shape[1])
    return table


def _held_out(
    sides: dict[str, Side], book: RecipeBook, targets: Targets, gallery: Int[np.ndarray, " gallery"]
) -> dict[str, RetrievalResult]:
    """Own recipes of every target among those of all held-out records."""
    relevant = np.stack([np.isin(gallery, own) for own in targets.own])
    ranked, side = book.taken(gallery), sides[MODEL]
    fractions = side.opened.records.fractions[targets.rows]
    scores = {name: s.scores("structure", targets.rows, gallery) for name, s in sides.items()}
    if "properties" in side.prismat.recipe.windows:
        scores[WANTED] = side.scores("properties", targets.rows, gallery)
    scores[NEAREST] = composition_similarity(fractions, ranked.fractions)
    scores[RANDOM] = np.random.default_rng(0).random(relevant.shape)
    return {name: retrieval_metrics(each, relevant, targets.groups) for name, each in scores.items()}
