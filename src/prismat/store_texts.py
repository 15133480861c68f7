"""Texts added to a store after it was prepared: one Parquet table and one description per kind.

Layout, inside the store's folder::

    texts/<kind>.parquet    id, text
    texts/<kind>.json       how many, SHA-256 of the table, and what made them: model, prompt, licence …
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from prismat.errors import BadInputError
from prismat.files import replacing, sha256, write_json

_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])


def write_texts(folder: Path, kind: str, texts: Mapping[str, str], made_by: Mapping[str, Any]) -> None:
    """Adds texts of one kind to a store, in place of those of that kind added before.

    Args:
        folder: the store's folder.
        kind: name of the texts, such as ``keywords``.
        texts: text by record id.
        made_by: what made them, as JSON: method, model, hash of the prompt, licence.

    Raises:
        BadInputError: a kind that is no plain name.
    """
    if not _KIND.fullmatch(kind):
        raise BadInputError(
            f"{kind!r} is no name for texts", field="kind", remedy="Use lower-case letters, digits and _."
        )
    table = pa.Table.from_pydict({"id": list(texts), "text": list(texts.values())}, schema=_SCHEMA)
    path = Path(folder) / "texts" / f"{kind}.parquet"
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        found = sha256(temporary)
    # Written last: texts without their description are not read.
    write_json(path.with_suffix(".json"), {"records": len(texts), "sha256": found, **made_by})


def read_texts_info(folder: Path) -> dict[str, dict[str, Any]]:
    """What was added to a store: description by kind."""
    paths = sorted((Path(folder) / "texts").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def read_added_texts(folder: Path) -> dict[str, dict[str, str]]:
    """Texts that were added to a store: by kind, by record id.

    Raises:
        BadInputError: a table is not the one that was described.
    """
    found = {}
    for kind, info in read_texts_info(folder).items():
        path = Path(folder) / "texts" / f"{kind}.parquet"
        if not path.is_file() or sha256(path) != info["sha256"]:
            raise BadInputError(
                "not the texts that were described beside it", record=str(path), remedy="Make them again."
            )
        table = pq.read_table(path)
        found[kind] = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    return found
