"""The screening protocol on a run: word alone, prompt ensemble and composition-only model, held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat, load
from prismat.errors import BadInputError
from prismat.store import Store
from prismat.tasks.opened import Opened, run_folder
from prismat.tasks.screening.gallery import Progress, cosines, gallery_key, open_gallery
from prismat.tasks.screening.prompts import (
    ALONE,
    WORD_SETS,
    PromptConfig,
    check_windows,
    prompts_for,
    query_vectors,
)
from prismat.tasks.screening.protocol import Judged, ProtocolConfig, judge, run_protocol

Part = Literal["train", "val", "test", "held-out", "all"]
ENSEMBLE, WORD, COMPOSITION = "prompt ensemble", "word alone", "composition only"


@dataclass(frozen=True)
class ScreeningConfig:
    """What is evaluated and how.

    Attributes:
        words: variations by word, by the name of the set.
        prompts: the ensemble that stands beside the word alone.
        protocol: intervals and draws.
    """

    words: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=lambda: dict(WORD_SETS))
    prompts: PromptConfig = field(default_factory=PromptConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)


@dataclass(frozen=True, eq=False)
class Screened:
    """Scores of one set of words.

    Attributes:
        judged: what is right.
        scores: by system, shape (words, structures).
        figures: see ``run_protocol``.
        prompts: of the ensemble, by word.
    """

    judged: Judged
    scores: dict[str, Float[np.ndarray, "words structures"]]
    figures: dict[str, Any]
    prompts: dict[str, tuple[str, ...]]


def rows_of(opened: Opened, part: Part) -> Int[np.ndarray, " n"]:
    """Row numbers of a part: of ``held-out`` validation and test, of ``all`` every record."""
    if part == "all":
        return np.arange(len(opened.records))
    if part == "held-out":
        return np.sort(np.concatenate([opened.rows["val"], opened.rows["test"]]))
    return opened.rows[part]


def composition_model(run: Path) -> Path | None:
    """The composition-only baseline that was trained beside a run, if it was."""
    folder = run_folder(run) / "baselines" / "composition"
    return folder if (folder / "model" / "config.json").is_file() else None


@dataclass(frozen=True, eq=False)
class Bench:
    """Models on one store, embedded.

    Attributes:
        opened: the run on the store.
        folder: where galleries are kept.
        baseline: the composition-only model, or None.
        progress: called with (records done, records).
    """

    opened: Opened
    folder: Path
    baseline: Path | None = None
    progress: Progress | None = None

    @property
    def store(self) -> Store:
        """The records."""
        return self.opened.prepared.store

    def scored(
        self, prismat: Prismat, prompts: Sequence[Sequence[str]], rows: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "queries n"]:
        """Cosine of every query with the structures of some rows under a model."""
        index = open_gallery(prismat, self.store, self.folder, self.progress)
        return cosines(prismat, index, query_vectors(prismat, prompts), rows)

    def present(self) -> Bool[np.ndarray, " records"]:
        """Which records have a structure."""
        prismat = self.opened.prismat
        index = open_gallery(prismat, self.store, self.folder, self.progress)
        return index.present[gallery_key(prismat, index)]


def evaluate_screening(
    bench: Bench, part: Part = "test", config: ScreeningConfig = ScreeningConfig()
) -> dict[str, Screened]:
    """The protocol for every set of words that can be scored.

    Args:
        bench: the models on a store.
        part: the gallery; choices belong on ``val``, figures on ``test``.
        config: words, prompts and intervals.

    Returns:
        By set of words; a set of which no word can be scored is left out.

    Raises:
        BadInputError: the model lacks a window, no record has a title, or no word of any set can be scored.
    """
    check_windows(bench.opened.prismat)
    records, rows = bench.opened.records, rows_of(bench.opened, part)
    titled = np.array([bool(records.titles[r].strip()) for r in rows], dtype=bool)
    rows = rows[titled & bench.present()[rows]]
    if not len(rows):
        raise BadInputError(
            f"no record of {part} has a title and a structure",
            record=str(bench.store.folder),
            remedy="The protocol needs titles; --violin judges by values instead.",
        )
    titles, groups = [records.titles[r] for r in rows], bench.opened.groups[rows]
    found, problems = {}, []
    for name, words in config.words.items():
        try:
            judged = judge(titles, groups, words, config.protocol)
        except BadInputError as error:
            problems.append(error)
            continue
        found[name] = _screened(bench, rows, judged, words, config)
    if not found:
        raise problems[0]
    return found


def _screened(
    bench: Bench,
    rows: Int[np.ndarray, " n"],
    judged: Judged,
    words: Mapping[str, Sequence[str]],
    config: ScreeningConfig,
) -> Screened:
    own = bench.opened.prismat
    ensemble = {word: prompts_for(word, config.prompts, words) for word in judged.words}
    alone = [prompts_for(word, ALONE) for word in judged.words]
    scores = {
        ENSEMBLE: bench.scored(own, list(ensemble.values()), rows),
        WORD: bench.scored(own, alone, rows),
    }
    if bench.baseline is not None:
        scores[COMPOSITION] = bench.scored(load(bench.baseline), list(ensemble.values()), rows)
    return Screened(judged, scores, run_protocol(scores, judged, config.protocol), ensemble)
