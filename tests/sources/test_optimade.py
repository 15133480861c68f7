"""Any OPTIMADE service: pages, names of providers, failures, rejects, and the store that comes of it."""

import json
import pickle

import numpy as np
import pytest

from helpers_optimade import OptimadeService, error_document, oqmd_entry, structure
from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.material import Material, Reject
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.base import Remote, Source
from prismat.sources.optimade import OptimadeOptions, OptimadeQuery, OptimadeSource, Terms
from prismat.sources.optimade_fields import parse_fields

STRUCTURES = "/optimade/v1/structures"
FIELDS = ("_oqmd_delta_e=eV/atom", "gap:_oqmd_band_gap=eV")


@pytest.fixture
def service(server):
    return OptimadeService(server, [oqmd_entry(n) for n in range(10)])


@pytest.fixture
def make(service, client, tmp_path):
    def made(query=None, **options):
        query = query or OptimadeQuery(properties=FIELDS)
        return OptimadeSource(service.url, query, cache=tmp_path / "cache", client=client, **options)

    return made


def test_three_pages_become_a_store(make, service, tmp_path):
    source, told = make(), []
    assert isinstance(source, Source)
    assert isinstance(source, Remote)
    source.obtain(lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]
    store = prepare(source, tmp_path / "store", PrepareSettings(shard_rows=4, workers=1))
    assert store.ids == [f"oqmd-{4000 + n}" for n in range(10)]
    assert store.column("formula")[:3] == ["NaCl", "KCl", "LiF"]
    assert set(store.column("spacegroup_number")) == {225}
    assert store.property_units() == {"delta_e": {"eV/atom"}, "gap": {"eV"}}
    properties = [{p["name"]: p["value"] for p in row} for row in store.column("properties")]
    assert properties[2] == {"delta_e": pytest.approx(-1.8), "gap": 2.0}
    assert "gap" not in properties[3]
    assert dict(store.column("tags")[0]) == {"last_modified": "2024-03-01T00:00:00Z"}
    provenance = dict(store.column("provenance")[0])
    assert provenance["source"] == "optimade:oqmd"
    assert provenance["source_id"] == "4000"
    assert provenance["licence"] == store.info["licence"] == "CC-BY-4.0"
    assert provenance["citation"].startswith("Test Materials (https://oqmd.org); OPTIMADE: Evans")
    assert service.pages_asked == 3


def test_what_is_asked_for(make, service):
    make(OptimadeQuery('elements HAS "Na" AND nelements=2', FIELDS, page_limit=7)).obtain()
    first = next(r for r in service.server.seen if r.path == STRUCTURES)
    assert first.query["filter"] == ['elements HAS "Na" AND nelements=2']
    assert first.query["page_limit"] == ["7"]
    asked = set(first.query["response_fields"][0].split(","))
    assert {"lattice_vectors", "cartesian_site_positions", "species", "species_at_sites"} < asked
    assert {"_oqmd_delta_e", "_oqmd_band_gap", "dimension_types", "assemblies"} < asked


@pytest.mark.parametrize("links", ["text", "relative", "object"])
def test_links_in_every_form(make, service, links):
    service.links = links
    source = make()
    source.obtain()
    assert len(source) == 10
    assert service.pages_asked == 3


def test_a_limit_stops_within_a_page(make, service):
    source = make(OptimadeQuery(limit=6))
    source.obtain()
    assert [m.id for m in source.read(0, 99)] == [f"oqmd-{4000 + n}" for n in range(6)]
    assert service.pages_asked == 2


def test_nothing_is_fetched_twice_and_workers_need_no_client(make, service):
    source = make()
    source.obtain()
    asked = len(service.server.seen)
    again = make()
    again.obtain()
    assert len(service.server.seen) == asked
    assert again.fingerprint() == source.fingerprint()
    twin = pickle.loads(pickle.dumps(source))
    assert twin._client is None
    assert twin.fingerprint() == source.fingerprint()
    assert [m.id for m in twin.read(3, 6)] == ["oqmd-4003", "oqmd-4004", "oqmd-4005"]
    assert len(service.server.seen) == asked


