"""Text: cleaning, checks, byte-pair tokens and the batches that text encoders take."""

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from prismat.errors import BadInputError
from prismat.files import replacing

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 8192
"""Longer texts are cut before anything reads them."""
MAX_TOKENS = 512
PAD, CLS, UNK, MASK = "[PAD]", "[CLS]", "[UNK]", "[MASK]"
SPECIAL_TOKENS = (PAD, CLS, UNK, MASK)
"""Special tokens; their ids are 0 to 3 in this order."""

_SCRIPTS = (
    "LATIN",
    "GREEK",
    "CYRILLIC",
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HANGUL",
    "ARABIC",
    "HEBREW",
    "DEVANAGARI",
)
_READ_SCRIPTS = frozenset({"LATIN", "GREEK"})


def clean_text(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Canonical form of a text: NFKC, no control or format characters, single spaces, cut at a word.

    Args:
        text: any text; subscripts such as the 2 of H₂O become plain digits.
        limit: characters kept.
    """
    # NFKC may lengthen a character eighteenfold, so what could never be kept is cut before and after.
    text = unicodedata.normalize("NFKC", text[: 4 * limit])
    kept = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    text = " ".join(kept.split())
    if len(text) <= limit:
        return text
    head = text[:limit]
    return head if text[limit] == " " or " " not in head else head[: head.rindex(" ")]


def check_query(text: str) -> str:
    """Cleans a query and refuses one that says nothing.

    A text mostly in a script that the default encoders hardly know (Cyrillic, Chinese …) is taken, with a
    warning in the log.

    Raises:
        BadInputError: no letter and no digit is left.
    """
    cleaned = clean_text(text)
    if not any(c.isalnum() for c in cleaned):
        raise BadInputError(
            "query is empty" if not cleaned else "query has no letter and no digit",
            field="text",
            remedy="Describe the material in words or give its formula.",
        )
    script, share = main_script(cleaned)
    if script not in _READ_SCRIPTS and share > 0.5:
        logger.warning(
            "the query is mostly in %s script, of which the text encoder knows little", script.title()
        )
    return cleaned


def main_script(text: str) -> tuple[str, float]:
    """The script of most letters and its share of all letters; ("LATIN", 0.0) where there is no letter."""
    counts: dict[str, int] = {}
    for character in text:
        if character.isalpha():
            name = unicodedata.name(character, "OTHER")
            script = next((s for s in _SCRIPTS if name.startswith(s)), name.split()[0])
            counts[script] = counts.get(script, 0) + 1
    if not counts:
        return "LATIN", 0.0
    script = max(counts, key=lambda key: counts[key])
    return script, counts[script] / sum(counts.values())


def train_tokenizer(texts: Iterable[str], vocab_size: int = 8192) -> Tokenizer:
    """Learns byte-pair merges (Sennrich et al., ACL 2016) from a corpus; the same texts give the same merges.

    Bytes are the alphabet, so no text holds an unknown token. Case is kept, for Co is not CO; digits stand
    apart. Every text starts with [CLS] and is cut to 512 tokens.

    Args:
        texts: the training corpus; masked or missing texts are the caller's to leave out.
        vocab_size: most entries, special tokens and the 256 bytes included.

    Raises:
        BadInputError: the corpus is empty or the vocabulary cannot hold the bytes.
    """
    least = len(SPECIAL_TOKENS) + 256
    if vocab_size < least:
        raise BadInputError(
            f"vocabulary of {vocab_size} entries is too small", remedy=f"Give at least {least}."
        )
    corpus = [cleaned for text in texts if (cleaned := clean_text(text))]
    if not corpus:
        raise BadInputError("no text to train a tokeniser on", field="texts")
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer, length=len(corpus))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{CLS} $A", special_tokens=[(CLS, 1)])
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Writes tokenizer.json atomically."""
    with replacing(path) as temporary:
        temporary.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
    """Reads tokenizer.json.

    Raises:
        BadInputError: the file is absent, no tokeniser, or lacks [PAD] or [CLS] of this library's tokenisers.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # The library raises bare Exception for absent and broken files alike.
        raise BadInputError(f"no tokeniser could be read ({error})", record=str(path)) from error
    if [tokenizer.token_to_id(token) for token in (PAD, CLS)] != [0, 1]:
        raise BadInputError(
            "tokeniser lacks [PAD] and [CLS] as its first entries",
            record=str(path),
            remedy="Use one that train_tokenizer made.",
        )
    return tokenizer


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of a batch of texts, padded at the end.

    Attributes:
        ids: shape (batch, tokens); 0 where padded unless the tokeniser says otherwise.
        mask: True at tokens, False at padding, shape (batch, tokens). A missing text keeps its first token,
            lest attention be over nothing.
        present: whether the record has a text, shape (batch,).
    """

    ids: Int[torch.Tensor, "batch tokens"]
    mask: Bool[torch.Tensor, "batch tokens"]
    present: Bool[torch.Tensor, " batch"]

    def to(self, device: torch.device | str) -> "TokenBatch":
        """The same batch on another device."""
        return TokenBatch(self.ids.to(device), self.mask.to(device), self.present.to(device))


@dataclass(frozen=True)
class FrozenTextBatch:
    """Sentence embeddings and element channels of a batch of texts; zeros where a text is missing.

    Attributes:
        embedding: of a frozen sentence encoder, shape (batch, width).
        chemistry: see ``chemistry_text.parse_chemistry``, shape (batch, channels).
        present: whether the record has a text, shape (batch,).
    """

    embedding: Float[torch.Tensor, "batch width"]
    chemistry: Float[torch.Tensor, "batch channels"]
    present: Bool[torch.Tensor, " batch"]

    def to(self, device: torch.device | str) -> "FrozenTextBatch":
        """The same batch on another device."""
        return FrozenTextBatch(self.embedding.to(device), self.chemistry.to(device), self.present.to(device))


def tokenize(texts: Sequence[str | None], tokenizer: Tokenizer) -> TokenBatch:
    """Token ids of texts; None or an empty text counts as missing.

    Args:
        texts: one per record.
        tokenizer: of ``train_tokenizer``, or any that cuts to its model's length.
    """
    cleaned = [clean_text(text) if text else "" for text in texts]
    return pad_tokens(
        [encoding.ids for encoding in tokenizer.encode_batch(cleaned)], [bool(t) for t in cleaned]
    )


def pad_tokens(ids: Sequence[Sequence[int]], present: Sequence[bool], pad: int = 0) -> TokenBatch:
    """One rectangular batch from rows of different lengths."""
    lengths = np.array([len(row) for row in ids], dtype=np.int64)
    width = max(1, int(lengths.max(initial=1)))
    mask = np.arange(width) < np.maximum(lengths, 1)[:, None]
    padded = np.full((len(ids), width), pad, dtype=np.int64)
    padded[np.arange(width) < lengths[:, None]] = np.fromiter((i for row in ids for i in row), np.int64)
    return TokenBatch(
        torch.from_numpy(padded), torch.from_numpy(mask), torch.tensor(list(present), dtype=torch.bool)
    )


def frozen_batch(
    embedding: Float[np.ndarray, "batch width"],
    chemistry: Float[np.ndarray, "batch channels"],
    present: Bool[np.ndarray, " batch"],
) -> FrozenTextBatch:
    """Batch from rows taken out of a store; rows without text are set to zero."""
    keep = present[:, None]
    return FrozenTextBatch(
        torch.from_numpy(np.where(keep, embedding, 0).astype(np.float32)),
        torch.from_numpy(np.where(keep, chemistry, 0).astype(np.float32)),
        torch.from_numpy(present.astype(bool)),
    )
