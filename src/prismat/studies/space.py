"""What a sweep may choose from: settings by path, each with choices or a range."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from prismat.errors import BadInputError
from prismat.recipes.base import Job
from prismat.store import Store
from prismat.studies.variant import AnyJob, with_settings

Kind = Literal["choice", "int", "float"]
P12 = "p12"
"""The tri-modal proposal's space: d, N, learning rate, and depth of the networks in use."""
GRID_POINTS = 3
"""Of a range on a grid."""


@dataclass(frozen=True)
class Dimension:
    """One setting of a space.

    Attributes:
        path: of the setting, as in :func:`prismat.studies.paths.changed`.
        kind: whether there are choices or a range of whole or other numbers.
        choices: values as text; of a range none.
        low, high: ends of a range, both included.
        log: whether a range is even in the logarithm.
    """

    path: str
    kind: Kind
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def draw(self, rng: np.random.Generator) -> str:
        """A value at random, as text."""
        if self.kind == "choice":
            return self.choices[int(rng.integers(len(self.choices)))]
        if self.kind == "int" and not self.log:
            return str(int(rng.integers(int(self.low), int(self.high) + 1)))
        return self.text(self.at(float(rng.random())))

    def at(self, share: float) -> float:
        """The number at a share of the range, from 0 at its low end to 1 at its high one."""
        if self.log:
            return float(np.exp(np.log(self.low) + share * (np.log(self.high) - np.log(self.low))))
        return self.low + share * (self.high - self.low)

    def text(self, value: float) -> str:
        """A number of the range as text: whole, or with six digits."""
        return str(round(value)) if self.kind == "int" else f"{value:.6g}"

    def grid(self, points: int = GRID_POINTS) -> tuple[str, ...]:
        """The choices, or evenly spaced values of the range."""
        if self.kind == "choice":
            return self.choices
        return tuple(dict.fromkeys(self.text(self.at(share)) for share in np.linspace(0, 1, points)))


def parse_space(texts: Sequence[str], base: AnyJob, store: Store) -> tuple[Dimension, ...]:
    """A space from text, checked against the job.

    Args:
        texts: each ``path=a,b,c``, ``path=low:high``, ``path=low:high:log`` or ``p12``.
        base: the job whose settings are meant.
        store: the records.

    Raises:
        BadInputError: it cannot be read, a setting is named twice, or a value does not fit.
    """
    written = [line for text in texts for line in (p12(base) if text == P12 else [text])]
    found = tuple(_dimension(text) for text in written)
    paths = [d.path.removeprefix("job.") for d in found]
    twice = next((p for p in paths if paths.count(p) > 1), None)
    if twice or not found:
        problem = f"{twice} is named twice" if twice else "the space is empty"
        raise BadInputError(problem, field="space", remedy="Give each setting once, as path=a,b or p12.")
    for dimension in found:
        for value in dimension.choices or (dimension.text(dimension.low), dimension.text(dimension.high)):
            with_settings(base, {dimension.path: value}, store)
    return found


def p12(base: AnyJob) -> list[str]:
    """Dimension d ∈ {128, 256, 512}, batch N ∈ {64, 128, 256}, rate ∈ {1e-4, 5e-4, 1e-5}, and depths.

    The proposal names the depth of graph network and transformer without numbers: here 2, 3 or 4 layers of
    the graph network in use, and of a text transformer that is trained from scratch.
    """
    space = ["train.batch=64,128,256", "train.optimizer.learning_rate=1e-4,5e-4,1e-5"]
    if isinstance(base, Job):
        space.insert(0, "recipe.projection.dim=128,256,512")
        structure, where = base.recipe.encoders.structure, "encoders.structure"
        if "text" in base.recipe.windows and base.recipe.encoders.text.kind == "bpe":
            space.append("recipe.encoders.text.bpe.layers=2,3,4")
    else:
        space.insert(0, "recipe.structure.width=128,256,512")
        structure, where = base.recipe.structure, "structure"
    layered = [p for p in structure.parts if p in _LAYERED and "structure" in base.recipe.windows]
    return space + [f"recipe.{where}.graphs.{part}.layers=2,3,4" for part in layered]


_LAYERED = ("cgcnn", "mpgnn", "painn", "potnet", "gatgnn", "matformer")
"""Graph networks whose depth is called ``layers``."""


def _dimension(text: str) -> Dimension:
    path, equals, values = text.partition("=")
    if not equals or not path or not values:
        raise BadInputError(
            f"cannot read {text!r}",
            field="space",
            remedy="Write path=a,b,c or path=low:high or path=low:high:log.",
        )
    if ":" not in values:
        return Dimension(path, "choice", tuple(dict.fromkeys(values.split(","))))
    ends, log = values.removesuffix(":log").split(":"), values.endswith(":log")
    try:
        low, high = (float(e) for e in ends)
    except ValueError as error:
        raise BadInputError(
            f"cannot read the range {values!r}", field=path, remedy="Write low:high or low:high:log."
        ) from error
    if not (np.isfinite([low, high]).all() and low < high and (low > 0 or not log)):
        raise BadInputError(
            f"{values} is no range",
            field=path,
            remedy="Give the lower end first, above 0 with log.",
        )
    is_whole = all(e.strip().lstrip("+-").isdigit() for e in ends)
    return Dimension(path, "int" if is_whole else "float", (), low, high, log)
