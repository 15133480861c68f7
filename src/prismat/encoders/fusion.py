"""Graph and text fused into one vector, and a property from it (CrysMMNet, Das et al., UAI 2023)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError

Fusion = Literal["concat", "sum", "average"]
"""How vectors of one record become one: behind one another (published), added, or averaged."""


@dataclass(frozen=True)
class FusionConfig:
    """Size of the trained part beside the graph network; the defaults are CrysMMNet's.

    Attributes:
        kind: how graph and text are fused.
        text: width of the text's vector under ``concat`` (paper: 64) and of text alone; what is added or
            averaged has the graph's width.
        text_hidden: width between the two layers over the text (paper: 128).
        hidden: width of the hidden layer of the perceptron (the paper's code: 64).
    """

    kind: Fusion = "concat"
    text: int = 64
    text_hidden: int = 128
    hidden: int = 64


class TextProjection(nn.Module):
    """z ↦ W₂ ReLU(W₁ √n z), n the width of z: eq. 6 of CrysMMNet for a unit vector z.

    The published layers read the encoder's own output, whose last operation is a layer norm: its length is
    about √n. There is no bias, so a text that is missing (z = 0) becomes 0.
    """

    def __init__(self, embedding: int, hidden: int, out: int) -> None:
        super().__init__()
        self.scale = sqrt(embedding)
        self.first = nn.Linear(embedding, hidden, bias=False)
        self.second = nn.Linear(hidden, out, bias=False)

    def forward(self, embedding: Float[torch.Tensor, "batch embedding"]) -> Float[torch.Tensor, "batch out"]:
        """Text vectors, shape (batch, out)."""
        return self.second(torch.relu(self.first(self.scale * embedding)))


def fuse(
    vectors: Sequence[Float[torch.Tensor, "batch _"]],
    present: Sequence[Bool[torch.Tensor, " batch"]],
    kind: Fusion,
) -> Float[torch.Tensor, "batch fused"]:
    """One vector per record; what is absent counts as zero, and not at all in an average.

    Args:
        vectors: one array per window, each of shape (batch, width); of one width but for ``concat``.
        present: which records have the window, each of shape (batch,).
        kind: how.
    """
    masked = [
        torch.where(there[:, None], v, torch.zeros_like(v)) for v, there in zip(vectors, present, strict=True)
    ]
    if kind == "concat":
        return torch.cat(masked, dim=1)
    total = torch.stack(masked).sum(dim=0)
    if kind == "sum":
        return total
    count = torch.stack(list(present)).sum(dim=0).clamp_min(1)
    return total / count[:, None].to(total.dtype)


class FusionNetwork(nn.Module):
    """Batches of ``structure`` and ``text`` → one standardised number per record.

    Args:
        config: sizes and the way of fusing.
        graph: encoder of structures with a ``width``; None for text alone (CrysTextNet).
        embedding: width of the frozen text embedding; 0 for the graph alone.

    Raises:
        BadInputError: neither graph nor text.
    """

    def __init__(self, config: FusionConfig, graph: nn.Module | None, embedding: int) -> None:
        super().__init__()
        if graph is None and not embedding:
            raise BadInputError(
                "a property needs a graph or a text to be predicted from", field="parts", remedy="Name one."
            )
        self.config, self.graph = config, graph
        of_graph = int(graph.width) if graph is not None else 0  # ty: ignore[invalid-argument-type]
        of_text = config.text if config.kind == "concat" or graph is None else of_graph
        self.text = TextProjection(embedding, config.text_hidden, of_text) if embedding else None
        widths = [of_graph] * (graph is not None) + [of_text] * bool(embedding)
        fused = sum(widths) if config.kind == "concat" else widths[0]
        self.head = nn.Sequential(nn.Linear(fused, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 1))

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters; the text encoder is frozen and not among them."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def forward(self, batches: Mapping[str, Any]) -> Float[torch.Tensor, " batch"]:
        """Standardised predictions, shape (batch,).

        Args:
            batches: ``structure`` for the graph, ``text`` (frozen embeddings) for the text.
        """
        vectors, present = [], []
        if self.graph is not None:
            vectors.append(self.graph(batches["structure"]))
            present.append(batches["structure"].present)
        if self.text is not None:
            vectors.append(self.text(batches["text"].embedding))
            present.append(batches["text"].present)
        return self.head(fuse(vectors, present, self.config.kind))[:, 0]
