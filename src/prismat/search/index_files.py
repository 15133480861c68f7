"""The files of an index: what they must hold, how they are written and checked."""

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Shaped

from prismat.errors import BadInputError, MismatchError, VersionError
from prismat.files import sha256
from prismat.search.filters import PROPERTY, property_names

FORMAT_VERSION = 1
"""An exact index as it was built."""
EDITED_VERSION = 2
"""One with segments, dead records or the files of another back end, which older programs cannot read."""
REBUILD = "Run prismat index to make it again."
_ROWS = 65_536
_UNIT = 2.0**-22
"""Rounding to float32 leaves the length of a unit vector nearer to 1 than this."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("formula", pa.string()),
        ("spacegroup", pa.string()),
        ("spacegroup_number", pa.int32()),
        ("title", pa.string()),
        ("elements", pa.list_(pa.string())),
        ("n_sites", pa.int32()),
    ]
)
"""Columns every index has; ``property.<name>`` columns (float64, unit in the field's metadata) may follow."""


def property_field(name: str, unit: str) -> pa.Field:
    """The metadata column of one property."""
    return pa.field(PROPERTY + name, pa.float64(), metadata={"unit": unit})


def checked_table(table: pa.Table) -> pa.Table:
    """The table with its columns in the schema's order and types, then the properties."""
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise BadInputError(
            f"missing columns {missing}", field="table", remedy=f"Give {', '.join(SCHEMA.names)}."
        )
    ids = table["id"]
    if ids.null_count or len(ids.unique()) != len(ids):
        raise BadInputError("ids are missing or not unique", field="table id", remedy="Give each its own.")
    extra = [table.schema.field(PROPERTY + name) for name in property_names(table)]
    schema = pa.schema([*SCHEMA, *(pa.field(f.name, pa.float64(), metadata=f.metadata) for f in extra)])
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInputError(reason, field="table", remedy="See prismat.search.index_files.SCHEMA.") from error


def check_rows(
    key: str, vectors: Shaped[np.ndarray, "rows dim"], present: Bool[np.ndarray, " marks"], records: int
) -> None:
    """Refuses vectors or presence values that are not one for each record."""
    if len(vectors) != records or len(present) != records:
        raise BadInputError(
            f"{len(vectors)} vectors and {len(present)} presence values for {records} records",
            field=f"embeddings {key}",
            remedy="Give one for each record.",
        )


def unit_rows(
    key: str, vectors: Float[np.ndarray, "records dim"], present: Bool[np.ndarray, " records"]
) -> Iterator[tuple[slice, Float[np.ndarray, "some dim"]]]:
    """Unit vectors in float32, 65,536 rows at a time; zeros where absent.

    Raises:
        BadInputError: a vector is zero or not finite.
    """
    for start in range(0, len(vectors), _ROWS):
        part = slice(start, start + _ROWS)
        rows = np.where(present[part, None], np.asarray(vectors[part], dtype=np.float64), 0.0)
        length = np.linalg.norm(rows, axis=1)
        bad = np.flatnonzero(~(np.isfinite(length) & ((length > 0) | ~present[part])))
        if len(bad):
            raise BadInputError(
                "the vector is zero or not finite",
                record=f"row {start + bad[0]}",
                field=f"embeddings {key}",
                remedy="Mark it as absent or embed it again.",
            )
        # Vectors that were unit vectors already keep every bit, so that copies score as their originals do.
        scale = np.where((length > 0) & (np.abs(length - 1) > _UNIT), length, 1)
        yield part, (rows / scale[:, None]).astype(np.float32)


def write_unit(
    path: Path, key: str, vectors: Float[np.ndarray, "records dim"], present: Bool[np.ndarray, " records"]
) -> None:
    """Writes unit vectors as .npy; zeros where absent."""
    shape = (len(vectors), vectors.shape[1])
    if not len(vectors):
        np.save(path, np.zeros(shape, np.float32), allow_pickle=False)
        return
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for part, rows in unit_rows(key, vectors, present):
        out[part] = rows
    out.flush()


def stamp(path: Path) -> dict[str, object]:
    """Size and hash of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def read_header(folder: Path, model_hash: str | None) -> dict:
    """``index.json``, after checking that this program and this model may use the index."""
    try:
        header = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInputError("there is no index", record=str(folder), remedy="Run prismat index.") from error
    except ValueError as error:
        raise BadInputError("index.json is damaged", record=str(folder), remedy=REBUILD) from error
    version = header.get("format_version") if isinstance(header, dict) else None
    if version not in (FORMAT_VERSION, EDITED_VERSION):
        raise VersionError(
            f"The index {str(folder)!r} has format version {version}, this program reads {FORMAT_VERSION} "
            f"and {EDITED_VERSION}. {REBUILD}"
        )
    keys, files, made_with = header.get("keys"), header.get("files"), header.get("model_hash")
    named = isinstance(keys, list) and keys and all(isinstance(key, str) for key in keys)
    if not (named and isinstance(files, dict) and isinstance(made_with, str)):
        raise BadInputError("index.json is damaged", record=str(folder), remedy=REBUILD)
    check_model(made_with, model_hash)
    return header


def check_model(made_with: str, model_hash: str | None) -> None:
    """Refuses an index of another model; None stands for any."""
    if model_hash is not None and made_with != model_hash:
        raise MismatchError(
            f"This index was made with model {made_with[:12]}, the model loaded is {model_hash[:12]}. "
            "Run prismat index to make it again with this model, or load the other model."
        )


def check_file(path: Path, stamp: object, verify: bool) -> None:
    """Compares a file's size, and its hash where ``verify``, with those written down."""
    intact = isinstance(stamp, dict) and path.is_file() and path.stat().st_size == stamp.get("bytes")
    if intact and verify:
        intact = isinstance(stamp, dict) and sha256(path) == stamp.get("sha256")
    if not intact:
        raise BadInputError(f"{path.name} is missing or damaged", record=str(path.parent), remedy=REBUILD)


def load(path: Path, dtype: type, ndim: int) -> Shaped[np.ndarray, "..."]:
    """Maps an array into memory, read-only; nothing is unpickled."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise BadInputError(f"{path.name} is damaged", record=str(path.parent), remedy=REBUILD) from error
    if array.dtype != dtype or array.ndim != ndim:
        raise BadInputError(f"{path.name} is damaged", record=str(path.parent), remedy=REBUILD)
    return array


def load_table(path: Path) -> pa.Table:
    """The metadata of an index."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path.name} is damaged", record=str(path.parent), remedy=REBUILD) from error
    # Rows of a table in pieces are taken by joining the pieces each time.
    return checked_table(table).combine_chunks()


