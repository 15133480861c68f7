"""Texts sorted into classes: what every encoder and baseline says of the test part."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.heads.config import HeadConfig
from prismat.modalities.text import clean_text
from prismat.tasks.quickstart import Talk
from prismat.tasks.text_tasks.bag import bag_of_words
from prismat.tasks.text_tasks.corpus import LabelledTexts
from prismat.tasks.text_tasks.encoders import SENTENCE, Rivals
from prismat.tasks.text_tasks.pieces import Pieces, words_of
from prismat.tasks.text_tasks.settings import TextTaskConfig
from prismat.tasks.text_tasks.systems import (
    Outputs,
    frozen_probabilities,
    token_probabilities,
)
from prismat.text_reader import FrozenReader, TokenReader

BAG = "bag of words, linear"
CHUNK = 64

Said = dict[str, Float[np.ndarray, "test classes"]]


def class_outputs(corpus: LabelledTexts) -> tuple[list[str], Outputs]:
    """Names of the classes, and the class of every text."""
    names, of = np.unique(corpus.labels, return_inverse=True)
    count = np.ones(len(corpus.texts), dtype=np.int64)
    return [str(n) for n in names], Outputs(of.ravel().astype(np.int64), count, len(names))


def classify_texts(
    corpus: LabelledTexts, rivals: Rivals, config: TextTaskConfig, folder: Path, talk: Talk = Talk()
) -> Said:
    """Probabilities of the classes of the test texts, by system; the aligned encoder first.

    Args:
        corpus: texts with classes, divided.
        rivals: the encoders.
        config: of the task.
        folder: of checkpoints.
        talk: how progress is told.

    Raises:
        BadInputError: a frozen sentence encoder is to be tuned.
    """
    _, outputs = class_outputs(corpus)
    reader = rivals.reader
    said = (
        token_probabilities(
            corpus.parts, outputs, rivals, pieces_of(corpus, reader, rivals), config, folder, talk
        )
        if isinstance(reader, TokenReader)
        else _by_sentence(corpus, outputs, rivals, reader, config, talk)
    )
    bag = bag_of_words(corpus.texts, corpus.parts["train"])
    said[BAG] = frozen_probabilities(bag, outputs, corpus.parts, HeadConfig(kind="linear"), config.fit)
    return said


def pieces_of(corpus: LabelledTexts, reader: TokenReader, rivals: Rivals) -> Pieces:
    """All texts as pieces that the encoders have positions for."""
    words = [words_of(text) for text in corpus.texts]
    return Pieces(words, reader.tokenizer, rivals.prismat.recipe.encoders.text.bpe.max_tokens)


def _by_sentence(
    corpus: LabelledTexts,
    outputs: Outputs,
    rivals: Rivals,
    reader: FrozenReader,
    config: TextTaskConfig,
    talk: Talk,
) -> Said:
    if config.mode == "tuned":
        raise BadInputError(
            "there is nothing to tune beneath a frozen sentence encoder",
            field="mode",
            remedy="Use --mode frozen, or a run whose text is read by byte-pair tokens.",
        )
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*rivals.encoders, SENTENCE)}
    texts = [clean_text(text) or None for text in corpus.texts]
    for start in range(0, len(texts), CHUNK):
        batch = reader.read(texts[start : start + CHUNK])
        with torch.inference_mode():
            for name, encoder in rivals.encoders.items():
                parts[name].append(encoder(batch).float().numpy())
        parts[SENTENCE].append(batch.embedding.numpy())
        talk.bar("texts", min(start + CHUNK, len(texts)), len(texts), {})
    return {
        name: frozen_probabilities(np.concatenate(found), outputs, corpus.parts, config.head, config.fit)
        for name, found in parts.items()
    }
