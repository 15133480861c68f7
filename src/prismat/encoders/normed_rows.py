"""Weighted batch normalisation of many rows in blocks that stay in the cache, with its own gradient.

Bond angles outnumber atoms a hundredfold: what they cost is the number of times that their rows go through
memory. These pieces read and write each row a few times where one operation after another would do so twenty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import nn
from torch.autograd.function import once_differentiable

from prismat.encoders.gated_sum import product_dtype
from prismat.encoders.layers import WeightedBatchNorm

BLOCK = 2048
"""Rows handled at once by each thread of a processor."""


def blocks(count: int, device: torch.device) -> Iterator[slice]:
    """Ranges of 0 … count − 1; a single one on an accelerator."""
    step = BLOCK * torch.get_num_threads() if device.type == "cpu" else max(1, count)
    return (slice(start, start + step) for start in range(0, count, step))


@dataclass(frozen=True)
class Statistics:
    """Where a normalisation of rows takes mean and variance from.

    Attributes:
        share: weights of the rows that add up to one, shape (rows,).
        eps: added to the variance.
        running: mean and variance to use; those of the rows where None.
    """

    share: Float[torch.Tensor, " rows"]
    eps: float
    running: tuple[Float[torch.Tensor, " width"], Float[torch.Tensor, " width"]] | None

    @classmethod
    def of(cls, norm: WeightedBatchNorm, weight: Float[torch.Tensor, " rows"]) -> "Statistics":
        """Those of the rows in training, unless there are none; else the running ones."""
        share = weight.to(norm.weight.dtype)
        running = None if norm.training and len(weight) else (norm.running_mean, norm.running_var)
        return cls(share / share.sum().clamp_min(1e-9), norm.eps, running)

    def centre(
        self, rows: Float[torch.Tensor, "rows width"]
    ) -> tuple[Float[torch.Tensor, " width"], Float[torch.Tensor, " width"]]:
        """Takes the mean off the rows in place; the mean and the variance."""
        if self.running is not None:
            rows.sub_(self.running[0])
            return self.running[0].clone(), self.running[1].clone()
        mean = self.share @ rows
        variance = torch.zeros_like(mean)
        for block in blocks(len(rows), rows.device):
            variance += self.share[block] @ rows[block].sub_(mean).square()
        return mean, variance

    def backward(
        self,
        grad: Float[torch.Tensor, "rows width"],
        centred: Float[torch.Tensor, "rows width"],
        factor: Float[torch.Tensor, " width"],
        sums: tuple[Float[torch.Tensor, " width"], Float[torch.Tensor, " width"]],
    ) -> Float[torch.Tensor, "rows width"]:
        """Gradient of the rows from that of the normalised ones, in place.

        Args:
            grad: gradient of γ (x − mean) / σ + β, overwritten.
            centred: x − mean.
            factor: γ / σ.
            sums: Σ grad, and Σ grad ⊙ centred / σ².
        """
        if self.running is None:
            of_mean, of_deviation = sums
            for block in blocks(len(grad), grad.device):
                turned = torch.addcmul(of_mean, centred[block], of_deviation)
                grad[block].addcmul_(self.share[block, None], turned, value=-1)
        return grad.mul_(factor)


class NormedSilu(torch.autograd.Function):
    """SiLU(BN(x W))."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[torch.Tensor, "rows inputs"],
        matrix: Float[torch.Tensor, "inputs width"],
        scale: Float[torch.Tensor, " width"],
        bias: Float[torch.Tensor, " width"],
        statistics: Statistics,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The rows, and mean and variance in front of the normalisation, which carry no gradient."""
        centred = x.new_zeros(len(x), matrix.shape[1])
        add_product(centred, x, matrix)
        mean, variance = statistics.centre(centred)
        inverse, out = torch.rsqrt(variance + statistics.eps), torch.empty_like(centred)
        factor = scale * inverse
        for block in blocks(len(x), x.device):
            nn.functional.silu(torch.addcmul(bias, centred[block], factor, out=out[block]), inplace=True)
        ctx.statistics = statistics
        ctx.save_for_backward(x, matrix, centred, scale, bias, inverse)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the first four arguments."""
        x, matrix, centred, scale, bias, inverse = ctx.saved_tensors
        of_rows, factor = torch.empty_like(centred), scale * inverse
        of_bias, of_scale = torch.zeros_like(bias), torch.zeros_like(scale)
        for block in blocks(len(x), x.device):
            slope = silu_slope(torch.addcmul(bias, centred[block], factor))
            part = torch.mul(grad[block], slope, out=of_rows[block])
            of_bias += part.sum(0)
            of_scale += torch.mul(part, centred[block], out=slope).sum(0)
        of_scale *= inverse
        ctx.statistics.backward(of_rows, centred, factor, (of_bias, of_scale * inverse))
        of_rows = of_rows.to(matrix.dtype)
        of_x = (of_rows @ matrix.t()).to(x.dtype) if ctx.needs_input_grad[0] else None
        return of_x, x.to(matrix.dtype).t() @ of_rows, of_scale, of_bias, None


class NormedLayer(nn.Module):
    """SiLU(BN(W x)); the norm counts what each row stands for."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = WeightedBatchNorm(outputs)

    def forward(
        self, x: Float[torch.Tensor, "rows inputs"], weight: Float[torch.Tensor, " rows"]
    ) -> Float[torch.Tensor, "rows outputs"]:
        """New rows, in the precision of the parameters."""
        matrix = self.linear.weight.t().to(product_dtype(self.linear.weight))
        statistics = Statistics.of(self.norm, weight)
        # Statistics keep the parameters' precision; products alone have that of autocast.
        with torch.autocast(x.device.type, enabled=False):
            rows = x.to(self.linear.weight.dtype)
            out, mean, variance = NormedSilu.apply(rows, matrix, self.norm.weight, self.norm.bias, statistics)
            if statistics.running is None:
                self.norm.update(mean, variance)
        return out


def add_product(
    total: Float[torch.Tensor, "rows width"],
    left: Float[torch.Tensor, "rows inner"],
    right: Float[torch.Tensor, "inner width"],
) -> None:
    """Adds left @ right in place; where ``right`` has half precision, so has the product."""
    if right.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left.to(right.dtype) @ right)


def silu_slope(x: Float[torch.Tensor, "rows width"]) -> Float[torch.Tensor, "rows width"]:
    """Derivative of x σ(x), that is σ + x σ (1 − σ); ``x`` is overwritten."""
    gate = x.sigmoid()
    return torch.addcmul(gate, x.mul_(gate), 1 - gate)
