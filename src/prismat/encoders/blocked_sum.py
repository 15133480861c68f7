"""Sums of costly messages over edges, a block of edges at a time, computed again in the backward pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch.autograd.function import once_differentiable

BLOCK = 2**20
"""Numbers that the rows of a block gather, for each thread of a processor: little beside its cache."""


@dataclass(frozen=True)
class Edges:
    """Which rows of which tables make a message, and where it goes.

    Attributes:
        index: the row of each table, shape (tables, edges); that of the first is the receiver.
        count: equal edges that each stands for, shape (edges,).
    """

    index: Int[torch.Tensor, "tables edges"]
    count: Float[torch.Tensor, " edges"]

    def blocks(self, tables: tuple[torch.Tensor, ...]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Index and count of the edges of each block; all at once on an accelerator."""
        step = max(1, self.index.shape[1])
        if tables[0].device.type == "cpu":
            step = max(1, BLOCK * torch.get_num_threads() // sum(t.shape[1] for t in tables))
        for start in range(0, self.index.shape[1], step):
            yield self.index[:, start : start + step], self.count[start : start + step, None]


@dataclass(frozen=True)
class Message:
    """How rows of tables become a message.

    Attributes:
        function: gathered rows of every table → messages, shape (rows, width).
        width: of a message.
        tables: how many tables there are.
    """

    function: Callable[..., torch.Tensor]
    width: int
    tables: int


class BlockedSum(torch.autograd.Function):
    """Σ_e c_e m(x_{i(e)}, y_{j(e)}, …) over the edges e of each receiver i.

    No array of a row per edge goes through memory or waits there for the backward pass, which computes the
    messages once more. On a processor that is faster, and memory no longer grows with edges and layers.
    """

    @staticmethod
    def forward(
        ctx: Any, message: Message, edges: Edges, *inputs: torch.Tensor
    ) -> Float[torch.Tensor, "nodes width"]:
        """The sums, by rows of the first table; ``inputs`` are the tables, then the parameters of m."""
        ctx.message, ctx.edges = message, edges
        ctx.save_for_backward(*inputs)
        ctx.autocast = _autocast(inputs[0].device.type)
        tables = inputs[: message.tables]
        total = tables[0].new_zeros(len(tables[0]), message.width)
        for index, count in edges.blocks(tables):
            rows = (t.index_select(0, i) for t, i in zip(tables, index, strict=True))
            total.index_add_(0, index[0], message.function(*rows) * count)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[torch.Tensor, "nodes width"]) -> tuple[torch.Tensor | None, ...]:
        """Gradients of tables and parameters."""
        n = ctx.message.tables
        tables, parameters = ctx.saved_tensors[:n], ctx.saved_tensors[n:]
        found = [torch.zeros_like(x) for x in ctx.saved_tensors]
        device, dtype, enabled = ctx.autocast
        for index, count in ctx.edges.blocks(tables):
            rows = [t.index_select(0, i).requires_grad_() for t, i in zip(tables, index, strict=True)]
            with torch.enable_grad(), torch.autocast(device, dtype, enabled=enabled):
                messages = ctx.message.function(*rows)
            pull = (grad.index_select(0, index[0]) * count).to(messages.dtype)
            grads = torch.autograd.grad(messages, (*rows, *parameters), pull)
            for total, part, i in zip(found[:n], grads[:n], index, strict=True):
                total.index_add_(0, i, part)
            for total, part in zip(found[n:], grads[n:], strict=True):
                total.add_(part)
        return None, None, *found


def _autocast(device: str) -> tuple[str, torch.dtype, bool]:
    """The state of autocast, to be restored in the backward pass."""
    return device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
