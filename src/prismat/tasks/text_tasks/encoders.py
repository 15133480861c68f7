"""The text encoders that a task compares: the aligned one, and unaligned ones of the same architecture."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from prismat.api import Prismat, load
from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.errors import BadInputError
from prismat.model_files import read_object
from prismat.packaged import cache_dir
from prismat.recipes.base import Job
from prismat.recipes.build import seed_everything, text_encoder
from prismat.recipes.serial import from_json
from prismat.store import Store
from prismat.tasks.opened import Opened, open_run, run_folder
from prismat.tasks.quickstart import Talk
from prismat.tasks.text_tasks.language import train_language_model
from prismat.text_reader import FrozenReader, TokenReader
from prismat.training.session import Prepared

ALIGNED, LANGUAGE, RANDOM = "aligned", "masked language alone", "random weights"
SENTENCE = "sentence embedding"


@dataclass(frozen=True, eq=False)
class Rivals:
    """Encoders by name, the aligned one first.

    Attributes:
        encoders: what is trained over texts: transformers, or heads over frozen sentence embeddings.
        reader: of texts, the same for all.
        prismat: the model of the run.
        left_out: rivals that could not be made, with the reason.
    """

    encoders: dict[str, nn.Module]
    reader: TokenReader | FrozenReader
    prismat: Prismat
    left_out: dict[str, str]

    @property
    def by_tokens(self) -> bool:
        """Whether the encoders read tokens."""
        return isinstance(self.reader, TokenReader)


def open_rivals(run: Path, store: Store | None, folder: Path, seed: int = 0, talk: Talk = Talk()) -> Rivals:
    """The text encoder of a run, and those it is compared with.

    Beside the aligned encoder stands the same architecture with fresh weights and, of a transformer over
    byte-pair tokens and where the run's store is given, the same trained on the run's texts for as long by
    masked language modelling alone. Of a frozen sentence encoder the embedding itself stands beside.

    Args:
        run: a run with a text window.
        store: the run's own; without it there is no language model.
        folder: of the language model's checkpoint.
        seed: of fresh weights.
        talk: how progress is told.

    Raises:
        BadInputError: no model there, no text window, or text that is read by another kind of encoder.
    """
    prismat = load(run)
    reader = prismat.reader
    if reader is None:
        raise BadInputError(
            f"the model of {run} has no text window",
            field="run",
            remedy=f"It has {', '.join(prismat.recipe.windows)}; give one trained with text.",
        )
    aligned = prismat.model.encoders["text"]
    if isinstance(reader, FrozenReader):
        cached = FrozenReader(reader.encoder, reader.lexicon, cache_dir() / "text", reader.requested)
        return Rivals({ALIGNED: aligned, RANDOM: _fresh(prismat, seed)}, cached, prismat, {})
    if not isinstance(reader, TokenReader) or not isinstance(aligned, BpeTransformer):
        raise BadInputError(
            f"the model of {run} tunes a pretrained text encoder",
            field="run",
            remedy="Give a run whose text is frozen or read by byte-pair tokens (text.kind frozen or bpe).",
        )
    encoders: dict[str, nn.Module] = {ALIGNED: aligned}
    left_out = {}
    found = _own_texts(run, store)
    if isinstance(found, Opened):
        encoders[LANGUAGE] = _language_model(run, found.prepared, reader, folder, talk)
    else:
        left_out[LANGUAGE] = found
    encoders[RANDOM] = _fresh(prismat, seed)
    return Rivals(encoders, reader, prismat, left_out)


def _fresh(prismat: Prismat, seed: int) -> nn.Module:
    """The text encoder's architecture with fresh weights."""
    seed_everything(seed)
    text = prismat.recipe.encoders.text
    fresh = text_encoder(text, prismat.shapes.embedding_width, prismat.shapes.vocabulary)
    return fresh.eval()


def _own_texts(run: Path, store: Store | None) -> Opened | str:
    """A run on the store that it was trained on, or why that cannot be had."""
    if store is None:
        return "the run's store is not given"
    if not (run_folder(run) / "config.json").is_file():
        return "only a model is there, not its run"
    opened = open_run(run, store)
    return opened if opened.is_own else "the store is not the run's own"


def _language_model(
    run: Path, prepared: Prepared, reader: TokenReader, folder: Path, talk: Talk
) -> BpeTransformer:
    job = from_json(Job, read_object(run_folder(run) / "config.json"))
    # The language model is small: it is trained where the tasks are.
    job = replace(job, train=replace(job.train, device="cpu", tensorboard=False))
    return train_language_model(prepared, job, reader, folder, talk)[0]
