"""Symmetric cross-entropy of a similarity matrix, at once or in blocks of rows."""

import torch
from jaxtyping import Bool, Float
from torch import nn
from torch.utils.checkpoint import checkpoint


def off_diagonal(same: Bool[torch.Tensor, "batch batch"]) -> Bool[torch.Tensor, "batch batch"]:
    """Where two different records are known to be equal."""
    return same.clone().fill_diagonal_(False)


def symmetric_cross_entropy(
    scores: Float[torch.Tensor, "batch batch"], same: Bool[torch.Tensor, "batch batch"] | None
) -> Float[torch.Tensor, ""]:
    """½ [CE(rows) + CE(columns)] with the diagonal as targets; ``same`` pairs off it are no negatives."""
    if same is not None:
        scores = scores.masked_fill(off_diagonal(same), float("-inf"))
    target = torch.arange(len(scores), device=scores.device)
    return (nn.functional.cross_entropy(scores, target) + nn.functional.cross_entropy(scores.T, target)) / 2


def blockwise_cross_entropy(
    left: Float[torch.Tensor, "batch dim"],
    right: Float[torch.Tensor, "batch dim"],
    same: Bool[torch.Tensor, "batch batch"] | None,
    chunk: int,
    margin: float | Float[torch.Tensor, ""] = 0.0,
) -> Float[torch.Tensor, ""]:
    """``symmetric_cross_entropy`` of left · rightᵀ − margin · 1, with ``chunk`` rows of it in memory at once.

    The logarithm of a column's denominator is the log-sum-exp of those of its blocks. Blocks are computed
    anew on the way back, so that memory grows with chunk × batch and time by about a third.

    Args:
        left: rows already multiplied by the scale.
        right: rows.
        same: pairs that are no negatives.
        chunk: rows in memory at once.
        margin: taken from the diagonal.
    """
    rows, columns, start = [], [], 0
    masks = [None] * len(left) if same is None else same.split(chunk)
    for part, partner, equal in zip(left.split(chunk), right.split(chunk), masks, strict=False):
        arguments = (part, partner, right, equal, margin, start)
        found = checkpoint(_denominators, *arguments, use_reentrant=False, preserve_rng_state=False)
        rows.append(found[0])
        columns.append(found[1])
        start += len(part)
    own = (left * right).sum(1) - margin
    by_row, by_column = torch.cat(rows), torch.stack(columns).logsumexp(0)
    return ((by_row - own).mean() + (by_column - own).mean()) / 2


def _denominators(
    left: Float[torch.Tensor, "chunk dim"],
    partner: Float[torch.Tensor, "chunk dim"],
    right: Float[torch.Tensor, "batch dim"],
    same: Bool[torch.Tensor, "chunk batch"] | None,
    margin: float | Float[torch.Tensor, ""],
    start: int,
) -> tuple[Float[torch.Tensor, " chunk"], Float[torch.Tensor, " batch"]]:
    """Log-sum-exp of the block's rows, and of its share of all columns."""
    scores = left @ right.T
    if same is not None:
        # A column may have no entry in this block: a large negative number, unlike -inf, has a gradient.
        scores = scores.masked_fill(same, torch.finfo(scores.dtype).min / 4)
    # Computed here, not passed in: its gradient would be a view that keeps the whole block alive.
    own = (left * partner).sum(1) - margin
    scores = scores.diagonal_scatter(own, start)
    return scores.logsumexp(1), scores.logsumexp(0)
