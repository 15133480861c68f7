"""Contrastive loss over triples of three modalities (TensorCLIP)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch.utils.checkpoint import checkpoint

from prismat.errors import BadInputError
from prismat.objectives.base import Embedded, Objective, Term
from prismat.objectives.scale import Scale

N_WINDOWS = 3

EMPTY = -1e30
"""Logit of a triple that is no negative: its exponential is 0, and unlike -inf it has a gradient (of 0)."""


@dataclass(frozen=True)
class TensorClipConfig:
    """Settings of the loss; those of MultiMat by default.

    Attributes:
        temperature: τ.
        learn_temperature: learn log(1/τ); τ stays at 0.01 or above.
        chunk: records of the first modality whose triples are in memory at once; 0 for all. Memory grows with
            chunk × batch², and the loss is the same.
    """

    temperature: float = 0.2
    learn_temperature: bool = False
    chunk: int = 0


class TensorClip(Objective):
    """L = ⅓ Σ_directions Σ_t w_t (log D_anchor(t) − l_t) / Σ_t w_t over triples t = (i, j, k).

    l_ijk = Σ_d a_id b_jd c_kd / τ: record i of the first modality, j of the second, k of the third (MultiMat,
    V. Moro et al., arXiv:2312.00111, and the second of two forms in its code).

    Targets: w = 1 where i = j = k, ½ where exactly two are equal, 0 else.

    Denominators hold negatives only, which are the triples of three different records; neither a target
    itself nor any other triple with two equal records is in one. By direction, with i, j, k all different:

    - first modality, anchor i: D_i = Σ_{j,k} e^{l_ijk};
    - second modality, anchor j: D_j = Σ_{i,k} e^{l_ijk};
    - third modality, anchor k: D_k = Σ_{i,j} e^{l_ijk}.

    A triple whose record lacks the modality that it is there for is neither target nor negative; a record
    without one modality still takes part with those it has. Triples that hold two records marked ``same``
    are no negatives; targets go by record, not by ``same``. Anchors with an empty denominator are left out
    with their targets: three different records are the least that has a loss.

    Relations: MultiMat sums over directions and targets and divides by the batch n; for n complete records
    that is 3 (1 + 3(n − 1)/2) times this loss, a factor that grows with the batch. Since the denominator does
    not hold the target, the loss has no lower bound of 0, unlike ``InfoNce``; it is the decoupled form
    (Yeh et al., ECCV 2022).

    Args:
        windows: three modalities.
        config: temperature and memory.
        auxiliary: as in ``Objective``.

    Raises:
        BadInputError: another number of windows.
    """

    needs_shared_heads = True

    def __init__(
        self,
        windows: Sequence[str],
        config: TensorClipConfig = TensorClipConfig(),
        auxiliary: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(windows, auxiliary)
        if len(set(self.windows)) != N_WINDOWS or len(self.windows) != N_WINDOWS:
            raise BadInputError(
                f"tensor_clip with {len(self.windows)} windows {self.windows}",
                field="windows",
                remedy="Name three different ones, or choose infonce for any number.",
            )
        self.config = config
        self.scale = Scale(config.temperature, min(0.01, config.temperature), config.learn_temperature)
        self.name = "-".join(sorted(self.windows))

    def scales(self) -> dict[str, float]:
        """1/τ."""
        return {self.name: self.scale.value}

    def terms(self, batch: Embedded, weights: Mapping[str, float]) -> Iterator[Term]:
        """The one term, where there are three different records."""
        self.refuse_weights(weights)
        if not set(self.windows) <= set(batch.present):
            return
        present = [batch.present[name] for name in self.windows]
        a, b, c = (
            torch.where(mask[:, None], self.shared(batch, name), 0.0)
            for mask, name in zip(present, self.windows, strict=True)
        )
        a = a * self.scale().to(a.dtype)
        denominators = log_denominators((a, b, c), present, batch.same, self.config.chunk)
        targets = target_sums((a, b, c), present)
        directions = []
        for logs, (weighted, weight) in zip(denominators, targets, strict=True):
            anchors = logs > EMPTY / 2
            if float((weight * anchors).sum()) > 0:
                total = torch.where(anchors, weight * logs - weighted, 0.0).sum()
                directions.append(total / (weight * anchors).sum())
        if directions:
            yield self.name, 1.0, torch.stack(directions).sum() / N_WINDOWS


Three = tuple[
    Float[torch.Tensor, "batch dim"], Float[torch.Tensor, "batch dim"], Float[torch.Tensor, "batch dim"]
]


def target_sums(
    vectors: Three, present: list[Bool[torch.Tensor, " batch"]]
) -> list[tuple[Float[torch.Tensor, " batch"], Float[torch.Tensor, " batch"]]]:
    """Σ w_t l_t and Σ w_t over the targets of every anchor, by direction.

    w = ½ ([i = j] + [i = k] + [j = k] − [i = j = k]), so that no cube is needed. Vectors of absent records
    are 0.
    """
    has = [mask.to(vectors[0].dtype) for mask in present]
    sums = []
    for own, x, y in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        p, q, r = vectors[own], vectors[x], vectors[y]
        weighted = p * (q * r.sum(0) + r * q.sum(0) + (q * r).sum(0) - q * r)
        m, u, v = has[own], has[x], has[y]
        weight = m * (u * v.sum() + v * u.sum() + (u * v).sum() - u * v)
        sums.append((weighted.sum(1) / 2, weight / 2))
    return sums


def log_denominators(
    vectors: Three,
    present: list[Bool[torch.Tensor, " batch"]],
    same: Bool[torch.Tensor, "batch batch"] | None,
    chunk: int = 0,
) -> list[Float[torch.Tensor, " batch"]]:
    """Logarithm of D of every anchor, by direction; below ``EMPTY / 2`` where it has no negative."""
    a, b, c = vectors
    apart = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
    apart = apart if same is None else apart & ~same
    ab, ac, bc = (apart & present[x][:, None] & present[y][None, :] for x, y in ((0, 1), (0, 2), (1, 2)))
    if not chunk:
        return list(_block(a, b, c, ab, ac, bc))
    parts = zip(a.split(chunk), ab.split(chunk), ac.split(chunk), strict=True)
    blocks = [
        checkpoint(_block, part, b, c, x, y, bc, use_reentrant=False, preserve_rng_state=False)
        for part, x, y in parts
    ]
    first, second, third = zip(*blocks, strict=True)
    return [torch.cat(first), torch.stack(second).logsumexp(0), torch.stack(third).logsumexp(0)]


def _block(
    a: Float[torch.Tensor, "chunk dim"],
    b: Float[torch.Tensor, "batch dim"],
    c: Float[torch.Tensor, "batch dim"],
    ab: Bool[torch.Tensor, "chunk batch"],
    ac: Bool[torch.Tensor, "chunk batch"],
    bc: Bool[torch.Tensor, "batch batch"],
) -> tuple[Float[torch.Tensor, " chunk"], Float[torch.Tensor, " batch"], Float[torch.Tensor, " batch"]]:
    """Log-sum-exp of the negatives by first, second and third record."""
    products = (a[:, None] * b[None]).flatten(0, 1)
    logits = (products @ c.T).view(len(a), len(b), len(c))
    none = ~(ab[:, :, None] & ac[:, None, :] & bc[None])
    logits = logits.masked_fill(none, EMPTY)
    return logits.logsumexp((1, 2)), logits.logsumexp((0, 2)), logits.logsumexp((0, 1))
