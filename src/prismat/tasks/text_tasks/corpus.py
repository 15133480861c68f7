"""Labelled texts and tagged sentences, divided as they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from prismat.duplicates import text_labels
from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.splits import PARTS

MOST_BYTES = 200_000_000
PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}
"""Names under which a part is found, as a file's stem or in a table of documents."""


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Texts with a class each.

    Attributes:
        texts: as they are.
        labels: class of each, a word.
        parts: rows of train, val and test.
        given: whether the division came with the data.
        left_out: rows without a text or a class, with the reason.
    """

    texts: list[str]
    labels: list[str]
    parts: dict[str, Int[np.ndarray, " part"]]
    given: bool
    left_out: list[dict[str, str]]


@dataclass(frozen=True, eq=False)
class TaggedSentences:
    """Sentences as words with an IOB2 tag each.

    Attributes:
        words: by sentence.
        tags: by sentence, one per word.
        documents: of each sentence, a number: what a bootstrap draws as a whole.
        parts: sentences of train, val and test.
        given: whether the division came with the data.
        left_out: sentences that could not be read, with the reason.
    """

    words: list[list[str]]
    tags: list[list[str]]
    documents: Int[np.ndarray, " sentences"]
    parts: dict[str, Int[np.ndarray, " part"]]
    given: bool
    left_out: list[dict[str, str]]

    @property
    def texts(self) -> list[str]:
        """Each sentence as one text."""
        return [" ".join(words) for words in self.words]


def read_text(path: Path) -> str:
    """The text of a file, in UTF-8 or else in Windows-1252, of at most 200 MB.

    Raises:
        BadInputError: it cannot be read as either, or is larger.
    """
    content = read_limited(path, MOST_BYTES)
    if len(content) > MOST_BYTES:
        raise BadInputError(
            f"larger than {MOST_BYTES:,} bytes", record=str(path), remedy="Give a part of it."
        )
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInputError("neither UTF-8 nor Windows-1252", record=str(path), remedy="Save it as UTF-8.")


def part_files(path: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """One file per part of a folder, or the file itself under an empty name.

    Raises:
        BadInputError: no such file or folder, or a folder without all three parts.
    """
    path = Path(path)
    if path.is_file():
        return {"": path}
    if not path.is_dir():
        raise BadInputError(f"no file or folder {path}", field="data", remedy="Give one that is there.")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        part = PART_NAMES.get(file.stem.lower())
        # A link that leads out of the folder is none of its files.
        inside = file.is_file() and file.resolve().is_relative_to(path.resolve())
        if inside and file.suffix.lower() in suffixes and part and part not in found:
            found[part] = file
    if set(found) != set(PARTS):
        missing = ", ".join(p for p in PARTS if p not in found)
        raise BadInputError(
            f"no {missing} in {path}",
            field="data",
            remedy=f"Name the files train, val (or dev) and test, ending in {' or '.join(suffixes)}.",
        )
    return {part: found[part] for part in PARTS}


def divide(
    labels: Int[np.ndarray, " n"], fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> dict[str, Int[np.ndarray, " part"]]:
    """Rows of train, val and test where none are given.

    Rows of one label (equal texts, one document) stay together.

    Raises:
        BadInputError: too few labels for three parts.
    """
    own = np.unique(labels)
    order = np.random.default_rng(seed).permutation(own)
    last = max(1, round(fractions[2] * len(own)))
    middle = max(1, round(fractions[1] * len(own)))
    if len(own) <= last + middle:
        raise BadInputError(
            f"{len(own)} different texts or documents", field="data", remedy="Give more, or the three parts."
        )
    chosen = {"test": order[:last], "val": order[last : last + middle], "train": order[last + middle :]}
    return {part: np.flatnonzero(np.isin(labels, chosen[part])) for part in PARTS}


def crossing(texts: Sequence[str], parts: Mapping[str, Int[np.ndarray, " part"]]) -> dict[str, int]:
    """How many texts of val and of test also stand in train, in any case and spacing."""
    label = text_labels(list(texts))
    train = label[parts["train"]]
    return {part: int(np.isin(label[parts[part]], train).sum()) for part in ("val", "test")}
