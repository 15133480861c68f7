import socket
import threading
import time
import warnings
from urllib.parse import quote

import pytest
import uvicorn
from optimade.models import (
    EntryInfoResponse,
    ErrorResponse,
    InfoResponse,
    LinksResponse,
    StructureResponseMany,
    StructureResponseOne,
)
from optimade.warnings import OptimadeWarning

from prismat.material import Reject
from prismat.sources.optimade import OptimadeQuery, OptimadeSource

V1 = "/optimade/v1"


def good(asked, path, model, **params):
    """An answer that is one of the standard."""
    answer = asked.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.api+json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("error", OptimadeWarning)
        model(**answer.json())
    return answer.json()


def pages(asked, **params):
    """Ids on all pages."""
    url, found = f"{V1}/structures", []
    while url:
        answer = asked.get(url, params=params or None).json()
        found.append([entry["id"] for entry in answer["data"]])
        assert answer["meta"]["more_data_available"] == bool(answer["links"]["next"])
        url, params = answer["links"]["next"], {}
    return found


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("info", InfoResponse),
        ("info/structures", EntryInfoResponse),
        ("links", LinksResponse),
        ("structures", StructureResponseMany),
        ("structures/water", StructureResponseOne),
    ],
)
@pytest.mark.parametrize("base", ["/optimade", V1, "/optimade/v1.2", "/optimade/v1.2.0"])
def test_answers_are_those_of_the_standard(asked, base, path, model):
    answer = good(asked, f"{base}/{path}", model)
    assert answer["meta"]["query"]["representation"] == f"/{path}"
    assert answer["meta"]["data_available"] == 63


def test_versions_are_told_as_csv(asked):
    answer = asked.get("/optimade/versions")
    assert (answer.text, answer.headers["content-type"]) == ("version\n1\n", "text/csv; header=present")
    assert asked.get("/optimade").url.path == f"{V1}/info"


def test_pages_hold_every_entry_once(asked, library):
    found = pages(asked, page_limit=8)
    assert [len(page) for page in found] == [8] * 7 + [7]
    assert [id_ for page in found for id_ in page] == library.table["id"].to_pylist()
    beyond = good(asked, f"{V1}/structures", StructureResponseMany, page_offset=1000)
    assert (beyond["data"], beyond["meta"]["data_returned"], beyond["links"]["next"]) == ([], 63, None)


def test_the_link_to_the_next_page_keeps_what_was_asked(asked):
    params = {
        "filter": 'elements HAS "O"',
        "page_limit": 5,
        "sort": "-nsites,id",
        "response_fields": "nsites",
    }
    first = good(asked, f"{V1}/structures", StructureResponseMany, **params)
    second = asked.get(first["links"]["next"]).json()
    both = [(-e["attributes"]["nsites"], e["id"]) for e in first["data"] + second["data"]]
    assert both == sorted(both)
    assert second["meta"]["data_returned"] == first["meta"]["data_returned"] > 10


@pytest.mark.parametrize("sort", ["_prismat_density", "-_prismat_density"])
def test_unknown_values_come_last(asked, sort):
    answer = good(
        asked,
        f"{V1}/structures",
        StructureResponseMany,
        sort=sort,
        page_limit=63,
        response_fields="_prismat_density",
    )
    values = [e["attributes"]["_prismat_density"] for e in answer["data"]]
    known = [v for v in values if v is not None]
    assert values == sorted(known, reverse=sort.startswith("-")) + [None] * (63 - len(known))
    assert len(known) > 50


def test_ids_may_hold_anything(asked):
    answer = good(asked, f"{V1}/structures/{quote('a/b c?d', safe='')}", StructureResponseOne)
    assert answer["data"]["id"] == "a/b c?d"
    assert answer["data"]["attributes"]["_prismat_title"] == 'A "quoted" \\ title'


