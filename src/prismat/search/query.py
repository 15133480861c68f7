"""What a user asks for: any mixture of text, crystal, pattern and more, steered, weighted and filtered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.formats import read_crystal, to_cif
from prismat.material import Property
from prismat.measurements import ChargeDensity, Dos, Image, Pattern
from prismat.search.filters import Filter
from prismat.search.payload import from_payloads, to_payload
from prismat.search.steer import Steer, check_words

if TYPE_CHECKING:
    from prismat.material import StructureLike

MAX_TEXT = 20_000
MAX_POINTS = 1_000_000
PARTS = ("text", "structure", "xrd")
OTHERS = ("image", "dos", "phonon_dos", "charge_density", "properties")
NEGATIVE = ("not_text", "unlike")
"""Parts that count against a record."""
Measured = Image | Dos | ChargeDensity | Mapping[str, Property]
"""Data of another window; properties are numbers with units by name."""


@dataclass(frozen=True, eq=False)
class Query:
    """A search, before any model has seen it.

    Attributes:
        text: words.
        structure: a crystal in any form that ``read_crystal`` takes.
        xrd: a powder pattern, or the path of one.
        weights: by window, 1 where left out.
        filter: hard conditions on the results.
        k: results wanted.
        measured: data of any other window by its name; ``properties`` is a target.
        steer: words to avoid, records to resemble and records not to resemble.

    Raises:
        BadInputError: nothing to search by or only what to avoid, an unknown window, empty or overlong text,
            a weight that is not positive or belongs to no part of the query, or k below 1.
    """

    text: str | None = None
    structure: Union["StructureLike", None] = None
    xrd: Pattern | str | Path | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: Filter = field(default_factory=Filter)
    k: int = 10
    measured: Mapping[str, Measured] = field(default_factory=dict)
    steer: Steer = field(default_factory=Steer)

    def __post_init__(self) -> None:
        if not self.parts:
            raise BadInputError(
                "the query is empty", field="query", remedy="Give a text, a structure or a pattern."
            )
        if set(self.parts) <= set(NEGATIVE):
            raise BadInputError(
                "the query says only what is not wanted",
                field="query",
                remedy="Give words, a structure, a pattern or records to resemble too.",
            )
        if unknown := set(self.measured) - set(OTHERS):
            raise BadInputError(
                f"unknown window {sorted(unknown)[0]!r}",
                field="measured",
                remedy=f"Use one of {', '.join(OTHERS)}.",
            )
        if self.text is not None:
            check_words(self.text, "text", MAX_TEXT)
        for part, weight in self.weights.items():
            if part not in self.parts or not (np.isfinite(weight) and weight > 0):
                raise BadInputError(
                    f"weight {weight} for {part!r}",
                    field="weights",
                    remedy=f"Give positive numbers for {', '.join(self.parts)}.",
                )
        if self.k < 1:
            raise BadInputError(f"k is {self.k}", field="k", remedy="Ask for at least one result.")
        if isinstance(self.xrd, Pattern):
            _check_pattern(self.xrd)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are given: windows, then what steers."""
        windows = (name for name in PARTS if getattr(self, name) is not None)
        return (*windows, *self.measured, *self.steer.parts)

    def resolved(self) -> "Query":
        """The same query with files read: the structure as ``Crystal``, the pattern as ``Pattern``.

        Raises:
            BadInputError: a file cannot be read.
        """
        structure = None if self.structure is None else read_crystal(self.structure, record="query")
        return replace(self, structure=structure, xrd=_pattern(self.xrd))

    def to_json(self) -> str:
        """JSON text; files are read first, so that it stands alone."""
        query = self.resolved()
        payload: dict[str, object] = {"text": query.text, "weights": dict(query.weights), "k": query.k}
        if isinstance(query.structure, Crystal):
            payload["structure"] = to_cif(query.structure, name="query")
        if isinstance(query.xrd, Pattern):
            payload["xrd"] = {
                "two_theta": query.xrd.two_theta.tolist(),
                "intensity": query.xrd.intensity.tolist(),
                "wavelength": query.xrd.wavelength,
            }
        if query.measured:
            payload["measured"] = {window: to_payload(data) for window, data in query.measured.items()}
        if query.steer.parts:
            payload["steer"] = query.steer.to_dict()
        payload["filter"] = query.filter.to_dict()
        return json.dumps(payload, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Query":
        """Reads what ``to_json`` wrote, from anyone: a structure is CIF or POSCAR text, never a path.

        Raises:
            BadInputError: not JSON, unknown or wrongly typed fields, or a query that is not valid.
        """
        payload = _object(text)
        structure, xrd, k = payload.get("structure"), payload.get("xrd"), payload.get("k", 10)
        words = payload.get("text")
        if not (words is None or isinstance(words, str)):
            raise BadInputError("not a string", field="text", remedy="Give a string.")
        if structure is not None and not (isinstance(structure, str) and "\n" in structure):
            raise BadInputError(
                "not the text of a file", field="structure", remedy="Give the contents of a CIF or POSCAR."
            )
        if isinstance(k, bool) or not isinstance(k, int):
            raise BadInputError("not a whole number", field="k", remedy="Give a number from 1.")
        return cls(
            text=words,
            structure=None if structure is None else read_crystal(structure, record="query"),
            xrd=None if xrd is None else _pattern_from(xrd),
            measured=from_payloads(_given(payload, "measured")),
            weights=_weights(_given(payload, "weights")),
            filter=Filter.from_dict(_given(payload, "filter")),
            k=k,
            steer=Steer.from_dict(_given(payload, "steer")),
        )


def _object(text: str) -> dict[str, Any]:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError("not JSON", field="query", remedy="Give a JSON object.") from error
    fields = {*PARTS, "measured", "weights", "filter", "k", "steer"}
    if not isinstance(payload, dict) or not set(payload) <= fields:
        raise BadInputError(
            "not a query", field="query", remedy=f"Give an object with any of {', '.join(sorted(fields))}."
        )
    return payload


def _given(payload: dict[str, Any], name: str) -> object:
    """A field of the payload; null is as good as left out."""
    value = payload.get(name)
    return {} if value is None else value


def _weights(value: object) -> dict[str, float]:
    if not isinstance(value, dict) or not all(_is_number(x) for x in value.values()):
        raise BadInputError("not an object of numbers", field="weights", remedy='Write {"text": 1.0}.')
    try:
        return {str(part): float(x) for part, x in value.items()}
    except OverflowError as error:
        raise BadInputError("a number is too large", field="weights", remedy="Use 0.1 to 10.") from error


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _pattern(source: Pattern | str | Path | None) -> Pattern | None:
    if source is None or isinstance(source, Pattern):
        return source
    from prismat.formats_xrd import read_xy

    return read_xy(Path(source), record="query")


def _pattern_from(value: object) -> Pattern:
    remedy = 'Write {"two_theta": [...], "intensity": [...], "wavelength": 1.54184}.'
    fields = {"two_theta", "intensity", "wavelength"}
    if not isinstance(value, dict) or not set(value) <= fields:
        raise BadInputError("not a pattern", field="xrd", remedy=remedy)
    columns = [value.get(name) for name in ("two_theta", "intensity")]
    wavelength = value.get("wavelength", 1.54184)
    if not _is_number(wavelength) or not all(
        isinstance(c, list) and all(map(_is_number, c)) for c in columns
    ):
        raise BadInputError("not lists of numbers", field="xrd", remedy=remedy)
    try:
        two_theta, intensity = (np.array(column, dtype=np.float64) for column in columns)
        wavelength = float(wavelength)
    except OverflowError as error:
        raise BadInputError("a number is too large", field="xrd", remedy=remedy) from error
    if len(two_theta) != len(intensity):
        raise BadInputError(
            f"{len(two_theta)} angles but {len(intensity)} intensities", field="xrd", remedy=remedy
        )
    return Pattern(two_theta, intensity, wavelength)


def _check_pattern(pattern: Pattern) -> None:
    two_theta, intensity = pattern.two_theta, pattern.intensity
    sound = (
        len(two_theta) == len(intensity)
        and 2 <= len(two_theta) <= MAX_POINTS
        and np.isfinite(two_theta).all()
        and np.isfinite(intensity).all()
        and (np.diff(two_theta) > 0).all()
        and 0.1 < pattern.wavelength < 10
    )
    if not sound:
        raise BadInputError(
            "not a powder pattern",
            field="xrd",
            remedy="Give as many finite intensities as ascending angles (2θ in degrees), and λ in Å.",
        )
