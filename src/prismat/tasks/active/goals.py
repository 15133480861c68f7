"""What is looked for in a campaign: the largest or smallest value, or values in a range."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from prismat.errors import BadInputError

Kind = Literal["maximise", "minimise", "range"]
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})")


@dataclass(frozen=True)
class Goal:
    """What a good value is.

    Attributes:
        kind: the largest, the smallest, or any in a range.
        low: lower end of the range.
        high: upper end of the range.

    Raises:
        BadInputError: an unknown kind, or a range whose ends are not finite and in order.
    """

    kind: Kind = "maximise"
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        bad = self.kind == "range" and not (np.isfinite([self.low, self.high]).all() and self.low < self.high)
        if bad or self.kind not in ("maximise", "minimise", "range"):
            raise BadInputError(
                f"the goal {self.kind} {self.low:g} to {self.high:g}",
                field="goal",
                remedy="Give maximise, minimise, or a range low:high.",
            )

    def utility(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Values as what is to be as large as possible: minus the distance to the middle of a range."""
        if self.kind == "range":
            return -np.abs(values - 0.5 * (self.low + self.high))
        return values if self.kind == "maximise" else -values

    def hits(self, values: Float[np.ndarray, " n"], share: float = 0.01) -> Bool[np.ndarray, " n"]:
        """Records worth finding: those in the range, or the best ``share`` of all with equals of the last.

        Args:
            values: of the whole pool.
            share: of the pool that counts as best.
        """
        if self.kind == "range":
            return (values >= self.low) & (values <= self.high)
        utility = self.utility(values)
        last = np.sort(utility)[-max(1, round(share * len(values)))]
        return utility >= last

    def told(self) -> str:
        """In words."""
        return f"{self.low:g} to {self.high:g}" if self.kind == "range" else self.kind


def parse_goal(text: str) -> Goal:
    """``maximise``, ``minimise``, or ``low:high``.

    Raises:
        BadInputError: anything else.
    """
    word = text.strip().lower().replace("maximize", "maximise").replace("minimize", "minimise")
    if word == "maximise":
        return Goal("maximise")
    if word == "minimise":
        return Goal("minimise")
    found = _RANGE.fullmatch(word.removeprefix("range:").strip())
    if not found:
        raise BadInputError(
            f"cannot read {text[:60]!r}", field="goal", remedy="Write maximise, minimise or low:high."
        )
    return Goal("range", float(found[1]), float(found[2]))
