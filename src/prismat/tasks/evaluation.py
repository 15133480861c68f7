"""One evaluator for every model: retrieval between all windows of held-out records."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.modalities.chemistry_text import MaskLevel, mask
from prismat.modalities.lexicon import Lexicon
from prismat.modalities.properties import PropertiesSettings
from prismat.splits import group_records
from prismat.tasks.embedding import Present, Vectors, embed_rows
from prismat.tasks.retrieval import RetrievalResult, grouped_gallery_metrics, retrieval_metrics
from prismat.training.records import Records, property_labels
from prismat.training.windows import StoreData

MASK_LEVELS: tuple[MaskLevel, ...] = ("formula", "elements", "minerals")
ORDER = ("structure", "text", "xrd", "image", "dos", "phonon_dos", "charge_density", "properties")
"""Windows in the order of reports."""
POLYMORPH_TOLERANCE = 0.005
"""Element fractions that differ by no more are one formula when polymorphs are told apart."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Held-out records in the joint space.

    Attributes:
        rows: row numbers in the store.
        vectors: by key, shape (rows, dim).
        present: by key, shape (rows,).
    """

    rows: Int[np.ndarray, " n"]
    vectors: Vectors
    present: Present


class Evaluator:
    """Retrieval over one set of held-out rows.

    Duplicates of a query's text or structure count as right answers. Ties count against the model.

    Args:
        records: all records of the store.
        rows: the held-out rows, which are the gallery.
        groups: group of each record, within which queries are not independent (for the intervals).
        properties: those of a properties window; records equal in all of them answer for one another.
    """

    def __init__(
        self,
        records: Records,
        rows: Int[np.ndarray, " n"],
        groups: Int[np.ndarray, " records"] | None = None,
        properties: PropertiesSettings | None = None,
    ) -> None:
        self.records, self.rows = records, np.sort(rows)
        self.groups = np.arange(len(records)) if groups is None else groups
        text, structure = records.text_label[self.rows], records.structure_label[self.rows]
        same_text = text[:, None] == text[None, :]
        same_structure = structure[:, None] == structure[None, :]
        self.relevant = {"text": same_text | same_structure, "structure": same_structure}
        if properties is not None:
            values = property_labels(records.table["properties"], properties)[self.rows]
            self.relevant["properties"] = (values[:, None] == values[None, :]) | same_structure
        self.formula = group_records(records.fractions[self.rows], (), POLYMORPH_TOLERANCE)

    def embed(self, prismat: Prismat, data: StoreData) -> Embeddings:
        """All windows of the held-out rows."""
        return Embeddings(self.rows, *embed_rows(prismat, data, self.rows))

    def directions(self, prismat: Prismat) -> list[tuple[str, str]]:
        """(query, gallery) for every ordered pair of windows: structure and text first, then by gallery."""
        windows = [w for w in ORDER if w in prismat.recipe.windows]
        return [d for i, a in enumerate(windows) for b in windows[i + 1 :] for d in ((b, a), (a, b))]

    def scores(
        self, prismat: Prismat, embedded: Embeddings, query: str, gallery: str
    ) -> tuple[
        Float[np.ndarray, "queries items"], Bool[np.ndarray, "queries items"], Int[np.ndarray, " queries"]
    ]:
        """Cosines, right answers and groups of the ``queries``; the gallery is every record that has it."""
        left, right = prismat.key(query, gallery), prismat.key(gallery, query)
        keep, found = self.queries(prismat, embedded, query, gallery), embedded.present[right]
        scores = embedded.vectors[left][keep] @ embedded.vectors[right][found].T
        return scores, self._relevant(query, gallery)[keep][:, found], self.groups[self.rows[keep]]

    def queries(
        self, prismat: Prismat, embedded: Embeddings, query: str, gallery: str
    ) -> Bool[np.ndarray, " rows"]:
        """Held-out rows that have the query's window and a right answer in the gallery."""
        found = embedded.present[prismat.key(gallery, query)]
        answered = (self._relevant(query, gallery) & found).any(axis=1)
        return embedded.present[prismat.key(query, gallery)] & answered

    def _relevant(self, query: str, gallery: str) -> Bool[np.ndarray, "rows rows"]:
        kind = next((k for k in ("text", "properties") if k in (query, gallery)), "structure")
        return self.relevant[kind]

    def retrieval(self, prismat: Prismat, embedded: Embeddings) -> dict[str, RetrievalResult]:
        """Every direction that has a query over the whole gallery, and the galleries of one formula."""
        results = {}
        for query, gallery in self.directions(prismat):
            scores, relevant, groups = self.scores(prismat, embedded, query, gallery)
            if len(scores):
                results[f"{query}->{gallery}"] = retrieval_metrics(scores, relevant, groups=groups)
        polymorph = self.polymorph(prismat, embedded)
        return results | ({"polymorph": polymorph} if polymorph is not None else {})

    def polymorph(
        self, prismat: Prismat, embedded: Embeddings, query: str = "xrd", gallery: str = "structure"
    ) -> RetrievalResult | None:
        """The query's crystal among crystals of its own formula: composition cannot help.

        None where the windows are missing or no formula has two different crystals.
        """
        if not {query, gallery} <= set(prismat.recipe.windows):
            return None
        left, right = prismat.key(query, gallery), prismat.key(gallery, query)
        keep = embedded.present[left] & embedded.present[right]
        relevant, formula = self.relevant["structure"][keep][:, keep], self.formula[keep]
        alone = ((formula[:, None] == formula[None, :]) & ~relevant).sum(1) == 0
        if alone.all():
            return None
        scores = embedded.vectors[left][keep] @ embedded.vectors[right][keep].T
        groups = self.groups[self.rows[keep]]
        return grouped_gallery_metrics(scores, relevant, formula, groups=groups)

    def masked_text(
        self, prismat: Prismat, embedded: Embeddings, minerals: Sequence[str]
    ) -> dict[str, RetrievalResult]:
        """Text → structure with chemistry taken out of the titles, at three cumulative levels.

        Empty where a window is missing or no held-out record has a title.

        Args:
            prismat: the model.
            embedded: its structures.
            minerals: all mineral names to hide.
        """
        if prismat.reader is None or "structure" not in prismat.recipe.windows:
            return {}
        right = prismat.key("structure", "text")
        keep = self.queries(prismat, embedded, "text", "structure")
        # Other texts than titles may have been read; only titles are masked.
        keep = keep & np.array([bool(self.records.titles[r]) for r in self.rows])
        if not keep.any():
            return {}
        titles = [self.records.titles[r] for r in self.rows[keep]]
        relevant = self.relevant["text"][keep][:, embedded.present[right]]
        gallery = embedded.vectors[right][embedded.present[right]]
        lexicon, results = Lexicon.from_names(minerals), {}
        for level in MASK_LEVELS:
            masked = [mask(title, level, lexicon) for title in titles]
            query = prismat.embed_batch("text", prismat.reader.read(masked))[prismat.key("text", "structure")]
            groups = self.groups[self.rows[keep]]
            results[level] = retrieval_metrics(query @ gallery.T, relevant, groups=groups)
        return results


def validation_score(prismat: Prismat, data: StoreData, evaluator: Evaluator) -> dict[str, float]:
    """Recall@10 by direction and their mean as ``score``: what checkpoints are chosen by.

    Raises:
        BadInputError: no direction has a query.
    """
    embedded, scores = evaluator.embed(prismat, data), {}
    for query, gallery in evaluator.directions(prismat):
        cosines, relevant, _ = evaluator.scores(prismat, embedded, query, gallery)
        if not len(cosines):
            continue
        best = np.where(relevant, cosines, -2).max(axis=1, keepdims=True)
        rank = 1 + ((cosines >= best) & ~relevant).sum(axis=1)
        scores[f"{query}->{gallery}/recall@10"] = float((rank <= 10).mean())
    if not scores:
        raise BadInputError(
            "no validation record has two of the windows",
            field="split",
            remedy="Add titles or patterns, or train other windows.",
        )
    return {**scores, "score": float(np.mean(list(scores.values())))}
