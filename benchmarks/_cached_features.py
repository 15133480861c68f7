"""Features computed once, and what trains and judges projections of them.

Structure features come from a CGCNN that was trained against powder patterns and never saw a text, the
composition-only ones from the encoder of compositions trained in the same way; texts are frozen sentence
embeddings. All are standardised by the training rows. The test part is never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import comb
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

import prismat
from prismat.duplicates import same_matrix
from prismat.encoders.huggingface import FrozenSentenceEncoder, HuggingFaceConfig
from prismat.files import digest, replacing
from prismat.model import JointModel, ProjectionConfig
from prismat.packaged import cache_dir
from prismat.recipes.base import Job
from prismat.splits import Split, group_records
from prismat.store import Store
from prismat.tasks.bootstrap import interval, resample_counts
from prismat.tasks.words import WORDS, roc_auc, word_labels
from prismat.text_reader import FrozenReader
from prismat.training.session import Prepared, open_prepared
from prismat.training.text_bank import training_lexicon, view_texts

CHUNK, RESAMPLES, TOP = 512, 1_000, 10


@dataclass(frozen=True, eq=False)
class Cached:
    """Training and validation records that have a title; the first ``n_train`` train.

    Attributes:
        structure: features of the crystal encoder.
        composition: features of the composition-only encoder.
        title: sentence embeddings.
        keywords: sentence embeddings, zero where there are none.
        has_keywords: which records have some.
        words: sentence embeddings of the words of the screening, in their order.
        positive: which titles of the validation records have the word.
        text_label: equal for equal titles.
        structure_label: equal for duplicate structures.
        group: of the split, within which records are not independent.
        n_train: how many train.
    """

    structure: Float[np.ndarray, "records width"]
    composition: Float[np.ndarray, "records width"]
    title: Float[np.ndarray, "records embedding"]
    keywords: Float[np.ndarray, "records embedding"]
    has_keywords: Bool[np.ndarray, " records"]
    words: Float[np.ndarray, "words embedding"]
    positive: Bool[np.ndarray, "words val"]
    text_label: Int[np.ndarray, " records"]
    structure_label: Int[np.ndarray, " records"]
    group: Int[np.ndarray, " records"]
    n_train: Int[np.ndarray, ""]

    @property
    def hash(self) -> str:
        """Of what decides results."""
        return digest({f.name: _bytes(getattr(self, f.name)) for f in fields(self)})


def _bytes(array: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def cached_features(encoders: Path, path: Path) -> Cached:
    """Loads the features, or computes and keeps them.

    Args:
        encoders: folder that ``structure_encoders.py`` filled: ``store``, ``cgcnn-0`` and ``composition-0``.
        path: the .npz file.
    """
    if not path.is_file():
        cached = _computed(encoders)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **{f.name: getattr(cached, f.name) for f in fields(cached)})
    with np.load(path, allow_pickle=False) as found:
        return Cached(**{f.name: found[f.name] for f in fields(Cached)})


def _computed(encoders: Path) -> Cached:
    prepared = open_prepared(Store(encoders / "store"), Job().split)
    records = prepared.records
    has_title = np.array([bool(t.strip()) for t in records.titles])
    train, val = (prepared.rows[p][has_title[prepared.rows[p]]] for p in ("train", "val"))
    rows = np.concatenate([train, val])
    n = len(train)
    structure, composition = (
        _standard(_encoded(encoders / f"{name}-0", prepared, rows), n) for name in ("cgcnn", "composition")
    )
    views = view_texts(records, {"keywords": 1.0})
    lexicon = training_lexicon(records, prepared.rows["train"])
    reader = FrozenReader(FrozenSentenceEncoder(HuggingFaceConfig("minilm")), lexicon, cache_dir() / "text")
    titles = reader.embed([views["title"][r] for r in rows])
    keywords = np.array([views["keywords"][r] for r in rows])
    has_keywords = keywords != ""
    embedded = np.zeros_like(titles)
    embedded[has_keywords] = reader.embed(keywords[has_keywords].tolist())
    mean, spread = _moments(titles[:n])
    groups = group_records(records.fractions, list(records.keys.values()), Job().split.tolerance)
    known = [records.titles[r] for r in val]
    return Cached(
        structure,
        composition,
        (titles - mean) / spread,
        np.where(has_keywords[:, None], (embedded - mean) / spread, 0).astype(np.float32),
        has_keywords,
        (reader.embed(list(WORDS)) - mean) / spread,
        np.array([word_labels(known, word, others) for word, others in WORDS.items()]),
        records.text_label[rows],
        records.structure_label[rows],
        groups[rows],
        np.array(n),
    )


def _encoded(folder: Path, prepared: Prepared, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n width"]:
    """What the structure encoder of a run gives, before its projection.

    Raises:
        ValueError: the run was trained on another division.
    """
    trained_on = Split.from_json((folder / "split.json").read_text(encoding="utf-8"))
    if trained_on.hash != prepared.split.hash:
        raise ValueError(f"{folder} was trained on another split.")
    model = prismat.load(folder)
    encoder, modality = model.model.encoders["structure"].eval(), model.modalities["structure"]
    with torch.inference_mode():
        parts = [
            encoder(modality.collate(prepared.store.take(rows[i : i + CHUNK], list(modality.columns))))
            for i in range(0, len(rows), CHUNK)
        ]
    return torch.cat(parts).numpy()


def _standard(values: Float[np.ndarray, "n width"], train: int) -> Float[np.ndarray, "n width"]:
    mean, deviation = _moments(values[:train])
    return (values - mean) / deviation


def _moments(
    values: Float[np.ndarray, "n width"],
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " width"]]:
    """Mean and standard deviation of every column; 1 for a constant one."""
    deviation = values.std(0)
    return values.mean(0), np.where(deviation > 1e-6, deviation, 1).astype(values.dtype)


@dataclass(frozen=True)
class FeatureBatch:
    """Cached features of some records."""

    values: Float[torch.Tensor, "batch width"]
    present: Bool[torch.Tensor, " batch"]


class FeatureEncoder(torch.nn.Module):
    """Passes features on, some of them dropped in training."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, torch.nn.Dropout(dropout)

    def forward(self, batch: FeatureBatch) -> Float[torch.Tensor, "batch width"]:
        """The features."""
        return self.dropout(batch.values)


