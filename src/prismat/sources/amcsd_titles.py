"""Publication titles of AMCSD rows: the title itself, and the notes that trail it."""

import re
from collections import defaultdict
from collections.abc import Sequence

from prismat.material import Property

_NOTE = re.compile(
    r"^(_cod_database_code|note\b|samples?\b|specimen\b|locality\b|[TP]\s*=|run\b|annealing time|"
    r"crystal\s*[#:]|data (set|from)|refinement\b.*[:=]|known as\b|also known\b|this (structure|is)\b|"
    r"(an)?isotropic\b|at [TP]\s*=|x\s*=|.*\bstructure$|.*\b(hcp|ccp|bcc)\b)",
    re.IGNORECASE,
)
_BOOK = re.compile(r"edition\b.*\b(publishers|wiley|press)\b", re.IGNORECASE)
_MISSING = "<missing>"
_NUMBER = r"(?<![\w.])([-+]?\d*\.?\d+)(?:\(\d+\))?"
_TEMPERATURE = re.compile(rf"\bT\s*=\s*{_NUMBER}\s*(?:deg(?:rees)?\.?\s*)?([KC])\b")
_PRESSURE = re.compile(rf"\bP\s*=\s*{_NUMBER}\s*(GPa|MPa|kPa|kbars?|bars?|atm)\b", re.IGNORECASE)
_GPA = {"gpa": 1.0, "mpa": 1e-3, "kpa": 1e-6, "kbar": 0.1, "bar": 1e-4, "atm": 1.01325e-4}


def split_titles(raw: Sequence[str], publication: Sequence[int]) -> list[tuple[str, str]]:
    """Separates each row's title from its notes.

    A line that reads like a note starts the notes. Where several rows of one publication begin alike, a
    line that they do not share is a note as well, since one paper has one title. A publisher's imprint
    (compilations such as Wyckoff's) is a note and leaves no title.

    Args:
        raw: the database's title field, lines separated by newlines.
        publication: publication number of each row.

    Returns:
        (title, notes) of each row; either may be empty.
    """
    lines = [[" ".join(line.split()) for line in text.split("\n")] for text in raw]
    cut = [_first_note(row) for row in lines]
    family: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(publication, (r[0].lower() for r in lines), strict=True)):
        family[key].append(row)
    for rows in family.values():
        shared = _shared_prefix([lines[row][: cut[row]] for row in rows])
        for row in rows:
            cut[row] = max(1, shared)
    return [_assemble(row, end) for row, end in zip(lines, cut, strict=True)]


def _first_note(lines: list[str]) -> int:
    """Index of the first line that reads like a note; the first line never does."""
    for i, line in enumerate(lines[1:], start=1):
        if _NOTE.match(line):
            return i
    return len(lines)


def _shared_prefix(rows: list[list[str]]) -> int:
    """Leading lines that all rows have in common."""
    if len(rows) == 1:
        return len(rows[0])
    shared = 0
    for parts in zip(*rows, strict=False):
        if len({p.lower() for p in parts}) > 1:
            break
        shared += 1
    return shared


def _assemble(lines: list[str], end: int) -> tuple[str, str]:
    title, notes = " ".join(lines[:end]).strip(), "; ".join(lines[end:]).strip()
    if title == _MISSING or _BOOK.search(title):
        return "", "; ".join(part for part in (title.replace(_MISSING, ""), notes) if part)
    return title, notes


def conditions(notes: str) -> dict[str, Property]:
    """Temperature in K and pressure in GPa where the notes state them."""
    found = {}
    if match := _TEMPERATURE.search(notes):
        shift = 273.15 if match.group(2) == "C" else 0.0
        found["temperature"] = Property(float(match.group(1)) + shift, "K")
    if match := _PRESSURE.search(notes):
        unit = match.group(2).lower().removesuffix("s")
        found["pressure"] = Property(float(match.group(1)) * _GPA[unit], "GPa")
    return found
