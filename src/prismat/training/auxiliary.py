"""Losses of one window alone, computed beside the embeddings: masked language modelling."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prismat.encoders.masked_language import MaskedLanguageHead, TokenEncoder
from prismat.model import JointModel
from prismat.objectives.masked_language import masked_language_sum


@dataclass(frozen=True)
class Term:
    """An auxiliary loss of some records: its sum, and over how many things it goes."""

    sum: torch.Tensor
    count: float


class Auxiliary(nn.Module):
    """The heads of auxiliary losses; none by default.

    Args:
        masked_language: head over the text encoder's tokens.
    """

    def __init__(self, masked_language: MaskedLanguageHead | None = None) -> None:
        super().__init__()
        self.masked_language = masked_language

    def __len__(self) -> int:
        return int(self.masked_language is not None)

    def terms(self, model: JointModel, batches: dict[str, Any]) -> dict[str, Term]:
        """Every auxiliary loss of a chunk as sum and count, so that chunks and ranks add up exactly.

        The hidden tokens are drawn from torch's default generator.
        """
        head = self.masked_language
        if head is None or "text" not in batches:
            return {}
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        encoder: TokenEncoder = model.encoders["text"]  # ty: ignore[invalid-assignment]
        logits, targets = head.predictions(encoder, batches["text"], generator)
        total, count = masked_language_sum(logits, targets)
        return {"masked_language": Term(total, float(count))}
