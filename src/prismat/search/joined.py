"""Vectors of an index with several segments or dead records, joined when they are first asked for."""

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.search.index_files import REBUILD, load
from prismat.search.segments import Opened

Array = Float[np.ndarray, "records dim"]


class Joined(dict[str, Any]):
    """Arrays by key, each made when it is first asked for.

    Args:
        makers: makes the array of each key.
        dims: dimensions of each key, known before.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Array]], dims: dict[str, int]) -> None:
        super().__init__(makers)
        self.dims = dims

    def __getitem__(self, key: str) -> Array:
        value = super().__getitem__(key)
        if callable(value):
            value = value()
            self[key] = value
        return value

    # Overridden so that a copy of the whole goes through ``__getitem__`` too.
    def __iter__(self) -> Iterator[str]:
        return iter(list(super().keys()))

    def values(self) -> ValuesView[Array]:  # ty: ignore[incompatible-method-override]
        """The arrays, made now."""
        return ValuesView(self)

    def items(self) -> ItemsView[str, Array]:  # ty: ignore[incompatible-method-override]
        """Keys and arrays, made as they are asked for."""
        return ItemsView(self)


def mapped(folder: Path, opened: Opened) -> dict[str, Array]:
    """Vectors of the live records by key: mapped where they lie in one file, else joined on demand.

    Raises:
        BadInputError: a file is damaged, or lengths disagree.
    """
    parts = {
        key: [load(path, np.float32, 2) for path in opened.paths(folder, key, ".npy")]
        for key in opened.header.dims
    }
    lengths = np.diff(opened.starts)
    for key, dim in opened.header.dims.items():
        if any(p.shape != (n, dim) for p, n in zip(parts[key], lengths, strict=True)):
            raise BadInputError("the files disagree in length", record=str(folder), remedy=REBUILD)
    if len(lengths) == 1 and len(opened.rows) == lengths[0]:
        return {key: pieces[0] for key, pieces in parts.items()}

    def joining(pieces: list[np.ndarray]) -> Callable[[], Array]:
        return lambda: _join(pieces, opened)

    return Joined({key: joining(pieces) for key, pieces in parts.items()}, opened.header.dims)


def _join(pieces: list[np.ndarray], opened: Opened) -> Array:
    out = np.empty((len(opened.rows), pieces[0].shape[1]), np.float32)
    bounds = np.searchsorted(opened.rows, opened.starts)
    for i, piece in enumerate(pieces):
        part = slice(bounds[i], bounds[i + 1])
        out[part] = piece[opened.rows[part] - opened.starts[i]]
    out.flags.writeable = False
    return out
