"""The windows of a store's records, batched for training or evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.augment.structure import StructureViews, structure_views
from prismat.augment.text import TextViews, text_views, token_views
from prismat.duplicates import same_matrix
from prismat.errors import BadInputError
from prismat.modalities.base import Modality
from prismat.modalities.image import ImageModality
from prismat.modalities.image_views import ImageViews
from prismat.modalities.profile import ProfileNoise, XrdBatch, XrdModality
from prismat.modalities.properties import PropertiesModality
from prismat.modalities.structure import StructureBatch, StructureModality, strained
from prismat.modalities.text import FrozenTextBatch, TokenBatch
from prismat.ragged import Packed, Ragged, take
from prismat.store import Store
from prismat.text_reader import EncoderReader, TokenReader

Rows = Int[np.ndarray, " n"]


@dataclass(frozen=True)
class ViewConfig:
    """Training views: how records are varied so that few of them teach much.

    Attributes:
        text: chance of each text view, by name; those a record lacks are left out.
        strain: largest relative change of all lengths, drawn per record and shared by its structure and its
            pattern, which stay an exact pair (peak positions scale as the lattice does).
        lexicon_dropout: chance of hiding what the mineral lexicon says: held-out minerals are not in it.
        noise: distortions of simulated patterns; None for clean ones. Learnt with them, a model finds noisy
            patterns almost as well as clean ones, at little cost on these.
        image: distortions of images; None for none.
        structure: bonds and atoms left out, displaced atoms; None for none.
        tokens: masked tokens, sentences in another order, formulas written differently, for text that is read
            by tokens; None for none.
    """

    text: dict[str, float] = field(default_factory=lambda: {"title": 0.67, "description": 0.33})
    strain: float = 0.05
    lexicon_dropout: float = 0.5
    noise: ProfileNoise | None = field(default_factory=ProfileNoise)
    image: ImageViews | None = field(default_factory=ImageViews)
    structure: StructureViews | None = None
    tokens: TextViews | None = None


@dataclass(frozen=True, eq=False)
class TextBank:
    """Frozen features of every text view of every record.

    Attributes:
        names: views; the first is the one evaluated.
        embedding: sentence embeddings of the distinct texts, then a row of zeros, shape (rows, width).
        chemistry: element channels by view and record, shape (views, records, channels).
        index: row of ``embedding`` by view and record, −1 where there is no text, shape (views, records).
        lexicon: the slices of the chemistry channel that come from the lexicon.
    """

    names: tuple[str, ...]
    embedding: Float[np.ndarray, "rows width"]
    chemistry: Float[np.ndarray, "views records channels"]
    index: Int[np.ndarray, "views records"]
    lexicon: Int[np.ndarray, " some"]

    def batch(self, rows: Rows, config: ViewConfig, rng: np.random.Generator | None) -> FrozenTextBatch:
        """One text per record: the first view, or one drawn by its chance among those there are."""
        view = _draw_views(self.names, self.index[:, rows] >= 0, config, rng)
        index = self.index[view, rows]
        chemistry = self.chemistry[view, rows].astype(np.float32)
        if rng is not None and config.lexicon_dropout > 0:
            hidden = np.flatnonzero(rng.random(len(rows)) < config.lexicon_dropout)
            chemistry[np.ix_(hidden, self.lexicon)] = 0
        present = index >= 0
        return FrozenTextBatch(
            embedding=torch.from_numpy(self.embedding[index] * present[:, None].astype(np.float32)),
            chemistry=torch.from_numpy(chemistry * present[:, None].astype(np.float32)),
            present=torch.from_numpy(present),
        )


@dataclass(frozen=True, eq=False)
class TokenBank:
    """Token ids of every text view of every record.

    Attributes:
        names: views; the first is the one evaluated.
        tokens: one batch of all records per view.
        texts: the texts of every view, which training views may change.
        reader: reads them again; None where they are never changed.
    """

    names: tuple[str, ...]
    tokens: tuple[TokenBatch, ...]
    texts: tuple[list[str], ...] = ()
    reader: TokenReader | EncoderReader | None = None

    def batch(self, rows: Rows, config: ViewConfig, rng: np.random.Generator | None) -> TokenBatch:
        """One text per record, as ``TextBank.batch``; cut to the longest of them."""
        there = np.stack([t.present.numpy()[rows] for t in self.tokens])
        view = _draw_views(self.names, there, config, rng)
        if rng is None or config.tokens is None:
            return self._as_stored(rows, view, there)
        return self._changed(rows, view, there, config.tokens, rng)

    def _changed(
        self,
        rows: Rows,
        view: Int[np.ndarray, " n"],
        there: Bool[np.ndarray, "views n"],
        config: TextViews,
        rng: np.random.Generator,
    ) -> TokenBatch:
        """Texts changed and read anew where the views ask for it, then masked."""
        if self.reader is None:
            raise BadInputError(
                "this text cannot be read again", field="views.tokens", remedy="Set it to None."
            )
        if config.shuffle or config.replacement:
            chosen = [self.texts[v][r] for v, r in zip(view, rows, strict=True)]
            batch = self.reader.read([t or None for t in text_views(chosen, config, rng)])
        else:
            batch = self._as_stored(rows, view, there)
        return (
            token_views(batch, self.reader.vocabulary, config, _generator(rng)) if config.masking else batch
        )

    def _as_stored(
        self, rows: Rows, view: Int[np.ndarray, " n"], there: Bool[np.ndarray, "views n"]
    ) -> TokenBatch:
        """The chosen text of every record."""
        width = max(int(t.mask[rows].sum(1).max()) for t in self.tokens)
        ids = torch.zeros(len(rows), width, dtype=torch.int64)
        mask = torch.zeros(len(rows), width, dtype=torch.bool)
        for number, tokens in enumerate(self.tokens):
            here = np.flatnonzero(view == number)
            columns = min(width, tokens.ids.shape[1])
            ids[here, :columns] = tokens.ids[rows[here], :columns]
            mask[here, :columns] = tokens.mask[rows[here], :columns]
        return TokenBatch(ids, mask, torch.from_numpy(there[view, np.arange(len(rows))]))


def _draw_views(
    names: tuple[str, ...],
    there: Bool[np.ndarray, "views n"],
    config: ViewConfig,
    rng: np.random.Generator | None,
) -> Int[np.ndarray, " n"]:
    """The first view of every record, or one drawn by its chance among those it has."""
    if rng is None:
        return np.zeros(there.shape[1], dtype=np.int64)
    chance = np.array([config.text.get(n, 0.0) for n in names])[:, None]
    weight = np.where(there, chance, 0.0)
    below = rng.random(there.shape[1]) * weight.sum(0)
    drawn = (np.cumsum(weight, axis=0) <= below).sum(0)
    # A record without any text keeps the first view, where it is marked absent.
    return np.where(weight.sum(0) > 0, drawn.clip(max=len(names) - 1), 0)


class StoreData:
    """Batches of a store's records under the windows a model has.

    Args:
        store: prepared records.
        windows: names of the modalities wanted, in the order in which their views are drawn.
        modalities: by window, with the settings of the model; all but text.
        text: the text bank, or None without text.
        views: training views.
        labels: labels of records that are no negatives of each other: equal texts, duplicate structures, …
    """

    def __init__(
        self,
        store: Store,
        windows: Sequence[str],
        modalities: Mapping[str, Modality],
        text: TextBank | TokenBank | None,
        views: ViewConfig,
        labels: Sequence[Int[np.ndarray, " records"]],
    ) -> None:
        self.store, self.windows, self.modalities = store, tuple(windows), modalities
        self.text, self.views, self.labels = text, views, list(labels)
        self.properties: Ragged | None = None
        properties = modalities.get("properties")
        if isinstance(properties, PropertiesModality):
            self.properties = properties.rows(store.table["properties"], store.ids)

    def batches(
        self, rows: Rows, rng: np.random.Generator | None, windows: Sequence[str] | None = None
    ) -> dict[str, object]:
        """Batches of all or some windows; training views that fit each other where ``rng`` is given."""
        scale = np.ones(len(rows))
        if rng is not None and self.views.strain > 0:
            scale = np.exp(rng.uniform(-self.views.strain, self.views.strain, len(rows)))
        made: dict[str, object] = {}
        for window in self.windows if windows is None else windows:
            if window == "text" and self.text is not None:
                made[window] = self.text.batch(rows, self.views, rng)
            elif window != "text":
                made[window] = self._batch(self.modalities[window], rows, scale, rng)
        return made

    def same(self, rows: Rows) -> Bool[torch.Tensor, "n n"]:
        """Records that agree in a label: no negatives of each other."""
        return torch.from_numpy(same_matrix(*(label[rows] for label in self.labels)))

    def _batch(
        self, modality: Modality, rows: Rows, scale: Float[np.ndarray, " n"], rng: np.random.Generator | None
    ) -> object:
        if self.properties is not None and modality.name == "properties":
            taken = take(self.properties.values, self.properties.offsets, rows)
            return modality.collate({"properties.values": taken})
        packed = self.store.take(rows, list(modality.columns))
        if isinstance(modality, StructureModality):
            return self._structure(modality, packed, scale, rng)
        if isinstance(modality, XrdModality):
            return self._xrd(modality, packed, rows, scale, rng)
        if isinstance(modality, ImageModality):
            if modality.settings.source == "xrd" and (scale != 1).any():
                packed = strained_lines(packed, scale, "image")
            views = None if rng is None else self.views.image
            return modality.collate(packed, views, _generator(rng) if rng is not None and views else None)
        return modality.collate(packed)

    def _structure(
        self,
        modality: StructureModality,
        packed: Packed,
        scale: Float[np.ndarray, " n"],
        rng: np.random.Generator | None,
    ) -> StructureBatch:
        batch = modality.collate(packed)
        if (scale != 1).any():
            batch = strained(batch, torch.from_numpy(scale.astype(np.float32)))
        if rng is None or self.views.structure is None:
            return batch
        return structure_views(batch, self.views.structure, _generator(rng))

    def _xrd(
        self,
        modality: XrdModality,
        packed: Packed,
        rows: Rows,
        scale: Float[np.ndarray, " n"],
        rng: np.random.Generator | None,
    ) -> XrdBatch:
        if (scale != 1).any():
            packed = strained_lines(packed, scale)
        if rng is None or self.views.noise is None:
            return modality.collate(packed)
        same = self.same(rows) if self.views.noise.sample.impurity > 0 else None
        return modality.collate(packed, self.views.noise, _generator(rng), same)


def _generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**62)))


def strained_lines(packed: Packed, scale: Float[np.ndarray, " n"], window: str = "xrd") -> Packed:
    """Powder lines of crystals whose every length is multiplied by ``scale``: sin θ' = sin θ / scale.

    Lines beyond backscattering are moved to 180°, outside of every profile. Intensities stay.
    """
    lines = packed[f"{window}.two_theta"]
    sine = np.sin(np.radians(lines.values.astype(np.float64)) / 2) / np.repeat(scale, lines.lengths)
    moved = np.degrees(2 * np.arcsin(np.clip(sine, 0, 1)))
    return {**packed, f"{window}.two_theta": Ragged(moved.astype(lines.values.dtype), lines.lengths)}
