"""A trained predictor of one property with everything it needs to read raw input."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save_file

from prismat.device import moved
from prismat.encoders.fusion import FusionNetwork
from prismat.errors import BadInputError, VersionError
from prismat.files import digest, replacing_folder, sha256, write_json, write_text
from prismat.formats import read_crystal
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.lexicon import Lexicon
from prismat.modalities.properties import PropertySpec
from prismat.modalities.standard_cell import StandardCell, standardize
from prismat.modalities.structure import StructureModality
from prismat.modalities.text import check_query
from prismat.modalities.text_views import description_view
from prismat.model_files import check_text_hash, damaged, load_weights, read_card, read_object, weight_hashes
from prismat.prepare import describe
from prismat.recipes.crysmmnet import FrozenTextConfig, PredictorRecipe, build_predictor
from prismat.recipes.serial import from_json, to_json
from prismat.text_reader import FrozenReader
from prismat.texts.template import Variant, describe_cell

if TYPE_CHECKING:
    from prismat.material import StructureLike

KIND = "predictor"
FORMAT_VERSION = 1
CHUNK = 256


@dataclass(frozen=True)
class Target:
    """What is predicted, and how it was standardised.

    Attributes:
        spec: name, unit and whether its decimal logarithm is meant.
        mean: over the training records.
        spread: standard deviation over them.
    """

    spec: PropertySpec
    mean: float = 0.0
    spread: float = 1.0

    @property
    def unit(self) -> str:
        """Of predictions: that of the property, or of its logarithm."""
        return f"log10({self.spec.unit})" if self.spec.log else self.spec.unit

    def standardised(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Values without their unit."""
        return (values - self.mean) / self.spread

    def restored(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Standardised values with their unit."""
        return values * self.spread + self.mean


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted numbers.

    Attributes:
        name: of the property.
        unit: of the values.
        values: one per record, shape (records,).
    """

    name: str
    unit: str
    values: Float[np.ndarray, " records"]


class Predictor:
    """One property from structures, texts or both.

    Args:
        model: the trained network, in evaluation mode.
        recipe: what it was built from.
        target: what its output means.
        reader: how it reads text; None for a graph alone.
        card: the model card, in Markdown.
    """

    def __init__(
        self,
        model: FusionNetwork,
        recipe: PredictorRecipe,
        target: Target,
        reader: FrozenReader | None,
        card: str = "",
    ) -> None:
        self.model, self.recipe, self.target = model.eval(), recipe, target
        self.reader, self.card = reader, card
        self.modality = StructureModality(recipe.graph)

    @cached_property
    def hash(self) -> str:
        """Hash over weights, recipe, target and text reader."""
        weights = weight_hashes(self.model)
        reader = self.reader.identity() if self.reader else None
        return digest(weights, to_json(self.recipe), to_json(self.target), reader)

    def predict(
        self,
        structures: "Sequence[StructureLike] | None" = None,
        texts: Sequence[str] | None = None,
    ) -> Prediction:
        """The property of raw input, with its unit.

        Args:
            structures: crystals in any form that ``read_crystal`` takes.
            texts: one per structure, or alone where the model reads text only. Left out, a model that reads
                text describes each structure in the words that it was trained on.

        Raises:
            BadInputError: what the model reads is missing, it does not read what is given, or the numbers of
                structures and texts differ.
        """
        self._check_given(structures, texts)
        items = list(structures if structures is not None else texts or ())
        values = [
            self._predict(
                None if structures is None else items[start : start + CHUNK],
                None if texts is None else list(texts)[start : start + CHUNK],
                start,
            )
            for start in range(0, len(items), CHUNK)
        ]
        return Prediction(self.target.spec.name, self.target.unit, np.concatenate(values))

    def _described(self, cells: list[StandardCell]) -> list[str]:
        return [description(cell, self.recipe.text.view) for cell in cells]

    def _check_given(self, structures: Sequence | None, texts: Sequence[str] | None) -> None:
        windows = self.recipe.windows
        problem, remedy = "", ""
        if texts is not None and "text" not in windows:
            problem, remedy = "this model reads no text", "Give structures alone."
        elif structures is None and "structure" in windows:
            problem, remedy = "this model reads structures and none are given", "Give structures."
        elif structures is None and texts is None:
            problem, remedy = "nothing to predict from", "Give texts or structures."
        elif structures is not None and texts is not None and len(structures) != len(texts):
            problem, remedy = f"{len(texts)} texts for {len(structures)} structures", "Give one each."
        elif not len(structures if structures is not None else texts or ()):
            problem, remedy = "nothing to predict from", "Give at least one record."
        if problem:
            raise BadInputError(problem, field="predict", remedy=remedy)

    def _predict(self, structures: list | None, texts: list[str] | None, first: int) -> np.ndarray:
        batches: dict[str, object] = {}
        cells: list[StandardCell] = []
        if structures is not None:
            names = [
                str(x) if isinstance(x, Path) else f"structure {first + i}" for i, x in enumerate(structures)
            ]
            symprec = self.recipe.graph.symprec
            crystals = [read_crystal(x, record=n) for n, x in zip(names, structures, strict=True)]
            cells = [standardize(crystal, symprec) for crystal in crystals]
        if "structure" in self.recipe.windows:
            features = [self.modality.featurize_cell(cell) for cell in cells]
            batches["structure"] = self.modality.collate(pack_features(self.modality.columns, features))
        if self.reader is not None:
            words = [check_query(t) for t in texts] if texts is not None else self._described(cells)
            batches["text"] = self.reader.read(words)
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            found = self.model({w: moved(b, device) for w, b in batches.items()})
        return self.target.restored(found.float().cpu().numpy().astype(np.float64))

    def save(self, folder: Path) -> None:
        """Writes config.json, model.safetensors and README.md."""
        config = {
            "kind": KIND,
            "predictor_version": FORMAT_VERSION,
            "recipe": to_json(self.recipe),
            "target": to_json(self.target),
            "text": self.reader.describe() if self.reader else None,
            "embedding_width": self.reader.encoder.width if self.reader else 0,
            "model_hash": self.hash,
        }
        weights = {k: v.contiguous() for k, v in self.model.state_dict().items()}
        with replacing_folder(Path(folder)) as temporary:
            save_file(weights, temporary / "model.safetensors")
            write_text(temporary / "README.md", self.card or "# Prismat predictor\n")
            config["weights_sha256"] = sha256(temporary / "model.safetensors")
            write_json(temporary / "config.json", config)


def description(cell: StandardCell, view: str = "description") -> str:
    """The words of a structure alone, those that a store has for it under this view.

    Raises:
        BadInputError: words that do not follow from the structure.
    """
    variant = next((known for known in get_args(Variant) if known == view), None)
    if variant is not None:
        return describe_cell(cell, variant)
    if view != "description":
        raise BadInputError(
            f"this model reads {view!r}, which does not follow from the structure",
            field="texts",
            remedy="Give one text per structure.",
        )
    row = describe(Material("", cell.primitive), cell)
    # A store keeps fractions in single precision, and their order decides that of the words.
    row["fractions"] = np.float32(row["fractions"])
    return description_view(row)


def load_predictor(folder: str | Path, cache: Path | None = None) -> Predictor:
    """Loads a trained predictor from its folder or a run folder.

    Args:
        folder: a folder with config.json and model.safetensors, or a run with a ``model`` folder.
        cache: folder of the sentence-embedding cache; texts are not cached where None.

    Raises:
        BadInputError: no predictor there, its files are damaged, or its text encoder is not to be had.
        VersionError: written by a newer format.
    """
    folder = Path(folder)
    folder = folder / "model" if (folder / "model" / "config.json").is_file() else folder
    path = folder / "config.json"
    if not path.is_file():
        raise BadInputError(
            f"no predictor in {folder}", remedy="Train one: prismat train --recipe crysmmnet-alignn."
        )
    config = _read_config(path)
    try:
        recipe, target = from_json(PredictorRecipe, config["recipe"]), from_json(Target, config["target"])
        model = build_predictor(recipe, config["embedding_width"])
        load_weights(model, folder / "model.safetensors", config["weights_sha256"])
        reader = _load_reader(recipe.text, config["text"], cache)
    except KeyError as error:
        raise damaged(path) from error
    return Predictor(model, recipe, target, reader, read_card(folder))


def _read_config(path: Path) -> dict:
    """The content of a predictor's config.json."""
    config = read_object(path)
    if config.get("kind") != KIND:
        raise BadInputError(f"{path} is not of a predictor", remedy="Load other models with prismat.load.")
    if config.get("predictor_version") != FORMAT_VERSION:
        raise VersionError(
            f"{path.parent} has predictor format {config.get('predictor_version')}, this program reads "
            f"{FORMAT_VERSION}. Install the prismat that wrote it."
        )
    return config


def _load_reader(text: FrozenTextConfig, described: dict | None, cache: Path | None) -> FrozenReader | None:
    """The text encoder that training read with: the substitute itself where there was one."""
    if described is None:
        return None
    used = FrozenTextConfig(described["encoder"], text.pooling)
    reader = frozen_reader(used, cache, described.get("requested", ""))
    check_text_hash(used.model, reader.encoder.model_hash, described["weights_hash"])
    return reader


def frozen_reader(config: FrozenTextConfig, cache: Path | None, requested: str = "") -> FrozenReader:
    """A reader of frozen embeddings that knows no mineral names.

    Raises:
        BadInputError: the text encoder cannot be had.
        MissingExtraError: transformers is not installed.
    """
    from prismat.encoders.huggingface import FrozenSentenceEncoder

    return FrozenReader(FrozenSentenceEncoder(config.hugging_face()), Lexicon({}), cache, requested)
