"""Rows of the Crystallography Open Database's SQL table ``data``, streamed from CSV or from MySQL's TSV."""

import csv
import gzip
import re
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path

from prismat.errors import BadInputError

Row = dict[str, str]
"""What is known of an entry, by column; ``problem`` says why a row is none."""

REQUIRED = ("file", "title", "journal", "year", "doi", "status", "duplicateof")
COLUMNS = (
    *REQUIRED,
    *(
        "formula",
        "nel",
        "vol",
        "volume",
        "firstpage",
        "mineral",
        "chemname",
        "commonname",
        "optimal",
        "flags",
    ),
    *("method", "celltemp", "diffrtemp", "cellpressure", "diffrpressure"),
)
"""Columns that are kept. ``file`` is the COD number, ``vol`` of the cell, ``volume`` of the journal."""
REMEDY = "Export it with: mysql -u cod_reader -h sql.crystallography.net cod -B -e 'select * from data'."

_LONGEST_LINE = 1_000_000
_UNKNOWN = frozenset({"", "NULL", r"\N", "?"})
_ESCAPE = re.compile(r"\\([ntr0\\])")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "", "\\": "\\"}
_NUMBER = re.compile(r"[1-9]\d{6}")


def read_table(path: Path, wanted: tuple[str, ...] = ()) -> Iterator[Row]:
    """Rows of a table, one in memory at a time; what is not known is left out of a row.

    Args:
        path: comma-separated with a header line, or what ``mysql --batch`` prints; packed with gzip or not.
        wanted: columns that must be there besides the required ones.

    Raises:
        BadInputError: no such file, a page of HTML, a missing column, or a line without end.
    """
    with _opened(path) as stream:
        first = stream.readline(_LONGEST_LINE).rstrip("\r\n")
        lines = _lines(stream, path)
        values = map(_tsv, lines) if "\t" in first else _csv(chain([first], lines), path)
        header = _tsv(first) if "\t" in first else next(values, [])
        names = _checked([name.strip() for name in header], first, path, wanted)
        for row in values:
            if row:
                yield _row(names, row)


def numbered(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, with a ``problem`` where one has no COD number or that of an earlier one."""
    seen = bytearray(10**7 // 8)
    for row in rows:
        number = row.get("file", "")
        if "problem" in row:
            yield row
        elif not _NUMBER.fullmatch(number):
            yield {"file": number[:40], "problem": f"{number[:40]!r} is no COD number"}
        elif seen[int(number) // 8] & (bit := 1 << int(number) % 8):
            yield {"file": number, "problem": "the COD number occurs twice"}
        else:
            seen[int(number) // 8] |= bit
            yield row


@contextmanager
def _opened(path: Path) -> Generator[TextIOWrapper]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise BadInputError("no such file, or it cannot be read", record=str(path), remedy=REMEDY) from error
    with (
        gzip.open(path) if packed else path.open("rb") as binary,
        TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline="") as stream,
    ):
        try:
            yield stream
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BadInputError("the file is not whole", record=path.name, remedy=REMEDY) from error


def _lines(stream: TextIOWrapper, path: Path) -> Iterator[str]:
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise BadInputError("a line without end", record=path.name, remedy=REMEDY)
        yield line


def _csv(lines: Iterable[str], path: Path) -> Iterator[list[str]]:
    reader = csv.reader(lines)
    try:
        yield from reader
    except csv.Error as error:
        where = f"{path.name}, line {reader.line_num}"
        raise BadInputError(f"no comma-separated table ({error})", record=where, remedy=REMEDY) from error


def _tsv(line: str) -> list[str]:
    """Fields as ``mysql --batch`` writes them: tab, newline, NUL and backslash are escaped."""
    fields = line.rstrip("\r\n").split("\t")
    if "\\" not in line:
        return fields
    return [f if f == r"\N" else _ESCAPE.sub(lambda found: _ESCAPES[found[1]], f) for f in fields]


def _checked(names: list[str], first: str, path: Path, wanted: tuple[str, ...]) -> list[str]:
    if first.lstrip()[:1] == "<":
        raise BadInputError("HTML where a table was expected", record=path.name, remedy=REMEDY)
    missing = [name for name in (*REQUIRED, *wanted) if name not in names]
    if missing:
        raise BadInputError(
            f"no column {missing[0]!r}", record=path.name, field=f"column {missing[0]!r}", remedy=REMEDY
        )
    return names


def _row(names: list[str], values: list[str]) -> Row:
    if len(values) != len(names):
        number = dict(zip(names, values, strict=False)).get("file", "")[:40]
        return {"file": number, "problem": f"a row of {len(values)} values for {len(names)} columns"}
    named = zip(names, values, strict=True)
    return {k: v.strip() for k, v in named if k in COLUMNS and v.strip() not in _UNKNOWN}
