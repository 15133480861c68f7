"""Source to store: parse, standardise, featurise and write shards, in parallel and resumably."""

import errno
import itertools
import json
import logging
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from prismat.crystal import Crystal
from prismat.engines import EngineName, ShardJob, make_engine
from prismat.errors import BadInputError, PrismatError
from prismat.files import digest, write_json, write_text
from prismat.material import Material, Reject
from prismat.modalities.base import Features, Modality, pack_features
from prismat.modalities.profile import ProfileSettings
from prismat.modalities.standard_cell import StandardCell, standardize
from prismat.modalities.structure import StructureModality, StructureSettings
from prismat.modalities.windows import MEASURED, MeasuredSettings, make_modalities
from prismat.modalities.xrd import XrdSettings
from prismat.ragged import Packed
from prismat.sources.base import Remote, Source
from prismat.store import SCHEMA_VERSION, Store, write_shard

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PrepareSettings:
    """How records are made from a source.

    Attributes:
        structure: graph settings.
        xrd: powder-pattern settings.
        profile: grid on which measured patterns are kept; must be that of the recipe to be trained.
        measured: images, densities of states and charge densities, likewise.
        shard_rows: source rows per shard; a killed job repeats at most this many.
        workers: processes; 0 for one per processor, 1 for none but this one.
        engine: what runs them: a pool on this machine, or Ray, on a cluster (extra ``scale``).
    """

    structure: StructureSettings = StructureSettings()
    xrd: XrdSettings = XrdSettings()
    profile: ProfileSettings = ProfileSettings()
    measured: MeasuredSettings = field(default_factory=MeasuredSettings)
    shard_rows: int = 512
    workers: int = 0
    engine: EngineName = "processes"


def prepare(
    source: Source, folder: Path, settings: PrepareSettings, progress: Progress | None = None
) -> Store:
    """Writes a store, or goes on with one that was interrupted.

    Shards are idempotent: one that is there was written whole and is kept. A folder that holds another
    source or other settings is refused. A source that fetches does so first.

    Raises:
        FetchError: a source cannot be had.
        BadInputError: the source is empty, or the folder belongs to another job.
    """
    folder = Path(folder)
    if isinstance(source, Remote):
        source.obtain()
    job = _job(source, settings)
    if (folder / "store.json").is_file():
        store = Store(folder)
        _same_job(store.info["job"], job, folder)
        return store
    _claim(folder, job)
    started = time.monotonic()
    with _explained(folder):
        _write_shards(source, folder, settings, progress)
    return _finish(folder, source, job, time.monotonic() - started)


def _job(source: Source, settings: PrepareSettings) -> dict:
    described = asdict(settings)
    described.pop("workers")
    described.pop("engine")
    # Properties stay in the table and are chosen by the recipe.
    described["measured"].pop("properties")
    # Stores from before lines told of texture are those of today without it.
    if not settings.xrd.texture:
        del described["xrd"]["texture"], described["xrd"]["texture_axis"]
    return {"source": source.name, "fingerprint": source.fingerprint(), "settings": described}


def _claim(folder: Path, job: dict) -> None:
    """Marks the folder with the job; leftovers of an interrupted write are removed."""
    mark = folder / "job.json"
    if mark.is_file():
        _same_job(json.loads(mark.read_text(encoding="utf-8")), job, folder)
    elif folder.is_dir() and any(not p.name.startswith(".job.json.") for p in folder.iterdir()):
        raise BadInputError(f"{folder} is not empty and not a store", remedy="Give another folder.")
    write_json(mark, job)
    for stale in itertools.chain(folder.glob(".*.tmp"), folder.glob(".*.old")):
        if stale.is_dir():
            shutil.rmtree(stale, ignore_errors=True)
        else:
            stale.unlink()


def _same_job(there: dict, wanted: dict, folder: Path) -> None:
    if digest(there) != digest(wanted):
        raise BadInputError(
            f"{folder} holds a store of another source or other settings", remedy="Give another folder."
        )


def _write_shards(source: Source, folder: Path, settings: PrepareSettings, progress: Progress | None) -> None:
    total = len(source)
    if total == 0:
        raise BadInputError(f"source {source.name!r} has no rows", remedy="Check the path.")
    starts = range(0, total, settings.shard_rows)
    open_shards = [(n, s) for n, s in enumerate(starts) if not (folder / _name(n) / "shard.json").is_file()]
    done = len(starts) - len(open_shards)
    if progress:
        progress(done, len(starts))
    for finished, _ in enumerate(_shard_jobs(source, folder, settings, open_shards), start=done + 1):
        if progress:
            progress(finished, len(starts))


@contextmanager
def _explained(folder: Path) -> Generator[None]:
    """Says what a full disk or a killed worker means for the job, and how to go on."""
    kept = "Finished shards are kept: run the same command again"
    try:
        yield
    except BrokenProcessPool as error:
        raise PrismatError(
            f"A worker was killed, perhaps for want of memory. {kept}, with fewer workers."
        ) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise PrismatError(f"No space left in {folder}. {kept} when there is some.") from error


def _shard_jobs(
    source: Source, folder: Path, settings: PrepareSettings, wanted: Sequence[tuple[int, int]]
) -> Iterator[int]:
    """Makes shards with the engine chosen, and yields the size of each as it is done."""
    jobs = [ShardJob(write_one, source, start, folder / _name(n), settings) for n, start in wanted]
    yield from make_engine(settings.engine, settings.workers).run(jobs)


