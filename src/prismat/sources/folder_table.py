"""The table of a folder: texts, tags and properties with units, checked before any file is read."""

import csv
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from prismat.errors import BadInputError
from prismat.material import Property

TABLES = {".csv", ".parquet"}
TEXTS = ("title", "text", "description", "keywords")
_NAMES = ("id", "file")
_TAGS = ("mineral", "publication", "year", "doi")
_WITH_UNIT = re.compile(r"(?P<name>.*\S)\s*\[(?P<unit>[^\[\]]*)\]\s*")


@dataclass(frozen=True)
class Facts:
    """One row of the table."""

    id: str = ""
    file: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)


def only_table(folder: Path) -> Path | None:
    """The only CSV or Parquet file that lies in a folder itself.

    Raises:
        BadInputError: there are several, or it is a link that leads out of the folder.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in TABLES and p.is_file())
    if len(found) > 1:
        raise BadInputError(
            f"several tables: {', '.join(p.name for p in found)}", record=str(folder), remedy="Say which one."
        )
    if found and not found[0].resolve().is_relative_to(folder.resolve()):
        raise BadInputError(
            f"{found[0].name} is a link that leads out of the folder",
            record=str(folder),
            remedy="Name the table yourself if you trust it.",
        )
    return found[0] if found else None


def read_facts(path: Path, tags: tuple[str, ...] = ()) -> list[Facts]:
    """Reads a CSV (with a header line) or Parquet table.

    Columns: ``file`` names a file (path or name, with or without extension), ``id`` the record; one of them
    may be missing. ``title``, ``text``, ``description`` and ``keywords`` are texts. Numeric columns are
    properties and carry their unit in brackets: ``band_gap [eV]``; ``[]`` marks a pure number. ``mineral``,
    ``publication``, ``year``, ``doi`` and all other columns of text are tags. Empty cells are unknown.

    Args:
        path: the table.
        tags: further columns that are tags even where they hold numbers.

    Raises:
        BadInputError: the table cannot be read, has neither ``id`` nor ``file``, repeats one, has a numeric
            column without a unit or a column with a unit that is not numeric.
    """
    tags = (*_TAGS, *tags)
    table = _read(path, tags)
    columns = {name: _kind(name, table.schema.field(name).type, path, tags) for name in table.column_names}
    roles = [role for role, *_ in columns.values()]
    if not {"id", "file"} & set(roles):
        raise BadInputError(
            "neither a column 'id' nor a column 'file'",
            record=path.name,
            remedy="Name the files of the rows.",
        )
    named = [(role, name) for role, name, _ in columns.values()]
    repeated = sorted({name or role for role, name in named if named.count((role, name)) > 1})
    if repeated:
        raise BadInputError(
            f"several columns for {repeated[0]!r}", record=path.name, remedy="Keep one, in one unit."
        )
    rows = [_facts(record, columns) for record in table.to_pylist()]
    _check_names(rows, path)
    return rows


def _read(path: Path, tags: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(path) if path.suffix.lower() == ".parquet" else _read_csv(path, tags)
    except (OSError, ValueError, pa.ArrowException, csv.Error) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BadInputError(
            f"cannot read the table ({reason})", record=path.name, remedy="Give a CSV or Parquet file."
        ) from error
    if len(set(table.column_names)) != len(table.column_names):
        raise BadInputError("a column name occurs twice", record=path.name, remedy="Rename one.")
    return table


def _read_csv(path: Path, tags: tuple[str, ...]) -> pa.Table:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream), [])
    # Ids such as 007 stay text.
    known = {name for name in header if name.strip().lower() in (*_NAMES, *TEXTS, *tags)}
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(known, pa.string()),
            strings_can_be_null=True,
            null_values=["", "NaN", "nan"],
        ),
    )


def _kind(column: str, type_: pa.DataType, path: Path, tags: tuple[str, ...]) -> tuple[str, str, str]:
    """What a column is: role, name and unit."""
    plain = column.strip().lower()
    if plain in _NAMES:
        return plain, "", ""
    if plain in TEXTS:
        return "text", plain, ""
    if plain in tags:
        return "tag", plain, ""
    numeric = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    match = _WITH_UNIT.fullmatch(column.strip())
    if match and (numeric or pa.types.is_null(type_)):
        return "property", match["name"], match["unit"].strip()
    if match:
        raise BadInputError(
            f"holds values that are not numbers ({type_})",
            record=path.name,
            field=f"column {column!r}",
            remedy="Leave unknown cells empty.",
        )
    if numeric:
        raise BadInputError(
            "a number without a unit",
            record=path.name,
            field=f"column {column!r}",
            remedy=f"Rename it, such as '{column} [eV]', or '{column} []' for a pure number.",
        )
    return "tag", column.strip(), ""


def _facts(record: dict[str, object], columns: dict[str, tuple[str, str, str]]) -> Facts:
    names: dict[str, str] = {}
    texts: dict[str, str] = {}
    tags: dict[str, str] = {}
    properties: dict[str, Property] = {}
    for column, (role, name, unit) in columns.items():
        value = record[column]
        words = _words(value)
        if not words:
            continue
        if role == "property":
            properties[name] = Property(_finite(words, column), unit)
        elif role == "text":
            texts[name] = words
        elif role == "tag":
            tags[name] = words
        else:
            names[role] = words
    return Facts(names.get("id", ""), names.get("file", ""), texts, tags, properties)


def _finite(words: str, column: str) -> float:
    if not math.isfinite(float(words)):
        raise BadInputError(
            "not a finite number", field=f"column {column!r}", remedy="Leave unknown cells empty."
        )
    return float(words)


def _words(value: object) -> str:
    """A cell as text; a whole number stored as float loses its '.0', what is unknown is empty."""
    if value is None or value != value:  # noqa: PLR0124  (NaN)
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value).strip()


def _check_names(rows: list[Facts], path: Path) -> None:
    """Every row is named, and no two alike."""
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        name = row.id or row.file
        if not name or name in seen:
            problem = f"{name!r} occurs twice" if name else "neither id nor file"
            raise BadInputError(
                problem, record=f"{path.name}, row {number}", remedy="Give every row its own id."
            )
        seen.add(name)
