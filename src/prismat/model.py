"""The joint model: one encoder per modality, projections to a shared sphere, saved as JSON and safetensors."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.objectives.base import Embedded

Heads = Literal["shared", "pair"]


@dataclass(frozen=True)
class ProjectionConfig:
    """From an encoder's features to the joint space.

    Attributes:
        dim: dimension of the joint space (128, 256 or 512).
        hidden: width of the hidden layer; 0 for a linear projection.
        dropout: before the last layer.
        heads: ``shared`` for one projection per modality, ``pair`` for one per modality and partner:
            windows that conflict (title against pattern) then do not share their last layers.
    """

    dim: int = 256
    hidden: int = 512
    dropout: float = 0.1
    heads: Heads = "pair"


class Projection(nn.Module):
    """Features → unit vector."""

    def __init__(self, width: int, config: ProjectionConfig) -> None:
        super().__init__()
        if config.hidden:
            self.net: nn.Module = nn.Sequential(
                nn.Linear(width, config.hidden),
                nn.LayerNorm(config.hidden),
                nn.GELU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.hidden, config.dim),
            )
        else:
            self.net = nn.Linear(width, config.dim)

    def forward(self, features: Float[torch.Tensor, "batch width"]) -> Float[torch.Tensor, "batch dim"]:
        """L2-normalised projection in at least single precision."""
        return nn.functional.normalize(self.net(features).float(), dim=1)


def key_of(modality: str, partner: str | None) -> str:
    """Name of one embedding: ``structure`` where shared, ``structure@text`` where meant for a partner."""
    return modality if partner is None else f"{modality}@{partner}"


class JointModel(nn.Module):
    """Encoders and projections of all modalities.

    Args:
        encoders: by modality name; each maps its batch to (batch, encoder.width) and has ``width``.
        config: the projections.
    """

    def __init__(self, encoders: dict[str, nn.Module], config: ProjectionConfig = ProjectionConfig()) -> None:  # noqa: B008
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict(encoders)
        self.projections = nn.ModuleDict(
            {
                key_of(name, partner): Projection(encoder.width, config)  # ty: ignore[invalid-argument-type]
                for name, encoder in encoders.items()
                for partner in self.partners(name)
            }
        )

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities, in order."""
        return list(self.encoders)

    def partners(self, modality: str) -> list[str | None]:
        """For whom a modality has a projection of its own; [None] where one serves all."""
        if self.config.heads == "shared":
            return [None]
        return [other for other in self.encoders if other != modality]

    def embed(self, modality: str, batch: object) -> dict[str, Float[torch.Tensor, "batch dim"]]:
        """Unit vectors of one modality's batch under every key it has, each of shape (batch, dim)."""
        features = self.encoders[modality](batch)
        return {
            key: self.projections[key](features)
            for key in (key_of(modality, p) for p in self.partners(modality))
        }

    def forward(
        self, batches: dict[str, object], same: Bool[torch.Tensor, "batch batch"] | None = None
    ) -> Embedded:
        """Embeds all modalities of a batch; each modality's batch tells which records are present."""
        present = {name: batch.present for name, batch in batches.items()}  # ty: ignore[unresolved-attribute]
        embeddings, toward = {}, {}
        for name, batch in batches.items():
            for key, vectors in self.embed(name, batch).items():
                if "@" in key:
                    toward[(name, key.split("@")[1])] = vectors
                else:
                    embeddings[name] = vectors
        return Embedded(embeddings, present, toward, same=same)

    @property
    def n_parameters(self) -> int:
        """Number of trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
