"""A calculation that gave nothing, and why."""

from typing import Literal

from prismat.errors import PrismatError

Kind = Literal[
    "unsuitable", "time", "memory", "size", "killed", "crash", "unconverged", "output", "electrons", "bands"
]
"""``unsuitable`` crystal; over a limit of ``time``, ``memory`` or file ``size``; ``killed`` from outside;
``crash`` of the program; ``unconverged``; ``output`` that cannot be read; number of ``electrons`` wrong;
too few ``bands``."""


class CalculationError(PrismatError):
    """No result for one crystal.

    Args:
        kind: for tables.
        reason: a sentence without a full stop.
    """

    def __init__(self, kind: Kind, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"{kind}: {reason}")

    def __reduce__(self) -> tuple:
        """Crosses process borders with its parts."""
        return (type(self), (self.kind, self.reason))


class StoppedError(PrismatError):
    """The caller asked to stop; nothing is known of the crystal."""
