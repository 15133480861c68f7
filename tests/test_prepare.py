import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import helpers_crystals as real
import prismat.engines
from helpers_source import FewCrystals
from prismat.crystal import Crystal
from prismat.errors import BadInputError, PrismatError
from prismat.material import Material, Reject
from prismat.modalities.profile import XrdModality
from prismat.modalities.standard_cell import standardize
from prismat.modalities.structure import StructureModality, StructureSettings
from prismat.modalities.xrd import XrdSettings
from prismat.prepare import PrepareSettings, prepare, write_one
from prismat.store import Store

SETTINGS = PrepareSettings(shard_rows=5, workers=1)


class InlinePool:
    """Runs every job at once in this process."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_):
        pass


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr(prismat.engines, "ProcessPoolExecutor", InlinePool)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The unbroken store, made in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prismat.engines, "ProcessPoolExecutor", InlinePool)
        return prepare(FewCrystals(), tmp_path_factory.mktemp("reference") / "store", SETTINGS)


def expected():
    return list(FewCrystals().read(0, 24))


def test_every_row_is_a_record_or_a_reject(reference):
    kept = [m.id for m in expected() if isinstance(m, Material)]
    rejected = [m.id for m in expected() if isinstance(m, Reject)]
    assert reference.ids == kept
    assert (reference.info["records"], reference.info["rejected"]) == (len(kept), len(rejected))
    lines = (reference.folder / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == rejected
    assert json.loads(lines[0])["reason"] == "illegible, as usual: “Å”"


def test_tensors_come_back_as_they_were_made(reference):
    materials = [m for m in expected() if isinstance(m, Material)]
    for modality in (StructureModality(), XrdModality()):
        taken = reference.take(np.arange(len(reference))[::-1], list(modality.columns))
        for i, material in enumerate(materials[::-1]):
            direct = modality.featurize(_primitive(material) if modality.name == "xrd" else material)
            for name, (dtype, shape) in modality.columns.items():
                wanted = np.zeros((0, *shape), dtype) if direct is None else direct[name].astype(dtype)
                np.testing.assert_array_equal(taken[name][i], wanted, err_msg=f"{material.id} {name}")


def _primitive(material):
    """Powder lines of a store are those of the standardised primitive cell."""
    if material.structure is None:
        return material
    return Material(material.id, standardize(material.structure).primitive)


def test_the_table_tells_the_rest(reference):
    rows = reference.table.to_pylist()
    salt = rows[0]
    assert (salt["formula"], salt["spacegroup"], salt["spacegroup_number"]) == ("NaCl", "Fm-3m", 225)
    assert (salt["n_sites"], salt["ordered"], salt["elements"]) == (2, True, ["Na", "Cl"])
    assert salt["cell"] == pytest.approx([5.6402] * 3 + [90] * 3)
    assert dict(salt["texts"])["title"] == "The structure of NaCl"
    assert dict(salt["tags"]) == {"mineral": "NaCl"}
    assert rows[1]["properties"] == [{"name": "gap", "value": 0.5, "unit": "eV"}]
    spinel = next(r for r in rows if r["formula"] == "MgAl2O4")
    assert not spinel["ordered"]
    assert sum(spinel["fractions"]) == pytest.approx(1)
    words = next(r for r in rows if r["id"] == "row-6")
    assert (words["formula"], words["n_sites"], words["cell"]) == ("", 0, [])


def test_what_the_store_says_of_itself(reference):
    info = reference.info
    assert (info["licence"], info["citation"]) == ("CC0", "Nobody (2026)")
    assert info["job"]["source"] == "few"
    assert info["job"]["settings"]["structure"]["neighbors"] == 12
    assert "workers" not in info["job"]["settings"]
    assert sum(s["rows"] for s in info["shards"]) == len(reference)
    assert Store(reference.folder).hash == reference.hash


def test_lines_follow_the_settings_of_the_job(tmp_path):
    lines = XrdSettings(two_theta_max=60.0)
    write_one(FewCrystals(rows=1), 0, tmp_path / "s", PrepareSettings(xrd=lines))
    angles = np.load(tmp_path / "s" / "xrd.two_theta.values.npy")
    assert len(angles) > 0
    assert angles.max() <= 60
    write_one(FewCrystals(rows=1), 0, tmp_path / "t", PrepareSettings())
    assert np.load(tmp_path / "t" / "xrd.two_theta.values.npy").max() > 60


def test_another_wavelength_can_be_prepared(tmp_path):
    molybdenum = PrepareSettings(xrd=XrdSettings(wavelength=0.7107, two_theta_max=40.0))
    assert write_one(FewCrystals(rows=1), 0, tmp_path / "s", molybdenum) == 1
    angles = np.load(tmp_path / "s" / "xrd.two_theta.values.npy")
    spacing = 5.6402 / 3**0.5
    assert angles[0] == pytest.approx(2 * np.degrees(np.arcsin(0.7107 / 2 / spacing)), abs=1e-3)


def test_progress_counts_shards(inline, tmp_path):
    seen = []
    prepare(FewCrystals(), tmp_path / "s", SETTINGS, lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(6)]


def test_a_finished_store_is_not_made_again(inline, tmp_path, monkeypatch):
    first = prepare(FewCrystals(), tmp_path / "s", SETTINGS)
    monkeypatch.setattr(FewCrystals, "read", lambda *_: 1 / 0)
    assert prepare(FewCrystals(), tmp_path / "s", SETTINGS).hash == first.hash


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(
    ("source", "settings"),
    [
        (FewCrystals(label="b"), SETTINGS),
        (FewCrystals(), PrepareSettings(shard_rows=6, workers=1)),
        (FewCrystals(), PrepareSettings(StructureSettings(neighbors=8), shard_rows=5)),
        (FewCrystals(), PrepareSettings(xrd=XrdSettings(two_theta_max=60.0), shard_rows=5)),
    ],
)
def test_another_job_is_refused(inline, tmp_path, source, settings, is_finished):
    prepare(FewCrystals(), tmp_path / "s", SETTINGS)
    if not is_finished:
        (tmp_path / "s" / "store.json").unlink()
    with pytest.raises(
        BadInputError, match=r"holds a store of another source or other settings\. Give another folder"
    ):
        prepare(source, tmp_path / "s", settings)


def test_the_number_of_workers_is_no_part_of_the_job(inline, tmp_path, reference):
    prepare(FewCrystals(), tmp_path / "s", SETTINGS)
    again = prepare(FewCrystals(), tmp_path / "s", PrepareSettings(shard_rows=5, workers=7))
    assert again.hash == reference.hash


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(BadInputError, match=r"is not empty and not a store\. Give another folder"):
        prepare(FewCrystals(), tmp_path, SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_source_and_one_of_rejects_only(inline, tmp_path):
    with pytest.raises(BadInputError, match=r"[Ss]ource 'few' has no rows"):
        prepare(FewCrystals(rows=0), tmp_path / "a", SETTINGS)
    with pytest.raises(BadInputError, match=r"[Nn]o row of the source could be used. See .*rejects.jsonl"):
        prepare(FewCrystals(rows=6, rejected=6), tmp_path / "b", SETTINGS)
    assert len((tmp_path / "b" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()) == 6


def test_a_first_shard_of_rejects_only(inline, tmp_path):
    """Types and shapes of columns must not depend on which shard comes first."""
    store = prepare(FewCrystals(rejected=5), tmp_path / "s", SETTINGS)
    modality = StructureModality()
    batch = modality.collate(store.take(np.arange(len(store)), list(modality.columns)))
    assert batch.n_graphs == len(store)
    assert batch.species.min() > 0


@pytest.mark.parametrize(
    "unusable",
    [
        Crystal(np.eye(3) * 300.0, np.zeros((1, 3)), (((0, 1.0),),)),
        Crystal(np.eye(3) * 5.0, np.full((1, 3), np.nan), (((6, 1.0),),)),
    ],
    ids=["no element", "not a number"],
)
def test_a_material_that_cannot_be_featurised_is_a_reject(inline, tmp_path, monkeypatch, unusable):
    def read(self, start, stop):
        for row in range(start, min(stop, self.rows)):
            yield Material(f"row-{row}", unusable if row == 1 else real.crystals()["NaCl"])

    monkeypatch.setattr(FewCrystals, "read", read)
    store = prepare(FewCrystals(rows=3), tmp_path / "s", SETTINGS)
    assert store.ids == ["row-0", "row-2"]
    assert json.loads((tmp_path / "s" / "rejects.jsonl").read_text())["id"] == "row-1"


def broken_off(folder):
    """What a kill leaves behind: missing shards, half-written folders and files."""
    (folder / "store.json").unlink()
    (folder / "rejects.jsonl").unlink()
    for name in ("shard-00001", "shard-00004"):
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()
    half = folder / ".shard-00001.x1y2.tmp"
    half.mkdir()
    (half / "structure.frac.values.npy").write_bytes(b"\x93NUMPY half")
    old = folder / ".shard-00004.a3b4.old" / "was"
    old.mkdir(parents=True)
    (folder / ".store.json.123.tmp").write_text('{"schema')


def test_an_interrupted_preparation_goes_on_to_the_same_store(inline, tmp_path, reference):
    folder = tmp_path / "s"
    prepare(FewCrystals(), folder, SETTINGS)
    broken_off(folder)
    kept = (folder / "shard-00002" / "shard.json").stat().st_mtime_ns
    again = prepare(FewCrystals(), folder, SETTINGS)
    assert again.hash == reference.hash
    assert again.table.equals(reference.table)
    assert (folder / "shard-00002" / "shard.json").stat().st_mtime_ns == kept
    assert _names(folder) == _names(reference.folder)


def test_a_kill_while_the_folder_was_being_claimed(inline, tmp_path, reference):
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / ".job.json.123.tmp").write_text('{"sou')
    assert prepare(FewCrystals(), folder, SETTINGS).hash == reference.hash
    assert _names(folder) == _names(reference.folder)


def _names(folder):
    return sorted(p.name for p in Path(folder).iterdir())


@pytest.mark.parametrize("nth", [1, 2, 9, 40])
def test_a_full_disk_is_reported_and_leaves_nothing_half_written(
    inline, tmp_path, monkeypatch, reference, nth
):
    calls = iter(range(1, 10_000))
    save = np.save

    def full(path, *arguments, **others):
        if next(calls) >= nth:
            Path(path).write_bytes(b"\x93NUM")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(path, *arguments, **others)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(PrismatError, match="No space left"):
        prepare(FewCrystals(), tmp_path / "s", SETTINGS)
    monkeypatch.setattr(np, "save", save)
    assert not list((tmp_path / "s").glob(".*"))
    for shard in (tmp_path / "s").glob("shard-*"):
        assert (shard / "shard.json").is_file()
    with pytest.raises(BadInputError, match="No finished store"):
        Store(tmp_path / "s")
    assert prepare(FewCrystals(), tmp_path / "s", SETTINGS).hash == reference.hash


def test_worker_processes_and_one_that_is_killed(tmp_path, reference):
    """A worker dies as the out-of-memory killer would have it; the next run completes the same store."""
    deadly = tmp_path / "deadly"
    deadly.touch()
    source = FewCrystals(deadly=deadly)
    with pytest.raises(PrismatError, match="worker was killed"):
        prepare(source, tmp_path / "s", replace(SETTINGS, workers=2))
    assert not deadly.exists()
    assert not (tmp_path / "s" / "store.json").exists()
    assert prepare(source, tmp_path / "s", SETTINGS).hash == reference.hash
    assert _names(tmp_path / "s") == _names(reference.folder)


PROGRAM = """
import sys
from pathlib import Path
from helpers_source import FewCrystals
from prismat.prepare import PrepareSettings, prepare

if __name__ == "__main__":
    print("ready", flush=True)
    store = prepare(FewCrystals(seconds=0.02), Path(sys.argv[1]), PrepareSettings(shard_rows=5, workers=1))
    print(store.hash, flush=True)
"""


def start(program, folder):
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(program), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_process_group_killed_at_a_random_moment(tmp_path, reference, seed):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = start(program, tmp_path / "s")
    with process.stdout as stream:
        assert stream.readline() == "ready\n"
        deadline = time.monotonic() + 30
        while not (tmp_path / "s" / "shard-00000").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = start(program, tmp_path / "s")
    output, _ = done.communicate(timeout=120)
    assert done.returncode == 0
    assert output.splitlines()[-1] == reference.hash
    assert _names(tmp_path / "s") == _names(reference.folder)
