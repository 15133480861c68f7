"""A folder of records in versions: segments that are never changed, and which of their records are dead.

``index.json`` names the segments and the list of the dead; an edit writes new files beside the old ones and
then puts a new ``index.json`` in place by renaming. A process killed before that leaves the old version as it
was; one that has the old version open keeps it, since what it reads stays mapped or in memory.
"""

import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError, MismatchError, PrismatError
from prismat.files import write_json
from prismat.search.index_files import (
    EDITED_VERSION,
    FORMAT_VERSION,
    REBUILD,
    check_file,
    check_rows,
    checked_table,
    load,
    load_table,
    read_header,
    stamp,
)

Embeddings = Mapping[str, Float[np.ndarray, "records _"]]
Presence = Mapping[str, Bool[np.ndarray, " records"]]
WriteVectors = Callable[[Path, str, Float[np.ndarray, "records _"], Bool[np.ndarray, " records"]], None]
"""Writes the vectors of one key into a file: path, key, vectors of any length, presence."""

_LOCK = ".lock"


@dataclass(frozen=True)
class Segment:
    """Files that were written together.

    Attributes:
        folder: inside the index; empty for the index folder itself.
        records: how many, dead ones included.
        files: size and hash by name.
    """

    folder: str
    records: int
    files: dict[str, dict]


@dataclass(frozen=True)
class Header:
    """What ``index.json`` says.

    Attributes:
        kind: of the back end that wrote the vectors.
        version: grows by one with every edit.
        model_hash: of the model that made the vectors.
        dims: dimensions by key, in the order of the files' numbers.
        segments: in the order of their records.
        dead: name, size and hash of the list of dead records; empty where there are none.
        options: of the back end.
    """

    kind: str
    version: int
    model_hash: str
    dims: dict[str, int]
    segments: tuple[Segment, ...]
    dead: dict
    options: dict

    def write(self, folder: Path, records: int) -> None:
        """Puts this version in place; it is there whole or not at all."""
        first = self.segments[0]
        plain = self.kind == "exact" and len(self.segments) == 1 and not (first.folder or self.dead)
        payload: dict[str, object] = {
            "format_version": FORMAT_VERSION if plain else EDITED_VERSION,
            "kind": self.kind,
            "version": self.version,
            "model_hash": self.model_hash,
            "records": records,
            "keys": list(self.dims),
            "dims": list(self.dims.values()),
            # Where nothing was edited, programs that know only the first format can read the index.
            "files": first.files if plain else {},
        }
        if not plain:
            payload["segments"] = [asdict(s) for s in self.segments]
            payload |= {"dead": self.dead, "options": self.options}
        write_json(folder / "index.json", payload)


