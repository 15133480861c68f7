"""A trained model with everything it needs to read raw input: what ``prismat.load`` gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save_file

from prismat.device import moved
from prismat.errors import BadInputError, VersionError
from prismat.files import digest, replacing_folder, sha256, write_json, write_text
from prismat.formats import read_crystal
from prismat.material import Material, Property
from prismat.measurements import Measurement, Pattern
from prismat.modalities.base import Modality, pack_features
from prismat.modalities.lexicon import Lexicon
from prismat.modalities.profile import XrdBatch
from prismat.modalities.text import FrozenTextBatch, check_query, load_tokenizer
from prismat.modalities.windows import make_modalities
from prismat.modalities.xrd import XrdSettings
from prismat.model import JointModel, key_of
from prismat.model_files import (
    check_text_hash,
    damaged,
    load_weights,
    read_card,
    read_object,
    weight_hashes,
)
from prismat.recipes.base import Recipe
from prismat.recipes.build import as_used, build_model, hugging_face, without_downloads
from prismat.recipes.serial import from_json, to_json
from prismat.text_reader import EncoderReader, FrozenReader, TextReader, TokenReader

if TYPE_CHECKING:
    from prismat.material import StructureLike

FORMAT_VERSION = 3
SENTENCE = "sentence"
"""Key of the frozen sentence embedding, by which texts are compared with texts."""
PROFILE = "profile"
"""Key of the profile itself, by which patterns are compared with patterns."""
Vectors = dict[str, Float[np.ndarray, "records dim"]]


@dataclass(frozen=True)
class Shapes:
    """Sizes that come from data rather than from the recipe.

    Attributes:
        embedding_width: of frozen sentence embeddings, 0 where there are none.
        vocabulary: of the byte-pair tokeniser, 0 where there is none.
    """

    embedding_width: int = 0
    vocabulary: int = 0


class Prismat:
    """Structures, texts and patterns into one space.

    Args:
        model: the trained network, in evaluation mode.
        recipe: what it was built from.
        reader: how it reads text; None without a text window.
        shapes: sizes that come from data.
        card: the model card, in Markdown.
    """

    def __init__(
        self,
        model: JointModel,
        recipe: Recipe,
        reader: TextReader | None,
        shapes: Shapes,
        card: str = "",
    ) -> None:
        self.model, self.recipe, self.reader = model.eval(), recipe, reader
        self.shapes, self.card = shapes, card
        self.modalities = recipe_modalities(recipe)

    @cached_property
    def hash(self) -> str:
        """Hash over weights, recipe and text reader: what an index must have been made with."""
        weights = weight_hashes(self.model)
        return digest(weights, to_json(self.recipe), self.reader.identity() if self.reader else None)

    def embed(
        self,
        structures: "Sequence[StructureLike] | None" = None,
        texts: Sequence[str] | None = None,
        patterns: Sequence[Pattern] | None = None,
        properties: Sequence[Mapping[str, Property]] | None = None,
        **measured: Sequence[Measurement],
    ) -> Vectors:
        """Unit vectors of raw input of one kind.

        Args:
            structures: crystals in any form that ``read_crystal`` takes.
            texts: words.
            patterns: measured powder patterns.
            properties: numbers with units by name; what is left out is left open.
            **measured: under the name of their window: ``image``, ``dos``, ``phonon_dos``,
                ``charge_density``.

        Returns:
            By key, shape (records, dim). A key is the modality (``structure``) or, where the model has heads
            per pair, the modality and the partner it is meant for (``structure@text``). Texts also come
            with ``sentence``, their frozen embedding, where the model has one, and patterns with ``profile``.

        Raises:
            BadInputError: none or several kinds given, input that cannot be read, or a window that the
                model does not have.
        """
        given = {
            "structure": structures,
            "text": texts,
            "xrd": patterns,
            "properties": properties,
            **measured,
        }
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            raise BadInputError(
                f"{len(named)} kinds of input given",
                field="embed",
                remedy="Give structures, texts, patterns or another one.",
            )
        batch = self._batch(named[0], list(given[named[0]]))  # ty: ignore[invalid-argument-type]
        return self.embed_batch(named[0], batch)

    def _batch(self, window: str, items: list) -> object:
        if window not in self.recipe.windows:
            raise BadInputError(
                f"this model has no {window} window",
                field="embed",
                remedy=f"It has {', '.join(self.recipe.windows)}.",
            )
        if not items:
            raise BadInputError("nothing to embed", field=window, remedy="Give at least one.")
        if window == "text":
            return self._reader().read([check_query(t) for t in items])
        modality = self.modalities[window]
        features = [modality.featurize(material) for material in _materials(window, items)]
        for material, found in zip(items, features, strict=True):
            if found is None:
                raise BadInputError(f"{material!r:.200}", field=window, remedy=f"Give {window} data.")
        return modality.collate(pack_features(modality.columns, features))

    def _reader(self) -> TextReader:
        if self.reader is None:
            raise BadInputError(
                "this model has no text window", field="text", remedy="Search by structure or xrd."
            )
        return self.reader

    def embed_batch(self, window: str, batch: object) -> Vectors:
        """Unit vectors of a collated batch, by key, and those that like is compared with like by."""
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            found = self.model.embed(window, moved(batch, device))
        vectors = {k: v.cpu().numpy() for k, v in found.items()}
        if isinstance(batch, FrozenTextBatch):
            vectors[SENTENCE] = batch.embedding.numpy()
        elif isinstance(batch, XrdBatch):
            vectors[PROFILE] = torch.nn.functional.normalize(batch.profile, dim=1).numpy()
        return vectors

    def key(self, window: str, partner: str) -> str:
        """Key of the vectors of ``window`` that are compared with those of ``partner``."""
        return key_of(window, partner if self.recipe.projection.heads == "pair" else None)

    def save(self, folder: Path) -> None:
        """Writes config.json, model.safetensors, README.md and what the text reader needs."""
        config = {
            "format_version": FORMAT_VERSION,
            "recipe": to_json(self.recipe),
            "shapes": {"embedding_width": self.shapes.embedding_width, "vocabulary": self.shapes.vocabulary},
            "text": self.reader.describe() if self.reader else None,
            "model_hash": self.hash,
        }
        with replacing_folder(Path(folder)) as temporary:
            save_file(
                {k: v.contiguous() for k, v in self.model.state_dict().items()},
                temporary / "model.safetensors",
            )
            if isinstance(self.reader, FrozenReader):
                write_json(temporary / "lexicon.json", self.reader.lexicon.to_json())
            elif isinstance(self.reader, TokenReader):
                write_text(temporary / "tokenizer.json", self.reader.tokenizer.to_str())
            write_text(temporary / "README.md", self.card or "# Prismat model\n")
            config["weights_sha256"] = sha256(temporary / "model.safetensors")
            write_json(temporary / "config.json", config)


def recipe_modalities(recipe: Recipe) -> dict[str, Modality]:
    """The modality of every window of a recipe but text."""
    lines = XrdSettings(wavelength=recipe.profile.wavelength, texture=recipe.reads_texture)
    return make_modalities(recipe.windows, recipe.graph, recipe.profile, lines, recipe.measured)


def _materials(window: str, items: list) -> list[Material]:
    """Raw input of one window as materials that have nothing else."""
    word = "pattern" if window == "xrd" else window
    names = [str(x) if isinstance(x, Path) else f"{word} {i}" for i, x in enumerate(items)]
    pairs = list(zip(names, items, strict=True))
    if window == "structure":
        return [Material(name, read_crystal(x, record=name)) for name, x in pairs]
    if window == "properties":
        return [Material(name, properties=dict(x)) for name, x in pairs]
    return [Material(name, measurements={window: x}) for name, x in pairs]


def load(folder: str | Path, cache: Path | None = None) -> Prismat:
    """Loads a trained model from its folder, a run folder, or a quickstart folder.

    Args:
        folder: a folder with config.json and model.safetensors, or a run with a ``model`` folder.
        cache: folder of the sentence-embedding cache; queries are not cached where None.

    Raises:
        BadInputError: no model there, its files are damaged, or it is a predictor of a property.
        VersionError: written by a newer format.
    """
    folder = Path(folder)
    inside = [folder / "run" / "model", folder / "model"]
    folder = next((f for f in inside if (f / "config.json").is_file()), folder)
    path = folder / "config.json"
    if not path.is_file():
        raise BadInputError(f"no model in {folder}", remedy="Train one: prismat quickstart.")
    content = read_object(path)
    if content.get("kind") == "predictor":
        raise BadInputError(
            f"{folder} holds a predictor of one property", remedy="Read it with prismat.load_predictor."
        )
    config = upgrade(content, folder)
    try:
        recipe, shapes = from_json(Recipe, config["recipe"]), from_json(Shapes, config["shapes"])
        used = as_used(recipe, config["text"])
        model = build_model(without_downloads(used), shapes.embedding_width, shapes.vocabulary)
        load_weights(model, folder / "model.safetensors", config["weights_sha256"])
        reader = _load_reader(folder, model, used, config, cache)
    except KeyError as error:
        raise damaged(path) from error
    return Prismat(model, recipe, reader, shapes, read_card(folder))


def upgrade(config: dict, folder: Path) -> dict:
    """Brings an older config.json up to this format, one version at a time.

    Raises:
        VersionError: written by a newer format, or by none.
    """
    version = config.get("format_version")
    if version == 1:
        # Graph networks got a place of their own among the parts of a structure encoder.
        structure = config["recipe"]["encoders"]["structure"]
        structure["graphs"] = {name: structure.pop(name) for name in ("cgcnn", "mpgnn")}
        version = 2
    if version == 2:
        # Other losses than InfoNCE came, each with settings of its own.
        infonce = dict(config["recipe"]["objective"])
        config["recipe"]["objective"] = {"weights": infonce.pop("weights"), "infonce": infonce}
        version = 3
    if version != FORMAT_VERSION:
        raise VersionError(
            f"{folder} has model format {version}, this program reads {FORMAT_VERSION}. "
            "Install the prismat that wrote it."
        )
    return config


def _load_reader(
    folder: Path, model: JointModel, recipe: Recipe, config: dict, cache: Path | None
) -> TextReader | None:
    if "text" not in recipe.windows:
        return None
    text, requested = recipe.encoders.text, config["text"].get("requested", "")
    if text.kind == "tuned":
        return EncoderReader(model.encoders["text"], requested)  # ty: ignore[invalid-argument-type]
    if text.kind == "frozen":
        from prismat.encoders.huggingface import FrozenSentenceEncoder

        lexicon = Lexicon.from_json(read_object(folder / "lexicon.json"))
        encoder = FrozenSentenceEncoder(hugging_face(text))
        check_text_hash(text.model, encoder.model_hash, config["text"]["weights_hash"])
        return FrozenReader(encoder, lexicon, cache, requested)
    return TokenReader(load_tokenizer(folder / "tokenizer.json"))