def check_key(key: str, keys: Mapping[str, int]) -> None:
    """Refuses a key that an index lacks."""
    if key not in keys:
        raise BadInputError(f"unknown key {key!r}", field="key", remedy=f"This index has: {', '.join(keys)}.")


def known(ids: Sequence[str], among: Container[str]) -> Sequence[str]:
    """The ids, all of which must be there.

    Raises:
        BadInputError: one is not.
    """
    for name in ids:
        if name not in among:
            raise BadInputError(
                "no such record in this index", record=name[:200], field="id", remedy="Check the id."
            )
    return ids


def check_added(table: pa.Table, units: Mapping[str, str]) -> None:
    """Refuses added records whose properties the index cannot hold.

    Raises:
        MismatchError: a property or a unit that the index does not have.
    """
    for name in property_names(table):
        unit = (table.schema.field(PROPERTY + name).metadata or {}).get(b"unit", b"").decode()
        if units.get(name) != unit:
            raise MismatchError(
                f"The records bring the property {name!r} in {unit!r}; the index has "
                f"{', '.join(f'{n} ({u})' for n, u in units.items()) or 'no properties'}. "
                "Leave it out, or run prismat index to make the index again with it."
            )


def only_new(ids: Sequence[str], among: Container[str]) -> None:
    """Refuses ids that are there already.

    Raises:
        BadInputError: one is.
    """
    for name in ids:
        if name in among:
            raise BadInputError(
                "the index has this record already",
                record=name[:200],
                field="id",
                remedy="Update it instead.",
            )
