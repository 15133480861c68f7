"""Matbench v0.1: thirteen tasks with the official five folds.

A. Dunn et al., npj Comput. Mater. 6, 138 (2020). A task's file is a table as pandas writes it (``index``,
``columns``, ``data``), packed with gzip; the folds are those that the package matbench brings.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prismat.crystal import MAX_SITES, check
from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.pages import PageMirror, Row
from prismat.fetch.place import fetched_folder
from prismat.files import sha256 as sha256_of
from prismat.material import Material, Property, Provenance
from prismat.packaged import PackagedFile, locate
from prismat.sources.data_file import DataFile
from prismat.sources.json_rows import JsonLimits, json_members, keep_rows
from prismat.sources.matbench_tasks import TASKS, Task, TaskName
from prismat.sources.mirrored import MirroredSource
from prismat.sources.pymatgen_json import crystal_from_dict

URL = "https://ml.materialsproject.org/projects"
"""Folder of the tasks' files."""

FOLDS = PackagedFile(
    "matbench",
    "0.6",
    "matbench/matbench_v0.1_validation.json",
    "94c17bc3dac32c67d33d69289927a5fec174497e74bbc47293e23d3d147e9a6d",
)
"""The official folds of all tasks (46 MB; the wheel has 10 MB)."""

N_FOLDS = 5
_PAGE = 128
_FOLD_LIMITS = JsonLimits(1_000_000_000, 200_000_000)
_REMEDY = "Give the file of the task as Matbench publishes it."


@dataclass(frozen=True)
class MatbenchOptions:
    """Which task of Matbench is read, and how it is divided.

    Attributes:
        task: name of the task.
        path: the task's .json.gz file; fetched once where not given.
        folds: the official folds, of all tasks or of this one; obtained by package name where not given.
        fold: which of the five folds; its test part is named test.
        val: share of the fold's training part that is named val, whole formulas together; chosen by the seed.
        seed: of that choice.
        limit: rows drawn at random, by a fixed seed; 0 for all.
        max_sites: larger cells are rejected.
        url: folder of the tasks' files.
        cache: folder for what is fetched; that of Prismat where not given.
    """

    task: TaskName = "matbench_phonons"
    path: Path | None = None
    folds: Path | None = None
    fold: Literal[0, 1, 2, 3, 4] = 0
    val: float = 0.1
    seed: int = 0
    limit: int = 0
    max_sites: int = MAX_SITES
    url: str = URL
    cache: Path | None = None

    def open(self) -> "MatbenchSource":
        """The source."""
        return MatbenchSource(self)


class MatbenchSource(MirroredSource):
    """Samples of one task: a structure, or a composition as text, and the value that is to be predicted.

    The tag ``split`` tells the part. Tasks of compositions alone (steels, glass, expt_gap, expt_is_metal)
    have no structures: their compositions are texts of kind ``composition``. True and false are 1 and 0.

    Args:
        options: which task.
        client: asks the server; a polite one where None.

    Raises:
        BadInputError: a share for validation that is none.
    """

    name = "matbench"
    licence = "MIT"
    citation = "Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"

    def __init__(self, options: MatbenchOptions | None = None, client: Client | None = None) -> None:
        self.options = options or MatbenchOptions()
        if not 0 < self.options.val < 1:
            raise BadInputError(
                f"a share of {self.options.val:g}",
                field="val",
                remedy="Give one between 0 and 1, such as 0.1.",
            )
        super().__init__(self.options.limit, client)

    @property
    def task(self) -> Task:
        """What the task's columns are."""
        return TASKS[self.options.task]

    def _kept_rows(self, progress: Callable[[int], None] | None) -> PageMirror:
        options, task = self.options, self.task
        folds = options.folds or locate(FOLDS, options.cache)
        url = f"{options.url.rstrip('/')}/{options.task}.json.gz"
        sha256 = "" if options.path else task.sha256
        file = DataFile(self.name, url, options.path, sha256, cache=options.cache).obtain(self._client)
        query = {"file": sha256_of(file), "folds": sha256_of(Path(folds)), "task": options.task}
        mirror = PageMirror(fetched_folder(self.name, query, options.cache), query)
        keep_rows(mirror, lambda: _read_file(file, options.task, Path(folds)), _PAGE, progress)
        return mirror

    def _described(self) -> Any:
        options = self.options
        return [options.fold, options.val, options.seed, options.max_sites]

    def _id(self, number: int, row: Row) -> str:  # noqa: ARG002 - the row has its own
        return row["id"]

    def _material(self, number: int, row: Row) -> Material:
        identifier, task = self._id(number, row), self.task
        value = float(row["value"])
        if not math.isfinite(value):
            raise BadInputError("not a finite number", field=task.target, remedy=_REMEDY)
        given = row["input"]
        crystal = check(crystal_from_dict(given), self.options.max_sites) if task.structures else None
        formula = crystal.formula if crystal else str(given)
        return Material(
            identifier,
            crystal,
            texts={} if crystal else {"composition": formula},
            properties={task.target: Property(value, task.unit)},
            tags={"split": self._part(row["fold"], formula), "task": self.options.task},
            provenance=Provenance(self.name, identifier, self.licence, self.citation),
        )

    def _part(self, fold: int | None, formula: str) -> str:
        """Test as the fold has it; validation is a share of the rest, by a hash of the formula."""
        if fold is None:
            raise BadInputError("in none of the official folds", field="split", remedy=_REMEDY)
        if fold == self.options.fold:
            return "test"
        drawn = hashlib.sha256(f"{self.options.seed}:{formula}".encode()).digest()
        return "val" if int.from_bytes(drawn[:8]) < self.options.val * 2**64 else "train"


