"""Collections of an index in Milvus: how they are laid out, written and read in pages."""

import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from prismat.errors import BadInputError, MissingExtraError, VersionError
from prismat.search.backends.conditions import COUNT, NUMBERS, made_columns, property_columns, property_values
from prismat.search.backends.options import BuildOptions
from prismat.search.index_files import REBUILD

FORMAT_VERSION = 1
LIMIT = 16_384
"""Most results that Milvus gives to one request."""
PAGE = 1_000
_TEXT, _ID = 65_535, 1_024
_HEADS_KEPT = 16


@dataclass(frozen=True)
class Head:
    """What one version of an index consists of; the newest head in the collection of heads counts.

    Attributes:
        version: grows with every edit.
        generation: part of the collections' names; a rebuild takes new ones.
        high: rows from here on belong to later versions, or to edits that were killed.
        model_hash: of the model that made the vectors.
        keys: dimensions by key.
        units: by property.
        patterns: sets of keys that records have, as bits.
        options: of the build.
        records: live ones.
    """

    version: int
    generation: int
    high: int
    model_hash: str
    keys: dict[str, int]
    units: dict[str, str]
    patterns: tuple[int, ...]
    options: dict[str, Any]
    records: int

    def payload(self) -> str:
        """As it is stored."""
        return json.dumps({"format_version": FORMAT_VERSION, **self.__dict__}, ensure_ascii=False)


@dataclass(frozen=True, eq=False)
class Collections:
    """The collections of one index on one server or in one file.

    Attributes:
        client: connected.
        prefix: of the collections' names.
        where: address for messages.
    """

    client: Any
    prefix: str
    where: str

    @property
    def heads(self) -> str:
        """Name of the collection of heads."""
        return f"{self.prefix}_heads"

    def name(self, head: Head, what: str) -> str:
        """Name of a collection of a generation: ``records``, ``dead``, or ``key_`` and a number."""
        return f"{self.prefix}_g{head.generation}_{what}"

    def newest(self) -> Head | None:
        """The head that counts; None where there is no index.

        Raises:
            BadInputError: a damaged head.
            VersionError: another format version.
        """
        if not self.client.has_collection(self.heads):
            return None
        self.client.load_collection(self.heads)
        found = self.client.query(self.heads, filter="row >= 0", output_fields=["row", "text"], limit=LIMIT)
        if not found:
            return None
        damaged = BadInputError("a damaged head", record=self.where, remedy=REBUILD)
        try:
            told: dict[str, Any] = json.loads(max(found, key=lambda entry: entry["row"])["text"])
            version = told.pop("format_version")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged from error
        if version != FORMAT_VERSION:
            raise VersionError(
                f"The index {self.where!r} has format version {version}, this program reads "
                f"{FORMAT_VERSION}. {REBUILD}"
            )
        try:
            told["patterns"] = tuple(told["patterns"])
            return Head(**told)
        except (KeyError, TypeError) as error:
            raise damaged from error

    def load(self, head: Head) -> None:
        """Makes a generation ready to be searched, as it is not after a restart."""
        for what in ("records", "dead", *(f"key_{i}" for i in range(len(head.keys)))):
            self.client.load_collection(self.name(head, what))

    def commit(self, head: Head) -> int:
        """Makes a version the newest, by one insertion after everything else is on disk."""
        if not self.client.has_collection(self.heads):
            self._make(self.heads, [("text", "text")], 2, BuildOptions())
        self.client.insert(self.heads, [{"row": head.version, "text": head.payload(), "vector": [0.0, 1.0]}])
        self.client.flush(self.heads)
        self.client.delete(self.heads, filter=f"row < {head.version - _HEADS_KEPT}")
        return head.version

    def make(self, head: Head) -> None:
        """Makes the empty collections of a generation, in place of what a killed build left."""
        options = BuildOptions.of(head.options)
        conditions = [
            (NUMBERS, "numbers"),
            (COUNT, "whole"),
            ("n_sites", "whole"),
            ("spacegroup_number", "whole"),
        ]
        conditions += [(column, "real") for column in property_columns(head.units).values()]
        texts = [("id", "id"), *((name, "text") for name in ("formula", "spacegroup", "title", "elements"))]
        self._make(self.name(head, "records"), [*texts, *conditions], 2, BuildOptions())
        self._make(self.name(head, "dead"), [("died", "whole")], 2, BuildOptions())
        for i, dim in enumerate(head.keys.values()):
            self._make(self.name(head, f"key_{i}"), conditions, dim, options)

    def _make(self, name: str, columns: list[tuple[str, str]], dim: int, options: BuildOptions) -> None:
        from pymilvus import DataType

        if self.client.has_collection(name):
            self.client.drop_collection(name)
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        kinds: dict[str, dict[str, Any]] = {
            "whole": {"datatype": DataType.INT64, "nullable": True},
            "real": {"datatype": DataType.DOUBLE, "nullable": True},
            "id": {"datatype": DataType.VARCHAR, "max_length": _ID},
            "text": {"datatype": DataType.VARCHAR, "max_length": _TEXT},
            "numbers": {"datatype": DataType.ARRAY, "element_type": DataType.INT64, "max_capacity": 128},
        }
        for column, kind in columns:
            schema.add_field(column, **kinds[kind])
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = self.client.prepare_index_params()
        graph = {"M": options.connectivity, "efConstruction": options.expansion}
        chosen: dict[str, Any] = {"index_type": "HNSW", "params": graph} if options.approximate else {}
        index.add_index("vector", metric_type="IP", **(chosen or {"index_type": "FLAT"}))
        # Strong: what one client has written, the next one sees.
        self.client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")

    def clean(self, head: Head) -> None:
        """Removes what a killed edit left behind this version."""
        names = ["records", *(f"key_{i}" for i in range(len(head.keys)))]
        for name in names:
            self.client.delete(self.name(head, name), filter=f"row >= {head.high}")
        self.client.delete(self.name(head, "dead"), filter=f"died > {head.version}")

    def drop_older(self, head: Head) -> None:
        """Drops the collections of other generations."""
        ours = re.compile(re.escape(self.prefix) + r"_g(\d+)_")
        for name in self.client.list_collections():
            if (found := ours.match(name)) and int(found[1]) != head.generation:
                self.client.drop_collection(name)

    def put(
        self, head: Head, table: pa.Table, vectors: Iterable[tuple[int, np.ndarray, np.ndarray]], first: int
    ) -> None:
        """Inserts records; ``vectors`` gives the number of each key, unit vectors and presence."""
        conditions = _columns(head, table)
        texts = {
            name: [v or "" for v in table[name].to_pylist()]
            for name in ("id", "formula", "spacegroup", "title")
        }
        texts["elements"] = [" ".join(symbols or ()) for symbols in table["elements"].to_pylist()]
        _check_lengths(texts)
        # Milvus keeps no collection without a vector; nobody searches by this one.
        unused = np.array([0.0, 1.0], np.float32)
        self._insert(
            self.name(head, "records"), texts | conditions, range(table.num_rows), first, lambda _: unused
        )
        for i, rows, present in vectors:
            there = np.flatnonzero(present).tolist()
            self._insert(self.name(head, f"key_{i}"), conditions, there, first, rows.__getitem__)

    def _insert(
        self, name: str, columns: dict[str, list], rows: Sequence[int], first: int, vector: Any
    ) -> None:
        for start in range(0, len(rows), PAGE):
            page = [
                {"row": first + i, "vector": vector(i), **{c: values[i] for c, values in columns.items()}}
                for i in rows[start : start + PAGE]
            ]
            self.client.insert(name, page)
        self.client.flush(name)

    def bury(self, head: Head, rows: Int[np.ndarray, " dead"], version: int) -> None:
        """Notes rows that are dead from a version on."""
        name = self.name(head, "dead")
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE].tolist()
            self.client.insert(name, [{"row": i, "died": version, "vector": [0.0, 1.0]} for i in page])
        self.client.flush(name)

    def dead(self, head: Head) -> Int[np.ndarray, " dead"]:
        """Rows that are dead at a version, ascending."""
        name, found = self.name(head, "dead"), []
        for start in range(0, head.high, LIMIT):
            within = f"died <= {head.version} and row >= {start} and row < {start + LIMIT}"
            found += [
                e["row"] for e in self.client.query(name, filter=within, output_fields=["row"], limit=LIMIT)
            ]
        return np.sort(np.array(found, dtype=np.int64))

    def fetch(
        self, name: str, rows: Int[np.ndarray, " n"], fields: list[str], page: int = PAGE
    ) -> list[dict]:
        """Fields of those of the rows that are there, in any order."""
        found = []
        for start in range(0, len(rows), page):
            listed = rows[start : start + page].tolist()
            found += self.client.query(
                name, filter=f"row in {listed}", output_fields=["row", *fields], limit=len(listed)
            )
        return found