def test_a_killed_job_goes_on_with_the_next_page(make, service):
    def kill(done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().obtain(kill)
    assert service.pages_asked == 2
    source = make()
    source.obtain()
    assert service.pages_asked == 3
    assert service.server.asked("/optimade/v1/info") == 1
    assert [m.id for m in source.read(0, 99)] == [f"oqmd-{4000 + n}" for n in range(10)]


def test_passing_failures_on_the_way(make, service):
    faults = [Answer(b"slow down", 429, {"Retry-After": "7"}), Answer(b"", 500), Answer.html()]
    for number, fault in enumerate(faults):
        service.server.faults[STRUCTURES] = [fault]
        source = make(OptimadeQuery(page_limit=10, limit=number + 1))
        source.obtain()
        assert len(source) == number + 1
    half = json.dumps({"data": [oqmd_entry(0)]}).encode()
    service.server.faults[STRUCTURES] = [Answer(half[:40], claim=len(half))]
    source = make()
    source.obtain()
    assert len(source) == 10


def test_a_lasting_failure_keeps_what_came(make, service):
    source = make()
    service.server.faults[STRUCTURES] = [Answer.json({"data": []}, 503)] * 3
    with pytest.raises(FetchError, match=r"HTTP 503, 3 times. Run the same command again later"):
        source.obtain()
    source.obtain()
    assert len(source) == 10


def test_an_error_document_is_told(make, service):
    service.server.routes[STRUCTURES] = lambda _: error_document()
    with pytest.raises(FetchError, match="HTTP 400: Bad Request: Unable to parse filter"):
        make().obtain()
    service.server.routes[STRUCTURES] = lambda _: error_document(200, "Not Implemented", "HAS ONLY")
    with pytest.raises(FetchError, match="Not Implemented: HAS ONLY"):
        make().obtain()
    service.server.routes[STRUCTURES] = lambda _: Answer.html(status=404)
    with pytest.raises(FetchError, match=r"structures: HTTP 404\.$"):
        make().obtain()


def page(rows, more=False, link=None, meta=None):
    return Answer.json({"data": rows, "meta": meta or {"more_data_available": more}, "links": {"next": link}})


def without(name):
    entry = oqmd_entry(0)
    del entry["attributes"][name]
    return entry


CHANGED = [
    (Answer.json({"results": []}), "without 'data'"),
    (Answer.json([1]), "without 'data'"),
    (Answer.json({"data": {"id": "x"}, "meta": {}}), "without 'data'"),
    (Answer.json({"data": [oqmd_entry(0)]}), "without 'meta'"),
    (page([{"attributes": {}}]), "without 'id'"),
    (page([{"id": "1"}]), "without 'attributes'"),
    (page([without("species_at_sites")]), "without 'species_at_sites'"),
    (page([without("_oqmd_delta_e")]), "without '_oqmd_delta_e'"),
    (page([oqmd_entry(0)], more=True), "more data announced, but no link"),
    (page([], link="?page_offset=4"), "leads nowhere"),
    (page([oqmd_entry(0)], link=7), "without 'links.next'"),
    (page([oqmd_entry(0)], link="http://elsewhere.example.org/v1/structures?x=1"), "another host"),
]


@pytest.mark.parametrize(("answer", "message"), CHANGED)
def test_a_service_that_has_changed(make, service, answer, message):
    service.server.routes[STRUCTURES] = lambda _: answer
    with pytest.raises(FetchError, match=message):
        make().obtain()


def test_pages_that_repeat_end(make, service):
    service.server.routes[STRUCTURES] = lambda r: page(
        [oqmd_entry(0)], link=f"?page_offset={int(r.query.get('page_offset', ['0'])[0]) + 1}"
    )
    with pytest.raises(FetchError, match=r"links\.next to a further page"):
        make().obtain()
    assert service.pages_asked == 2


def test_fewer_entries_than_announced_are_told_of(make, service, caplog):
    service.server.routes[STRUCTURES] = lambda _: page([oqmd_entry(0)], meta={"data_returned": 12})
    make().obtain()
    assert "announced 12 entries and gave 1" in caplog.text


def test_bad_entries_are_rejects(make, service, tmp_path):
    entries = [oqmd_entry(n) for n in range(4)]
    entries[0]["attributes"]["species_at_sites"][0] = "Zn"
    entries[1]["attributes"]["dimension_types"] = [1, 1, 0]
    entries[2]["attributes"]["_oqmd_delta_e"] = "low"
    entries.append({"id": "xy/7", "attributes": structure(edge=1.2)})
    service.entries = entries
    source = make(max_sites=100)
    source.obtain()
    found = list(source.read(0, 9))
    assert [type(x) for x in found] == [Reject, Reject, Reject, Material, Reject]
    assert [x.id for x in found] == ["oqmd-4000", "oqmd-4001", "oqmd-4002", "oqmd-4003", "oqmd-xy/7"]
    reasons = [x.reason for x in found if isinstance(x, Reject)]
    assert "no species of the entry" in reasons[0]
    assert "periodic in 2 of 3 directions" in reasons[1]
    assert "'low', not a number" in reasons[2]
    assert "absurd cell" in reasons[3]
    store = prepare(source, tmp_path / "store", PrepareSettings(workers=1))
    assert (len(store), store.info["rejected"]) == (1, 4)


def test_molecules_are_kept(make, service):
    methane = np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]) * 0.629
    carbon, hydrogen = ({"name": x, "chemical_symbols": [x], "concentration": [1.0]} for x in "CH")
    entry = structure(
        species=[carbon, hydrogen],
        species_at_sites=[*"CHHHH"],
        cartesian_site_positions=methane.tolist(),
        dimension_types=[0, 0, 0],
        lattice_vectors=None,
    )
    service.entries = [{"id": "m1", "attributes": entry | {"_oqmd_delta_e": None, "_oqmd_band_gap": None}}]
    source = make()
    source.obtain()
    (molecule,) = source.read(0, 1)
    assert isinstance(molecule, Material)
    assert molecule.structure is not None
    assert not molecule.structure.periodic
    np.testing.assert_array_equal(molecule.structure.frac, methane)


