"""OQMD: its fields and units, filters, and the store that comes of it."""

import pytest

from helpers_optimade import OptimadeService, oqmd_entry
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.oqmd import OqmdOptions


@pytest.fixture
def service(server):
    return OptimadeService(server, [oqmd_entry(n) for n in range(10)])


def test_three_pages_become_a_store(service, client, tmp_path):
    options = OqmdOptions(elements=("Na",), base_url=service.url, cache=tmp_path / "cache")
    source = options.open(client)
    store = prepare(source, tmp_path / "store", PrepareSettings(shard_rows=8, workers=1))
    assert store.info["job"]["source"] == "oqmd"
    assert store.ids[0] == "oqmd-4000"
    assert store.property_units() == {
        "formation_energy_per_atom": {"eV/atom"},
        "hull_distance": {"eV/atom"},
        "band_gap": {"eV"},
    }
    first = {p["name"]: p["value"] for p in store.column("properties")[0]}
    assert first == {"formation_energy_per_atom": -2.0, "hull_distance": -0.05, "band_gap": 0.0}
    provenance = dict(store.column("provenance")[9])
    assert (provenance["source"], provenance["source_id"]) == ("oqmd", "4009")
    assert provenance["licence"] == "CC BY 4.0"
    assert "Saal" in provenance["citation"]
    assert "Kirklin" in provenance["citation"]
    assert service.pages_asked == 3


def test_filters(service, client, tmp_path):
    wanted = OqmdOptions(
        elements=("Si", "O"), n_elements=2, hull_distance=0.1, filter="nsites<20", base_url=service.url
    )
    text = 'elements HAS ALL "Si","O" AND nelements=2 AND _oqmd_stability<=0.1 AND (nsites<20)'
    assert wanted.filter_text() == text
    assert OqmdOptions().filter_text() == ""
    assert OqmdOptions(hull_distance=0.0).filter_text() == "_oqmd_stability<=0"
    source = OqmdOptions(filter="nsites<20", base_url=service.url, cache=tmp_path).open(client)
    source.obtain()
    asked = [r for r in service.server.seen if r.path.endswith("/structures")]
    assert asked[0].query["filter"] == ["(nsites<20)"]


def test_wrong_filters():
    with pytest.raises(BadInputError, match="unknown element 'Xx'"):
        OqmdOptions(elements=("Xx",)).open()
    with pytest.raises(BadInputError, match="-1 elements"):
        OqmdOptions(n_elements=-1).open()


def test_a_field_that_was_renamed(service, client, tmp_path):
    for entry in service.entries:
        entry["attributes"]["_oqmd_hull"] = entry["attributes"].pop("_oqmd_stability")
    source = OqmdOptions(base_url=service.url, cache=tmp_path).open(client)
    with pytest.raises(FetchError, match=r"without '_oqmd_stability'.*The service may have changed"):
        source.obtain()
