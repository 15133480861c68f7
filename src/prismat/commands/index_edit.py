"""Verbs that make and change a search index: index, index-edit."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prismat.api import load
from prismat.commands.talk import Run
from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.search.backends.opening import build_any, open_any
from prismat.search.backends.options import BuildOptions
from prismat.store import Store
from prismat.tasks.indexing import Added, add_store, embedded_records

_DEFAULT = {"exact": "index", "usearch": "index", "lancedb": "index-lancedb", "milvus": "index.db"}
_MAX_LIST = 64 << 20


@dataclass(frozen=True)
class IndexCommand:
    """Embed every record of a store and write a search index.

    Attributes:
        store: made by ``prismat prepare``.
        run_folder: the run whose model embeds.
        out: the index folder; ``RUN/index`` where not given (``RUN/index-lancedb``, ``RUN/index.db``).
        backend: the engine that holds the index.
        uri: instead of a folder: ``s3://…`` for lancedb; ``FILE.db`` or ``http(s)://host:port`` for milvus,
            ``#NAME`` behind it where several lie there. The token of a Milvus cluster is read from the
            environment variable PRISMAT_MILVUS_TOKEN.
        approximate: faster search that may miss some (usearch, lancedb, milvus).
        half: vectors in half precision (usearch).
        json: print JSON.
    """

    store: Path = Path("stores/amcsd")
    run_folder: Run = Path("runs/run")
    out: Path | None = None
    backend: Literal["exact", "usearch", "lancedb", "milvus"] = "exact"
    uri: str | None = None
    approximate: bool = False
    half: bool = False
    json: bool = False

    def run(self) -> None:
        """Builds the index and says what to run next."""
        if self.half and self.backend != "usearch":
            raise BadInputError(
                f"{self.backend} keeps full precision", field="half", remedy="Use it with --backend usearch."
            )
        if self.uri and self.out:
            raise BadInputError("both a folder and a URI", field="uri", remedy="Give --out or --uri.")
        prismat, store = load(self.run_folder), Store(self.store)
        place = self.uri or str(self.out or self.run_folder / _DEFAULT[self.backend])
        options = BuildOptions(self.approximate, "f16" if self.half else "f32")
        index = build_any(self.backend, place, embedded_records(prismat, store), prismat.hash, options)
        if self.json:
            told = {"index": place, "backend": index.kind, "records": len(index), "keys": index.keys}
            print(json.dumps({**told, "version": index.version, "model": index.model_hash}, indent=2))
            return
        print(f"{len(index):,} records under {', '.join(index.keys)} → {place}")
        where = "" if place == str(self.run_folder / "index") else f" --index {place}"
        print(f'Next: prismat search --run {self.run_folder}{where} --text "your words"')


@dataclass(frozen=True)
class IndexEdit:
    """Add, replace or remove records of a search index, without making it again.

    Attributes:
        run_folder: the run whose model made the index.
        index: folder, file or URI of the index; ``RUN/index`` where not given.
        add: a store, made by ``prismat prepare``, whose records are added.
        replace: replace records that are there already, instead of leaving them as they are.
        remove: ids to remove.
        remove_listed: a file of ids to remove, one a line.
        compact: free the space of removed records and join what was added.
        json: print JSON.
    """

    run_folder: Run = Path("runs/run")
    index: str | None = None
    add: Path | None = None
    replace: bool = False
    remove: tuple[str, ...] = ()
    remove_listed: Path | None = None
    compact: bool = False
    json: bool = False

    def run(self) -> None:
        """Edits in this order: removes, adds, compacts; says what became of every record."""
        ids = [*self.remove, *(_listed(self.remove_listed) if self.remove_listed else ())]
        if not (ids or self.add or self.compact):
            raise BadInputError(
                "nothing to do",
                field="index-edit",
                remedy="Give --add, --remove, --remove-listed or --compact.",
            )
        prismat = load(self.run_folder)
        place = self.index or str(self.run_folder / "index")
        index = open_any(place, prismat.hash)
        there = index.holds(ids)
        removed = [name for name in dict.fromkeys(ids) if name in there]
        unknown = [name for name in dict.fromkeys(ids) if name not in there]
        if removed:
            index.delete(removed)
        added = add_store(prismat, Store(self.add), index.latest(), self.replace) if self.add else None
        if self.compact:
            index.compact()
        after = index.latest()
        told: dict[str, Any] = {"index": place, "backend": after.kind, "version": after.version}
        told |= {"records": len(after), "removed": removed, "not there": unknown, **_told(added)}
        print(json.dumps(told, indent=2, ensure_ascii=False) if self.json else _text(told))
        if not self.json:
            where = "" if self.index is None else f" --index {self.index}"
            print(f'Next: prismat search --run {self.run_folder}{where} --text "your words"')


def _listed(path: Path) -> list[str]:
    content = read_limited(path, _MAX_LIST)
    if len(content) > _MAX_LIST:
        raise BadInputError(
            "the file is too large", record=path.name, field="remove_listed", remedy="Split it."
        )
    return [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]


def _told(added: Added | None) -> dict[str, list[str]]:
    if added is None:
        return {}
    there = {"added": added.added, "updated": added.updated, "skipped, there already": added.skipped}
    return {name: list(ids) for name, ids in {**there, "properties left out": added.left_out}.items()}


def _text(told: dict[str, Any]) -> str:
    lines = [f"{told['index']}: {told['records']:,} records, version {told['version']} ({told['backend']})"]
    for name, entries in told.items():
        if isinstance(entries, list) and entries:
            shown = ", ".join(entries[:5]) + (", …" if len(entries) > 5 else "")
            lines.append(f"  {name}: {len(entries):,} ({shown})")
    return "\n".join(lines)
