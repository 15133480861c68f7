"""Tagged sentences: BIO files, and the annotations of the SOFC-Exp corpus."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from prismat.errors import BadInputError
from prismat.splits import PARTS
from prismat.tasks.text_tasks.corpus import PART_NAMES, TaggedSentences, divide, part_files, read_text
from prismat.tasks.text_tasks.spans import OUTSIDE, tag_types

Level = Literal["entities", "slots"]
SUFFIXES = (".txt", ".bio", ".conll", ".tsv")
_COLUMN = {"entities": 4, "slots": 5}
_COLUMNS = 6


@dataclass
class _Found:
    """Sentences as they are read."""

    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def add(self, words: list[str], tags: list[str], document: int, part: str, where: str) -> None:
        """Keeps a sentence, or the reason why not."""
        try:
            if "" in tags:
                raise BadInputError(f"{words[tags.index('')]!r} has no tag", field="tags")
            tag_types([tags])
        except BadInputError as error:
            self.left_out.append({"id": where, "reason": str(error)})
            return
        self.words.append(words)
        self.tags.append(tags)
        self.documents.append(document)
        self.parts.append(part)

    def corpus(self, given: bool, seed: int, source: Path) -> TaggedSentences:
        """Checked and divided."""
        if not any(tag != OUTSIDE for tags in self.tags for tag in tags):
            first = f" (the first reason: {self.left_out[0]['reason']})" if self.left_out else ""
            raise BadInputError(
                f"no entity in {len(self.tags)} sentences{first}",
                record=str(source),
                remedy="Give one token and its tag (O, B-TYPE, I-TYPE) per line, and empty lines between.",
            )
        documents, names = np.array(self.documents, dtype=np.int64), np.array(self.parts)
        parts = {p: np.flatnonzero(names == p) for p in PARTS} if given else divide(documents, seed=seed)
        empty = [part for part in PARTS if not len(parts[part])]
        if empty:
            raise BadInputError(f"no sentence of {empty[0]} can be used", record=str(source))
        return TaggedSentences(self.words, self.tags, documents, parts, given, self.left_out)


def read_bio(path: Path, seed: int = 0) -> TaggedSentences:
    """Reads token and tag, the first and the last word of each line; empty lines stand between sentences.

    Args:
        path: a file, which is divided here by sentences; or a folder with train, dev (or val) and test.
        seed: of the division, where none is given.

    Raises:
        BadInputError: a file that is not there, or without any entity.
    """
    files, found = part_files(path, SUFFIXES), _Found()
    for part, file in files.items():
        for number, (words, tags) in enumerate(_sentences(read_text(file)), start=1):
            found.add(words, tags, len(found.words), part, f"{file.name} sentence {number}")
    return found.corpus("" not in files, seed, path)


def _sentences(text: str) -> Iterator[tuple[list[str], list[str]]]:
    words: list[str] = []
    tags: list[str] = []
    # Not splitlines, which also splits at characters that may stand in a token.
    for line in [*text.replace("\r\n", "\n").split("\n"), ""]:
        if line.strip():
            # A token may itself hold a space; its tag is what stands behind the last one.
            cells = line.rstrip().rsplit(maxsplit=1)
            bare = len(cells) == 1 and not line[:1].isspace()
            words.append(cells[0] if len(cells) > 1 or bare else "")
            tags.append("" if bare else cells[-1])
        elif words:
            yield words, tags
            words, tags = [], []


def read_sofc(path: Path, level: Level = "slots") -> TaggedSentences:
    """Reads the SOFC-Exp corpus (Friedrich et al., ACL 2020), whose table of documents gives the parts.

    Only sentences that describe experiments are annotated, and only these are read, as in the paper.

    Args:
        path: the folder with SOFC-Exp-Metadata.csv, annotations and texts.
        level: ``entities`` (MATERIAL, VALUE, DEVICE, EXPERIMENT) or ``slots`` (anode_material …).

    Raises:
        BadInputError: a file that is not there, or without any entity.
    """
    path = Path(path)
    annotated = path / "annotations"
    sets, found = _sofc_parts(path / "SOFC-Exp-Metadata.csv"), _Found()
    texts = {p.stem.partition("_")[2] or p.stem: p for p in sorted((path / "texts").glob("*.txt"))}
    for document, file in enumerate(sorted((annotated / "entity_types_and_slots").glob("*.csv"))):
        part = PART_NAMES.get(sets.get(file.stem, ""), "")
        source, offsets = texts.get(file.stem), annotated / "sentences" / file.name
        if not part or source is None or not offsets.is_file():
            reason = "no text or no sentences" if part else "its part is not known"
            found.left_out.append({"id": file.name, "reason": reason})
            continue
        whole = read_text(source)
        starts = {row[0]: (int(row[2]), int(row[3])) for row in _tab(offsets, 4)}
        for number, rows in _by_sentence(_tab(file, _COLUMNS)):
            begin, end = starts[number]
            sentence = whole[begin:end]
            words = [sentence[int(row[2]) : int(row[3])] for row in rows]
            tags = [row[_COLUMN[level]] for row in rows]
            found.add(words, tags, document, part, f"{file.name} sentence {number}")
    return found.corpus(True, 0, path)


def _sofc_parts(table: Path) -> dict[str, str]:
    """The part of each document, by its name."""
    rows = list(csv.DictReader(io.StringIO(read_text(table)), delimiter="\t"))
    if not rows or not {"name", "set"} <= set(rows[0]):
        raise BadInputError(
            "no table of documents with the columns name and set",
            record=str(table),
            remedy="Give the folder of the SOFC-Exp corpus.",
        )
    return {row["name"].strip(): row["set"].strip().lower() for row in rows}


def _tab(file: Path, columns: int) -> list[list[str]]:
    """Cells of a table without a header, separated by tabs."""
    rows = [line.split("\t") for line in read_text(file).split("\n") if line.strip()]
    short = next((i for i, row in enumerate(rows, start=1) if len(row) < columns), None)
    if short is not None:
        raise BadInputError(f"line {short} has fewer than {columns} columns", record=str(file))
    return rows


def _by_sentence(rows: list[list[str]]) -> Iterator[tuple[str, list[list[str]]]]:
    by_number: dict[str, list[list[str]]] = {}
    for row in rows:
        by_number.setdefault(row[0], []).append(row)
    yield from by_number.items()
