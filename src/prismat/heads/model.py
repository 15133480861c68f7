"""A head with the model under it: one property, or a class, of raw input, with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from prismat.api import Prismat
from prismat.heads.config import HeadConfig
from prismat.heads.conformal import Conformal, class_sets
from prismat.heads.features import Features
from prismat.heads.fit import Fitted
from prismat.heads.reading import ReadRecord, encode_raw, raw_records, read_raw
from prismat.material import Property
from prismat.measurements import Measurement, Pattern

if TYPE_CHECKING:
    from prismat.material import StructureLike


@dataclass(frozen=True)
class HeadTarget:
    """What a head says.

    Attributes:
        name: of the property, or of what the classes are classes of.
        unit: of the property.
        log: the head itself gives the property's decimal logarithm.
        classes: names of the classes; empty for a number.
    """

    name: str
    unit: str = ""
    log: bool = False
    classes: tuple[str, ...] = ()

    @property
    def own_unit(self) -> str:
        """Of what the head itself gives."""
        return f"log10({self.unit})" if self.log else self.unit


@dataclass(frozen=True)
class HeadSpec:
    """A head, what it reads and what it says.

    Attributes:
        target: what it says.
        windows: that it reads.
        head: kind and fusion.
        text_view: which text of a store's record it reads, where it reads text.
        trained_from: hash of the model that it was fitted to.
        tuned: whether the encoders were trained along.
    """

    target: HeadTarget
    windows: tuple[str, ...]
    head: HeadConfig
    text_view: str = "title"
    trained_from: str = ""
    tuned: bool = False


@dataclass(frozen=True, eq=False)
class NumberPrediction:
    """Predicted numbers.

    Attributes:
        name: of the property.
        unit: of all numbers.
        level: probability that an interval holds the true value.
        values: shape (records,).
        low: lower ends of the intervals.
        high: upper ends.
        spread: standard deviation among the members, in the head's own unit (that of the logarithm where
            the head gives logarithms).
    """

    name: str
    unit: str
    level: float
    values: Float[np.ndarray, " records"]
    low: Float[np.ndarray, " records"]
    high: Float[np.ndarray, " records"]
    spread: Float[np.ndarray, " records"]


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """Predicted classes.

    Attributes:
        name: of what is classified.
        classes: names, in the order of the columns.
        level: probability that a set holds the true class.
        probabilities: shape (records, classes).
        sets: which classes are in each record's conformal set.
    """

    name: str
    classes: tuple[str, ...]
    level: float
    probabilities: Float[np.ndarray, "records classes"]
    sets: Bool[np.ndarray, "records classes"]

    @property
    def labels(self) -> list[str]:
        """The likeliest class of each record."""
        return [self.classes[i] for i in self.probabilities.argmax(1)]


Prediction = NumberPrediction | ClassPrediction


class PropertyHead:
    """A property, or a class, from whichever of its windows a record has.

    Args:
        prismat: the model whose features it reads.
        spec: what it reads and says.
        fitted: the members.
        conformal: calibration of the intervals or sets.
        card: the model card, in Markdown.
    """

    def __init__(
        self, prismat: Prismat, spec: HeadSpec, fitted: Fitted, conformal: Conformal, card: str = ""
    ) -> None:
        self.prismat, self.spec, self.fitted, self.conformal, self.card = (
            prismat,
            spec,
            fitted,
            conformal,
            card,
        )

    def predict(
        self,
        structures: "Sequence[StructureLike | None] | None" = None,
        texts: Sequence[str | None] | None = None,
        patterns: Sequence[Pattern | None] | None = None,
        properties: Sequence[Mapping[str, Property] | None] | None = None,
        level: float = 0.9,
        **measured: Sequence[Measurement | None],
    ) -> Prediction:
        """The property of raw input with its interval, or its class with a set.

        Args:
            structures: crystals in any form that ``read_crystal`` takes.
            texts: words.
            patterns: measured powder patterns; of a record that has a structure alone it is computed.
            properties: numbers with units by name.
            level: probability that an interval or a set holds the true value.
            **measured: under the name of their window: ``image``, ``dos`` …

        Raises:
            BadInputError: lists of different lengths, nothing given, input that cannot be read, or a record
                with none of the windows that the head reads.
        """
        records = raw_records(structures, texts, properties, {"xrd": patterns, **measured})
        return self.predict_read([read_raw(self.prismat, r, self.spec.windows) for r in records], level)

    def predict_read(self, records: Sequence[ReadRecord], level: float = 0.9) -> Prediction:
        """As ``predict``, of records that :func:`prismat.heads.reading.read_raw` read."""
        return self.predict_features(self.features(records), level)

    def features(self, records: Sequence[ReadRecord]) -> Features:
        """What the model makes of records that were read."""
        return encode_raw(self.prismat, records, self.spec.windows, self.spec.head.feature)

    def predict_features(self, features: Features, level: float = 0.9) -> Prediction:
        """As ``predict``, of features of this head's model."""
        target, members = self.spec.target, self.fitted.members(features)
        if target.classes:
            probabilities = members.mean(0)
            sets = class_sets(self.conformal, probabilities, level)
            return ClassPrediction(target.name, target.classes, level, probabilities, sets)
        values, spread = members[..., 0].mean(0), members[..., 0].std(0)
        half = self.conformal.half_width(spread, level)
        ends = [values, values - half, values + half]
        if target.log:
            # A monotone function of both ends keeps the probability of the interval.
            ends = [_power(x) for x in ends]
        return NumberPrediction(target.name, target.unit, level, *ends, spread)


def _power(exponent: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """10^x; infinite where that is too large."""
    with np.errstate(over="ignore"):
        return 10.0**exponent
