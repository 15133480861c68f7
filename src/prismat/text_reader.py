"""Texts to the batches that a text encoder reads, at training and at query time alike."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from prismat.encoders.masked_language import MaskVocabulary, byte_pair_vocabulary, tokenizer_vocabulary
from prismat.files import digest
from prismat.modalities.chemistry_text import chemistry_channels
from prismat.modalities.embedding_cache import EmbeddingCache
from prismat.modalities.lexicon import Lexicon
from prismat.modalities.text import FrozenTextBatch, TokenBatch, tokenize

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from prismat.encoders.huggingface import FrozenSentenceEncoder, HuggingFaceEncoder
    from prismat.encoders.pretrained import Weights

Progress = Callable[[int, int], None]


@runtime_checkable
class TextReader(Protocol):
    """Reads texts for one kind of text encoder."""

    def read(self, texts: Sequence[str | None]) -> FrozenTextBatch | TokenBatch:
        """One batch; a missing text is marked absent."""
        ...

    def describe(self) -> dict[str, str]:
        """Which weights and vocabulary are really used, and where they came from, for reports."""
        ...

    def identity(self) -> dict[str, str]:
        """What of the description decides results: the same bytes count alike from wherever they came."""
        return {k: v for k, v in self.describe().items() if k not in {"weights_from", "requested"}}


class FrozenReader(TextReader):
    """Sentence embeddings from a frozen encoder, cached on disk, beside the element channel.

    Args:
        encoder: the frozen encoder.
        lexicon: minerals of the training rows.
        cache: folder of the embedding cache; queries are not cached where None.
        requested: the model that the encoder stands in for, where its weights do not tell.
    """

    def __init__(
        self,
        encoder: "FrozenSentenceEncoder",
        lexicon: Lexicon,
        cache: Path | None = None,
        requested: str = "",
    ) -> None:
        self.encoder, self.lexicon, self.requested = encoder, lexicon, requested
        self.cache = EmbeddingCache(cache, encoder.model_hash, encoder.width) if cache else None

    def embed(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> Float[np.ndarray, "texts width"]:
        """Sentence embeddings, from the cache where there is one."""
        if self.cache is None:
            return self.encoder.embed(texts)
        return self.cache.get(texts, self.encoder.embed, progress=progress)

    def read(self, texts: Sequence[str | None]) -> FrozenTextBatch:
        """Embeddings and element channels of any texts."""
        present = np.array([bool(t) for t in texts])
        vectors = np.zeros((len(texts), self.encoder.width), dtype=np.float32)
        if present.any():
            vectors[present] = self.embed([t for t in texts if t])
        chemistry = chemistry_channels([t or None for t in texts], self.lexicon).astype(np.float32)
        return FrozenTextBatch(
            torch.from_numpy(vectors), torch.from_numpy(chemistry), torch.from_numpy(present)
        )

    def describe(self) -> dict[str, str]:
        """Name, origin and hash of the frozen weights, what they stand in for, and the lexicon's hash."""
        return {
            **_label(self.encoder.weights, self.requested),
            "weights_hash": self.encoder.model_hash,
            "lexicon_hash": digest(self.lexicon.to_json()),
        }


class TokenReader(TextReader):
    """Token ids for an encoder whose weights are trained.

    Args:
        tokenizer: as trained on the corpus, or as it came with a pretrained encoder.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self.tokenizer = tokenizer

    def read(self, texts: Sequence[str | None]) -> TokenBatch:
        """Padded token ids of any texts."""
        return tokenize([t or None for t in texts], self.tokenizer)

    @property
    def vocabulary(self) -> MaskVocabulary:
        """What masking must know of the tokeniser."""
        return byte_pair_vocabulary(self.tokenizer.get_vocab_size())

    def describe(self) -> dict[str, str]:
        """Hash of the vocabulary."""
        return {"encoder": "byte-pair tokens", "tokenizer_hash": digest(self.tokenizer.to_str())}


class EncoderReader(TextReader):
    """Token ids from the tokeniser that a pretrained encoder came with.

    Args:
        encoder: the encoder that is trained along.
        requested: the model that the encoder stands in for, where its weights do not tell.
    """

    def __init__(self, encoder: "HuggingFaceEncoder", requested: str = "") -> None:
        self.encoder, self.requested = encoder, requested

    def read(self, texts: Sequence[str | None]) -> TokenBatch:
        """Padded token ids of any texts."""
        return self.encoder.tokenize([t or None for t in texts])

    @property
    def vocabulary(self) -> MaskVocabulary:
        """What masking must know of the tokeniser.

        Raises:
            BadInputError: it has no mask token.
        """
        return tokenizer_vocabulary(self.encoder.tokenizer)

    def describe(self) -> dict[str, str]:
        """Name, origin and hash of the weights that training began with, and what they stand in for."""
        weights = self.encoder.weights
        return {**_label(weights, self.requested), "weights_hash": weights.sha256}


def _label(weights: "Weights", requested: str) -> dict[str, str]:
    """The encoder really used and, only where it was another, the one that was asked for."""
    asked = weights.requested or requested
    return {
        **({"requested": asked} if asked else {}),
        "encoder": weights.model,
        "weights_from": weights.source,
    }
