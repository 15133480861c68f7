"""What every modality does."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from prismat.material import Material
from prismat.ragged import Packed, Ragged, pack

Columns = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]
"""Type and trailing shape of each ragged column."""

Features = dict[str, np.ndarray]
"""Arrays of one record by column name; a column's length may differ from record to record."""

Batch_co = TypeVar("Batch_co", covariant=True)


@runtime_checkable
class Modality(Protocol[Batch_co]):
    """One window on a material.

    ``columns`` names the ragged columns kept in a store with their type and trailing shape; a record
    without this modality has length 0 in every one of them.
    """

    name: str
    columns: Columns

    def featurize(self, material: Material) -> Features | None:
        """Arrays of one material, or None where it has no such window. Pure and deterministic."""
        ...

    def collate(self, packed: Packed) -> Batch_co:
        """One batch of plain tensors in a frozen dataclass, from columns taken by rows."""
        ...


def pack_features(columns: Columns, rows: Sequence[Features | None]) -> Packed:
    """Packs the features of a list of records; None gives length 0."""
    packed = {}
    for name, (dtype, shape) in columns.items():
        empty = np.zeros((0, *shape), dtype)
        arrays = [empty if row is None else row[name].astype(dtype, copy=False) for row in rows]
        # A shard may hold no record at all, and its columns keep their type and shape.
        packed[name] = pack(arrays) if arrays else Ragged(empty, np.zeros(0, np.int64))
    return packed