def _name(number: int) -> str:
    return f"shard-{number:05d}"


def write_one(source: Source, start: int, folder: Path, settings: PrepareSettings) -> int:
    """Makes one shard from source rows start … start + shard_rows − 1; returns its number of records."""
    modalities = stored_modalities(settings)
    rows, rejects, crystals = [], [], []
    features: dict[str, list[Features | None]] = {window: [] for window in modalities}
    for item in source.read(start, start + settings.shard_rows):
        record = item if isinstance(item, Reject) else _featurize(item, modalities)
        if isinstance(record, Reject):
            rejects.append(asdict(record))
            continue
        rows.append(record[0])
        crystals.append(record[2])
        for window, found in record[1].items():
            features[window].append(found)
    packed: Packed = {}
    for window, modality in modalities.items():
        packed |= pack_features(modality.columns, features[window])
    write_shard(folder, pa.Table.from_pylist(rows, schema=TABLE), packed, rejects, crystals)
    return len(rows)


def stored_modalities(settings: PrepareSettings) -> dict[str, Modality]:
    """The modality of every window that a store keeps."""
    windows = ("structure", "xrd", *MEASURED)
    return make_modalities(windows, settings.structure, settings.profile, settings.xrd, settings.measured)


def _featurize(
    material: Material, modalities: dict[str, Modality]
) -> tuple[dict, dict[str, Features | None], Crystal | None] | Reject:
    """(table row, features by window, primitive cell) of one material, or why there are none."""
    try:
        structure, cell = modalities["structure"], None
        found: dict[str, Features | None] = {"structure": None}
        lines = material
        if material.structure is not None and isinstance(structure, StructureModality):
            cell = standardize(material.structure, structure.settings.symprec)
            found["structure"] = structure.featurize_cell(cell)
            # Lines are faster from the smallest cell; what was measured belongs to the cell it came with.
            lines = replace(material, structure=cell.primitive)
        found["xrd"] = modalities["xrd"].featurize(lines)
        found |= {window: modalities[window].featurize(material) for window in MEASURED}
        return describe(material, cell), found, cell.primitive if cell else None
    except (PrismatError, ValueError, RuntimeError, FloatingPointError, MemoryError) as error:
        return Reject.because(material.id, error)


_PROPERTY = pa.struct([("name", pa.string()), ("value", pa.float64()), ("unit", pa.string())])
_TEXT = pa.map_(pa.string(), pa.string())
TABLE = pa.schema(
    [
        ("id", pa.string()),
        ("formula", pa.string()),
        ("elements", pa.list_(pa.string())),
        ("fractions", pa.list_(pa.float32())),
        ("n_sites", pa.int32()),
        ("ordered", pa.bool_()),
        ("spacegroup_number", pa.int16()),
        ("spacegroup", pa.string()),
        ("cell", pa.list_(pa.float32())),
        ("texts", _TEXT),
        ("properties", pa.list_(_PROPERTY)),
        ("tags", _TEXT),
        ("provenance", _TEXT),
    ]
)
"""Columns of table.parquet; ``cell`` is a, b, c (Å), α, β, γ (°) of the conventional cell."""


def describe(material: Material, cell: StandardCell | None) -> dict:
    """The table row of a material."""
    crystal = cell.primitive if cell else None
    fractions = crystal.fractions if crystal else {}
    return {
        "id": material.id,
        "formula": crystal.formula if crystal else "",
        "elements": list(fractions),
        "fractions": list(fractions.values()),
        "n_sites": len(crystal) if crystal else 0,
        "ordered": crystal.is_ordered if crystal else True,
        "spacegroup_number": cell.number if cell else 0,
        "spacegroup": cell.symbol if cell else "",
        "cell": list(cell.cell_lengths_angles) if cell else [],
        "texts": list(material.texts.items()),
        "properties": [{"name": k, "value": p.value, "unit": p.unit} for k, p in material.properties.items()],
        "tags": list(material.tags.items()),
        "provenance": list(asdict(material.provenance).items()),
    }


def _finish(folder: Path, source: Source, job: dict, seconds: float) -> Store:
    """Writes the rejects file and, last of all, store.json, which makes the store valid."""
    shards = sorted(p for p in folder.glob("shard-*") if (p / "shard.json").is_file())
    described: list[dict[str, Any]] = [{"name": p.name, **_summary(p)} for p in shards]
    write_text(folder / "rejects.jsonl", "".join(_rejects(shards)))
    kept = sum(int(s["rows"]) for s in described)
    if kept == 0:
        raise BadInputError("no row of the source could be used", remedy=f"See {folder / 'rejects.jsonl'}.")
    info = {
        "schema_version": SCHEMA_VERSION,
        "hash": digest([s["hash"] for s in described]),
        "records": kept,
        "rejected": sum(1 for _ in _rejects(shards)),
        "prepare_s": round(seconds, 1),
        "licence": source.licence,
        "citation": source.citation,
        "xrd": XrdSettings(**job["settings"]["xrd"]).metadata(),
        "job": job,
        "shards": described,
    }
    write_json(folder / "store.json", info)
    return Store(folder)


def _summary(shard: Path) -> dict[str, Any]:
    described = json.loads((shard / "shard.json").read_text(encoding="utf-8"))
    return {"rows": described["rows"], "hash": described["hash"]}


def _rejects(shards: Sequence[Path]) -> Iterator[str]:
    for shard in shards:
        yield from (shard / "rejects.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
