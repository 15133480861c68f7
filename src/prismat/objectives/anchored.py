"""A loss summed over the pairs that hold one modality."""

from collections.abc import Callable, Mapping, Sequence

from prismat.errors import BadInputError
from prismat.objectives.pairs import AllPairs, PairTerm


class Anchored(AllPairs):
    """L = Σ_b λ_ab · term(a, b) with the anchor a fixed: n − 1 pairs instead of n(n − 1)/2.

    With ``InfoNce`` terms and the structure as anchor this is MultiMat's AnchoredCLIP (arXiv:2312.00111), and
    what ImageBind does with images (Girdhar et al., CVPR 2023) and MatBind with structures. The other
    modalities meet only through the anchor. With two modalities, either being the anchor, it equals
    ``AllPairs``. Where ``Embedded.anchor`` is set as well, a pair must hold both.

    Args:
        anchor: one of the windows.
        windows: as in ``AllPairs``, and so are the further ones.
        make_term: makes the loss of one pair.
        weights: λ by pair name.
        auxiliary: as in ``Objective``.
        shared: one term serves all pairs.

    Raises:
        BadInputError: the anchor is no window; or as ``AllPairs``.
    """

    def __init__(
        self,
        anchor: str,
        windows: Sequence[str],
        make_term: Callable[[], PairTerm],
        weights: Mapping[str, float] | None = None,
        auxiliary: Mapping[str, float] | None = None,
        shared: bool = False,
    ) -> None:
        if anchor not in windows:
            raise BadInputError(
                f"anchor {anchor!r} is no window",
                field="objective.anchor",
                remedy=f"Windows: {', '.join(windows)}; leave it empty for all pairs.",
            )
        self.anchor = anchor
        super().__init__(windows, make_term, weights, auxiliary, shared)

    def meet(self, a: str, b: str) -> bool:
        """Whether one of the two is the anchor."""
        return a != b and self.anchor in (a, b)
