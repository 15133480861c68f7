"""Every engine makes the same store, and fails in the same way."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from helpers_source import FewCrystals
from prismat.engines import Processes, RayEngine, Serial, ShardJob, make_engine
from prismat.errors import BadInputError, MissingExtraError, PrismatError
from prismat.prepare import PrepareSettings, prepare

SETTINGS = PrepareSettings(shard_rows=10, workers=1)
SOURCE = FewCrystals(rows=40)

# Ray's own: sockets and files that it leaves to the collector, and options that it announces.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::UserWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def content(folder):
    """Hash of every file of a store but the one that tells how long it took."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name != "store.json"
    }


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return prepare(SOURCE, tmp_path_factory.mktemp("serial") / "store", SETTINGS)


@pytest.fixture(scope="module")
def cluster():
    """One Ray for all tests of this file: starting it takes seconds."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        from prismat.engines import _connected, _import_ray

        with _connected(_import_ray(), 2):
            yield ray


@dataclass(frozen=True)
class Failing:
    """A source whose rows from ``first`` on raise."""

    first: int
    error: Exception


def count(source, start, folder, settings):
    if start >= source.first:
        raise source.error
    Path(folder).write_text(f"{start} {settings}", encoding="utf-8")
    return start + 1


def jobs(tmp_path, source, number=4):
    return [ShardJob(count, source, start, tmp_path / str(start), "s") for start in range(number)]


def test_names_choose_engines():
    assert isinstance(make_engine("processes", 1), Serial)
    assert isinstance(make_engine("processes", 0), Processes)
    assert make_engine("processes", 3).workers == 3


def test_serial_runs_in_order_and_lets_errors_pass(tmp_path):
    source = Failing(2, BadInputError("broken", record="r", remedy="Mend it."))
    done = Serial().run(jobs(tmp_path, source))
    assert [next(done), next(done)] == [1, 2]
    with pytest.raises(BadInputError, match=r"record 'r': broken\. Mend it"):
        next(done)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1"]


def test_a_pool_of_processes_makes_the_same_store(tmp_path, serial):
    store = prepare(SOURCE, tmp_path / "s", replace(SETTINGS, workers=2))
    assert store.hash == serial.hash
    assert content(store.folder) == content(serial.folder)


def test_ray_makes_the_same_store(cluster, tmp_path, serial):
    store = prepare(SOURCE, tmp_path / "s", replace(SETTINGS, workers=2, engine="ray"))
    assert [shard["hash"] for shard in store.info["shards"]] == [s["hash"] for s in serial.info["shards"]]
    assert store.hash == serial.hash
    assert content(store.folder) == content(serial.folder)


def test_ray_goes_on_with_what_another_engine_began(cluster, tmp_path, serial):
    folder = tmp_path / "s"
    prepare(SOURCE, folder, SETTINGS)
    (folder / "store.json").unlink()
    for path in (folder / "shard-00001").iterdir():
        path.unlink()
    (folder / "shard-00001").rmdir()
    kept = (folder / "shard-00002" / "shard.json").stat().st_mtime_ns
    assert prepare(SOURCE, folder, replace(SETTINGS, engine="ray")).hash == serial.hash
    assert (folder / "shard-00002" / "shard.json").stat().st_mtime_ns == kept
    assert content(folder) == content(serial.folder)


def test_ray_repeats_a_job_whose_worker_died(cluster, tmp_path, serial):
    deadly = tmp_path / "deadly"
    deadly.touch()
    store = prepare(
        replace(SOURCE, deadly=deadly), tmp_path / "s", replace(SETTINGS, workers=2, engine="ray")
    )
    assert not deadly.exists()
    assert store.hash == serial.hash


@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_a_failed_job_raises_its_own_error(kind, request, tmp_path):
    if kind == "ray":
        request.getfixturevalue("cluster")
    source = Failing(0, BadInputError("broken", record="r", field="f", remedy="Mend it."))
    with pytest.raises(BadInputError, match=r"record 'r', f: broken\. Mend it") as caught:
        list(make_engine(kind, 2).run(jobs(tmp_path, source)))
    assert (caught.value.record, caught.value.field) == ("r", "f")


def test_a_full_disk_under_ray_is_explained(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("prismat.prepare.write_one", _full)
    with pytest.raises(PrismatError, match="No space left in"):
        prepare(SOURCE, tmp_path / "s", replace(SETTINGS, engine="ray"))


def _full(source, start, folder, settings):
    raise OSError(28, "No space left on device")


def test_workers_that_ray_cannot_keep_alive_are_reported(cluster, tmp_path, monkeypatch):
    error = cluster.exceptions.WorkerCrashedError()

    def dying(*_):
        raise error
        yield

    monkeypatch.setattr("prismat.engines._rows", dying)
    with pytest.raises(PrismatError, match="A worker was killed"):
        prepare(SOURCE, tmp_path / "s", replace(SETTINGS, engine="ray"))


def test_nothing_to_do_starts_nothing(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setattr("prismat.engines._connected", lambda *_: pytest.fail("a Ray was started"))
    assert list(RayEngine(1).run([])) == []


def test_the_engine_is_no_part_of_the_job(tmp_path, serial):
    pytest.importorskip("ray")
    assert "engine" not in serial.info["job"]["settings"]
    assert prepare(SOURCE, serial.folder, replace(SETTINGS, engine="ray")).hash == serial.hash


def test_a_missing_ray_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"ray is not installed.*prismat\[scale\]"):
        make_engine("ray", 1)


def test_importing_the_module_does_not_import_ray():
    program = "import sys, prismat.prepare; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