def read(folder: Path, model_hash: str | None, kind: str) -> Header:
    """Reads ``index.json``.

    Raises:
        BadInputError: no index there, a damaged one, or one of another back end.
        VersionError: another format version.
        MismatchError: made with another model.
    """
    found = read_header(folder, model_hash)
    damaged = BadInputError("index.json is damaged", record=str(folder), remedy=REBUILD)
    made_by = found.get("kind", "exact")
    if made_by != kind:
        raise BadInputError(
            f"this index was written by the back end {made_by!r}, not {kind!r}",
            record=str(folder),
            field="backend",
            remedy="Open it with prismat.search.backends.opening.open_any.",
        )
    try:
        whole = [{"folder": "", "records": found["records"], "files": found["files"]}]
        listed = found.get("segments", whole)
        segments = tuple(Segment(str(s["folder"]), int(s["records"]), dict(s["files"])) for s in listed)
        dims = dict(zip(found["keys"], found.get("dims", [0] * len(found["keys"])), strict=True))
        dead, options = dict(found.get("dead", {})), dict(found.get("options", {}))
        version = int(found.get("version", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged from error
    # Names come from a file that anyone may have written.
    names = (
        [s.folder for s in segments] + [name for s in segments for name in s.files] + [dead.get("name", "")]
    )
    if not segments or any(not isinstance(n, str) or "/" in n or "\\" in n or n == ".." for n in names):
        raise damaged
    return Header(made_by, version, found["model_hash"], dims, segments, dead, options)


@dataclass(frozen=True, eq=False)
class Opened:
    """The records of one version.

    Attributes:
        header: the version.
        table: metadata of the live records.
        present: by key, which of the live records have a vector.
        rows: places of the live records among all, dead ones included.
        starts: first place of each segment, and the number of all places.
    """

    header: Header
    table: pa.Table
    present: dict[str, Bool[np.ndarray, " records"]]
    rows: Int[np.ndarray, " records"]
    starts: Int[np.ndarray, " bounds"]

    def paths(self, folder: Path, key: str, suffix: str) -> list[Path]:
        """The file of a key in each segment."""
        i = list(self.header.dims).index(key)
        return [folder / s.folder / f"vectors_{i}{suffix}" for s in self.header.segments]


def open_version(folder: Path, model_hash: str | None, kind: str, suffix: str, verify: bool) -> Opened:
    """Checks every file of the newest version and reads all but the vectors.

    Raises:
        BadInputError: a file is missing or damaged.
        VersionError: another format version.
        MismatchError: made with another model.
    """
    header = read(folder, model_hash, kind)
    try:
        return _opened(folder, header, suffix, verify)
    except BadInputError:
        # A compaction may have taken the files away between the two reads.
        newer = read(folder, model_hash, kind)
        if newer.version == header.version:
            raise
        return _opened(folder, newer, suffix, verify)


def _opened(folder: Path, header: Header, suffix: str, verify: bool) -> Opened:
    n = len(header.dims)
    tables, marks = [], []
    for segment in header.segments:
        place = folder / segment.folder
        names = [*(f"vectors_{i}{suffix}" for i in range(n)), *(f"present_{i}.npy" for i in range(n))]
        for name in (*names, "table.parquet"):
            check_file(place / name, segment.files.get(name), verify)
        header = header if all(header.dims.values()) else _with_dims(place, header)
        tables.append(load_table(place / "table.parquet"))
        marks.append([np.array(load(place / f"present_{i}.npy", np.bool_, 1)) for i in range(n)])
        if any(len(m) != tables[-1].num_rows for m in marks[-1]) or tables[-1].num_rows != segment.records:
            raise BadInputError("the files disagree in length", record=str(folder), remedy=REBUILD)
    starts = np.cumsum([0, *(s.records for s in header.segments)])
    live = np.ones(starts[-1], dtype=bool)
    live[_dead(folder, header, int(starts[-1]), verify)] = False
    rows = np.flatnonzero(live)
    table = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="default")
    if len(rows) < len(live) or len(tables) > 1:
        table = table.take(pa.array(rows)).combine_chunks()
    joined = [np.concatenate([m[i] for m in marks])[rows] for i in range(n)]
    return Opened(header, table, dict(zip(header.dims, joined, strict=True)), rows, starts)


def _with_dims(place: Path, header: Header) -> Header:
    """Fills in the dimensions, which the first format did not write down."""
    shapes = [load(place / f"vectors_{i}.npy", np.float32, 2).shape for i in range(len(header.dims))]
    return replace(header, dims={key: shape[1] for key, shape in zip(header.dims, shapes, strict=True)})


def _dead(folder: Path, header: Header, records: int, verify: bool) -> Int[np.ndarray, " dead"]:
    if not header.dead:
        return np.zeros(0, np.int64)
    path = folder / header.dead["name"]
    check_file(path, header.dead, verify)
    rows = np.array(load(path, np.int64, 1))
    if len(rows) and not 0 <= rows.min() <= rows.max() < records:
        raise BadInputError(f"{path.name} is damaged", record=str(folder), remedy=REBUILD)
    return rows


def write_segment(
    place: Path, embeddings: Embeddings, present: Presence, table: pa.Table, write: WriteVectors, suffix: str
) -> dict[str, dict]:
    """Writes the files of one segment into a folder that is not in use yet; returns their stamps."""
    for i, key in enumerate(embeddings):
        write(place / f"vectors_{i}{suffix}", key, embeddings[key], present[key])
        np.save(place / f"present_{i}.npy", present[key], allow_pickle=False)
    pq.write_table(table, place / "table.parquet", compression="zstd")
    return {path.name: stamp(path) for path in sorted(place.iterdir())}


def checked_records(
    embeddings: Embeddings, present: Presence, table: pa.Table, dims: Mapping[str, int] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], pa.Table]:
    """Vectors and presence under every key, and the metadata in the schema's form.

    Args:
        embeddings: by key, one vector for each record.
        present: by key; a key left out is present everywhere.
        table: see ``SCHEMA``.
        dims: of the index to which the records are added; keys left out are absent then.

    Raises:
        BadInputError: no keys, unknown ones, lengths that disagree, missing columns, or duplicate ids.
    """
    table = checked_table(table)
    keys = sorted(embeddings)
    if not keys or not set(present) <= set(keys):
        raise BadInputError(
            f"embeddings for {keys} but presence for {sorted(present)}",
            field="embeddings",
            remedy="Give at least one key, and embeddings for each.",
        )
    if dims is not None and (bad := [k for k in keys if embeddings[k].shape[1] != dims.get(k)]):
        raise MismatchError(
            f"The index has no key {bad[0]!r} of {embeddings[bad[0]].shape[1]} dimensions; it has "
            f"{', '.join(f'{k} ({n})' for k, n in dims.items())}. Embed with the model that made the index."
        )
    masks = {k: np.asarray(present.get(k, np.ones(len(embeddings[k]), bool)), dtype=bool) for k in keys}
    for key in keys:
        check_rows(key, embeddings[key], masks[key], table.num_rows)
    found = dict(embeddings)
    for key, dim in (dims or {}).items():
        if key not in found:
            found[key] = np.zeros((table.num_rows, dim), np.float32)
            masks[key] = np.zeros(table.num_rows, dtype=bool)
    order = list(dims or keys)
    return {k: found[k] for k in order}, {k: masks[k] for k in order}, table


