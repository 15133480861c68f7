"""Cross-correlation of features over two, three or four modalities (Barlow Twins)."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch.utils.checkpoint import checkpoint

from prismat.errors import BadInputError
from prismat.objectives.base import MIN_RECORDS, Embedded, Objective, Term

Partition = tuple[int, ...]
"""Which indices are equal: one label per index, those of equal indices alike, such as (0, 0, 1)."""

TARGETS: dict[int, dict[tuple[int, ...], float]] = {
    2: {(2,): 1.0},
    3: {(3,): 1.0, (2, 1): 1 / 2},
    4: {(4,): 1.0, (3, 1): 1 / 2, (2, 2): 1 / 3, (2, 1, 1): 1 / 6},
}
"""Target of an entry by the sizes of the groups of equal indices; 0 where none are equal."""

VARIANCE = 1e-5
"""Added to the variance of features, in units of that of a unit vector's entries (1/dim)."""

ENTRIES = 2**20
"""Entries of a record × record matrix in memory at once."""


@dataclass(frozen=True)
class BarlowConfig:
    """Settings of the loss.

    Attributes:
        off_diagonal: λ, weight of the entries with target 0.
    """

    off_diagonal: float = 0.0051


class BarlowTwins(Objective):
    """L = Σ_{t>0} (C − t)² + λ Σ_{t=0} C² over the entries of the cross-correlation tensor C.

    C_{jk…} = mean_i x_ij y_ik … over the n records that have all modalities, each feature standardised over
    these records (mean 0, variance 1 with n in the denominator). Indices j, k, … are features. Targets t:

    - two modalities (Zbontar et al., ICML 2021, equation 1): 1 for j = k;
    - three (MultiMat, V. Moro et al., arXiv:2312.00111, and its code): 1 for j = k = l, ½ where exactly two
      are equal;
    - four: 1 for all four equal, ½ for exactly three, ⅓ for two pairs, 1/6 for one pair, which is the share
      of the six pairs of indices that are equal. (For three it is not: one pair of three has ½, not ⅓.)

    Of three or four windows C is a third or fourth moment, so that even embeddings that agree perfectly do
    not reach the targets unless their distribution has just these moments.

    There are no negatives, so ``same`` has no meaning here and is not read. The batch enters through means
    and variances: the loss of a batch is not the mean of the losses of its parts.

    Sums over entries are taken through records: Σ_{jkl} C_jkl² = 1/n² Σ_{ii′} (x_i·x_i′)(y_i·y_i′)(z_i·z_i′),
    and likewise for each pattern of equal indices, with products of features in place of features. Time then
    grows with n² dim instead of n dim³ or n dim⁴ and C is never held; memory is bounded by blocks of records.

    Args:
        windows: two to four modalities.
        config: λ.
        auxiliary: as in ``Objective``.

    Raises:
        BadInputError: another number of windows.
    """

    needs_shared_heads = True

    def __init__(
        self,
        windows: Sequence[str],
        config: BarlowConfig = BarlowConfig(),
        auxiliary: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(windows, auxiliary)
        if len(set(self.windows)) not in TARGETS or len(set(self.windows)) != len(self.windows):
            raise BadInputError(
                f"barlow with {len(self.windows)} windows {self.windows}",
                field="windows",
                remedy="Name two, three or four different ones, or choose infonce for any number.",
            )
        self.config = config
        self.name = "-".join(sorted(self.windows))

    def terms(self, batch: Embedded, weights: Mapping[str, float]) -> Iterator[Term]:
        """The one term, where two records have all modalities."""
        self.refuse_weights(weights)
        if not set(self.windows) <= set(batch.present):
            return
        keep = torch.stack([batch.present[name] for name in self.windows]).all(0)
        if int(keep.sum()) < MIN_RECORDS:
            return
        features = [standardised(self.shared(batch, name)[keep]) for name in self.windows]
        yield self.name, 1.0, barlow_loss(features, self.config.off_diagonal)


def standardised(vectors: Float[torch.Tensor, "batch dim"]) -> Float[torch.Tensor, "batch dim"]:
    """Features with mean 0 and variance 1 over the batch; constant ones become 0."""
    variance = vectors.var(0, correction=0) + VARIANCE / vectors.shape[1]
    return (vectors - vectors.mean(0)) / variance.sqrt()


def barlow_loss(
    features: list[Float[torch.Tensor, "batch dim"]], off_diagonal: float
) -> Float[torch.Tensor, ""]:
    """The loss of standardised features of two, three or four modalities."""
    n, dim = features[0].shape
    if len(features) == 2:
        residual = features[0].T @ features[1] / n - torch.eye(dim).to(features[0])
        own = residual.diagonal().square().sum()
        return own + off_diagonal * (residual.square().sum() - own)
    square, linear, constant = coefficients(len(features), dim, off_diagonal)
    products = {
        group: reduce(torch.mul, [features[i] for i in group])
        for partition in partitions(len(features))
        for group in groups(partition)
    }
    # Terms of either sign nearly cancel: sums over records are taken in double precision.
    total = torch.zeros((), dtype=torch.float64, device=features[0].device) + constant
    for partition, factor in linear.items():
        sums = [products[group].sum(1, dtype=torch.float64) for group in groups(partition)]
        total = total - 2 * factor * reduce(torch.mul, sums).sum() / n
    rows = max(1, ENTRIES // n)
    if rows >= n:
        return (total + _squares(products, slice(None), square) / n**2).to(features[0].dtype)
    for start in range(0, n, rows):
        block = slice(start, start + rows)
        found = checkpoint(_squares, products, block, square, use_reentrant=False, preserve_rng_state=False)
        total = total + found / n**2
    return total.to(features[0].dtype)


def _squares(
    products: dict[tuple[int, ...], Float[torch.Tensor, "batch dim"]],
    block: slice,
    square: dict[Partition, float],
) -> Float[torch.Tensor, ""]:
    """Σ over a block of records and all records of the weighted products of their inner products."""
    inner = {group: rows[block] @ rows.T for group, rows in products.items()}
    total = torch.zeros((), dtype=torch.float64, device=next(iter(inner.values())).device)
    for partition, factor in square.items():
        product = reduce(torch.mul, [inner[group] for group in groups(partition)])
        total = total + factor * product.sum(dtype=torch.float64)
    return total


def partitions(n: int) -> list[Partition]:
    """Every way in which n indices can be equal or not."""
    found: list[Partition] = [()]
    for _ in range(n):
        found = [(*p, label) for p in found for label in range(max(p, default=-1) + 2)]
    return found


def groups(partition: Partition) -> list[tuple[int, ...]]:
    """The indices of each group of equal ones."""
    return [
        tuple(i for i, label in enumerate(partition) if label == chosen)
        for chosen in range(max(partition) + 1)
    ]


def coefficients(
    n: int, dim: int, off_diagonal: float
) -> tuple[dict[Partition, float], dict[Partition, float], float]:
    """The loss as Σ_σ α_σ Q_σ − 2 Σ_σ β_σ S_σ + constant.

    Q_σ and S_σ are the sums of C² and C over the entries whose indices are equal within each group of σ,
    whether or not groups differ from each other. Entries of pattern π *exactly* follow by Möbius inversion
    over the coarser partitions (Rota 1964).

    Returns:
        α and β by partition, those of 0 left out, and the constant.
    """
    square: dict[Partition, float] = {}
    linear: dict[Partition, float] = {}
    constant = 0.0
    for exact in partitions(n):
        sizes = tuple(sorted((len(group) for group in groups(exact)), reverse=True))
        target = TARGETS[n].get(sizes, 0.0)
        weight = 1.0 if target else off_diagonal
        constant += weight * target**2 * math.perm(dim, len(sizes))
        for coarse in partitions(n):
            factor = weight * _mobius(exact, coarse)
            square[coarse] = square.get(coarse, 0.0) + factor
            linear[coarse] = linear.get(coarse, 0.0) + factor * target
    return {k: v for k, v in square.items() if v}, {k: v for k, v in linear.items() if v}, constant


def _mobius(fine: Partition, coarse: Partition) -> int:
    """Möbius function of the lattice of partitions; 0 unless ``coarse`` merges whole groups of ``fine``."""
    merged = set(zip(fine, coarse, strict=True))
    if len(merged) != len(set(fine)):
        return 0
    per_group = Counter(label for _, label in merged)
    return math.prod((-1) ** (k - 1) * math.factorial(k - 1) for k in per_group.values())
