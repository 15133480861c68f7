"""From a recipe to a model with fresh weights."""

from dataclasses import replace

import torch
from torch import nn

from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.crystal import CrystalEncoder
from prismat.encoders.huggingface import HuggingFaceConfig, HuggingFaceEncoder, TextHead
from prismat.encoders.xrd_cnn import XrdCnn
from prismat.errors import BadInputError
from prismat.model import JointModel
from prismat.objectives.infonce import InfoNce, pair_name
from prismat.recipes.base import Recipe, TextConfig

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
    encoders: dict[str, nn.Module] = {}
    for window in windows:
        if window == "structure":
            encoders[window] = CrystalEncoder(recipe.encoders.structure)
        elif window == "text":
            encoders[window] = text_encoder(recipe.encoders.text, embedding_width, vocabulary)
        else:
            encoders[window] = XrdCnn(replace(recipe.encoders.xrd, points=recipe.profile.points))
    return JointModel(encoders, recipe.projection)


def text_encoder(config: TextConfig, embedding_width: int, vocabulary: int) -> nn.Module:
    """The trained part of the text window."""
    if config.kind == "frozen":
        return TextHead(replace(config.head, embedding=embedding_width))
    if config.kind == "bpe":
        return BpeTransformer(replace(config.bpe, vocab_size=vocabulary))
    return HuggingFaceEncoder(HuggingFaceConfig(config.model))


def build_objective(recipe: Recipe) -> InfoNce:
    """The loss over every pair of the recipe's windows."""
    windows = recipe.windows
    pairs = [pair_name(a, b) for i, a in enumerate(windows) for b in windows[i + 1 :]]
    unknown = set(recipe.objective.weights) - set(pairs)
    if unknown:
        raise BadInputError(
            f"weight for an unknown pair {sorted(unknown)[0]!r}",
            field="objective.weights",
            remedy=f"Pairs: {', '.join(pairs)}.",
        )
    return InfoNce(pairs, recipe.objective)


def seed_everything(seed: int) -> None:
    """Seeds torch, which draws weights and dropout; numpy's generators are made from the seed where used."""
    torch.manual_seed(seed)