def connect(uri: str, token: str = "") -> Collections:
    """Connects to ``http(s)://host:port``, or to a file ``….db`` by milvus-lite; ``#NAME`` names the index.

    Raises:
        MissingExtraError: pymilvus is not installed.
        BadInputError: a bad name, or nothing answers there.
    """
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise MissingExtraError("pymilvus", "index") from error
    address, _, prefix = uri.partition("#")
    prefix = prefix or "prismat"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,100}", prefix):
        raise BadInputError(
            f"{prefix!r} is no name of a collection", field="uri", remedy="Use letters, digits and _."
        )
    if "://" not in address:
        Path(address).parent.mkdir(parents=True, exist_ok=True)
        # milvus-lite lacks a call that the client tries first and does without; nobody can act on the report.
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    try:
        return Collections(MilvusClient(address, token=token), prefix, uri)
    except (MilvusException, OSError, RuntimeError, ModuleNotFoundError) as error:
        raise BadInputError(
            f"Milvus cannot be reached or the file cannot be opened ({type(error).__name__})",
            record=uri,
            remedy="Check the address and the token; a file can be open in one process only.",
        ) from error


def _columns(head: Head, table: pa.Table) -> dict[str, list]:
    columns = {name: values.to_pylist() for name, values in made_columns(table).items()}
    columns |= {name: table[name].to_pylist() for name in ("n_sites", "spacegroup_number")}
    named = property_columns(head.units)
    return columns | {column: property_values(table, name).to_pylist() for name, column in named.items()}


def _check_lengths(texts: dict[str, list[str]]) -> None:
    for name, values in texts.items():
        limit = _ID if name == "id" else _TEXT
        for row, value in enumerate(values):
            if len(value.encode()) > limit:
                raise BadInputError(
                    f"{name} has more than {limit} bytes",
                    record=texts["id"][row][:200],
                    field=name,
                    remedy="Milvus keeps no longer text: shorten it, or use another back end.",
                )
