"""Results on disk: for each crystal an ``.npz`` and a JSON file, written whole; failures in one list."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismat.compute.calculation import Computed
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.files import digest, replacing, sha256, write_json, write_text
from prismat.measurements import ChargeDensity, Dos, Measurement

FOLDER = "results"
FAILURES = "failures.jsonl"
MAX_BYTES = 600_000_000
_TEXTS = ("id", "formula", "sha256", "method")
_REMEDY = "Remove this result and run 'prismat compute' again."


@dataclass(frozen=True)
class Failure:
    """A crystal without a result.

    Attributes:
        id: of the record.
        kind: see ``failure.Kind``.
        reason: a sentence.
        seconds: spent on it.
        time: UTC, ISO 8601.
    """

    id: str
    kind: str
    reason: str
    seconds: float
    time: str


def file_name(id: str) -> str:
    """A file name for any id: its harmless characters and, since ids may differ in others, a hash of it."""
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', id)[:60]}-{digest(id)[:12]}"


def result_path(folder: Path, id: str) -> Path:
    """The JSON file of a record's result, whether or not it is there."""
    return folder / FOLDER / f"{file_name(id)}.json"


def write_result(folder: Path, id: str, crystal: Crystal, computed: Computed, settings: str) -> None:
    """Writes arrays and then, as the sign that they are there, the JSON file.

    Args:
        folder: of the campaign.
        id: of the record.
        crystal: what was computed.
        computed: result.
        settings: hash of the campaign's settings.
    """
    arrays: dict[str, np.ndarray] = {}
    if computed.dos is not None:
        arrays["dos_energy"], arrays["dos_density"] = computed.dos.energy, computed.dos.density
    if computed.density is not None:
        arrays["density"] = computed.density.values.astype(np.float32)
        arrays["lattice"] = computed.density.lattice
    path = result_path(folder, id).with_suffix(".npz")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        # An open file: savez would append a suffix to a name.
        np.savez_compressed(stream, **arrays)  # ty: ignore[invalid-argument-type]
    described = {
        "id": id,
        "formula": crystal.formula,
        "n_atoms": len(crystal),
        "volume_a3": round(crystal.volume, 4),
        "settings": settings,
        "sha256": sha256(path),
        **computed.facts,
    }
    write_json(path.with_suffix(".json"), described)


def read_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """What is told of every result, by id.

    Raises:
        BadInputError: a file is not one of ours.
    """
    found = {}
    for path in sorted((folder / FOLDER).glob("*.json")):
        if path.name.startswith("."):
            continue
        facts = _facts(path)
        found[facts["id"]] = facts
    return found


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if path.stem != file_name(facts["id"]):
            raise ValueError("of another record")
        if not (int(facts["n_atoms"]) > 0 and float(facts["volume_a3"]) > 0):
            raise ValueError("of no crystal")
        if not all(isinstance(facts[name], str) for name in _TEXTS):
            raise ValueError("with something else where a text belongs")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"not a result ({error})", record=path.name, field="computed", remedy=_REMEDY
        ) from error
    return facts


def read_measurements(folder: Path, facts: dict[str, Any]) -> dict[str, Measurement]:
    """Measurements of one result, by window: ``dos``, ``charge_density``.

    Args:
        folder: of the campaign.
        facts: one value of ``read_facts``.

    Raises:
        BadInputError: the arrays are absent, changed or not what they should be.
    """
    path = result_path(folder, facts["id"]).with_suffix(".npz")
    try:
        if path.stat().st_size > MAX_BYTES or sha256(path) != facts["sha256"]:
            raise ValueError("another content than when it was written")
        with np.load(path, allow_pickle=False) as arrays:
            found: dict[str, Measurement] = {}
            if "dos_energy" in arrays:
                energy, density = arrays["dos_energy"], arrays["dos_density"]
                found["dos"] = Dos(energy, density, zero="fermi", n_atoms=int(facts["n_atoms"]))
            if "density" in arrays:
                found["charge_density"] = ChargeDensity(arrays["density"], arrays["lattice"], "valence")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInputError(
            f"{path.name} cannot be used ({error})",
            record=str(facts["id"]),
            field="computed",
            remedy=_REMEDY,
        ) from error
    return found


def append_failure(folder: Path, failure: Failure) -> None:
    """Adds a line to the list of failures."""
    line = json.dumps(asdict(failure), ensure_ascii=False) + "\n"
    with (folder / FAILURES).open("a", encoding="utf-8") as stream:
        stream.write(line)


def read_failures(folder: Path) -> dict[str, Failure]:
    """The last failure of every record that has no result now, by id."""
    found = {failure.id: failure for failure in _lines(folder / FAILURES)}
    return {name: f for name, f in found.items() if not result_path(folder, name).is_file()}


def mend_failures(folder: Path) -> None:
    """Drops a last line that a kill cut off."""
    path = folder / FAILURES
    if not path.is_file():
        return
    whole = [json.dumps(asdict(f), ensure_ascii=False) + "\n" for f in _lines(path)]
    write_text(path, "".join(whole))


def _lines(path: Path) -> Iterator[Failure]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield Failure(**json.loads(line))
        except (ValueError, TypeError):
            continue
