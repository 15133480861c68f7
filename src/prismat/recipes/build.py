"""From a recipe to a model with fresh weights."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.clasp_mlp import ClaspMlpConfig
from prismat.encoders.crystal import CrystalEncoder
from prismat.encoders.dos_transformer import DosTransformer
from prismat.encoders.huggingface import HuggingFaceConfig, HuggingFaceEncoder
from prismat.encoders.masked_language import masked_language_head
from prismat.encoders.properties_encoder import PropertiesEncoder
from prismat.encoders.resnet import ImageEncoder
from prismat.encoders.resnext3d import ResNext3d
from prismat.encoders.text_head import text_head
from prismat.encoders.xrd_cnn import XrdCnn
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertiesSettings
from prismat.model import JointModel
from prismat.objectives.base import Objective
from prismat.objectives.build import build_objective
from prismat.recipes.base import Recipe, TextConfig
from prismat.training.auxiliary import Auxiliary

MIN_WINDOWS = 2


def build_model(recipe: Recipe, embedding_width: int, vocabulary: int) -> JointModel:
    """A joint model with random weights from torch's generator.

    Args:
        recipe: the configuration.
        embedding_width: width of frozen sentence embeddings (0 where text is not frozen).
        vocabulary: size of the byte-pair vocabulary (0 where there is none).

    Raises:
        BadInputError: fewer than two windows, or one named twice.
    """
    windows = recipe.windows
    if len(set(windows)) < MIN_WINDOWS or len(set(windows)) != len(windows):
        raise BadInputError(f"windows {windows}", field="windows", remedy="Name two or more different ones.")
    encoders: dict[str, nn.Module] = {
        window: text_encoder(recipe.encoders.text, embedding_width, vocabulary)
        if window == "text"
        else window_encoder(window, recipe)
        for window in windows
    }
    return JointModel(encoders, recipe.projection)


def window_encoder(window: str, recipe: Recipe) -> nn.Module:
    """The encoder of any window but text, sized to what its modality gives.

    Raises:
        BadInputError: a properties window without properties.
    """
    configs, measured = recipe.encoders, recipe.measured
    if window == "structure":
        return CrystalEncoder(configs.structure)
    if window == "xrd":
        return XrdCnn(replace(configs.xrd, points=recipe.profile.points))
    if window == "image":
        return ImageEncoder(
            replace(configs.image, channels=measured.image.channels, size=measured.image.size)
        )
    if window == "charge_density":
        return ResNext3d(configs.charge_density)
    if window == "properties":
        return PropertiesEncoder(replace(configs.properties, entries=_entries(measured.properties)))
    return DosTransformer(configs.dos if window == "dos" else configs.phonon_dos)


def _entries(settings: PropertiesSettings) -> int:
    if not settings.properties:
        raise BadInputError(
            "a properties window without properties",
            field="measured.properties",
            remedy="Name them with their units, such as band_gap in eV.",
        )
    return len(settings.properties)


def text_encoder(config: TextConfig, embedding_width: int, vocabulary: int) -> nn.Module:
    """The trained part of the text window."""
    if config.kind == "frozen":
        return text_head(replace(config.head, embedding=embedding_width))
    if config.kind == "bpe":
        return BpeTransformer(replace(config.bpe, vocab_size=vocabulary))
    return HuggingFaceEncoder(hugging_face(config))


def hugging_face(config: TextConfig) -> HuggingFaceConfig:
    """The pretrained encoder of a text window that is ``frozen`` or ``tuned``."""
    head = config.head
    clasp = ClaspMlpConfig(hidden=head.hidden, out=head.out) if head.kind == "clasp" else None
    return HuggingFaceConfig(
        config.model, config.pooling, substitute=config.substitute, tuning=config.tuning, clasp=clasp
    )


def as_used(recipe: Recipe, text: Mapping[str, str] | None) -> Recipe:
    """The recipe with the pretrained text encoder that is really in use, and no substitute for it.

    Args:
        recipe: may name another one.
        text: what the text reader tells of itself; None without a text window.
    """
    if text is None or recipe.encoders.text.kind == "bpe":
        return recipe
    used = replace(recipe.encoders.text, model=text["encoder"], substitute="")
    return replace(recipe, encoders=replace(recipe.encoders, text=used))


def without_downloads(recipe: Recipe) -> Recipe:
    """The recipe with random weights where pretrained ones would be fetched: a saved model brings its own."""
    image = replace(recipe.encoders.image, pretrained="none")
    return replace(recipe, encoders=replace(recipe.encoders, image=image))


def recipe_objective(recipe: Recipe) -> Objective:
    """The loss of a recipe.

    Raises:
        BadInputError: it does not fit the windows, or needs one embedding per window where there are several.
    """
    objective = build_objective(recipe.objective, recipe.windows, recipe.projection.dim)
    if objective.needs_shared_heads and recipe.projection.heads != "shared":
        raise BadInputError(
            f"{recipe.objective.kind} compares one embedding per window, and the projection has one per pair",
            field="projection.heads",
            remedy="Set it to shared.",
        )
    return objective


def recipe_auxiliary(recipe: Recipe, model: JointModel) -> Auxiliary:
    """The losses beside the alignment.

    Raises:
        BadInputError: masked language modelling of a text that is not read by tokens, or that has no mask.
    """
    if recipe.masked_language is None:
        return Auxiliary()
    encoder = model.encoders["text"] if "text" in recipe.windows else None
    if not isinstance(encoder, (BpeTransformer, HuggingFaceEncoder)):
        raise BadInputError(
            "masked language modelling needs a text encoder that reads tokens and is trained",
            field="masked_language",
            remedy="Set encoders.text.kind to bpe or tuned, or leave masked_language out.",
        )
    return Auxiliary(masked_language_head(encoder, recipe.masked_language))


def seed_everything(seed: int) -> None:
    """Seeds torch, which draws weights and dropout; numpy's generators are made from the seed where used."""
    torch.manual_seed(seed)
