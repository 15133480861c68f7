"""Words tagged: what every encoder and baseline says of the test sentences."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from prismat.errors import BadInputError
from prismat.tasks.quickstart import Talk
from prismat.tasks.text_tasks.bag import word_windows
from prismat.tasks.text_tasks.corpus import TaggedSentences
from prismat.tasks.text_tasks.encoders import Rivals
from prismat.tasks.text_tasks.pieces import Pieces
from prismat.tasks.text_tasks.settings import TextTaskConfig
from prismat.tasks.text_tasks.spans import OUTSIDE
from prismat.tasks.text_tasks.systems import (
    Outputs,
    token_probabilities,
    window_probabilities,
)
from prismat.text_reader import TokenReader

WINDOW, LEXICON = "words in a window, linear", "commonest tag of each word"

Tagged = dict[str, list[list[str]]]


def tag_outputs(corpus: TaggedSentences) -> tuple[list[str], Outputs]:
    """All tags of the training sentences with O first, and the tag of every word.

    A tag that training lacks counts as O for the fit; what is found is judged against the true tags.
    """
    seen = {tag for row in corpus.parts["train"] for tag in corpus.tags[row]}
    names = [OUTSIDE, *sorted(seen - {OUTSIDE})]
    place = {tag: i for i, tag in enumerate(names)}
    of = np.array([place.get(tag, 0) for tags in corpus.tags for tag in tags], dtype=np.int64)
    return names, Outputs(of, np.array([len(tags) for tags in corpus.tags]), len(names))


def tag_sentences(
    corpus: TaggedSentences, rivals: Rivals, config: TextTaskConfig, folder: Path, talk: Talk = Talk()
) -> Tagged:
    """Tags of the test sentences, by system; the aligned encoder first.

    Args:
        corpus: tagged sentences, divided.
        rivals: the encoders.
        config: of the task.
        folder: of checkpoints.
        talk: how progress is told.

    Raises:
        BadInputError: the encoders do not read tokens.
    """
    if not isinstance(rivals.reader, TokenReader):
        raise BadInputError(
            "a frozen sentence encoder gives no features of words",
            field="run",
            remedy="Give a run whose text is read by byte-pair tokens (text.kind bpe).",
        )
    names, outputs = tag_outputs(corpus)
    positions = rivals.prismat.recipe.encoders.text.bpe.max_tokens
    pieces = Pieces(corpus.words, rivals.reader.tokenizer, positions)
    said = token_probabilities(corpus.parts, outputs, rivals, pieces, config, folder, talk)
    windows = word_windows(corpus.words, corpus.parts["train"])
    said[WINDOW] = window_probabilities(windows, outputs, corpus.parts, config, folder / "window", talk)
    test = corpus.parts["test"]
    tagged = {name: as_tags(p.argmax(1), names, outputs.counts[test]) for name, p in said.items()}
    return tagged | {LEXICON: commonest_tags(corpus)}


def as_tags(
    of: Int[np.ndarray, " words"], names: list[str], counts: Int[np.ndarray, " sentences"]
) -> list[list[str]]:
    """Tags of every sentence from the classes of all words."""
    return [[names[i] for i in part] for part in np.split(of, np.cumsum(counts)[:-1])]


def commonest_tags(corpus: TaggedSentences) -> list[list[str]]:
    """Each word of the test sentences with the tag that it has most often in training; O for unknown words.

    The baseline of the CoNLL tasks, word by word.
    """
    counts: dict[str, dict[str, int]] = {}
    for row in corpus.parts["train"]:
        for word, tag in zip(corpus.words[row], corpus.tags[row], strict=True):
            own = counts.setdefault(word, {})
            own[tag] = own.get(tag, 0) + 1
    best = {word: min(own, key=lambda tag: (-own[tag], tag)) for word, own in counts.items()}
    return [[best.get(word, OUTSIDE) for word in corpus.words[row]] for row in corpus.parts["test"]]