class CachedData:
    """What a learner takes of cached features.

    Args:
        cached: of all records.
        crystals: ``structure`` or ``composition``.
        texts: ``title`` or ``keywords``.
    """

    def __init__(self, cached: Cached, crystals: str, texts: str) -> None:
        self.cached = cached
        there = np.ones(len(cached.title), dtype=bool)
        self.values = {
            "structure": torch.from_numpy(getattr(cached, crystals)),
            "text": torch.from_numpy(getattr(cached, texts)),
        }
        with_text = cached.has_keywords if texts == "keywords" else there
        self.present = {"structure": torch.from_numpy(there), "text": torch.from_numpy(with_text)}

    def batches(
        self,
        rows: Int[np.ndarray, " n"],
        rng: np.random.Generator | None,  # noqa: ARG002
        windows: Sequence[str] | None = None,
    ) -> dict[str, object]:
        """Features of rows; views differ by what the encoder drops."""
        chosen = torch.from_numpy(rows)
        return {
            w: FeatureBatch(self.values[w][chosen], self.present[w][chosen]) for w in windows or self.values
        }

    def same(self, rows: Int[np.ndarray, " n"]) -> Bool[torch.Tensor, "n n"]:
        """Equal titles or duplicate structures."""
        return torch.from_numpy(same_matrix(self.cached.text_label[rows], self.cached.structure_label[rows]))


def projections(cached: Cached, crystals: str, config: ProjectionConfig, dropout: float) -> JointModel:
    """The two projections over features that stay as they are."""
    widths = {"structure": getattr(cached, crystals).shape[1], "text": cached.title.shape[1]}
    return JointModel({w: FeatureEncoder(width, dropout) for w, width in widths.items()}, config)


