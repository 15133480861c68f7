"""Files that are whole or absent, written under a temporary name and renamed; reading up to a limit."""

import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from prismat.errors import BadInputError


def sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(*parts: object) -> str:
    """SHA-256 of JSON-serialisable parts, independent of key order."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, payload: object) -> None:
    """Writes JSON atomically, indented, keys in the given order; NaN is refused."""
    write_text(path, json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def replacing_folder(path: Path) -> Generator[Path]:
    """A temporary folder beside ``path`` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield temporary
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            path.replace(old / "was")
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_limited(path: Path, limit: int, record: str = "", packed: bool = False) -> bytes:
    """Content of a file that a user names, and of one that is too large one byte more than ``limit``.

    The extra byte tells a file that is too large, whatever its size claims to be.

    Args:
        path: the file.
        limit: bytes.
        record: name for the error; the file's name where empty.
        packed: with gzip; the limit is that of the content.

    Raises:
        BadInputError: no such file, or it cannot be read.
    """
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            return stream.read(limit + 1)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise BadInputError(
            "no such file, or it cannot be read",
            record=record or path.name,
            field="path",
            remedy="Check the path.",
        ) from error
