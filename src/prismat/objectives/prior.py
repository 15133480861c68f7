"""Embeddings drawn towards the uniform distribution on the sphere by a discriminator."""

import torch
from jaxtyping import Float
from torch import nn


class SpherePrior(nn.Module):
    """mean softplus(−D(u)) + mean softplus(D(z)), which D minimises and the embeddings z maximise.

    Adversarial prior matching of Deep InfoMax (Hjelm et al., ICLR 2019, equation 7; after Makhzani et al.
    2015). u is uniform on the unit sphere, as many as there are z: Deep InfoMax and CLaC squash features
    into the unit cube and draw there, and a unit vector already lies on the sphere. The gradient is reversed
    between D and z (Ganin and Lempitsky 2015), so that one optimiser and one sum serve both: the value is
    the discriminator's cost, 2 log 2 where it can tell nothing apart. D has two hidden layers.

    Draws come from torch's default generator on the CPU, whatever the device, once per call.

    Args:
        dim: of the embeddings.
        hidden: width of both hidden layers.
    """

    def __init__(self, dim: int, hidden: int = 256) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, vectors: Float[torch.Tensor, "batch dim"]) -> Float[torch.Tensor, ""]:
        """The discriminator's cost, in nats."""
        vectors = vectors.to(next(self.parameters()).dtype)
        drawn = nn.functional.normalize(torch.randn(vectors.shape), dim=1).to(vectors)
        # The same number, with its gradient reversed.
        adverse = 2 * vectors.detach() - vectors
        softplus = nn.functional.softplus
        return softplus(-self.net(drawn)).mean() + softplus(self.net(adverse)).mean()
