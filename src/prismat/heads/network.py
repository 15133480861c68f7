"""A head: features of the windows that a record has, brought together, to one or several numbers."""

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.heads.config import HeadConfig

Vectors = dict[str, Float[torch.Tensor, "batch _"]]
Presence = dict[str, Bool[torch.Tensor, " batch"]]

LEAST_SPREAD = 1e-6
"""A feature that varies less over the training rows counts as constant."""


class Head(nn.Module):
    """A linear probe, or two layers (the tri-modal proposal's, §3.5), over one window or several.

    With x_w the features of window w, standardised over the training rows, and m_w = 1 where it is there:

    - ``concat``: h = [m_w x_w, m_w]_w. An absent window is zero and says that it is absent.
    - ``gated``: h = Σ m_w g_w ⊙ tanh(A_w x_w), g_w = σ(B_w [m_v x_v, m_v]_v), after the gated multimodal unit
      of Arevalo et al. (ICLR workshop 2017).
    - ``attention``: h = Σ a_w A_w x_w with a = softmax of q · tanh(K A_w x_w) over the windows there are.

    Args:
        config: kind, sizes and fusion.
        widths: of the features, by window.
        outputs: numbers per record.
    """

    def __init__(self, config: HeadConfig, widths: dict[str, int], outputs: int) -> None:
        super().__init__()
        self.config, self.widths, self.outputs = config, dict(widths), outputs
        for window, width in widths.items():
            self.register_buffer(f"mean_{window}", torch.zeros(width))
            self.register_buffer(f"scale_{window}", torch.ones(width))
        beside = sum(widths.values()) + (len(widths) if len(widths) > 1 else 0)
        if config.fusion != "concat":
            self.to_common = nn.ModuleDict({w: nn.Linear(n, config.width) for w, n in widths.items()})
        if config.fusion == "gated":
            self.gates = nn.ModuleDict({w: nn.Linear(beside, config.width) for w in widths})
        elif config.fusion == "attention":
            self.keys = nn.Linear(config.width, config.width)
            self.query = nn.Linear(config.width, 1, bias=False)
        fused = beside if config.fusion == "concat" else config.width
        self.net: nn.Module = nn.Linear(fused, outputs)
        if config.kind == "mlp":
            self.net = nn.Sequential(
                nn.Linear(fused, config.hidden),
                nn.ReLU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.hidden, outputs),
            )

    @torch.no_grad()
    def standardise(self, features: Vectors, present: Presence) -> None:
        """Takes mean and spread of every feature from the training rows that have it."""
        for window, vectors in features.items():
            own = vectors[present[window]]
            if len(own):
                spread = own.std(0, correction=0)
                self.get_buffer(f"mean_{window}").copy_(own.mean(0))
                self.get_buffer(f"scale_{window}").copy_(torch.where(spread > LEAST_SPREAD, spread, 1.0))

    def forward(self, features: Vectors, present: Presence) -> Float[torch.Tensor, "batch outputs"]:
        """Numbers per record.

        Args:
            features: by window, shape (batch, width); what stands in an absent window's row is not read.
            present: by window, shape (batch,).
        """
        return self.net(self.fuse(features, present))

    def fuse(self, features: Vectors, present: Presence) -> Float[torch.Tensor, "batch fused"]:
        """The windows as one vector per record."""
        standard = {w: self._standard(w, features[w], present[w]) for w in self.widths}
        if self.config.fusion == "concat":
            return self._beside(standard, present)
        common = torch.stack([self.to_common[w](x) for w, x in standard.items()], dim=1)
        there = torch.stack([present[w] for w in standard], dim=1)
        if self.config.fusion == "gated":
            beside = self._beside(standard, present)
            gates = torch.stack([self.gates[w](beside) for w in standard], dim=1).sigmoid()
            return (there[..., None] * gates * common.tanh()).sum(1)
        return (self._attention(common, there)[..., None] * common).sum(1)

    def _standard(
        self, window: str, vectors: Float[torch.Tensor, "batch width"], present: Bool[torch.Tensor, " batch"]
    ) -> Float[torch.Tensor, "batch width"]:
        mean, scale = self.get_buffer(f"mean_{window}"), self.get_buffer(f"scale_{window}")
        # where, not a product: an absent row may hold anything, NaN too.
        return torch.where(present[:, None], (vectors - mean) / scale, 0.0)

    def _beside(self, standard: Vectors, present: Presence) -> Float[torch.Tensor, "batch beside"]:
        parts = list(standard.values())
        if len(standard) > 1:
            parts.append(torch.stack([present[w] for w in standard], dim=1).to(parts[0].dtype))
        return torch.cat(parts, dim=1)

    def _attention(
        self, common: Float[torch.Tensor, "batch windows width"], there: Bool[torch.Tensor, "batch windows"]
    ) -> Float[torch.Tensor, "batch windows"]:
        score = self.query(self.keys(common).tanh())[..., 0].masked_fill(~there, -torch.inf)
        # A record without any window has no weights rather than NaN.
        return torch.where(there, score.softmax(1), 0.0).nan_to_num(0.0)
