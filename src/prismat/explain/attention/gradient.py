"""Attention times its gradient: which tokens a score was read from."""

import numpy as np
import torch
from jaxtyping import Float

from prismat.explain.attention.source import TextSource
from prismat.explain.attention.tokens import Tokens


def relevance(
    source: TextSource, text: str, target: Float[torch.Tensor, " dim"]
) -> tuple[Tokens, Float[np.ndarray, " tokens"]]:
    """Attention × gradient, rolled out over the layers (Chefer, Gur & Wolf, ICCV 2021, eqs. 5 and 6).

    R ← R + Ā R with Ā = mean over heads of max(0, A ⊙ ∂s/∂A), from R = I; the text's row of R − I. All zero
    where the gradient vanishes, such as for a text compared with its own vector.

    Args:
        source: the encoder and the way to the joint space.
        text: one text.
        target: unit vector; s is the cosine with it.
    """
    tokens = source.transformer.tokenize([text])
    with torch.enable_grad():
        passed = source.transformer.forward(tokens)
        score = source.finish(passed.feature, [text])[0] @ target
        gradients = torch.autograd.grad(score, passed.weights)
    size = passed.weights[0].shape[-1]
    found = torch.eye(size)
    for weights, gradient in zip(passed.weights, gradients, strict=True):
        change = (weights * gradient).clamp_min(0)[0].mean(dim=0).detach()
        found = found + change @ found
    found = found - torch.eye(size)
    row = found[0] if source.transformer.readout == "cls" else found.mean(dim=0)
    return tokens[0], row.double().numpy()
