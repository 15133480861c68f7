"""Sums, copies and softmax over groups of rows: edges of a node, nodes of a crystal.

Each of sum and copy is the other's gradient. Both read rows through a list of positions, so that no row is
gathered or added one at a time.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Groups:
    """Which rows belong together.

    Attributes:
        index: group of each row, shape (rows,).
        order: rows by group, shape (rows,).
        first: position in ``order`` of the first row of each group, shape (groups,).
    """

    index: Int[torch.Tensor, " rows"]
    order: Int[torch.Tensor, " rows"]
    first: Int[torch.Tensor, " groups"]

    @classmethod
    def of(cls, index: Int[torch.Tensor, " rows"], size: int, ascending: bool = True) -> "Groups":
        """Groups 0 … size − 1 from the group of each row.

        Args:
            index: group of each row, shape (rows,).
            size: number of groups, empty ones included.
            ascending: whether ``index`` is sorted already.
        """
        count = torch.bincount(index, minlength=size)
        order = torch.arange(len(index), device=index.device) if ascending else index.argsort(stable=True)
        return cls(index, order, count.cumsum(0) - count)

    def refined(self, parts: int) -> "Groups":
        """The same groups where each row is split in ``parts`` consecutive rows."""
        inner = torch.arange(parts, device=self.index.device)
        order = (self.order[:, None] * parts + inner).flatten()
        return Groups(self.index.repeat_interleave(parts), order, self.first * parts)


def bag(
    rows: Int[torch.Tensor, " items"],
    values: Float[torch.Tensor, "rows width"],
    first: Int[torch.Tensor, " groups"],
    weight: Float[torch.Tensor, " items"] | None = None,
) -> Float[torch.Tensor, "groups width"]:
    """Σ w_k x_{rows[k]} over the items k of each group, which begin at ``first``; it has no gradient."""
    add = nn.functional.embedding_bag
    return add(rows, values.contiguous(), first, mode="sum", per_sample_weights=weight)


class GroupSum(torch.autograd.Function):
    """Σ_e w_e x_e over the rows e of each group."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Float[torch.Tensor, "rows width"],
        weight: Float[torch.Tensor, " rows"] | None,
        groups: Groups,
    ) -> Float[torch.Tensor, "groups width"]:
        """The sums, shape (groups, width)."""
        ctx.groups = groups
        ctx.save_for_backward(values if ctx.needs_input_grad[1] else None, weight)
        ordered = None if weight is None else weight.index_select(0, groups.order)
        return bag(groups.order, values, groups.first, ordered)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[torch.Tensor, "groups width"]) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values and weights."""
        values, weight = ctx.saved_tensors
        rows = grad.index_select(0, ctx.groups.index)
        of_weight = None if values is None else torch.einsum("ew,ew->e", rows, values)
        return rows if weight is None else rows.mul_(weight[:, None]), of_weight, None


class Spread(torch.autograd.Function):
    """x_g copied to the rows of each group g."""

    @staticmethod
    def forward(
        ctx: Any, values: Float[torch.Tensor, "groups width"], groups: Groups
    ) -> Float[torch.Tensor, "rows width"]:
        """The copies, shape (rows, width)."""
        ctx.groups = groups
        return values.index_select(0, groups.index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[torch.Tensor, "rows width"]) -> tuple[torch.Tensor, None]:
        """Gradient of the values."""
        return bag(ctx.groups.order, grad, ctx.groups.first), None


def group_sum(
    values: Float[torch.Tensor, "rows width"],
    groups: Groups,
    weight: Float[torch.Tensor, " rows"] | None = None,
) -> Float[torch.Tensor, "groups width"]:
    """Sum of the rows of each group, each times its ``weight``; zero for an empty group."""
    return GroupSum.apply(values, weight, groups)


def spread(values: Float[torch.Tensor, "groups width"], groups: Groups) -> Float[torch.Tensor, "rows width"]:
    """The row of its group for each row."""
    return Spread.apply(values, groups)


def group_softmax(
    scores: Float[torch.Tensor, "rows heads"], groups: Groups, count: Float[torch.Tensor, " rows"]
) -> Float[torch.Tensor, "rows heads"]:
    """Softmax over the rows of each group where row e stands for ``count[e]`` equal rows.

    α_e = c_e exp(s_e) / Σ_f c_f exp(s_f): the sum of the attention of all rows that e stands for. The largest
    score of a group is taken off first, so that nothing overflows.
    """
    with torch.no_grad():
        top = nn.functional.embedding_bag(groups.order, scores.contiguous(), groups.first, mode="max")
        top = top.index_select(0, groups.index)
    raised = (scores - top).exp() * count[:, None]
    return raised / spread(group_sum(raised, groups), groups)
