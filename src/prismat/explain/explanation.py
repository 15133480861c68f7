"""What explains a match: values of atoms, peaks, words, energies and voxels, with the check of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

SideName = Literal["query", "material"]
Unit = Literal["word", "atom", "bond", "peak", "energy", "voxel"]
Method = Literal["occlusion", "integrated gradients"]


@dataclass(frozen=True)
class Item:
    """One thing that a value belongs to; fields that mean nothing for its kind are None.

    Attributes:
        label: for people: ``Ca1``, ``Ca–O 2.41 Å``, ``28.4°``, a word, ``−2.1 eV``.
        value: contribution to the score; positive holds the match up, negative works against it.
        x: 2θ in degrees, energy, or length of a bond in Å.
        low, high: range of a peak or of a band of energies, in the unit of ``x``.
        site: place of an atom in the structure that was given, from 0.
        sites: those of a bond's two ends.
        element: symbol, or several joined by ``/`` on a mixed site.
        count: equivalent atoms of an atom's orbit, or bonds of one length per cell.
        start, end: characters of a word in the text of ``Part.data``.
        position: fractional coordinates of the middle of a block of voxels.
    """

    label: str
    value: float
    x: float | None = None
    low: float | None = None
    high: float | None = None
    site: int | None = None
    sites: tuple[int, int] | None = None
    element: str | None = None
    count: int | None = None
    start: int | None = None
    end: int | None = None
    position: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Curves:
    """The score while parts are taken away or put back, the most important first.

    Attributes:
        share: of the parts taken away (deletion) or put back (insertion), from 0 to 1, shape (points,).
        deletion: score in the order of the attribution, shape (points,).
        insertion: likewise, starting with nothing, shape (points,).
        random_deletion: in random orders, shape (orders, points).
        random_insertion: likewise, shape (orders, points).
    """

    share: Float[np.ndarray, " points"]
    deletion: Float[np.ndarray, " points"]
    insertion: Float[np.ndarray, " points"]
    random_deletion: Float[np.ndarray, "orders points"]
    random_insertion: Float[np.ndarray, "orders points"]

    def area(self, curve: Float[np.ndarray, "*rows points"]) -> Float[np.ndarray, "*rows"]:
        """Area under a curve by the trapezoidal rule: the mean score along it."""
        return np.asarray(np.trapezoid(curve, self.share, axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Areas and curves in JSON types, with the middle 90 % of the random orders."""
        deleted, inserted = self.area(self.random_deletion), self.area(self.random_insertion)
        low, high = np.quantile(self.random_deletion, [0.05, 0.95], axis=0)
        return {
            "deletion": float(self.area(self.deletion)),
            "deletion_random": float(deleted.mean()),
            "deletion_interval": np.quantile(deleted, [0.05, 0.95]).tolist(),
            "insertion": float(self.area(self.insertion)),
            "insertion_random": float(inserted.mean()),
            "insertion_interval": np.quantile(inserted, [0.05, 0.95]).tolist(),
            "beats_random": self.beats_random,
            "orders": len(deleted),
            "curve": {
                "share": self.share.tolist(),
                "deletion": self.deletion.tolist(),
                "insertion": self.insertion.tolist(),
                "random": self.random_deletion.mean(0).tolist(),
                "random_low": low.tolist(),
                "random_high": high.tolist(),
                "random_insertion": self.random_insertion.mean(0).tolist(),
            },
        }

    @property
    def beats_random(self) -> bool:
        """Whether the score falls sooner than in the mean of the random orders."""
        return bool(self.area(self.deletion) < self.area(self.random_deletion).mean())


@dataclass(frozen=True)
class Completeness:
    """How far the attributions of integrated gradients add up to what they explain.

    Attributes:
        sum: of all attributions, those of no item included.
        difference: score of the input less that of the baseline.
        rest: attributed to nothing that an item stands for.
    """

    sum: float
    difference: float
    rest: float = 0.0

    @property
    def gap(self) -> float:
        """Of the numerical integration: sum less difference."""
        return self.sum - self.difference


@dataclass(frozen=True, eq=False)
class Part:
    """One side of a match in one window, explained by one method.

    Attributes:
        side: whose input it is.
        window: the window.
        unit: what an item is.
        method: how the values were made.
        score: the comparisons that this side enters, as a weighted mean of cosines.
        compared: keys of these comparisons.
        items: with their values, in the order of the input.
        operator: what taking a part away means.
        baseline: where integrated gradients begin; empty for occlusion.
        completeness: of integrated gradients.
        check: the deletion and insertion curves; None with fewer than two parts.
        data: what the items lie on: the text, the pattern or the DOS.
    """

    side: SideName
    window: str
    unit: Unit
    method: Method
    score: float
    compared: tuple[str, ...]
    items: tuple[Item, ...]
    operator: str
    baseline: str = ""
    completeness: Completeness | None = None
    check: Curves | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        told = {
            name: getattr(self, name)
            for name in ("side", "window", "unit", "method", "score", "operator", "data")
        }
        complete = self.completeness
        return {
            **told,
            "compared": list(self.compared),
            "items": [asdict(item) for item in self.items],
            "baseline": self.baseline or None,
            "completeness": asdict(complete) | {"gap": complete.gap} if complete else None,
            "check": self.check.to_dict() if self.check else None,
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a query and a record match.

    Attributes:
        id: of the record.
        formula: of the record.
        score: of the match, as the search ranks by it.
        parts: sides and windows, each by one method.
        notes: what was left out and why.
    """

    id: str
    formula: str
    score: float
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "id": self.id,
            "formula": self.formula,
            "score": self.score,
            "parts": [part.to_dict() for part in self.parts],
            "notes": list(self.notes),
        }
