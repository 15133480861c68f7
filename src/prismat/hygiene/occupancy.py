"""Sites of disordered crystals, compared by how much of each element sits there.

Of pymatgen's own comparators, that for species wants occupancies equal to eight digits, that for order and
disorder takes a pure site for any mixture with its element in it, and that for frameworks asks for no
element at all. Two refinements of one solid solution differ in the second digit; this allows for that alone.
"""

from functools import cache
from typing import Any


@cache
def _comparator_class() -> Any:
    from pymatgen.core import Composition
    from pymatgen.core.structure_matcher import AbstractComparator

    class OccupancyToleranceComparator(AbstractComparator):
        """Sites are equal when no element's occupancy differs by more than the tolerance."""

        def __init__(self, tolerance: float) -> None:
            self.tolerance = tolerance

        def are_equal(self, sp1: Composition, sp2: Composition) -> bool:
            """Whether two sites hold the same, within the tolerance."""
            return all(abs(sp1[e] - sp2[e]) <= self.tolerance + 1e-9 for e in {*sp1, *sp2})

        def get_hash(self, composition: Composition) -> int:
            """One for all: compositions were compared before, within a tolerance."""
            del composition
            return 1

    return OccupancyToleranceComparator


def tolerant_comparator(tolerance: float) -> Any:
    """A comparator for ``StructureMatcher``; pymatgen is imported only here, for it takes a second."""
    return _comparator_class()(tolerance)