def test_terms_of_the_user_and_of_the_service(make, service):
    source = make(terms=Terms("CC0", "Somebody (2020)"))
    source.obtain()
    assert (source.licence, source.citation.split(";")[0]) == ("CC0", "Somebody (2020)")
    service.info = {"license": {"href": "https://example.org/terms"}}
    named = make(OptimadeQuery(limit=1))
    named.obtain()
    assert named.licence == "https://example.org/terms"
    del service.server.routes["/optimade/v1/info"]
    silent = make(OptimadeQuery(limit=2))
    silent.obtain()
    assert silent.licence == ""
    assert [m.id for m in silent.read(0, 1)] == ["4000"]


def test_before_it_is_fetched(make):
    with pytest.raises(BadInputError, match="is not complete"):
        len(make())


def link(id, base_url, kind="external"):
    return {"id": id, "type": "links", "attributes": {"name": id, "base_url": base_url, "link_type": kind}}


@pytest.fixture
def providers(server, service):
    index = f"{server.url}/index"
    listed = [link("oqmd", f"{index}/one"), link("many", f"{index}/many"), link("none", None)]
    listed += [link("bare", {"href": f"{server.url}/optimade"}), link("vague", f"{index}/vague")]
    server.routes["/providers.json"] = lambda _: Answer.json({"meta": {}, "data": listed})
    one = [link("oqmd", f"{service.url}/", "child"), link("optimade", "https://optimade.org", "providers")]
    two = [link("a", f"{server.url}/a", "child"), link("b", service.url, "child")]
    for name, children in (("one", one), ("many", two), ("vague", two)):
        server.routes[f"/index/{name}/v1/links"] = lambda _, rows=children: Answer.json({"data": rows})
    default = {"id": "/", "relationships": {"default": {"data": {"id": "b", "type": "links"}}}}
    server.routes["/index/many/v1/info"] = lambda _: Answer.json({"data": default})
    server.routes["/optimade/v1/links"] = lambda _: Answer.json({"data": []})
    return f"{server.url}/providers.json"


@pytest.mark.parametrize("name", ["oqmd", "many", "many/b", "vague/b", "bare"])
def test_a_provider_by_name(providers, service, client, tmp_path, name):
    options = OptimadeOptions(provider=name, cache=tmp_path, providers=providers, limit=1)
    source = options.open(client)
    source.obtain()
    assert source.base_url.rstrip("/") == service.url
    assert len(source) == 1
    asked = service.server.asked("/providers.json")
    assert options.open(client).base_url == source.base_url
    assert service.server.asked("/providers.json") == asked == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "no provider 'nobody'.*There are: bare, many, oqmd, vague"),
        ("none", "provider 'none' has no public service"),
        ("many/c", "no database of provider 'many' 'c'.*There are: a, b"),
        ("vague", "none is its default.*There are: a, b"),
    ],
)
def test_a_provider_that_is_none(providers, client, tmp_path, name, message):
    with pytest.raises(BadInputError, match=message):
        OptimadeOptions(provider=name, cache=tmp_path, providers=providers).open(client)


def test_either_a_provider_or_an_address():
    for options in (OptimadeOptions(), OptimadeOptions(provider="a", base_url="https://b.example.org")):
        with pytest.raises(BadInputError, match="Give one of them"):
            options.open()


def test_forms_of_properties():
    (one, two, three) = parse_fields(
        ["_oqmd_delta_e=eV/atom", "_mp_stability.gga_gga+u.energy_above_hull=eV/atom", "n:_x_n="]
    )
    assert (one.name, one.attribute, one.unit) == ("delta_e", "_oqmd_delta_e", "eV/atom")
    assert (two.name, two.attribute, two.path.count(".")) == ("energy_above_hull", "_mp_stability", 2)
    assert (three.name, three.unit) == ("n", "")
    for wrong in ("_oqmd_delta_e", "=eV", "a b=eV"):
        with pytest.raises(BadInputError, match="is not FIELD=UNIT"):
            parse_fields([wrong])
    with pytest.raises(BadInputError, match="two properties 'e'"):
        parse_fields(["_a_e=eV", "_b_e=eV"])


def test_properties_within_dictionaries(make, service):
    service.entries = [oqmd_entry(0)]
    service.entries[0]["attributes"]["_oqmd_more"] = {"pbe": {"energy": 1.5}}
    source = make(OptimadeQuery(properties=("_oqmd_more.pbe.energy=eV",)))
    source.obtain()
    (material,) = source.read(0, 1)
    assert isinstance(material, Material)
    assert material.properties["energy"].value == 1.5