def test_properties_of_others_are_null_with_a_warning(asked):
    answer = good(
        asked, f"{V1}/structures", StructureResponseMany, response_fields="nsites,_exmpl_gap", _exmpl_x="1"
    )
    assert all(set(e["attributes"]) == {"nsites", "_exmpl_gap"} for e in answer["data"])
    said = [warning["detail"] for warning in answer["meta"]["warnings"]]
    assert any("_exmpl_gap" in line for line in said)
    assert any("_exmpl_x" in line for line in said)


@pytest.mark.parametrize(
    ("path", "params", "status", "parameter"),
    [
        ("structures", {"filter": "foo=1"}, 400, "filter"),
        ("structures", {"filter": 'elements="Si"'}, 501, "filter"),
        ("structures", {"page_limit": "501"}, 403, "page_limit"),
        ("structures", {"page_limit": "0"}, 400, "page_limit"),
        ("structures", {"page_limit": "x"}, 400, "page_limit"),
        ("structures", {"page_limit": "²"}, 400, "page_limit"),
        ("structures", {"page_offset": "-1"}, 400, "page_offset"),
        ("structures", {"page_offset": "9" * 30}, 400, "page_offset"),
        ("structures", {"sort": "species"}, 400, "sort"),
        ("structures", {"response_fields": "foo"}, 400, "response_fields"),
        ("structures", {"response_format": "xml"}, 400, "response_format"),
        ("structures", {"include": "calculations"}, 400, "include"),
        ("structures", {"foo": "1"}, 400, "foo"),
        ("structures", {"page_number": "1"}, 400, "page_number"),
        ("structures", {"api_hint": "v2"}, 553, "api_hint"),
        ("structures", {"api_hint": "1"}, 400, "api_hint"),
        ("structures/water", {"filter": "nsites=1"}, 400, "filter"),
        ("structures/nothing", {}, 404, None),
        ("nothing", {}, 404, None),
        ("info", {"page_limit": "1"}, 400, "page_limit"),
        ("../v2/info", {}, 553, None),
        ("../v0.1/structures", {}, 553, None),
    ],
    ids=str,
)
def test_refusals_are_error_documents(asked, path, params, status, parameter):
    url = f"/optimade/{path.removeprefix('../')}" if path.startswith("..") else f"{V1}/{path}"
    answer = asked.get(url, params=params)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/vnd.api+json"
    document = ErrorResponse(**answer.json())
    (error,) = document.errors
    assert error.status == str(status)
    assert (error.source and error.source.parameter) == parameter
    assert error.detail


@pytest.mark.parametrize("host", ['a"b', "x y", "[::1", "a" * 400, "evil.example/../x"])
def test_links_never_carry_a_malformed_host(asked, host):
    answer = asked.get(f"{V1}/structures", params={"page_limit": 1}, headers={"Host": host})
    assert answer.json()["links"]["next"].startswith("http://testserver")


@pytest.fixture(scope="module")
def live(asked):
    """The endpoint behind a real socket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(asked.app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/optimade"
    server.should_exit = True
    thread.join(10)


def test_our_own_client_reads_every_record(live, library, client, tmp_path):
    query = OptimadeQuery(properties=("_prismat_density=g/cm3",), page_limit=20)
    source = OptimadeSource(live, query, cache=tmp_path, client=client)
    source.obtain()
    found = {m.id.removeprefix("prismat-"): m for m in source.read(0, len(source))}
    assert set(found) == set(library.rows)
    assert [name for name, m in found.items() if isinstance(m, Reject)] == ["words"]
    for name, material in found.items():
        if name != "words":
            assert material.structure.formula == library.table["formula"][library.rows[name]].as_py()
    densities = [m.properties["density"].value for m in found.values() if getattr(m, "properties", None)]
    assert len(densities) > 50


def test_the_validator_of_the_consortium_finds_nothing(live, capsys):
    from optimade.validator import ImplementationValidator

    validator = ImplementationValidator(base_url=live, verbosity=-1, respond_json=True, max_retries=1)
    validator.validate_implementation()
    said = capsys.readouterr().out
    assert validator.valid, said
    assert validator.results.success_count >= 40