@contextmanager
def one_writer(folder: Path) -> Generator[None]:
    """Keeps a second writer out of the folder; the system lets go of the lock however this one ends."""
    # Not there on Windows, where the rest of the library works nonetheless.
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInputError(
                "another process is changing this index", record=str(folder), remedy="Wait for it to end."
            ) from error
        yield


def with_segment(
    folder: Path, header: Header, records: int, write: Callable[[Path], dict[str, dict]]
) -> Header:
    """The next version's header after writing one more segment, which nothing refers to yet."""
    name = f"segment-{header.version + 1:06d}"
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir()
    added = Segment(name, records, write(folder / name))
    return replace(header, version=header.version + 1, segments=(*header.segments, added))


def with_dead(folder: Path, header: Header, rows: Int[np.ndarray, " dead"], version: int) -> Header:
    """The header of a version in which these records are dead; their list is a new file."""
    if not len(rows):
        return replace(header, version=version, dead={})
    path = folder / f"dead-{version:06d}.npy"
    np.save(path, np.sort(rows).astype(np.int64), allow_pickle=False)
    return replace(header, version=version, dead={"name": path.name, **stamp(path)})


def sweep(folder: Path, header: Header) -> None:
    """Removes what this version does not refer to: older lists, merged segments, remains of killed edits."""
    kept = {s.folder for s in header.segments} | {header.dead.get("name", "")}
    for path in [*folder.glob("segment-*"), *folder.glob("dead-*.npy")]:
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if all(s.folder for s in header.segments):
        for path in [*folder.glob("vectors_*"), *folder.glob("present_*.npy"), folder / "table.parquet"]:
            path.unlink(missing_ok=True)


def next_version(folder: Path, kind: str) -> int:
    """One more than that of the index that lies there; 1 where none does, or none that can be read."""
    try:
        return read(folder, None, kind).version + 1
    except PrismatError:
        return 1
