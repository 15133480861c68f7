"""The window of properties: named numbers with units, each of which may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int, Shaped

from prismat.errors import BadInputError
from prismat.material import Material
from prismat.modalities.base import Columns, Features
from prismat.modalities.property_units import conversion
from prismat.ragged import Packed, Ragged

LARGEST = 1e15
"""Entries beyond this are refused: their squares would come near the limit of single precision."""

_UNKNOWN = ("a value of {:g}", "Give a finite number, or leave the property out where it is unknown.")
_NO_LOG = ("a value of {:g}, which has no logarithm", "Correct it, or set log=False in its PropertySpec.")
_TOO_LARGE = (f"a value of {{:g}}, beyond {LARGEST:g}", "Choose a larger unit or log=True in PropertySpec.")


@dataclass(frozen=True)
class PropertySpec:
    """One entry of the vector.

    Attributes:
        name: of the property, as in ``Material.properties``.
        unit: that values are converted to; ``""`` for a pure number.
        log: take the decimal logarithm, for positive quantities that span decades.
    """

    name: str
    unit: str
    log: bool = False


@dataclass(frozen=True)
class PropertiesSettings:
    """Which properties make the vector.

    Attributes:
        properties: the entries, in order.

    Raises:
        BadInputError: a name that is empty or given twice.
    """

    properties: tuple[PropertySpec, ...] = ()

    def __post_init__(self) -> None:
        names = [p.name for p in self.properties]
        if "" in names or len(set(names)) < len(names):
            raise BadInputError(
                f"property names {names}", field="properties", remedy="Name every property once."
            )


@dataclass(frozen=True)
class PropertiesBatch:
    """Property vectors of a batch.

    Attributes:
        values: in the settings' units, 0 where missing, shape (batch, entries).
        mask: which entries are given, shape (batch, entries).
        present: which records have any, shape (batch,).
    """

    values: Float[torch.Tensor, "batch entries"]
    mask: Bool[torch.Tensor, "batch entries"]
    present: Bool[torch.Tensor, " batch"]


class PropertiesModality:
    """The property window: one number per entry of the settings, NaN where it is missing.

    A target p* is a material that has nothing but the properties wanted of it: what is left out is left open.
    """

    name = "properties"

    def __init__(self, settings: PropertiesSettings = PropertiesSettings()) -> None:
        self.settings = settings
        self.columns: Columns = {"properties.values": (np.dtype(np.float32), ())}

    def featurize(self, material: Material) -> Features | None:
        """Values of the entries, shape (entries,); None where the material has none of them.

        Raises:
            BadInputError: a value that is not finite or too large, not positive where its logarithm is
                wanted, or without a unit or in one that does not convert; names material and property.
        """
        wanted = self.settings.properties
        given = [material.properties.get(spec.name) for spec in wanted]
        if all(p is None for p in given):
            return None
        row = np.full(len(wanted), np.nan)
        for entry, (spec, found) in enumerate(zip(wanted, given, strict=True)):
            if found is not None:
                row[entry] = _converted(np.array([found.value]), found.unit, spec, np.array([material.id]))[0]
        return {"properties.values": row.astype(np.float32)}

    def rows(self, column: pa.Array | pa.ChunkedArray, ids: Sequence[str] | None = None) -> Ragged:
        """The ragged column of a whole table at once, from its ``properties`` column.

        Other properties can so be taken from a store that was prepared without them.

        Args:
            column: lists of {name, value, unit}, one list per record, as in a store's table.
            ids: names of the records in error messages; their numbers where left out.

        Raises:
            BadInputError: as ``featurize``.
        """
        lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        record = lists.value_parent_indices().to_numpy()
        fields = lists.flatten()
        values = np.asarray(fields.field("value").to_numpy(zero_copy_only=False), np.float64)
        names, units = _coded(fields.field("name")), _coded(fields.field("unit"))
        table = np.full((len(lists), len(self.settings.properties)), np.nan)
        labels = np.arange(len(lists)) if ids is None else np.array(ids, dtype=object)
        for entry, spec in enumerate(self.settings.properties):
            for unit, here in _groups(names, units, spec.name):
                owner = record[here]
                table[owner, entry] = _converted(values[here], unit, spec, labels[owner])
        return _ragged(table.astype(np.float32))

    def collate(self, packed: Packed) -> PropertiesBatch:
        """One batch.

        Raises:
            BadInputError: rows of another number of entries than the settings.
        """
        column = packed["properties.values"]
        entries, present = len(self.settings.properties), column.lengths > 0
        lengths = np.unique(column.lengths[present]).tolist()
        if lengths not in ([], [entries]):
            raise BadInputError(
                f"rows of {lengths} properties where the settings name {entries}",
                field="properties.values",
                remedy="Use the settings that the rows were made with, or make them again.",
            )
        rows = np.full((len(column), entries), np.nan, np.float32)
        rows[present] = column.values.reshape(int(present.sum()), entries)
        mask = np.isfinite(rows)
        return PropertiesBatch(
            values=torch.from_numpy(np.where(mask, rows, np.float32(0))),
            mask=torch.from_numpy(mask),
            present=torch.from_numpy(mask.any(1)),
        )


def _ragged(table: Float[np.ndarray, "records entries"]) -> Ragged:
    """Rows with any value, length 0 where there is none."""
    some = np.isfinite(table).any(1)
    return Ragged(table[some].reshape(-1), np.where(some, table.shape[1], 0).astype(np.int64))


Coded = tuple[Int[np.ndarray, " values"], list[str]]


def _coded(column: pa.Array) -> Coded:
    """Number of each string, and the strings by number; a missing one counts as empty."""
    coded = column.fill_null("").dictionary_encode()
    return coded.indices.to_numpy(), coded.dictionary.to_pylist()


def _groups(names: Coded, units: Coded, name: str) -> list[tuple[str, Int[np.ndarray, " some"]]]:
    """Places of the values of one property, by unit."""
    if name not in names[1]:
        return []
    here = np.flatnonzero(names[0] == names[1].index(name))
    return [(units[1][u], here[units[0][here] == u]) for u in np.unique(units[0][here])]


def _converted(
    values: Float[np.ndarray, " n"], unit: str, spec: PropertySpec, records: Shaped[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Values in the entry's unit, or their logarithms."""
    field = f"property {spec.name!r}"
    try:
        factor, offset = conversion(unit, spec.unit, field)
    except BadInputError as error:
        raise error.at(str(records[0])) from error
    values = values * factor + offset
    _check(np.isfinite(values), values, field, records, _UNKNOWN)
    if spec.log:
        _check(values > 0, values, field, records, _NO_LOG)
        values = np.log10(values)
    _check(np.abs(values) < LARGEST, values, field, records, _TOO_LARGE)
    return values


def _check(
    good: Bool[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    field: str,
    records: Shaped[np.ndarray, " n"],
    wrong: tuple[str, str],
) -> None:
    """Names the first value that is no good."""
    if not good.all():
        first, (problem, remedy) = int(np.argmin(good)), wrong
        raise BadInputError(
            problem.format(values[first]), record=str(records[first]), field=field, remedy=remedy
        )
