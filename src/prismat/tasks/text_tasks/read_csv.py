"""Labelled texts from CSV: one file, or train, val and test."""

import csv
import io
import sys
from pathlib import Path

import numpy as np

from prismat.duplicates import text_labels
from prismat.errors import BadInputError
from prismat.tasks.text_tasks.corpus import LabelledTexts, divide, part_files, read_text

TEXT_COLUMNS = ("text", "abstract", "sentence", "title")
LABEL_COLUMNS = ("label", "class", "category")


def read_labelled(path: Path, text: str = "", label: str = "", seed: int = 0) -> LabelledTexts:
    """Reads texts with a class each.

    Args:
        path: a CSV file, which is divided here, equal texts together; or a folder with train.csv, val.csv (or
            dev.csv) and test.csv.
        text: column of the texts; the first of text, abstract, sentence and title (in any case) where empty.
        label: column of the classes; the first of label, class and category where empty.
        seed: of the division, where none is given.

    Raises:
        BadInputError: a file or a column that is not there, fewer than two classes in the training part, or a
            class of another part that training lacks.
    """
    files = part_files(path, (".csv",))
    texts: list[str] = []
    labels: list[str] = []
    left_out: list[dict[str, str]] = []
    part_of: list[str] = []
    for part, file in files.items():
        for number, (one, kind) in enumerate(_rows(file, text, label), start=2):
            if one.strip() and kind.strip():
                texts.append(one)
                labels.append(kind.strip())
                part_of.append(part)
            else:
                reason = "no text" if kind.strip() else "no class"
                left_out.append({"id": f"{file.name} row {number}", "reason": reason})
    given = "" not in files
    names = np.array(part_of)
    parts = {p: np.flatnonzero(names == p) for p in files} if given else divide(text_labels(texts), seed=seed)
    _check_classes(labels, parts, path)
    return LabelledTexts(texts, labels, parts, given, left_out)


def _rows(file: Path, text: str, label: str) -> list[tuple[str, str]]:
    """Text and class of every row, empty where missing."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(file), newline="")))
    except csv.Error as error:
        raise BadInputError(f"no CSV file ({error})", record=str(file)) from error
    finally:
        csv.field_size_limit(before)
    if not rows:
        raise BadInputError("no rows", record=str(file), remedy="Give a header line and rows below it.")
    head = [name for name in rows[0] if name]
    texts = _column(head, text, TEXT_COLUMNS, file, "text-column")
    labels = _column(head, label, LABEL_COLUMNS, file, "label-column")
    return [(row[texts] or "", row[labels] or "") for row in rows]


def _column(head: list[str], wanted: str, usual: tuple[str, ...], file: Path, field: str) -> str:
    lower = {name.strip().lower(): name for name in head}
    found = lower.get(wanted.lower()) if wanted else next((lower[n] for n in usual if n in lower), None)
    if found is None:
        problem = f"no column {wanted!r}" if wanted else f"none of the columns {', '.join(usual)}"
        raise BadInputError(problem, record=str(file), field=field, remedy=f"Name one of: {', '.join(head)}.")
    return found


def _check_classes(labels: list[str], parts: dict[str, np.ndarray], path: Path) -> None:
    known = {labels[i] for i in parts["train"]}
    for part, rows in parts.items():
        unknown = sorted({labels[i] for i in rows} - known)
        if unknown:
            raise BadInputError(
                f"no training text has the class {unknown[0]!r}, which {part} has",
                record=str(path),
                remedy="Divide the texts otherwise, or leave the class out.",
            )
    if len(known) < 2:
        raise BadInputError(
            f"all training texts are of the class {next(iter(known), '')!r}",
            record=str(path),
            remedy="Give texts of two classes at least.",
        )
