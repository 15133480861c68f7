"""The joint model: one encoder per modality, and projections to shared spheres."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.embedded import Embedded

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


@runtime_checkable
class Selective(Protocol):
    """An encoder that shows each partner's projection only some of its columns."""

    def columns_for(self, partner: str | None) -> list[int]:
        """Columns that the projection meant for ``partner`` may see."""
        ...


class Projection(nn.Module):
    """Features → unit vector.

    Args:
        width: of the features it is given.
        config: size.
        columns: those of the features that it reads; all where left out.
    """

    def __init__(self, width: int, config: ProjectionConfig, columns: list[int] | None = None) -> None:
        super().__init__()
        self.columns = columns if columns is not None and len(columns) < width else None
        width = len(self.columns) if self.columns is not None else width
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
        features = features if self.columns is None else features[:, self.columns]
        projected = self.net(features)
        return nn.functional.normalize(
            projected.to(torch.promote_types(projected.dtype, torch.float32)), dim=1
        )


def key_of(modality: str, partner: str | None) -> str:
    """Name of one embedding: ``structure`` where shared, ``structure@text`` where meant for a partner."""
    return modality if partner is None else f"{modality}@{partner}"


class JointModel(nn.Module):
    """Encoders and projections of all modalities.

    Args:
        encoders: by modality name; each maps its batch to (batch, encoder.width) and has ``width``.
        config: the projections.
    """

    def __init__(self, encoders: dict[str, nn.Module], config: ProjectionConfig = ProjectionConfig()) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict(encoders)
        self.projections = nn.ModuleDict(
            {
                key_of(name, partner): Projection(
                    encoder.width,  # ty: ignore[invalid-argument-type]
                    config,
                    encoder.columns_for(partner) if isinstance(encoder, Selective) else None,
                )
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
        present = {name: batch.present for name, batch in batches.items()}  # ty: ignore[missing-attribute]
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
