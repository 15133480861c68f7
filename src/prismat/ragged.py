"""Ragged columns: one flat array and a length per record; rows are taken without a Python loop."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped


@dataclass(frozen=True)
class Ragged:
    """A column of variable-length arrays.

    Attributes:
        values: all records' values behind one another, shape (total, ...).
        lengths: number of values of each record, shape (records,).
    """

    values: Shaped[np.ndarray, "total ..."]
    lengths: Int[np.ndarray, " records"]

    @property
    def offsets(self) -> Int[np.ndarray, " borders"]:
        """Start of each record in ``values``, and the end of the last."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Shaped[np.ndarray, "length ..."]:
        start = int(self.lengths[:row].sum())
        return self.values[start : start + int(self.lengths[row])]


Packed = dict[str, Ragged]


def ranges(starts: Int[np.ndarray, " n"], lengths: Int[np.ndarray, " n"]) -> Int[np.ndarray, " total"]:
    """The integers start, start+1, … start+length−1 of every row, behind one another."""
    lengths = lengths.astype(np.int64)
    total = int(lengths.sum())
    before = np.cumsum(lengths) - lengths
    return np.arange(total, dtype=np.int64) + np.repeat(starts.astype(np.int64) - before, lengths)


def take(
    values: Shaped[np.ndarray, "total ..."],
    offsets: Int[np.ndarray, " borders"],
    rows: Int[np.ndarray, " n"],
) -> Ragged:
    """Gathers rows of a packed column in the order asked for."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    return Ragged(values[ranges(starts, lengths)], lengths)


def pack(rows: Sequence[np.ndarray]) -> Ragged:
    """Packs a list of arrays; the trailing shape and the type come from the first."""
    lengths = np.array([len(r) for r in rows], dtype=np.int64)
    return Ragged(np.concatenate(rows) if rows else np.zeros(0), lengths)
