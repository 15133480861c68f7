"""One small store and one tiny trained model for the whole session."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import helpers_small as small
from helpers_cli import TINY, call
from helpers_server import FakeServer
from prismat.fetch.client import Client, ClientSettings
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job
from prismat.search.engine import SearchEngine
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import Talk, quickstart, store_settings, train_recipe
from prismat.training.session import Prepared, Trained, open_prepared


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run and its folder."""

    folder: Path
    job: Job
    trained: Trained


@pytest.fixture(scope="session")
def small_store(tmp_path_factory):
    """About 110 simple crystals in three shards."""
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=40, workers=1)
    return prepare(small.SmallSource(), tmp_path_factory.mktemp("small") / "store", settings)


@pytest.fixture(scope="session")
def small_prepared(small_store) -> Prepared:
    """The store divided."""
    return open_prepared(small_store, small.tiny_job().split)


@pytest.fixture(scope="session")
def small_run(small_prepared, tmp_path_factory) -> Run:
    """The tiny recipe trained; its folder is read, never written."""
    folder, job = tmp_path_factory.mktemp("run"), small.tiny_job()
    return Run(folder, job, train_recipe(small_prepared, job, folder))


@pytest.fixture(scope="session")
def small_engine(small_run, small_store, tmp_path_factory) -> SearchEngine:
    """All crystals of the store, searchable."""
    prismat = small_run.trained.prismat
    return SearchEngine(
        prismat, build_index(prismat, small_store, tmp_path_factory.mktemp("index") / "index")
    )


@dataclass(frozen=True, eq=False)
class Whole:
    """What one quickstart gave, and what it said on the way."""

    folder: Path
    job: Job
    report: dict
    engine: SearchEngine
    said: list


def quick(folder, job):
    """The whole way on the small set."""
    said = []
    talk = Talk(note=said.append, bar=lambda *what: said.append(what[:3]))
    report, engine = quickstart(small.SmallSource(), folder, job, talk, store_settings(job.recipe, workers=1))
    return Whole(folder, job, report, engine, said)


@pytest.fixture(scope="session")
def small_whole(tmp_path_factory) -> Whole:
    """One quickstart of a few steps; its folder is read, never written."""
    return quick(tmp_path_factory.mktemp("whole"), small.tiny_job(steps=6, evaluate_every=3))


@dataclass(frozen=True, eq=False)
class Commanded:
    """A folder of files brought to a searchable run by commands, and what each of them said."""

    files: Path
    store: Path
    run: Path
    said: dict


@pytest.fixture(scope="session")
def commanded(tmp_path_factory) -> Commanded:
    """prepare, train, evaluate, index."""
    root = tmp_path_factory.mktemp("commanded")
    files, store, run = small.write_folder(root / "files"), root / "store", root / "run"
    (files / "broken.cif").write_text("data_broken\n")
    source = ("folder", "--path", files, "--licence", "CC0", "--out", store)
    said = {
        "prepare": call("prepare", *source, "--settings.workers", 1),
        "train": call("train", "--store", store, "--out", run, *TINY),
        "evaluate": call("evaluate", "--store", store, "--run", run),
        "index": call("index", "--store", store, "--run", run),
    }
    return Commanded(files, store, run, said)


@pytest.fixture
def server():
    """A local HTTP server; see ``helpers_server``."""
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def client():
    """A client that never waits."""
    return Client(ClientSettings(per_second=1e6, attempts=3, timeout=5.0), sleep=lambda _: None)
