"""Reader of measured powder patterns: .xy and .xye text files."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.measurements import Pattern

MAX_BYTES = 20_000_000
MIN_POINTS = 20
MAX_HEADER_LINES = 200
COMMENTS = ("#", "!", "'", ";")

_SEPARATOR = re.compile(r"[\s,]+")
_DECIMAL_COMMA = re.compile(r"(?:^|\s)[+-]?\d+,\d+\s+[+-]?\d+")
_COLUMNS = "Give 2θ in degrees and intensity in two columns (a third one for the error is allowed)."


def read_xy(source: str | Path, record: str = "", wavelength: float = 1.54184) -> Pattern:
    """A pattern from a file, or from the text of one.

    Args:
        source: a path, or a string: with a line break it is the text itself, without one a path. Callers
            that take text from strangers use ``parse_xy``, which never opens a file.
        record: name for error messages; the file's name where empty.
        wavelength: Å.

    Raises:
        BadInputError: no such file, a file larger than ``MAX_BYTES``, or text that ``parse_xy`` refuses.
    """
    if isinstance(source, str) and ("\n" in source or "\r" in source):
        return parse_xy(source, record, wavelength)
    path = Path(source)
    record = record or path.name
    return parse_xy(_decode(read_limited(path, MAX_BYTES, record), record), record, wavelength)


def _decode(content: bytes, record: str) -> str:
    if len(content) > MAX_BYTES:
        raise _too_large(record)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, errors="replace")


def _too_large(record: str) -> BadInputError:
    return BadInputError(
        f"larger than {MAX_BYTES // 1_000_000} MB",
        record=record,
        field="xrd",
        remedy="Export one pattern only, or bin the points.",
    )


def parse_xy(text: str, record: str = "", wavelength: float = 1.54184) -> Pattern:
    """A pattern from text: two or three columns separated by spaces, tabs or commas.

    Lines that begin with #, !, ' or ; are comments, as is what follows # or ! on a line. Lines before the
    first number are a header. Descending angles are turned round. The third column is not used.

    Args:
        text: contents of a .xy or .xye file.
        record: name for error messages.
        wavelength: Å.

    Raises:
        BadInputError: text longer than ``MAX_BYTES``, a line that is not two or three numbers, decimal
            commas, NaN or infinity, fewer than ``MIN_POINTS`` points, angles that neither ascend nor descend
            or leave 0° to 180°, or a wavelength out of range.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(record)
    if not 0.1 <= wavelength <= 10:
        raise BadInputError(
            f"a wavelength of {wavelength} Å",
            record=record,
            field="wavelength",
            remedy="Give it in Å, 0.1 to 10.",
        )
    table = _table(text, record)
    if not np.isfinite(table[:, :2]).all():
        line = int(np.flatnonzero(~np.isfinite(table[:, :2]).all(axis=1))[0]) + 1
        raise BadInputError(
            f"NaN or infinity in point {line}", record=record, field="xrd", remedy="Remove this point."
        )
    if len(table) < MIN_POINTS:
        raise BadInputError(
            f"{len(table)} points, fewer than {MIN_POINTS}",
            record=record,
            field="xrd",
            remedy="Give the whole measured profile, not a list of peaks.",
        )
    return _ordered(table, record, wavelength)


def _table(text: str, record: str) -> Float[np.ndarray, "points columns"]:
    """The numbers of all data lines; all lines must have as many."""
    rows: list[list[float]] = []
    skipped = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(COMMENTS):
            continue
        line = re.split("[#!]", line, maxsplit=1)[0].strip()
        if _DECIMAL_COMMA.search(line):
            raise BadInputError(
                f"line {number} seems to have decimal commas",
                record=record,
                field="xrd",
                remedy="Write decimals with a point.",
            )
        words = [w for w in _SEPARATOR.split(line) if w]
        if not rows and words and _number(words[0]) is None and skipped < MAX_HEADER_LINES:
            skipped += 1
            continue
        values = [_number(w) for w in words]
        if None in values or len(values) not in (2, 3) or (rows and len(values) != len(rows[0])):
            wanted = len(rows[0]) if rows else "two or three"
            raise BadInputError(
                f"line {number} is not {wanted} numbers: {raw[:40]!r}",
                record=record,
                field="xrd",
                remedy=_COLUMNS,
            )
        rows.append([v for v in values if v is not None])
    if not rows:
        raise BadInputError("no line of numbers", record=record, field="xrd", remedy=_COLUMNS)
    return np.array(rows, dtype=np.float64)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _ordered(table: Float[np.ndarray, "points columns"], record: str, wavelength: float) -> Pattern:
    low, high = table[:, 0].min(), table[:, 0].max()
    if low < 0 or high > 180:
        raise BadInputError(
            f"2θ from {low:g} to {high:g}", record=record, field="xrd", remedy="Give degrees, 0 to 180."
        )
    if (np.diff(table[:, 0]) < 0).all():
        table = table[::-1]
    two_theta, intensity = np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])
    wrong = np.flatnonzero(np.diff(two_theta) <= 0)
    if len(wrong):
        raise BadInputError(
            f"2θ does not ascend after point {wrong[0] + 1} ({two_theta[wrong[0]]:g}°)",
            record=record,
            field="xrd",
            remedy="Give one scan, sorted by 2θ, without repeated angles.",
        )
    return Pattern(two_theta, intensity, wavelength)
