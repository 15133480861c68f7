"""The part of a trained model that a head needs, as a model of its own."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch

from prismat.api import Prismat, Shapes
from prismat.heads.config import Feature
from prismat.model import JointModel
from prismat.recipes.build import MIN_WINDOWS
from prismat.text_reader import EncoderReader, TextReader


def lean_model(prismat: Prismat, windows: Sequence[str], feature: Feature = "encoder") -> Prismat:
    """A copy with the windows that a head reads, and another where a model must have two.

    A head over structures so needs no text encoder. Vectors of the joint space are for each partner, so for
    them all windows are kept. The copy shares nothing with the model and may be trained.

    Args:
        prismat: the trained model.
        windows: those that the head reads.
        feature: what it reads of them.
    """
    there = prismat.recipe.windows
    kept = set(windows) & set(there) if feature == "encoder" else set(there)
    for other in (*(w for w in there if w != "text"), "text"):
        if len(kept) < MIN_WINDOWS:
            kept.add(other)
    names = tuple(w for w in there if w in kept)
    with torch.random.fork_rng(devices=[]):
        encoders: dict[str, torch.nn.Module] = {
            str(w): copy.deepcopy(prismat.model.encoders[w]) for w in names
        }
        model = JointModel(encoders, prismat.model.config)
    weights = prismat.model.state_dict()
    model.load_state_dict({k: weights[k] for k in model.state_dict()})
    has_text = "text" in names
    shapes = prismat.shapes if has_text else Shapes()
    reader = _reader_of(prismat.reader, model) if has_text else None
    return Prismat(model, replace(prismat.recipe, windows=names), reader, shapes, prismat.card)


def _reader_of(reader: TextReader | None, model: JointModel) -> TextReader | None:
    """A reader that tokenises for an encoder belongs to the copy of that encoder."""
    if isinstance(reader, EncoderReader):
        return EncoderReader(model.encoders["text"], reader.requested)  # ty: ignore[invalid-argument-type]
    return reader
