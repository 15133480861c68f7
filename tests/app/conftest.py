"""A small run behind an app, and a client that talks to it within the process."""

import shutil
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from helpers_running import serving

from prismat.app.limits import Access, Limits
from prismat.app.server import make_app
from prismat.app.state import Served
from prismat.tasks.indexing import build_index


@pytest.fixture(scope="session")
def served(small_engine, small_store) -> Served:
    """A model, its index and the store; no calibration, map or head."""
    return Served(small_engine, "small", small_store)


@pytest.fixture(scope="session")
def folder(small_run, small_store, tmp_path_factory):
    """The same as a folder that ``prismat serve`` takes."""
    root = tmp_path_factory.mktemp("served")
    shutil.copytree(small_run.folder / "model", root / "run" / "model")
    build_index(small_run.trained.prismat, small_store, root / "index")
    (root / "store").symlink_to(small_store.folder)
    return root


@pytest.fixture(scope="session")
def bare(served) -> Served:
    """The model and the index alone."""
    return replace(served, store=None)


@pytest.fixture(scope="session")
def calls():
    """Makes clients of apps, as a context: ``with calls(served, limits) as api``."""

    def make(served: Served, limits: Limits = Limits(), access: Access = Access()) -> TestClient:
        return TestClient(make_app(served, limits, access), "http://localhost", raise_server_exceptions=False)

    return make


@pytest.fixture(scope="session")
def api(served, calls):
    """A client that never meets the rate limit."""
    with calls(served, Limits(per_second=0.0)) as client:
        yield client


@pytest.fixture(scope="session")
def some_id(served) -> str:
    """An id of the index."""
    return served.index.records(0, 1)[0].id


@pytest.fixture(scope="session")
def running(small_run, small_store, tmp_path_factory):
    """The same run, served by a process of its own."""
    index = tmp_path_factory.mktemp("served") / "index"
    build_index(small_run.trained.prismat, small_store, index)
    with serving(small_run.folder, index, small_store.folder) as server:
        yield server
