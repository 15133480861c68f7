"""How a match is explained."""

from dataclasses import dataclass
from typing import Literal, get_args

from prismat.errors import BadInputError
from prismat.explain.explanation import SideName

MethodName = Literal["occlusion", "integrated-gradients", "both"]


@dataclass(frozen=True)
class ExplainSettings:
    """What to compute for an explanation.

    Attributes:
        method: how values are made; ``both`` gives two parts for each side and window.
        direction: ``text->structure`` and the like: explain that one cosine, not the score of the search.
        sides: whose input is explained.
        bonds: whether the bonds of structures are explained too, by occlusion.
        orders: random orders of the check.
        points: steps of its curves.
        steps: points of the quadrature of integrated gradients.
        seed: of the random orders.

    Raises:
        BadInputError: an unknown method or side, or a number out of range.
    """

    method: MethodName = "occlusion"
    direction: str | None = None
    sides: tuple[SideName, ...] = ("query", "material")
    bonds: bool = True
    orders: int = 10
    points: int = 10
    steps: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in get_args(MethodName):
            raise BadInputError(
                f"unknown method {self.method!r}",
                field="method",
                remedy=f"Use one of {', '.join(get_args(MethodName))}.",
            )
        if not self.sides or set(self.sides) - set(get_args(SideName)):
            raise BadInputError(f"sides {self.sides}", field="sides", remedy="Use query, material or both.")
        ranges = {"orders": (2, 1000), "points": (2, 100), "steps": (2, 500)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise BadInputError(
                    f"{getattr(self, name)} {name}", field=name, remedy=f"Give {low} to {high}."
                )