class Judge:
    """Retrieval and screening on the validation records, resampled by groups, alike for every model."""

    def __init__(self, cached: Cached) -> None:
        self.cached, n = cached, int(cached.n_train)
        self.rows = np.arange(n, len(cached.title))
        self.relevant = same_matrix(cached.text_label[n:], cached.structure_label[n:])
        self.group = np.unique(cached.group[n:], return_inverse=True)[1]
        self.weights = np.concatenate(
            [counts[:, self.group] for counts in resample_counts(int(self.group.max()) + 1, RESAMPLES)]
        ).astype(np.float64)

    def scores(self, model: JointModel, crystals: str) -> dict[str, np.ndarray]:
        """Hits of every query in both directions, and cosines of words and structures."""
        data = CachedData(self.cached, crystals, "title")
        model.eval()
        with torch.inference_mode():
            found = {w: model.embed(w, b)[w].numpy() for w, b in data.batches(self.rows, None).items()}
            words = torch.from_numpy(self.cached.words)
            queries = model.embed("text", FeatureBatch(words, torch.ones(len(words), dtype=torch.bool)))
        model.train()
        cosines = found["text"] @ found["structure"].T
        # A NaN is smaller than nothing and would count as a hit.
        if not np.isfinite(cosines).all():
            raise ValueError("Embeddings are not finite.")
        return {
            "text->structure": self._hits(cosines),
            "structure->text": self._hits(cosines.T),
            "words": queries["text"].numpy() @ found["structure"].T,
        }

    def _hits(self, cosines: Float[np.ndarray, "n n"]) -> Bool[np.ndarray, " n"]:
        """Fewer than ten wrong ones ahead of the best right one; ties count against the model."""
        best = np.where(self.relevant, cosines, -2).max(1, keepdims=True)
        return ((cosines >= best) & ~self.relevant).sum(1) < TOP

    def figures(self, runs: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """By metric: the mean over seeds, every seed, and the mean of each resample."""
        made: dict[str, np.ndarray] = {}
        for direction in ("text->structure", "structure->text"):
            hits = np.stack([run[direction] for run in runs]).astype(np.float64)
            made[f"{direction}.seeds"] = hits.mean(1)
            made[direction] = self.weights @ hits.mean(0) / self.weights.sum(1)
        areas = [self._areas(run["words"]) for run in runs]
        made["words.seeds"] = np.array([self.mean_area(run["words"]) for run in runs])
        made["words"] = np.mean(areas, axis=0)
        return made

    def mean_area(self, cosines: Float[np.ndarray, "words n"]) -> float:
        """Mean ROC-AUC over the words."""
        pairs = zip(cosines, self.cached.positive, strict=True)
        return float(np.mean([roc_auc(row, label) for row, label in pairs]))

    def _areas(self, cosines: Float[np.ndarray, "words n"]) -> Float[np.ndarray, " resamples"]:
        """Mean ROC-AUC of each resample, over the words that it holds a positive of."""
        areas = []
        for row, label in zip(cosines, self.cached.positive, strict=True):
            order = np.argsort(row, kind="stable")
            weight, right = self.weights[:, order], label[order]
            below = np.cumsum(np.where(right, 0, weight), axis=1)
            pairs = weight[:, right].sum(1) * below[:, -1]
            gained = (weight * below)[:, right].sum(1)
            areas.append(np.divide(gained, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))
        return np.nanmean(areas, axis=0)

    @property
    def chance(self) -> float:
        """Recall@10 of a random order: some right one among those ahead of the tenth wrong one."""
        n = len(self.relevant)
        right = self.relevant.sum(1)
        # The best right one has fewer than ten wrong ones ahead: not all of the first ten are wrong.
        return float(np.mean([1 - comb(n - r, TOP) / comb(n, TOP) for r in right.tolist()]))


def spread(figures: dict[str, np.ndarray], metric: str) -> list[float]:
    """Mean over seeds with its interval over records."""
    return [round(x, 4) for x in (float(figures[f"{metric}.seeds"].mean()), *interval(figures[metric]))]


def paired(a: dict[str, np.ndarray], b: dict[str, np.ndarray], metric: str) -> list[float]:
    """Mean of a − b with its interval over the same resampled records."""
    mean = float(a[f"{metric}.seeds"].mean() - b[f"{metric}.seeds"].mean())
    return [round(x, 4) for x in (mean, *interval(a[metric] - b[metric]))]
