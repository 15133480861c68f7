"""Attention weights of one text: any layer and head, over tokens or words, and rolled out over the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.explain.attention.tokens import Tokens, Word
from prismat.explain.attention.transformer import Readout, TextTransformer

AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention of one text.

    Attributes:
        tokens: of the text.
        weights: row i tells from which tokens j token i reads; rows sum to 1; shape (layers, heads, tokens,
            tokens).
        readout: which token's vector is the text's.
    """

    tokens: Tokens
    weights: Float[np.ndarray, "layers heads tokens tokens"]
    readout: Readout

    @property
    def words(self) -> tuple[Word, ...]:
        """Words of the text."""
        return self.tokens.words

    def rows(self) -> Float[np.ndarray, "layers heads tokens"]:
        """From which tokens the text's own vector reads: the row of [CLS], or the mean of all rows."""
        return self.read_out(self.weights)

    def read_out(self, matrix: Float[np.ndarray, "*more tokens tokens"]) -> Float[np.ndarray, "*more tokens"]:
        """The text's row of any token × token matrix."""
        return matrix[..., 0, :] if self.readout == "cls" else matrix.mean(axis=-2)

    def of(self, layer: int | None = None, head: int | None = None) -> Float[np.ndarray, " tokens"]:
        """The text's row of one layer and head; the last layer and the mean of its heads where not given.

        Args:
            layer: from 1.
            head: from 1.

        Raises:
            BadInputError: there is no such layer or head.
        """
        layers, heads = self.weights.shape[:2]
        rows = self.rows()[_place("layer", layer, layers)]
        return rows.mean(axis=0) if head is None else rows[_place("head", head, heads)]

    def matrix(self, layer: int | None = None, head: int | None = None) -> Float[np.ndarray, "tokens tokens"]:
        """All rows of one layer and head; the last layer and the mean of its heads where not given.

        Raises:
            BadInputError: there is no such layer or head.
        """
        layers, heads = self.weights.shape[:2]
        chosen = self.weights[_place("layer", layer, layers)]
        return chosen.mean(axis=0) if head is None else chosen[_place("head", head, heads)]

    def rollout(self) -> Float[np.ndarray, " tokens"]:
        """The text's row of the attention of all layers multiplied (Abnar & Zuidema, ACL 2020, eq. 1)."""
        return self.read_out(rollout(self.weights))

    def entropy(self) -> Float[np.ndarray, "layers heads"]:
        """Entropy of the text's row over log(tokens): 0 is one token alone, 1 is all alike."""
        return normalised_entropy(self.rows())

    def to_dict(self, matrices: bool = False) -> dict[str, Any]:
        """As JSON types.

        Args:
            matrices: all token × token weights as well, not the text's rows alone.
        """
        tokens = self.tokens
        told: dict[str, Any] = {
            "text": tokens.text,
            "readout": self.readout,
            "tokens": [
                {"token": piece, "start": int(start), "end": int(end), "special": bool(special)}
                for piece, start, end, special in zip(
                    tokens.pieces, tokens.start, tokens.end, tokens.special, strict=True
                )
            ],
            "rows": _rounded(self.rows()),
            "rollout": _rounded(self.rollout()),
            "entropy": _rounded(self.entropy()),
        }
        return told | {"weights": _rounded(self.weights)} if matrices else told


def rollout(
    weights: Float[np.ndarray, "layers heads tokens tokens"],
) -> Float[np.ndarray, "tokens tokens"]:
    """Product over layers, the last one leftmost, of (A + I) / 2, A the mean of a layer's heads.

    The half identity stands for the residual connection (Abnar & Zuidema, ACL 2020, section 3). Rows sum to
    1.
    """
    size = weights.shape[2]
    found = np.eye(size)
    for layer in weights.mean(axis=1, dtype=np.float64):
        found = (layer + np.eye(size)) / 2 @ found
    return found


def normalised_entropy(rows: Float[np.ndarray, "*more tokens"]) -> Float[np.ndarray, "*more"]:
    """−Σ p log p / log(tokens); 0 for a single token."""
    size = rows.shape[-1]
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return -(rows * logs).sum(axis=-1) / np.log(max(size, 2))


@torch.inference_mode()
def read_attention(transformer: TextTransformer, texts: Sequence[str]) -> list[Attention]:
    """Attention of every layer and head for some texts.

    Raises:
        BadInputError: a text without a token, or a model that does not show its attention.
    """
    found = []
    for start in range(0, len(texts), AT_ONCE):
        tokens = transformer.tokenize(texts[start : start + AT_ONCE])
        for text, own in zip(texts[start : start + AT_ONCE], tokens, strict=True):
            if own.special.all():
                raise BadInputError(f"{text!r} has no token", field="text", remedy="Give words.")
        weights = torch.stack(transformer.forward(tokens).weights, dim=1).float().numpy()
        found += [
            Attention(own, w[:, :, : len(own.ids), : len(own.ids)].copy(), transformer.readout)
            for own, w in zip(tokens, weights, strict=True)
        ]
    return found


def _place(kind: str, number: int | None, count: int) -> int:
    if number is None:
        return count - 1
    if not 1 <= number <= count:
        raise BadInputError(
            f"no {kind} {number}", field=kind, remedy=f"This encoder has {kind}s 1 to {count}."
        )
    return number - 1


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(np.float64), 6).tolist()
