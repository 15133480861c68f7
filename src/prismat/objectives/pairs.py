"""A loss summed over pairs of modalities."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError
from prismat.objectives.base import MIN_RECORDS, Embedded, Objective, Term, among, at_least_single


def pair_name(a: str, b: str) -> str:
    """Name of an unordered pair."""
    return "-".join(sorted((a, b)))


class PairTerm(nn.Module, ABC):
    """The loss of one pair of modalities, with scalars of its own."""

    @abstractmethod
    def forward(
        self,
        left: Float[torch.Tensor, "batch dim"],
        right: Float[torch.Tensor, "batch dim"],
        same: Bool[torch.Tensor, "batch batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The loss of two or more complete records; row i of both belongs to one record.

        Args:
            left: unit vectors of one modality.
            right: those of the other.
            same: records known to be equal; never each other's negatives.
        """

    def scalars(self) -> dict[str, float]:
        """The term's scalars by name; the factor of the cosines is called ``scale``."""
        return {}


class AllPairs(Objective):
    """L = Σ_pairs λ_ab · term(a, b) over every pair of modalities, each over its own complete records.

    With ``InfoNce`` terms this is the AllPairsCLIP of MultiMat (arXiv:2312.00111), which takes the mean over
    pairs rather than the sum, and the loss of the tri-modal proposal. With two modalities it is the term
    itself. Records that lack either modality leave the pair's term alone; a pair with fewer than two
    complete records contributes nothing.

    Args:
        windows: two or more modalities.
        make_term: makes the loss of one pair, with fresh scalars.
        weights: λ by pair name; a pair left out weighs 1, one that weighs 0 is skipped.
        auxiliary: as in ``Objective``.
        shared: one term, and so one temperature, serves all pairs.

    Raises:
        BadInputError: fewer than two windows, one named twice, or a weight for a pair that is none.
    """

    def __init__(
        self,
        windows: Sequence[str],
        make_term: Callable[[], PairTerm],
        weights: Mapping[str, float] | None = None,
        auxiliary: Mapping[str, float] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__(windows, auxiliary)
        if len(set(self.windows)) < 2 or len(set(self.windows)) != len(self.windows):
            raise BadInputError(
                f"windows {self.windows}", field="windows", remedy="Name two or more different ones."
            )
        self.weights, self.is_shared = dict(weights or {}), shared
        unknown = sorted(set(self.weights) - set(self.pairs))
        if unknown:
            raise BadInputError(
                f"weight for an unknown pair {unknown[0]!r}",
                field="objective.weights",
                remedy=f"Pairs: {', '.join(self.pairs)}.",
            )
        self.pair_terms = nn.ModuleDict({name: make_term() for name in (["all"] if shared else self.pairs)})

    @property
    def pairs(self) -> list[str]:
        """Names of the pairs that the loss is over."""
        names = self.windows
        return [pair_name(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if self.meet(a, b)]

    def meet(self, a: str, b: str) -> bool:
        """Whether two different windows are a pair of this loss."""
        return a != b

    def pair_term(self, name: str) -> PairTerm:
        """The loss of a pair."""
        return self.pair_terms["all" if self.is_shared else name]  # ty: ignore[invalid-explicit-return]

    def terms(self, batch: Embedded, weights: Mapping[str, float]) -> Iterator[Term]:
        """One term per pair with two or more complete records."""
        weights = {**self.weights, **weights}
        for a, b in batch.pairs:
            name = pair_name(a, b)
            weight = weights.get(name, 1.0)
            keep = batch.present[a] & batch.present[b]
            if weight == 0 or not self.meet(a, b) or int(keep.sum()) < MIN_RECORDS:
                continue
            left, right = (at_least_single(vectors[keep]) for vectors in batch.pair(a, b))
            yield name, weight, self.pair_term(name)(left, right, among(keep, batch.same))

    def scales(self) -> dict[str, float]:
        """The terms' scalars: the factor of the cosines by pair name, others by pair and name."""
        named = {name: self.pair_term(name).scalars() for name in self.pairs}
        return {
            name if key == "scale" else f"{name} {key}": value
            for name, scalars in named.items()
            for key, value in scalars.items()
        }
