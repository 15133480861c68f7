"""Polarizable atom interaction network, PaiNN (Schütt, Unke & Gastegger, ICML 2021, PMLR 139, 9377)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.bessel import BesselBasis, cosine_cutoff
from prismat.encoders.layers import AtomEmbedding, pool_mean
from prismat.encoders.painn_message import MessagePlan, MessageSum
from prismat.encoders.shells import Shells
from prismat.modalities.structure import StructureBatch

_SMOOTHING = 1e-8
"""Added to a squared length, whose root has no slope at zero; the vectors of symmetric sites are zero."""


@dataclass(frozen=True)
class PainnConfig:
    """Size of a PaiNN.

    Attributes:
        width: features per atom, of scalars and of vectors (paper: 128).
        layers: message and update blocks (paper: 3).
        out: width of the crystal feature.
        functions: Bessel functions of the radial basis (paper: 20).
        cutoff: Å, where messages fade out (paper: 5). The graph here is that of the nearest neighbours up to
            8 Å: a shorter cutoff silences atoms whose neighbours are all farther, so 8 Å it is by default.
    """

    width: int = 128
    layers: int = 3
    out: int = 128
    functions: int = 20
    cutoff: float = 8.0


class PainnMessage(nn.Module):
    """Scalar part of a message block: φ(s) = W₂ silu(W₁ s + b₁) + b₂, eq. 7."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(
        self,
        state: Float[torch.Tensor, "4 nodes width"],
        filters: Float[torch.Tensor, "3 shells width"],
        plan: MessagePlan,
    ) -> Float[torch.Tensor, "4 nodes width"]:
        """Scalars and vectors after the messages of all neighbours, eqs. 7 and 8.

        Δs_i = Σ_j φ_s(s_j) ⊙ W_s(d_ij),
        Δv_i = Σ_j v_j ⊙ φ_vv(s_j) ⊙ W_vv(d_ij) + φ_vs(s_j) ⊙ W_vs(d_ij) r̂_ij.
        """
        phi = self.net(state[0]).to(state.dtype)
        scalar, length, gate = phi.chunk(3, dim=1)
        # What depends on the sender alone is multiplied once per node, before shells read it.
        features = torch.cat([torch.stack([scalar, length]), state[1:] * gate])
        return state + MessageSum.apply(features, filters, plan.weights, plan)


class PainnUpdate(nn.Module):
    """Update block: scalars and vectors of one atom mixed, eqs. 9 and 10."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, 2 * width, bias=False)
        self.net = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(self, state: Float[torch.Tensor, "4 nodes width"]) -> Float[torch.Tensor, "4 nodes width"]:
        """Scalars and vectors after the update.

        Δs_i = a_ss + a_sv ⟨U v_i, V v_i⟩,  Δv_i = a_vv U v_i, where a is a network of s_i and ‖V v_i‖.
        """
        scalar, vector = state[0], state[1:]
        left, right = self.mix(vector).to(state.dtype).chunk(2, dim=2)
        length = (right.square().sum(0) + _SMOOTHING).sqrt()
        plain, inner, gate = self.net(torch.cat([scalar, length], dim=1)).to(state.dtype).chunk(3, dim=1)
        change = torch.addcmul(plain, inner, (left * right).sum(0))
        return state + torch.cat([change[None], gate * left])


class Painn(nn.Module):
    """Crystal → (batch, out): atom embedding, message and update blocks, mean of the scalars over atoms.

    Vectors turn with the crystal, and are mirrored with it: O(3)-equivariant, without axial vectors. Scalars
    and output are invariant. Exact on symmetry-reduced graphs: the vector at an atom is that at its orbit's
    representative, turned by the operation between the two.
    """

    def __init__(self, config: PainnConfig = PainnConfig()) -> None:
        super().__init__()
        self.config = config
        self.embedding = AtomEmbedding(config.width)
        self.basis = BesselBasis(config.cutoff, config.functions)
        # The filters of all layers, so that the radial basis is read once.
        self.filters = nn.Linear(config.functions, 3 * config.layers * config.width)
        self.messages = nn.ModuleList(PainnMessage(config.width) for _ in range(config.layers))
        self.updates = nn.ModuleList(PainnUpdate(config.width) for _ in range(config.layers))
        self.head = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, config.out)
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out)."""
        return self.head(pool_mean(self._state(batch)[0], batch))

    def atoms(
        self, batch: StructureBatch
    ) -> tuple[Float[torch.Tensor, "nodes width"], Float[torch.Tensor, "nodes 3 width"]]:
        """Scalars, and vectors in Cartesian axes, of every node after the last block."""
        state = self._state(batch)
        return state[0], state[1:].transpose(0, 1)

    def _state(self, batch: StructureBatch) -> Float[torch.Tensor, "4 nodes width"]:
        """Scalar and three components of the vector of every node."""
        shells = Shells.of(batch)
        plan, filters = MessagePlan.of(batch, shells), self._filters(shells)
        scalar = self.embedding(batch).to(filters[0].dtype)
        state = torch.cat([scalar[None], scalar.new_zeros(3, *scalar.shape)])
        for filter_, message, update in zip(filters, self.messages, self.updates, strict=True):
            state = update(message(state, filter_, plan))
        return state

    def _filters(self, shells: Shells) -> tuple[Float[torch.Tensor, "3 shells width"], ...]:
        """W(d) = (basis(d) W + b) f_c(d) of each layer."""
        fade = cosine_cutoff(shells.distance, self.config.cutoff)[:, None]
        radial = torch.cat([self.basis(shells.distance) * fade, fade], dim=1)
        weight = torch.cat([self.filters.weight, self.filters.bias[:, None]], dim=1)
        weight = weight.view(self.config.layers * 3, self.config.width, -1).transpose(1, 2)
        filters = (radial @ weight).to(weight.dtype)
        return filters.view(self.config.layers, 3, *filters.shape[1:]).unbind(0)
