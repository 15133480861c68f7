"""Property vectors with missing entries to features: masked standardisation and two layers."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError
from prismat.modalities.properties import PropertiesBatch


@dataclass(frozen=True)
class PropertiesEncoderConfig:
    """Size of the encoder.

    Attributes:
        entries: of a property vector.
        hidden: width of the hidden layer.
        out: width of the output.
        entry_dropout: chance of hiding a given entry in training, so that a target that names few of them
            works as a query; a record keeps at least one.
        memory: values per entry after which its statistics forget the oldest.

    Raises:
        BadInputError: a size below 1, or a chance outside 0 to 1.
    """

    entries: int = 1
    hidden: int = 256
    out: int = 128
    entry_dropout: float = 0.3
    memory: int = 1_000_000

    def __post_init__(self) -> None:
        sizes = (self.entries, self.hidden, self.out, self.memory)
        if min(sizes) < 1 or not 0 <= self.entry_dropout < 1:
            raise BadInputError(
                f"sizes {sizes} and an entry dropout of {self.entry_dropout}",
                field="PropertiesEncoderConfig",
                remedy="Give sizes from 1 and a chance from 0 to below 1.",
            )


class MaskedStandardisation(nn.Module):
    """(x − mean) / standard deviation of each entry, over the values given for it in training so far.

    The statistics merge those of each training batch, weighted by how many values it gives (T. F. Chan,
    G. H. Golub & R. J. LeVeque, Am. Stat. 37, 242 (1983)). They, not the batch's own, serve in training
    too: one value of a rare property has no spread of its own. Entries never seen become zero, and results
    are cut to ±``limit``, so that a target far from all data stays a target.
    """

    mean: torch.Tensor
    var: torch.Tensor
    count: torch.Tensor

    def __init__(self, entries: int, memory: int = 1_000_000, limit: float = 10.0) -> None:
        super().__init__()
        self.memory, self.limit = memory, limit
        self.register_buffer("mean", torch.zeros(entries))
        self.register_buffer("var", torch.zeros(entries))
        self.register_buffer("count", torch.zeros(entries))

    def forward(
        self, values: Float[torch.Tensor, "batch entries"], mask: Bool[torch.Tensor, "batch entries"]
    ) -> Float[torch.Tensor, "batch entries"]:
        """Standardised values, 0 where masked or never seen."""
        if self.training:
            self.update(values, mask)
        # Rounding must not pass for spread where a property is the same everywhere.
        floor = (1e-6 * self.mean).square() + 1e-24
        scaled = (values.to(self.mean.dtype) - self.mean) * torch.rsqrt(self.var + floor)
        known = mask & (self.count > 0)
        return torch.where(known, scaled.clamp(-self.limit, self.limit), 0)

    @torch.no_grad()
    def update(
        self, values: Float[torch.Tensor, "batch entries"], mask: Bool[torch.Tensor, "batch entries"]
    ) -> None:
        """Merges mean and variance of the values given in one batch."""
        weight = mask.to(self.mean.dtype)
        new = weight.sum(0)
        # Differences from a known value first: squares of large numbers would cancel.
        apart = (values.to(self.mean.dtype) - self.mean) * weight
        shift = apart.sum(0) / new.clamp_min(1)
        spread = ((apart - shift) * weight).square().sum(0) / new.clamp_min(1)
        share = new / (self.count + new).clamp_min(1)
        self.var.copy_((1 - share) * self.var + share * spread + share * (1 - share) * shift.square())
        self.mean.add_(share * shift)
        self.count.copy_((self.count + new).clamp_max(self.memory))


class PropertiesEncoder(nn.Module):
    """Properties → (batch, out): standardised values beside their mask through two layers.

    f(p) = W₂ GELU(W₁ [z ⊕ m] + b₁) + b₂ with z the standardised values, zero where missing, and m the mask,
    which tells a missing value from a mean one. In evaluation no record sees another.
    """

    def __init__(self, config: PropertiesEncoderConfig = PropertiesEncoderConfig()) -> None:
        super().__init__()
        self.config = config
        self.standardisation = MaskedStandardisation(config.entries, config.memory)
        self.net = nn.Sequential(
            nn.Linear(2 * config.entries, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.out)
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: PropertiesBatch) -> Float[torch.Tensor, "batch out"]:
        """Features of each record, shape (batch, out).

        Raises:
            BadInputError: vectors of another number of entries than the encoder was made for.
        """
        if batch.values.shape[1] != self.config.entries:
            raise BadInputError(
                f"{batch.values.shape[1]} properties, the encoder reads {self.config.entries}",
                field="properties",
                remedy="Use the properties that the model was trained with.",
            )
        scaled = self.standardisation(batch.values, batch.mask)
        # An entry that training never saw says nothing, not even that it is given.
        mask = batch.mask & (self.standardisation.count > 0)
        if self.training and self.config.entry_dropout:
            mask = hide_entries(mask, self.config.entry_dropout)
        return self.net(torch.cat([torch.where(mask, scaled, 0), mask.to(scaled.dtype)], dim=1))


def hide_entries(
    mask: Bool[torch.Tensor, "batch entries"], chance: float
) -> Bool[torch.Tensor, "batch entries"]:
    """Hides given entries by chance; of each record the entry that drew highest stays."""
    draw = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, -1)
    return mask & ((draw >= chance) | (draw == draw.amax(1, keepdim=True)))
