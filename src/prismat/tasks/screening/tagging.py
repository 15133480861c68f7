"""Tagging on a run: words are made and scored once, then files and records are tagged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError, PrismatError
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.screening.evaluation import Bench
from prismat.tasks.screening.gallery import gallery_key, open_gallery
from prismat.tasks.screening.prompts import TEMPLATES, check_windows
from prismat.tasks.screening.tagger import (
    Tagger,
    choose,
    embed_words,
    load_tagger,
    word_statistics,
)
from prismat.tasks.screening.vocabulary import Vocabulary, build_vocabulary, record_texts, tag_matrix

_HASH = 16


@dataclass(frozen=True)
class Tag:
    """A word of a structure.

    Attributes:
        word: in lower case.
        score: as the tagger ranks, of no meaning between structures.
        cosine: with the structure.
        count: training records whose texts hold it.
        chemical: whether it tells elements, compounds or minerals.
    """

    word: str
    score: float
    cosine: float
    count: int
    chemical: bool


@dataclass(frozen=True, eq=False)
class TagSource:
    """Texts, structures and parts of a run's own store.

    Attributes:
        bench: the run on its store.
        texts: of every record.
        usable: which records have a text and a structure.
    """

    bench: Bench
    texts: list[str]
    usable: Bool[np.ndarray, " records"]

    def rows(self, part: str) -> Int[np.ndarray, " n"]:
        """Usable rows of a part."""
        found = self.bench.opened.rows[part]
        return found[self.usable[found]]

    def structures(self, prismat: Prismat) -> Float[np.ndarray, "records dim"]:
        """Vectors of every record's structure under a model."""
        index: Index = open_gallery(prismat, self.bench.store, self.bench.folder, self.bench.progress)
        return index.vectors[gallery_key(prismat, index)]


def tag_source(bench: Bench) -> TagSource:
    """What words are made from.

    Raises:
        BadInputError: the model lacks a window or the store is not the run's own.
    """
    check_windows(bench.opened.prismat)
    if not bench.opened.is_own:
        raise BadInputError(
            f"{bench.store.folder} is not the store that the run was trained on",
            field="store",
            remedy="Words are made from its training titles: name that store.",
        )
    texts = record_texts(bench.opened)
    usable = bench.present() & np.array([bool(t.strip()) for t in texts], dtype=bool)
    return TagSource(bench, texts, usable)


def source_vocabulary(source: TagSource) -> Vocabulary:
    """Keywords of the training records."""
    opened, rows = source.bench.opened, source.rows("train")
    minerals = [opened.records.minerals[r] for r in rows]
    return build_vocabulary([source.texts[r] for r in rows], opened.groups[rows], minerals)


def make_tagger(source: TagSource, prismat: Prismat, vocabulary: Vocabulary) -> Tagger:
    """Words embedded by a model, with their statistics over training crystals; nothing is chosen yet."""
    vectors = embed_words(prismat, vocabulary.words, TEMPLATES)
    rows = source.rows("train")
    statistics = word_statistics(vectors, source.structures(prismat)[rows])
    return Tagger(vocabulary, vectors, statistics, len(rows))


def chosen_on_validation(
    source: TagSource, prismat: Prismat, tagger: Tagger, columns: Int[np.ndarray, " some"] | None = None
) -> tuple[Tagger, dict[str, float]]:
    """The tagger with the way of scoring that finds most of the validation records' own words."""
    rows = source.rows("val")
    own = tag_matrix([source.texts[r] for r in rows], tagger.vocabulary.words)
    choice, reached = choose(tagger, source.structures(prismat)[rows], own, columns)
    return replace(tagger, choice=choice), reached


def open_tagger(bench: Bench, folder: Path) -> Tagger:
    """The tagger of a run and its store, read where it was made before and made where not."""
    prismat = bench.opened.prismat
    place = tagger_folder(folder, bench.store, prismat)
    if (place / "words.json").is_file():
        return load_tagger(place, prismat.hash)
    source = tag_source(bench)
    made = make_tagger(source, prismat, source_vocabulary(source))
    tagger, _ = chosen_on_validation(source, prismat, made)
    tagger.save(place, prismat.hash)
    return tagger


def tagger_folder(folder: Path, store: Store, prismat: Prismat) -> Path:
    """Where the words of a store under a model lie."""
    return Path(folder) / f"words-{store.hash[:_HASH]}-{prismat.hash[:_HASH]}"


def tag_vectors(
    tagger: Tagger, structures: Float[np.ndarray, "n dim"], k: int = 10, chemistry: bool = True
) -> list[list[Tag]]:
    """The k best words of each structure.

    Args:
        tagger: words and how they are scored.
        structures: unit vectors.
        k: words wanted.
        chemistry: whether words of elements, compounds and minerals count.

    Raises:
        BadInputError: k below 1, or no word is left.
    """
    words = tagger.vocabulary
    columns = np.arange(len(words)) if chemistry else np.flatnonzero(~words.chemical)
    if k < 1 or not len(columns):
        raise BadInputError(
            f"{k} of {len(columns)} words asked for",
            field="k",
            remedy="Ask for one at least, or with chemistry.",
        )
    scores, cosines = tagger.scores(structures), tagger.cosines(structures)
    order = columns[np.argsort(-scores[:, columns], axis=1, kind="stable")[:, :k]]
    return [
        [
            Tag(
                words.words[w],
                float(scores[i, w]),
                float(cosines[i, w]),
                int(words.counts[w]),
                bool(words.chemical[w]),
            )
            for w in row
        ]
        for i, row in enumerate(order)
    ]


@dataclass(frozen=True, eq=False)
class Given:
    """Structures by name, and those that could not be read.

    Attributes:
        names: of the structures that were read, in the order given.
        vectors: of them, shape (names, dim).
        failed: reason by name of the others.
    """

    names: list[str]
    vectors: Float[np.ndarray, "names dim"]
    failed: dict[str, str]


def read_given(prismat: Prismat, given: Sequence[str], store: Store | None, index: Index | None) -> Given:
    """Vectors of files and of records of a store; what cannot be read is told and stops nothing.

    Args:
        prismat: the model.
        given: paths of CIF or POSCAR files, or ids of the store.
        store: where ids are looked up; none are where left out.
        index: its structures, embedded.
    """
    key, found, failed = prismat.key("structure", "text"), {}, {}
    rows = {name: row for row, name in enumerate(store.ids)} if store is not None else {}
    for name in dict.fromkeys(given):
        try:
            found[name] = _vector(prismat, key, name, rows, index)
        except (PrismatError, OSError) as error:
            failed[name] = str(error)
    vectors = np.stack(list(found.values())) if found else np.zeros((0, prismat.recipe.projection.dim))
    return Given(list(found), vectors, failed)


def _vector(
    prismat: Prismat, key: str, name: str, rows: dict[str, int], index: Index | None
) -> Float[np.ndarray, " dim"]:
    if Path(name).is_file():
        return prismat.embed(structures=[Path(name)])[key][0].astype(np.float64)
    if name not in rows or index is None:
        raise BadInputError("no such file, and no record of that id", record=name, remedy="Check the name.")
    if not index.present[key][rows[name]]:
        raise BadInputError("the record has no structure", record=name, remedy="Name another one.")
    return np.asarray(index.vectors[key][rows[name]], dtype=np.float64)
