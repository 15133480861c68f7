"""A batch in the joint space: what models give and objectives take."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Embedded:
    """A batch in the joint space.

    Attributes:
        embeddings: unit vectors by modality, each of shape (batch, dim).
        present: which records have the modality, each of shape (batch,).
        toward: unit vectors meant for one partner, keyed (modality, partner), where a model has a head per
            pair; they replace ``embeddings`` in that pair.
        views: a second embedding of a modality, for terms within one modality.
        anchor: the modality that others are compared with, or None for all pairs.
        same: records known to be equal (same text, duplicate structure); never each other's negatives,
            shape (batch, batch).
        auxiliary: further losses already computed, by name.
    """

    embeddings: dict[str, Float[torch.Tensor, "batch dim"]]
    present: dict[str, Bool[torch.Tensor, " batch"]]
    toward: dict[tuple[str, str], Float[torch.Tensor, "batch dim"]] = field(default_factory=dict)
    views: dict[str, Float[torch.Tensor, "batch dim"]] = field(default_factory=dict)
    anchor: str | None = None
    same: Bool[torch.Tensor, "batch batch"] | None = None
    auxiliary: dict[str, Float[torch.Tensor, ""]] = field(default_factory=dict)

    def tensors(self) -> dict[tuple[str, ...], Float[torch.Tensor, "batch dim"]]:
        """Every array of embeddings, by kind and names."""
        found: dict[tuple[str, ...], torch.Tensor] = {
            ("embeddings", w): v for w, v in self.embeddings.items()
        }
        found |= {("toward", *pair): v for pair, v in self.toward.items()}
        return found | {("views", w): v for w, v in self.views.items()}

    def with_tensors(
        self,
        tensors: dict[tuple[str, ...], Float[torch.Tensor, "records dim"]],
        present: dict[str, Bool[torch.Tensor, " records"]],
    ) -> "Embedded":
        """The same windows with other records: arrays as ``tensors`` gives them, and who has what."""
        return replace(
            self,
            embeddings={key[1]: v for key, v in tensors.items() if key[0] == "embeddings"},
            toward={(key[1], key[2]): v for key, v in tensors.items() if key[0] == "toward"},
            views={key[1]: v for key, v in tensors.items() if key[0] == "views"},
            present=present,
        )

    def pair(
        self, a: str, b: str
    ) -> tuple[Float[torch.Tensor, "batch dim"], Float[torch.Tensor, "batch dim"]]:
        """The two embeddings that meet when modality ``a`` is compared with ``b``."""
        left = self.toward[a, b] if (a, b) in self.toward else self.embeddings[a]
        right = self.toward[b, a] if (b, a) in self.toward else self.embeddings[b]
        return left, right

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every unordered pair of modalities, or those with the anchor where there is one."""
        names = list(self.present)
        found = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        return [p for p in found if self.anchor is None or self.anchor in p]
