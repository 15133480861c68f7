"""Signs of a failing training: collapse and overfitting, measured on embeddings."""

from dataclasses import dataclass

import torch
from jaxtyping import Float


@dataclass(frozen=True)
class Limits:
    """When to warn.

    Attributes:
        min_rank_share: effective rank below this share of the smaller of dimension and batch.
        max_mean_cosine: mean cosine of different records above this.
        max_gap: training recall@1 in a batch exceeds that on validation by more than this.
    """

    min_rank_share: float = 0.05
    max_mean_cosine: float = 0.5
    max_gap: float = 0.6


def effective_rank(vectors: Float[torch.Tensor, "batch dim"]) -> float:
    """Exponential of the entropy of the normalised singular values, centred (Roy & Vetterli 2007)."""
    centred = (vectors - vectors.mean(0)).double()
    values = torch.linalg.svdvals(centred)
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))


def mean_cosine(vectors: Float[torch.Tensor, "batch dim"]) -> float:
    """Mean cosine between different records; unit vectors assumed."""
    n = len(vectors)
    if n < 2:
        return 0.0
    total = vectors.sum(0)
    return float((total @ total - (vectors * vectors).sum()) / (n * (n - 1)))


def warnings_for(
    vectors: dict[str, Float[torch.Tensor, "batch dim"]],
    train_recall: float,
    validation_recall: float,
    limits: Limits = Limits(),
) -> tuple[dict[str, float], list[str]]:
    """Measures of every embedding, and a sentence for each limit that is crossed."""
    measured, messages = {}, []
    for name, rows in vectors.items():
        rank, cosine = effective_rank(rows), mean_cosine(rows)
        measured |= {f"effective_rank/{name}": rank, f"mean_cosine/{name}": cosine}
        if rank < limits.min_rank_share * min(rows.shape):
            messages.append(f"{name}: effective rank {rank:.1f} of {min(rows.shape)}, embeddings collapse")
        if cosine > limits.max_mean_cosine:
            messages.append(f"{name}: mean cosine {cosine:.2f}, embeddings crowd together")
    gap = train_recall - validation_recall
    measured["recall_gap"] = gap
    if gap > limits.max_gap:
        messages.append(f"training recall exceeds validation by {gap:.2f}, the model overfits")
    return measured, messages


def drift_of(history: list[dict], entry: dict, name: str = "masked_language", rise: float = 0.5) -> list[str]:
    """A sentence where the language model forgets: its loss is well above the least of earlier validations.

    Args:
        history: entries of the validations so far.
        entry: of this step.
        name: of the loss in nats per token.
        rise: nats above the least that count as forgetting.
    """
    earlier = [e[name] for e in history if name in e]
    if name not in entry or not earlier or entry[name] <= min(earlier) + rise:
        return []
    return [f"{name}: {entry[name]:.2f} nats, was {min(earlier):.2f}: the text encoder forgets its language"]
