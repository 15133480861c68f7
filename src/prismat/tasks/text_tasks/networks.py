"""Networks that read pieces of text: a class per text, a tag per word, and the linear baseline of both."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.heads.network import Head
from prismat.tasks.text_tasks.pieces import PieceBatch

TEXT = "text"


class Featured(nn.Module, ABC):
    """An encoder with a head on its features.

    Args:
        encoder: over byte-pair tokens.
        head: of one window, ``text``.
    """

    def __init__(self, encoder: BpeTransformer, head: Head) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    @abstractmethod
    def features(self, batch: PieceBatch) -> Float[torch.Tensor, "outputs width"]:
        """What the head reads."""

    def forward(self, batch: PieceBatch) -> Float[torch.Tensor, "outputs classes"]:
        """Unnormalised log-probabilities."""
        features = self.features(batch)
        there = torch.ones(len(features), dtype=torch.bool, device=features.device)
        return self.head({TEXT: features.float()}, {TEXT: there})


class TextClassifier(Featured):
    """Texts → (texts, classes): the mean over a text's pieces of the vectors of [CLS], and a head."""

    def features(self, batch: PieceBatch) -> Float[torch.Tensor, "texts width"]:
        """h^t of every text."""
        vectors = self.encoder(batch.tokens)
        total = vectors.new_zeros(batch.texts, vectors.shape[1]).index_add(0, batch.owner, vectors)
        count = torch.bincount(batch.owner, minlength=batch.texts).clamp_min(1)
        return total / count[:, None]


class TokenTagger(Featured):
    """Texts → (words, tags): the hidden state of each word's first token, and a head."""

    def features(self, batch: PieceBatch) -> Float[torch.Tensor, "words width"]:
        """Hidden state of every word."""
        return self.encoder.tokens(batch.tokens)[batch.piece, batch.place]


class WindowTagger(nn.Module):
    """Words → (words, tags): a linear model over which word stands before, here and after.

    logits = b + A[left] + B[word] + C[right], the baseline that knows words and no language.

    Args:
        vocabulary: number of known words; 0 stands for all others and for the edges of a sentence.
        tags: how many there are.
    """

    def __init__(self, vocabulary: int, tags: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(vocabulary, tags) for _ in range(3))
        for table in self.tables:
            nn.init.zeros_(table.weight)  # ty: ignore[invalid-argument-type]
        self.bias = nn.Parameter(torch.zeros(tags))

    def forward(self, window: Int[torch.Tensor, "words three"]) -> Float[torch.Tensor, "words tags"]:
        """Unnormalised log-probabilities."""
        return self.bias + torch.stack([t(window[:, i]) for i, t in enumerate(self.tables)]).sum(0)
