"""PaiNN's messages summed over neighbours: the hot loop, with its own gradient.

A message is linear in the direction r̂_ij and in the rotation M_ij that turns the features kept at the
sender's orbit into those at the sending atom. So both are summed over a shell once, and then stand, with the
count, as fixed weights of one sparse sum that all layers share: no direction is multiplied out over features.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch.autograd.function import once_differentiable

from prismat.encoders.segment import bag, group_sum
from prismat.encoders.shells import Shells
from prismat.modalities.structure import StructureBatch


@dataclass(frozen=True)
class MessagePlan:
    """Which parts of a message go where.

    Five parts leave a shell: scalar, the length of a new vector, and the sender's vector by axis. Four arrive
    at a node: scalar, and vector by axis. Rows of either are numbered part by part.

    Attributes:
        sent: row of the sending node for each part of each shell, shape (5 · shells,).
        weights: count, Σ r̂ and Σ M of each shell, shape (shells, 13).
        inward, outward: for each term of the sum the row it comes from and the row it goes to, by ascending
            row of the latter and of the former, shape (13 · shells,).
        inward_first, outward_first: first term of each such row.
        inward_weight, outward_weight: entry of ``weights`` that each term is multiplied by.
        gather: shells by sending node, one block per part, shape (5 · shells,).
        gather_first: first of each node in each block, shape (5 · nodes,).
    """

    sent: Int[torch.Tensor, " leaving"]
    weights: Float[torch.Tensor, "shells 13"]
    inward: Int[torch.Tensor, " terms"]
    inward_first: Int[torch.Tensor, " arriving"]
    inward_weight: Int[torch.Tensor, " terms"]
    outward: Int[torch.Tensor, " terms"]
    outward_first: Int[torch.Tensor, " leaving"]
    outward_weight: Int[torch.Tensor, " terms"]
    gather: Int[torch.Tensor, " leaving"]
    gather_first: Int[torch.Tensor, " parts"]

    @classmethod
    def of(cls, batch: StructureBatch, shells: Shells) -> "MessagePlan":
        """The plan of a batch."""
        turn = batch.rotation.to(batch.vector.dtype).index_select(0, batch.sender_atom).flatten(1)
        direction = batch.vector / batch.distance[:, None]
        summed = group_sum(torch.cat([direction, turn], dim=1), shells.edges)
        n, shell = len(shells.count), torch.arange(len(shells.count), device=batch.vector.device)
        part = n * torch.arange(5, device=shell.device)
        leaving = shell[:, None] + part[1:]
        # Component l of a shell's vector: r̂_l of the length, M_kl of the sender's component k.
        axis = torch.arange(3, device=shell.device)
        entry = torch.cat([1 + axis[:, None], 4 + axis[:, None] + 3 * axis], dim=1)
        nodes, first = batch.n_nodes, shells.receiver.first
        arriving = shells.receiver.index[:, None] + nodes * torch.arange(4, device=shell.device)
        return cls(
            sent=(shells.sender.index + nodes * torch.arange(5, device=shell.device)[:, None]).flatten(),
            weights=torch.cat([shells.count[:, None].to(summed.dtype), summed], dim=1),
            inward=torch.cat([shell, leaving.flatten().repeat(3)]),
            inward_first=torch.cat([first, *(n + 4 * (n * k + first) for k in range(3))]),
            inward_weight=torch.cat([13 * shell, (13 * shell[:, None] + entry[:, None]).flatten()]),
            outward=torch.cat([arriving[:, 0], arriving[:, 1:].flatten().repeat(4)]),
            outward_first=torch.cat([shell, *(n + 3 * (n * k + shell) for k in range(4))]),
            outward_weight=torch.cat([13 * shell, (13 * shell[:, None] + entry.t()[:, None]).flatten()]),
            gather=(shells.sender.order + part[:, None]).flatten(),
            gather_first=(shells.sender.first + part[:, None]).flatten(),
        )


class MessageSum(torch.autograd.Function):
    """Σ_j of W ⊙ φ_j, eqs. 7 and 8 of PaiNN, over the shells of each node."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Float[torch.Tensor, "5 nodes width"],
        filters: Float[torch.Tensor, "3 shells width"],
        weights: Float[torch.Tensor, "shells 13"],
        plan: MessagePlan,
    ) -> Float[torch.Tensor, "4 nodes width"]:
        """Sums of scalars and vectors.

        Args:
            ctx: keeps what the gradient needs.
            features: φ_s, φ_vs, then φ_vv ⊙ v by axis, of the nodes.
            filters: W_s, W_vs and W_vv of the shells.
            weights: those of the plan, apart for the sake of their gradient.
            plan: of the batch.
        """
        ctx.plan = plan
        ctx.save_for_backward(features, filters, weights)
        message = _messages(features, filters, plan)
        terms = weights.flatten().index_select(0, plan.inward_weight)
        total = bag(plan.inward, message.flatten(0, 1), plan.inward_first, terms)
        return total.view(4, *features.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[torch.Tensor, "4 nodes width"]) -> tuple[torch.Tensor | None, ...]:
        """Gradients of features, filters and weights."""
        (features, filters, weights), plan = ctx.saved_tensors, ctx.plan
        terms = weights.flatten().index_select(0, plan.outward_weight)
        rows = grad.flatten(0, 1)
        of_message = bag(plan.outward, rows, plan.outward_first, terms)
        of_message = of_message.view(5, *filters.shape[1:])
        of_filters = _sent(features, plan).mul_(of_message)
        of_filters[2].add_(of_filters[3]).add_(of_filters[4])
        _filter(of_message, filters)
        of_features = bag(plan.gather, of_message.flatten(0, 1), plan.gather_first).view_as(features)
        of_weights = _weight_gradient(rows, features, filters, plan) if ctx.needs_input_grad[2] else None
        return of_features, of_filters[:3], of_weights, None


def _messages(features: torch.Tensor, filters: torch.Tensor, plan: MessagePlan) -> torch.Tensor:
    return _filter(_sent(features, plan), filters)


def _sent(features: torch.Tensor, plan: MessagePlan) -> torch.Tensor:
    """The five parts of each shell's sender, shape (5, shells, width)."""
    return features.flatten(0, 1).index_select(0, plan.sent).view(5, len(plan.weights), features.shape[2])


def _filter(parts: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Multiplies the five parts of each shell by its three filters, in place."""
    parts[:2].mul_(filters[:2])
    parts[2:].mul_(filters[2])
    return parts


def _weight_gradient(
    rows: torch.Tensor, features: torch.Tensor, filters: torch.Tensor, plan: MessagePlan
) -> torch.Tensor:
    """How the sums change with directions and counts, which only forces ask for."""
    message = _messages(features, filters, plan).flatten(0, 1)
    arriving = torch.bucketize(
        torch.arange(len(plan.inward), device=rows.device), plan.inward_first, right=True
    )
    slopes = (rows.index_select(0, arriving - 1) * message.index_select(0, plan.inward)).sum(1)
    of_weights = torch.zeros_like(plan.weights).flatten()
    return of_weights.index_add_(0, plan.inward_weight, slopes).view_as(plan.weights)
