"""One small store and one tiny trained model for the whole session."""

from dataclasses import dataclass
from pathlib import Path

import helpers_small as small
import pytest

from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job
from prismat.search.engine import SearchEngine
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import train_recipe
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
    return SearchEngine(prismat, build_index(prismat, small_store, tmp_path_factory.mktemp("index") / "index"))
