"""Where attention is read: a model's text encoder, and the way from it to the joint space."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from prismat.api import Prismat, load
from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.huggingface import FrozenSentenceEncoder, HuggingFaceConfig, HuggingFaceEncoder
from prismat.encoders.pretrained import find_weights, load_weights
from prismat.errors import BadInputError
from prismat.explain.attention.transformer import BpeText, HuggingFaceText, TextTransformer
from prismat.modalities.chemistry_text import chemistry_channels
from prismat.modalities.text import FrozenTextBatch, clean_text
from prismat.model_files import read_object
from prismat.predictor import KIND, load_predictor
from prismat.recipes.build import seed_everything, text_encoder
from prismat.text_reader import FrozenReader, TextReader, TokenReader

Finish = Callable[[torch.Tensor, Sequence[str]], torch.Tensor]
"""From features (texts, width) and the texts to unit vectors (texts, dim)."""


@dataclass(frozen=True, eq=False)
class TextSource:
    """A text encoder whose attention can be read, and where it leads.

    Attributes:
        name: to label results with.
        transformer: the encoder.
        finish: from its features to unit vectors.
        note: what a reader must know of it, such as that it has seen no crystal.
    """

    name: str
    transformer: TextTransformer
    finish: Finish
    note: str = ""

    def vectors(self, texts: Sequence[str]) -> Float[torch.Tensor, "texts dim"]:
        """Unit vectors of some texts, in the graph of their attention."""
        tokens = self.transformer.tokenize(texts)
        return self.finish(self.transformer.forward(tokens).feature, texts)

    @torch.inference_mode()
    def own_vector(self, text: str) -> Float[torch.Tensor, " dim"]:
        """The vector of the whole text, with which its parts are compared where there is no other target."""
        return self.vectors([text])[0]


def _unit(feature: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:  # noqa: ARG001
    return nn.functional.normalize(feature, dim=1)


def open_source(folder: str | Path, partner: str = "structure", seed: int | None = None) -> TextSource:
    """The text encoder of a run, a predictor, or a Hugging Face model's folder or name.

    Args:
        folder: of the run or model; a name on the hub, or ``minilm``, ``scibert`` or ``matscibert``.
        partner: the window that the texts are compared with.
        seed: fresh weights of the same architecture in place of the trained ones.

    Raises:
        BadInputError: no model there, or one without a transformer over texts.
        MissingExtraError: transformers is not installed.
    """
    path = Path(folder)
    inside = (path / "run" / "model", path / "model", path)
    config = next((f / "config.json" for f in inside if (f / "config.json").is_file()), None)
    if config is None and path.exists():
        raise BadInputError(f"no model in {path}", field="run", remedy="Give a run or a model folder.")
    content = read_object(config) if config is not None else {}
    if content.get("kind") == KIND:
        return _of_predictor(load_predictor(path).reader, seed)
    if "format_version" in content or "recipe" in content:
        return source_of(load(path), partner, seed)
    name = str(folder)
    settings = HuggingFaceConfig(name)
    return TextSource(name, _hugging_face(settings, seed), _unit, "pretrained: it has seen no crystal")


def source_of(prismat: Prismat, partner: str = "structure", seed: int | None = None) -> TextSource:
    """The text encoder of a loaded model.

    Args:
        prismat: the model.
        partner: the window that the texts are compared with.
        seed: fresh weights of the same architecture in place of the trained ones.

    Raises:
        BadInputError: the model reads no text, no such window, or a text encoder that is no transformer.
    """
    reader, name = prismat.reader, prismat.recipe.name
    if reader is None:
        raise BadInputError(
            "this model has no text window, so no attention over words",
            field="run",
            remedy=f"It has {', '.join(prismat.recipe.windows)}; give one trained with text.",
        )
    _check_partner(prismat, partner)
    projection = prismat.model.projections[prismat.key("text", partner)]
    encoder = prismat.model.encoders["text"]
    if isinstance(reader, FrozenReader):
        transformer = _hugging_face_of(reader.encoder, seed)
        note = f"{reader.encoder.weights.model}, frozen: its attention has seen no crystal"
        return TextSource(name, transformer, _frozen_finish(encoder, projection, reader), note)
    label = name if seed is None else f"{name}, random weights"
    if isinstance(reader, TokenReader) and isinstance(encoder, BpeTransformer):
        own = encoder if seed is None else _fresh(prismat, seed)
        return TextSource(label, BpeText(own, reader.tokenizer), lambda f, _: projection(f))
    if isinstance(encoder, HuggingFaceEncoder):
        model = encoder.transformer
        if seed is not None:
            model = _random(encoder.config, seed)
        text = HuggingFaceText(model, encoder.tokenizer, encoder.config, encoder.head)  # ty: ignore[invalid-argument-type]
        return TextSource(label, text, lambda f, _: projection(f))
    raise BadInputError(f"{type(encoder).__name__} is no transformer over texts", field="run")


def bare_source(name: str, encoder: nn.Module, reader: TextReader, note: str = "") -> TextSource:
    """A byte-pair transformer without a projection, such as one of masked language modelling alone.

    Raises:
        BadInputError: another kind of encoder.
    """
    if not isinstance(encoder, BpeTransformer) or not isinstance(reader, TokenReader):
        raise BadInputError(f"{name} is no transformer over byte-pair tokens", field="encoder")
    return TextSource(name, BpeText(encoder, reader.tokenizer), _unit, note)


def _check_partner(prismat: Prismat, partner: str) -> None:
    others = [window for window in prismat.recipe.windows if window != "text"]
    if partner not in others:
        raise BadInputError(
            f"this model has no {partner} window", field="partner", remedy=f"It has {', '.join(others)}."
        )


def _of_predictor(reader: FrozenReader | None, seed: int | None) -> TextSource:
    if reader is None:
        raise BadInputError("this predictor reads no text", field="run", remedy="Give one that does.")
    note = f"{reader.encoder.weights.model}, frozen: its attention has seen no crystal"
    return TextSource("predictor", _hugging_face_of(reader.encoder, seed), _unit, note)


def _frozen_finish(encoder: nn.Module, projection: nn.Module, reader: FrozenReader) -> Finish:
    def finish(feature: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        chemistry = chemistry_channels([clean_text(text) for text in texts], reader.lexicon)
        # A text of no words is a missing one, as the model's own reader has it.
        present = torch.tensor([bool(text) for text in texts])
        read = feature * present[:, None]
        batch = FrozenTextBatch(read, torch.from_numpy(chemistry.astype(np.float32)), present)
        return projection(encoder(batch))

    return finish


def _fresh(prismat: Prismat, seed: int) -> BpeTransformer:
    seed_everything(seed)
    shapes = prismat.shapes
    return text_encoder(prismat.recipe.encoders.text, shapes.embedding_width, shapes.vocabulary)  # ty: ignore[invalid-explicit-return]


def _hugging_face(config: HuggingFaceConfig, seed: int | None) -> HuggingFaceText:
    if seed is not None:
        seed_everything(seed)
    loaded = load_weights(find_weights(config.model), pretrained=seed is None)
    return HuggingFaceText(loaded.model, loaded.tokenizer, config)


def _hugging_face_of(encoder: FrozenSentenceEncoder, seed: int | None) -> HuggingFaceText:
    if seed is not None:
        seed_everything(seed)
    loaded = load_weights(encoder.weights, pretrained=seed is None)
    return HuggingFaceText(loaded.model, loaded.tokenizer, encoder.config)


def _random(config: HuggingFaceConfig, seed: int) -> nn.Module:
    seed_everything(seed)
    return load_weights(find_weights(config.model, config.substitute), pretrained=False).model
