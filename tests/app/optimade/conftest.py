"""A library of real minerals, a molecule, words alone and partly empty sites."""

from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import helpers_small as small
from prismat.app.optimade import router
from prismat.app.optimade.library import Library
from prismat.crystal import Crystal, element_site
from prismat.material import Material, Property, Provenance
from prismat.prepare import PrepareSettings, prepare
from prismat.search.engine import index_table

WATER = Crystal.molecule(
    np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]),
    (element_site("O"), element_site("H"), element_site("H")),
)
OWN = Provenance("own", "w/1", "CC0", "Me")
ODD = (
    Material(
        "water", WATER, {"title": "Water <b>alone</b>"}, provenance=Provenance("own", "w/1", "CC0", "Me")
    ),
    Material("words", texts={"title": "Words alone"}, properties={"Band gap (PBE)": Property(1.5, "eV")}),
    Material("a/b c?d", small.crystal("wuestite"), {"title": 'A "quoted" \\ title'}),
)


@pytest.fixture(scope="session")
def odd_store(amcsd, tmp_path_factory):
    """Sixty minerals, and three odd records."""
    rows = [m for m in amcsd.read(0, 80) if isinstance(m, Material)][:60]
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=25, workers=1)
    return prepare(small.SmallSource((*rows, *ODD)), tmp_path_factory.mktemp("odd") / "store", settings)


def units_of(table):
    """Unit of each property in the metadata of an index."""
    fields = [field for field in table.schema if field.name.startswith("property.")]
    return {f.name.removeprefix("property."): (f.metadata or {}).get(b"unit", b"").decode() for f in fields}


@pytest.fixture(scope="session")
def library(odd_store):
    """Records in another order than in the store, and one that the store lacks."""
    table = index_table(odd_store)
    order = np.random.default_rng(0).permutation(table.num_rows)
    return Library(table.take(order), units_of(table), odd_store)


@pytest.fixture(scope="session")
def bare_library(library):
    """The same without a store."""
    return Library(library.table, library.units)


@pytest.fixture(scope="session")
def asked(library):
    """A client of the endpoint alone."""
    index = SimpleNamespace(table=library.table, units=library.units)
    app = FastAPI()
    app.include_router(router(SimpleNamespace(index=index, store=library.store)), prefix="/optimade")
    with TestClient(app) as client:
        yield client
