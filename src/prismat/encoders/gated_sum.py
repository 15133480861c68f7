"""Gated messages summed over edges: the hot loop of crystal graph convolution, with its own gradient."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.autograd.function import once_differentiable

BLOCK = 8192
"""Edges handled at once by each thread of a processor, so that their gates stay in its cache."""


class GatedSum(torch.autograd.Function):
    """Σ_j σ(f_ij) ⊙ softplus(c_ij) over the edges of each receiver, f_ij ⊕ c_ij = r_i + s_j + u_ij W.

    Gates live one block at a time. What the backward pass needs of them, the slopes of σ(f) ⊙ softplus(c) by
    f ⊕ c, is the only thing of size edges × gates that goes through memory, in the type of ``radial``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        radial: Float[torch.Tensor, "edges centers"],
        weight: Float[torch.Tensor, "centers gates"],
        receiver: Float[torch.Tensor, "nodes gates"],
        sender: Float[torch.Tensor, "nodes gates"],
        edges: Int[torch.Tensor, "2 edges"],
    ) -> Float[torch.Tensor, "nodes width"]:
        """The sums; ``edges`` holds receiving and sending node of each edge."""
        width = receiver.shape[1] // 2
        total = receiver.new_zeros(len(receiver), width)
        slopes = radial.new_empty(len(radial), 2 * width) if any(ctx.needs_input_grad) else None
        for block in _blocks(radial):
            i, j = edges[:, block]
            gates = receiver.index_select(0, i).add_(sender.index_select(0, j))
            core = nn.functional.softplus(_add_product(gates, radial[block], weight)[:, width:])
            of_gate, of_core = gates.sigmoid_().chunk(2, dim=1)
            message = core.mul_(of_gate)
            total.index_add_(0, i, message)
            if slopes is not None:
                of_core.mul_(of_gate)  # softplus′ = σ
                torch.addcmul(message, message, of_gate, value=-1, out=of_gate)  # σ′ = σ − σ²
                slopes[block] = gates
        ctx.save_for_backward(radial, weight, slopes, edges)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[torch.Tensor, "nodes width"]) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the first four arguments."""
        radial, weight, slopes, edges = ctx.saved_tensors
        of_radial = torch.empty_like(radial) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight, dtype=grad.dtype)
        of_receiver = grad.new_zeros(len(grad), weight.shape[1])
        of_sender = torch.zeros_like(of_receiver)
        twice = torch.cat([grad, grad], dim=1)
        for block in _blocks(radial):
            i, j = edges[:, block]
            of_gates = twice.index_select(0, i).mul_(slopes[block])
            of_receiver.index_add_(0, i, of_gates)
            of_sender.index_add_(0, j, of_gates)
            of_gates = of_gates.to(radial.dtype)
            _add_product(of_weight, radial[block].t(), of_gates)
            if of_radial is not None:
                of_radial[block] = of_gates @ weight.t()
        return of_radial, of_weight.to(weight.dtype), of_receiver, of_sender, None


def _blocks(radial: torch.Tensor) -> Iterator[slice]:
    """Ranges of edges; a single one on an accelerator."""
    step = BLOCK * torch.get_num_threads() if radial.device.type == "cpu" else max(1, len(radial))
    return (slice(start, start + step) for start in range(0, len(radial), step))


def product_dtype(weight: torch.Tensor) -> torch.dtype:
    """Type of the factors of products: autocast's where that is on, else the parameters'."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Adds left @ right in place; factors of half precision are summed in that of ``total``."""
    return total.addmm_(left, right) if total.dtype == left.dtype else total.add_(left @ right)