def read_folds(path: Path, task: TaskName) -> dict[str, int]:
    """Number of the fold whose test part a sample is in, by id.

    Args:
        path: JSON with the folds of one task, or with those of all under ``splits``.
        task: name of the task.

    Raises:
        BadInputError: not JSON, no such task, a fold is missing, or the test parts overlap.
    """
    content = dict(json_members(path, "", _FOLD_LIMITS))
    splits = content.get("splits")
    folds = splits.get(task) if isinstance(splits, dict) else content
    found: dict[str, int] = {}
    for number in range(N_FOLDS):
        fold = folds.get(f"fold_{number}") if isinstance(folds, dict) else None
        test = fold.get("test") if isinstance(fold, dict) else None
        if not isinstance(test, list) or not test:
            raise BadInputError(
                f"no test part of fold_{number} of {task}",
                record=Path(path).name,
                field="folds",
                remedy="Give the validation file of Matbench v0.1.",
            )
        for sample in test:
            if found.setdefault(sample, number) != number:
                raise BadInputError(
                    f"{sample} is in two test parts", record=Path(path).name, field="folds", remedy=_REMEDY
                )
    return found


def _read_file(path: Path, task: TaskName, folds: Path) -> Iterator[Row]:
    """Rows of the table with the ids that Matbench gives them."""
    described, fold_of, index, given, target, width = TASKS[task], read_folds(folds, task), [], -1, -1, 0
    number = 0
    for name, value in json_members(path, "data"):
        if name == "index":
            index = value
            width = len(str(len(index)))
        elif name == "columns":
            given, target = (_column(value, column, path) for column in (described.input, described.target))
        elif name == "data":
            if not index or target < 0:
                raise BadInputError("rows before index and columns", record=path.name, remedy=_REMEDY)
            if not isinstance(value, list) or len(value) <= max(given, target) or number >= len(index):
                raise BadInputError(
                    f"row {number + 1} is none of the table", record=path.name, remedy=_REMEDY
                )
            identifier = _sample(task, index[number], width)
            found = {"id": identifier, "input": value[given], "value": value[target]}
            yield {**found, "fold": fold_of.get(identifier)}
            number += 1
    if number != len(index) or not number:
        raise BadInputError(
            f"{number} rows where {len(index)} are named", record=path.name, field="data", remedy=_REMEDY
        )


def _column(columns: Any, name: str, path: Path) -> int:
    if not isinstance(columns, list) or name not in columns:
        raise BadInputError(
            f"no column {name!r}; the service may have changed",
            record=path.name,
            field="columns",
            remedy="Give the file that belongs to --task.",
        )
    return columns.index(name)


def _sample(task: TaskName, index: Any, width: int) -> str:
    """Id of a sample: its own, or made of its position as Matbench does it."""
    if isinstance(index, int):
        return f"mb-{task.removeprefix('matbench_').replace('_', '-')}-{index + 1:0{width}d}"
    return str(index)
