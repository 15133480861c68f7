"""Three-valued logic over all records: true, false, or unknown where a value is not known.

OPTIMADE specification v1.2: a comparison with an unknown value never matches, and neither does its negation.
That is Kleene's strong logic (Kleene, Introduction to Metamathematics, 1952, section 64).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True, eq=False)
class Truth:
    """Where a condition is true and where it is false; unknown where neither.

    Attributes:
        true: shape (records,).
        false: shape (records,); nowhere true together with ``true``.
    """

    true: Bool[np.ndarray, " records"]
    false: Bool[np.ndarray, " records"]

    @classmethod
    def of(cls, true: Bool[np.ndarray, " records"], known: Bool[np.ndarray, " records"]) -> "Truth":
        """A condition that can only be judged where a value is known."""
        return cls(true & known, ~true & known)

    @classmethod
    def unknown(cls, records: int) -> "Truth":
        """Nothing is known of any record."""
        return cls(np.zeros(records, bool), np.zeros(records, bool))

    def __and__(self, other: "Truth") -> "Truth":
        return Truth(self.true & other.true, self.false | other.false)

    def __or__(self, other: "Truth") -> "Truth":
        return Truth(self.true | other.true, self.false & other.false)

    def __invert__(self) -> "Truth":
        return Truth(self.false, self.true)
