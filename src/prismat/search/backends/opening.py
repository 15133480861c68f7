"""One way to build and to open an index, whatever engine holds it."""

import os
from pathlib import Path

from prismat.errors import BadInputError
from prismat.search.backends.base import SearchIndex
from prismat.search.backends.lance_index import TABLE, LanceIndex
from prismat.search.backends.milvus_index import MilvusIndex, Records
from prismat.search.backends.options import BuildOptions
from prismat.search.backends.usearch_index import UsearchIndex
from prismat.search.index import Index
from prismat.search.index_files import read_header

KINDS = ("exact", "usearch", "lancedb", "milvus")
TOKEN = "PRISMAT_MILVUS_TOKEN"  # noqa: S105  (its name, not itself)
"""Environment variable that holds the token of a Milvus cluster."""
_OBJECT_STORES = ("s3", "gs", "az", "abfss", "memory")


def build_any(
    kind: str,
    place: str | Path,
    records: Records,
    model_hash: str,
    options: BuildOptions = BuildOptions(),
) -> SearchIndex:
    """Builds an index in an engine, over whatever was there.

    Args:
        kind: one of ``KINDS``.
        place: a folder; for ``lancedb`` also ``s3://``, ``gs://`` or ``az://``; for ``milvus`` a file
            ``….db`` or ``http(s)://host:port``, and ``#NAME`` behind it where several lie at one place.
        records: vectors by key, presence by key, metadata; see ``Index.build``.
        model_hash: hash of the model.
        options: of the engine; the exact index takes none.

    Raises:
        BadInputError: an unknown engine, a place that it cannot use, or bad records.
        MissingExtraError: the engine is not installed.
    """
    if kind not in KINDS:
        raise BadInputError(f"unknown back end {kind!r}", field="backend", remedy=f"Use {', '.join(KINDS)}.")
    _check_place(kind, str(place))
    _check_replaced(kind, str(place))
    if kind == "usearch":
        return UsearchIndex.build(Path(place), records, model_hash, options)
    if kind == "lancedb":
        return LanceIndex.build(place, records, model_hash, options)
    if kind == "milvus":
        return MilvusIndex.build(str(place), records, model_hash, options, os.environ.get(TOKEN, ""))
    if options != BuildOptions():
        raise BadInputError(
            "the exact index has no options",
            field="backend",
            remedy="Choose another back end, or none of them.",
        )
    return Index.build(Path(place), *records, model_hash)


def open_any(place: str | Path, model_hash: str | None = None) -> SearchIndex:
    """Opens an index; which engine holds it is seen from where it lies.

    Args:
        place: as for ``build_any``.
        model_hash: the model that will embed the queries; unchecked where None.

    Raises:
        BadInputError: no index there, or a damaged one.
        VersionError: another format version.
        MismatchError: made with another model.
        MissingExtraError: the engine is not installed.
    """
    kind = kind_of(place)
    if kind == "milvus":
        return MilvusIndex.open(str(place), model_hash, os.environ.get(TOKEN, ""))
    if kind == "lancedb":
        return LanceIndex.open(place, model_hash)
    if kind == "usearch":
        return UsearchIndex.open(Path(place), model_hash)
    return Index.open(Path(place), model_hash)


def kind_of(place: str | Path) -> str:
    """The engine whose index lies at a place.

    Raises:
        BadInputError: no index there.
    """
    text = str(place)
    if _is_milvus(text):
        return "milvus"
    if "://" in text or (Path(text) / f"{TABLE}.lance").is_dir():
        _check_place("lancedb", text)
        return "lancedb"
    kind = read_header(Path(text), None).get("kind", "exact")
    if kind not in ("exact", "usearch"):
        raise BadInputError(
            f"an index of the unknown kind {str(kind)[:40]!r}", record=text, remedy="Run prismat index."
        )
    return kind


def _is_milvus(text: str) -> bool:
    return text.startswith(("http://", "https://")) or text.partition("#")[0].endswith(".db")


def _check_place(kind: str, text: str) -> None:
    """Refuses a place that an engine cannot use, before anything is computed or overwritten."""
    scheme = text.partition("://")[0] if "://" in text else ""
    fits = {
        "milvus": _is_milvus(text),
        "lancedb": (not scheme or scheme in _OBJECT_STORES) and not _is_milvus(text),
    }.get(kind, not scheme and not _is_milvus(text))
    if not fits:
        wanted = {
            "milvus": "Give a file that ends in .db, or http(s)://host:port.",
            "lancedb": "Give a folder, or s3://, gs:// or az://.",
        }.get(kind, "Give a folder.")
        raise BadInputError(f"{kind} keeps no index there", record=text, field="uri", remedy=wanted)


def _check_replaced(kind: str, text: str) -> None:
    """Refuses to write an index over a folder that holds something else."""
    folder = Path(text)
    if kind == "milvus" or "://" in text or not folder.is_dir():
        return
    ours = (f"{TABLE}.lance", ".lock") if kind == "lancedb" else ("index.json",)
    inside = [path.name for path in folder.iterdir()]
    if inside and not any(name in inside for name in ours):
        raise BadInputError(
            f"the folder holds something that is no index of {kind}",
            record=text,
            field="out",
            remedy="Give another folder, or remove this one.",
        )
