"""A study's folder: its definition, which is never changed, and when its test part was looked at."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prismat.errors import BadInputError, MismatchError
from prismat.files import digest, read_limited, write_json

FORMAT = 1
_LARGEST = 1 << 28


@dataclass(frozen=True)
class Study:
    """An open study.

    Attributes:
        folder: holds ``study.json``, ``trials`` and what the study concludes.
        kind: ``ablation`` or ``sweep``.
        threads: of torch in each trial, as the study began.
        hash: of the definition.
    """

    folder: Path
    kind: str
    threads: int
    hash: str


def open_study(folder: Path, kind: str, definition: Mapping[str, Any], threads: int) -> Study:
    """Begins a study, or goes on with it.

    Args:
        folder: of the study.
        kind: ``ablation`` or ``sweep``.
        definition: what decides its results, in JSON types.
        threads: of torch in each trial of a study that begins; one that goes on keeps its own.

    Raises:
        MismatchError: the folder holds a study with another definition.
        BadInputError: its ``study.json`` cannot be read.
    """
    path, wanted = Path(folder) / "study.json", digest(kind, definition)
    if not path.is_file():
        written = {"format": FORMAT, "kind": kind, "hash": wanted, "threads": threads}
        write_json(path, {**written, "definition": dict(definition)})
        return Study(Path(folder), kind, threads, wanted)
    there = read_study(folder)
    if there["hash"] != wanted:
        changed = _differing(there["definition"], definition) if there["kind"] == kind else "its kind"
        raise MismatchError(
            f"{folder} holds a study with another definition ({changed} differs). Give another --out, or the "
            "same options as before."
        )
    return Study(Path(folder), kind, there["threads"], wanted)


def read_study(folder: Path) -> dict[str, Any]:
    """The content of ``study.json``.

    Raises:
        BadInputError: there is none, or it cannot be read.
    """
    path = Path(folder) / "study.json"
    try:
        found = json.loads(read_limited(path, _LARGEST))
        if {"kind", "hash", "threads", "definition"} <= set(found):
            return found
    except ValueError:
        pass
    raise BadInputError(
        f"{path} cannot be read", record=str(folder), field="study", remedy="Give the folder of a study."
    )


def _differing(old: Any, new: Any, path: str = "") -> str:
    """Path of the first thing that is not the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                return _differing(old.get(key), new.get(key), f"{path}.{key}".strip("."))
    return path or "it"


def threads_each(workers: int) -> int:
    """Cores for each of several trials at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, workers))


def threads_of(folder: Path, otherwise: int) -> int:
    """Threads of each trial of a study that has begun; another number where it has not."""
    return read_study(folder)["threads"] if (Path(folder) / "study.json").is_file() else otherwise


def look_at_test(folder: Path, again: bool) -> None:
    """Notes that the test part is looked at; an interrupted look goes on as the same one.

    Raises:
        BadInputError: it has been looked at before, and not asked to be again.
    """
    looks = looks_so_far(folder)
    if looks and not looks[-1]["complete"]:
        return
    if looks and not again:
        raise BadInputError(
            f"the test part of this study was looked at on {looks[-1]['time']}",
            record=str(folder),
            field="test",
            remedy="Its figures are in the study's page. --again looks once more, which is counted.",
        )
    _write_looks(
        folder, [*looks, {"time": datetime.now(UTC).isoformat(timespec="seconds"), "complete": False}]
    )


def looked_at_test(folder: Path) -> None:
    """Notes that the last look was finished."""
    looks = looks_so_far(folder)
    _write_looks(folder, [*looks[:-1], {**looks[-1], "complete": True}])


def looks_so_far(folder: Path) -> list[dict[str, Any]]:
    """Every look at the test part so far."""
    path = Path(folder) / "test_looks.json"
    return json.loads(read_limited(path, _LARGEST)) if path.is_file() else []


def figures_of_test(folder: Path, kind: str) -> dict[str, Any]:
    """``{"test": …}`` as the study's last page had it, so that a page made anew keeps it; empty without."""
    path = Path(folder) / f"{kind}.json"
    found = json.loads(read_limited(path, _LARGEST)) if path.is_file() else {}
    return {"test": found["test"]} if "test" in found else {}


def _write_looks(folder: Path, looks: list[dict[str, Any]]) -> None:
    write_json(Path(folder) / "test_looks.json", looks)
