"""Descriptions by robocrystallographer (Ganose and Jain, MRS Commun. 9, 874 (2019)), in a pool and cached."""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from prismat.crystal import Crystal
from prismat.errors import BadInputError, MissingExtraError
from prismat.files import digest
from prismat.material import Reject
from prismat.texts.cache import TextCache
from prismat.texts.deadline_pool import Outcome, run_with_deadline

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RobocrysSettings:
    """How the descriptions are made.

    Attributes:
        workers: processes; 0 for one per processor.
        timeout: seconds for one crystal, after which its process is killed and the crystal is a reject.
    """

    workers: int = 0
    timeout: float = 120.0


def robocrys_version() -> str:
    """Version of the installed robocrystallographer.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return version("robocrys")
    except PackageNotFoundError as error:
        raise MissingExtraError("robocrys", "describe") from error


def robocrys_text(crystal: Crystal) -> str:
    """The description of one crystal; seconds long.

    Raises:
        BadInputError: a molecule or a disordered crystal, neither of which robocrystallographer takes.
        MissingExtraError: it is not installed.
    """
    _check(crystal)
    robocrys = load_robocrys()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        condensed = robocrys.StructureCondenser().condense_structure(crystal.to_pymatgen())
        return robocrys.StructureDescriber().describe(condensed)


def load_robocrys() -> ModuleType:
    """Robocrystallographer, whose import takes seconds.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module("robocrys")
    except ImportError as error:
        raise MissingExtraError("robocrys", "describe") from error


def crystal_key(crystal: Crystal, *parts: str) -> str:
    """Hash of a crystal's content, numbers to 1e-8, and of further words."""
    numbers = [(crystal.lattice + 0.0).round(8).tolist(), (crystal.frac + 0.0).round(8).tolist()]
    return digest(crystal.periodic, numbers, crystal.sites, *parts)


def robocrys_texts(
    crystals: Mapping[str, Crystal],
    cache: TextCache,
    settings: RobocrysSettings = RobocrysSettings(),
    progress: Progress | None = None,
    describe: Callable[[Crystal], str] = robocrys_text,
) -> tuple[dict[str, str], list[Reject]]:
    """Descriptions of many crystals; what was made before comes from the cache.

    A crystal that fails fails again and is kept as such; one that took too long is tried again only with more
    time than it had.

    Args:
        crystals: by record id; equal ones are described once.
        cache: receives each description as it comes.
        settings: processes and time.
        progress: called with how many of all distinct crystals are done.
        describe: what describes one crystal, importable by name.

    Returns:
        Texts by id, and the crystals without one, with reasons.
    """
    about = robocrys_version() if describe is robocrys_text else _name(describe)
    keys = {record: crystal_key(crystal, "robocrys", about) for record, crystal in crystals.items()}
    distinct = {key: crystals[record] for record, key in keys.items()}
    known = {key: found for key in distinct if (found := _known(cache, key, settings.timeout))}
    rejected = {key: _refusal(crystal) for key, crystal in distinct.items() if key not in known}
    known |= {key: {"reason": reason} for key, reason in rejected.items() if reason}
    open_ = [key for key in distinct if key not in known]
    prepare = load_robocrys if describe is robocrys_text else None
    tasks = [distinct[key] for key in open_]
    for outcome in run_with_deadline(describe, tasks, settings.timeout, settings.workers, prepare):
        known[open_[outcome.index]] = _keep(cache, open_[outcome.index], outcome, settings.timeout)
        if progress:
            progress(len(known), len(distinct))
    texts = {record: known[key]["text"] for record, key in keys.items() if "text" in known[key]}
    return texts, [Reject(record, known[keys[record]]["reason"]) for record in keys if record not in texts]


def _name(function: Callable[[Crystal], str]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', '')}"


def _known(cache: TextCache, key: str, timeout: float) -> dict | None:
    """What the cache holds, unless it is a failure that more time may mend."""
    found = cache.get(key)
    entry = json.loads(found) if found else None
    return None if entry and entry.get("timeout", timeout) < timeout else entry


def _keep(cache: TextCache, key: str, outcome: Outcome, timeout: float) -> dict:
    text = (outcome.result or "").strip()
    entry: dict[str, str | float] = (
        {"text": text} if text else {"reason": outcome.reason or "an empty description"}
    )
    if not text and not outcome.lasting:
        entry["timeout"] = timeout
    # A process that died may have been the victim of something else.
    if "died" not in outcome.reason:
        cache.put(key, json.dumps(entry, ensure_ascii=False))
    return entry


def _check(crystal: Crystal) -> None:
    reason = _refusal(crystal)
    if reason:
        raise BadInputError(reason, field="structure", remedy="Use the template description.")


def _refusal(crystal: Crystal) -> str:
    """Why robocrystallographer cannot take a crystal; empty where it can."""
    if not crystal.periodic:
        return "a molecule, which robocrystallographer does not describe"
    return "" if crystal.is_ordered else "disordered, which robocrystallographer does not describe"
