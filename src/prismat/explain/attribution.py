"""Two ways to say what a score comes from: integrated gradients, and leaving parts out."""

import numpy as np
import torch
from jaxtyping import Float

from prismat.explain.explanation import Completeness
from prismat.explain.side import Differentiable, Side, Target, Tensors, score_kept

STEPS = 24
"""Points of the quadrature of integrated gradients."""


def leave_one_out(side: Side, target: Target) -> Float[np.ndarray, " parts"]:
    """Score of everything less score without each part (M. D. Zeiler and R. Fergus, ECCV 2014)."""
    n = len(side)
    scores = score_kept(side, target, np.concatenate([np.ones((1, n), bool), ~np.eye(n, dtype=bool)]))
    return scores[0] - scores[1:]


def occlusion(side: Side, target: Target) -> Float[np.ndarray, " parts"]:
    """Mean of what goes when a part is taken from everything, and of what comes when it is added to nothing.

    The first and the last term of the part's Shapley value (L. S. Shapley, 1953). Leaving one part out alone
    says nothing of two parts that tell the same: neither is missed while the other stays. On validation
    matches the mean of both ends ordered atoms, peaks and words better than either integrated gradients or
    ``leave_one_out``.
    """
    n = len(side)
    one, everything = np.eye(n, dtype=bool), np.ones((1, n), bool)
    scores = score_kept(side, target, np.concatenate([everything, ~everything, ~one, one]))
    return (scores[0] - scores[2 : n + 2] + scores[n + 2 :] - scores[1]) / 2


def integrated_gradients(
    side: Differentiable, target: Target, steps: int = STEPS
) -> tuple[Float[np.ndarray, " parts"], Completeness]:
    """Integrated gradients along the straight line from the baseline (eq. 1 of the paper).

    (x − x′) ∫ ∂F(x′ + α (x − x′))/∂x dα, α from 0 to 1, by Gauss–Legendre quadrature. The attributions add up
    to F(x) − F(x′), but for the error of the quadrature, which is given (M. Sundararajan, A. Taly and Q. Yan,
    ICML 2017).

    Args:
        side: what is explained.
        target: the score F.
        steps: points of the quadrature.
    """
    inputs, baselines = side.path()
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    gradients = _mean_gradients(side, target, inputs, baselines, (nodes + 1) / 2, weights / 2)
    values, rest = side.gather(gradients)
    with torch.no_grad():
        ends = tuple(torch.stack([b, x]) for x, b in zip(inputs, baselines, strict=True))
        start, end = target.score(side.embed_inputs(ends)).double().tolist()
    return values, Completeness(float(values.sum()) + rest, end - start, rest)


def _mean_gradients(
    side: Differentiable,
    target: Target,
    inputs: Tensors,
    baselines: Tensors,
    alphas: Float[np.ndarray, " steps"],
    weights: Float[np.ndarray, " steps"],
) -> Tensors:
    """Σ wₖ ∂F/∂x at the points of the path, for every input."""
    points = tuple(
        torch.stack([b + float(a) * (x - b) for a in alphas]).requires_grad_()
        for x, b in zip(inputs, baselines, strict=True)
    )
    total = target.score(side.embed_inputs(points)) @ torch.as_tensor(weights, dtype=torch.float32)
    found = torch.autograd.grad(total, points, allow_unused=True)
    zero = (torch.zeros_like(p) if g is None else g for p, g in zip(points, found, strict=True))
    return tuple(g.sum(0) for g in zero)
