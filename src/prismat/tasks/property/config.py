"""What is predicted, from what, and how it is judged."""

from dataclasses import dataclass, field
from typing import Literal

from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig, TuneConfig

Interval = Literal["normalised", "absolute"]
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal coverages that are compared with what is reached."""


@dataclass(frozen=True)
class LimitedConfig:
    """How few records are learnt from.

    Attributes:
        most: training records at most, drawn by whole groups; 0 for all.
        shares: of all records with the target, for train, validation and test (CrysMMNet's limited setting is
            0.2, 0.1, 0.1); each is drawn from its own part. None for whole parts.
        curve: training sizes of a learning curve; none where empty.
        repeats: draws of each size.
    """

    most: int = 10_000
    shares: tuple[float, float, float] | None = None
    curve: tuple[int, ...] = ()
    repeats: int = 3

    def __post_init__(self) -> None:
        shares = self.shares or (0.5, 0.25, 0.25)
        if self.most < 0 or min(shares) <= 0 or sum(shares) > 1 + 1e-9 or self.repeats < 1:
            raise BadInputError(
                f"{self.most} records, shares {self.shares}, {self.repeats} repeats",
                field="limited",
                remedy="Give shares above 0 that add up to 1 at most, and one repeat at least.",
            )
        if any(n < 2 for n in self.curve):
            raise BadInputError(
                f"a curve over {self.curve}", field="curve", remedy="Give sizes of two records or more."
            )


@dataclass(frozen=True)
class PropertyConfig:
    """A head to fit and to judge.

    Attributes:
        target: a property of the store, ``crystal_system``, or a tag.
        log: predict the decimal logarithm of a property.
        classes: borders in the property's unit: n borders make n + 1 classes; a value at one is below it.
        windows: that the head reads.
        text_view: which text of a record, where it reads text; None for what the opened run reads.
        head: the head.
        fit: how it is fitted to frozen features.
        tune: how encoders are trained along afterwards; None keeps them frozen.
        limited: how many records are learnt from.
        interval: ``normalised`` intervals are wide where members disagree, which takes two of them;
            ``absolute`` ones are all equally wide.
        level: of the intervals that are told.
    """

    target: str = "band_gap"
    log: bool = False
    classes: tuple[float, ...] = ()
    windows: tuple[str, ...] = ("structure",)
    text_view: str | None = None
    head: HeadConfig = field(default_factory=HeadConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    tune: TuneConfig | None = None
    limited: LimitedConfig = field(default_factory=LimitedConfig)
    interval: Interval = "normalised"
    level: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise BadInputError(
                f"a level of {self.level:g}", field="level", remedy="Give one between 0 and 1, such as 0.9."
            )
        if list(self.classes) != sorted(set(self.classes)):
            raise BadInputError(
                f"borders {self.classes}", field="classes", remedy="Give them once each and in rising order."
            )
