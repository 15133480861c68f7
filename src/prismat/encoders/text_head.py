"""What is trained over frozen text features."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.clasp_mlp import ClaspMlp, ClaspMlpConfig
from prismat.errors import BadInputError
from prismat.modalities.chemistry_text import CHEMISTRY_WIDTH
from prismat.modalities.text import FrozenTextBatch


@dataclass(frozen=True)
class TextHeadConfig:
    """Size of the trained part over frozen text features.

    Attributes:
        embedding: width of the sentence embedding; 0 leaves it out.
        chemistry: width of the element channel; 0 leaves it out; of ``channels``.
        hidden: width of the sum and of the hidden layer, or of both hidden layers of ``clasp``.
        out: width of the output.
        dropout: on the sum and on the hidden layer; of ``channels``.
        kind: ``channels`` for the embedding beside the element channel (``TextHead``), ``clasp`` for CLaSP's
            perceptron over the embedding alone (``ClaspHead``), published with ``hidden`` and ``out`` of 768.
    """

    embedding: int = 384
    chemistry: int = CHEMISTRY_WIDTH
    hidden: int = 512
    out: int = 256
    dropout: float = 0.1
    kind: Literal["channels", "clasp"] = "channels"


class TextHead(nn.Module):
    """Sentence embedding and element channel → (batch, out).

    h = W_e LN(e) + W_c LN(c),  out = MLP(GELU(LN(h))): each part has its own scale and its own map, and the
    network after the sum lets them modulate one another.

    Raises:
        BadInputError: both parts are left out.
    """

    def __init__(self, config: TextHeadConfig = TextHeadConfig()) -> None:
        super().__init__()
        if not config.embedding and not config.chemistry:
            raise BadInputError(
                "a text head needs the embedding or the element channel", field="TextHeadConfig"
            )
        self.config = config
        self.embedding = _part(config.embedding, config.hidden)
        self.chemistry = _part(config.chemistry, config.hidden)
        self.net = nn.Sequential(
            nn.LayerNorm(config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.out),
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: FrozenTextBatch) -> Float[torch.Tensor, "batch out"]:
        """Text features, shape (batch, out)."""
        parts = [(self.embedding, batch.embedding), (self.chemistry, batch.chemistry)]
        return self.net(torch.stack([part(values) for part, values in parts if part is not None]).sum(dim=0))


def _part(width: int, hidden: int) -> nn.Module | None:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden)) if width else None


class ClaspHead(nn.Module):
    """Sentence embedding → (batch, out) through CLaSP's perceptron; the element channel is not read.

    Raises:
        BadInputError: the embedding is left out.
    """

    def __init__(self, config: TextHeadConfig = TextHeadConfig(kind="clasp")) -> None:
        super().__init__()
        if not config.embedding:
            raise BadInputError(
                "CLaSP's head reads the embedding and nothing else",
                field="TextHeadConfig",
                remedy="Give it a width above 0.",
            )
        self.mlp = ClaspMlp(ClaspMlpConfig(config.embedding, config.hidden, config.out))

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.mlp.width

    def forward(self, batch: FrozenTextBatch) -> Float[torch.Tensor, "batch out"]:
        """Text features, shape (batch, out)."""
        return self.mlp(batch.embedding, batch.present)


def text_head(config: TextHeadConfig) -> TextHead | ClaspHead:
    """The head of a configuration's kind."""
    return ClaspHead(config) if config.kind == "clasp" else TextHead(config)
