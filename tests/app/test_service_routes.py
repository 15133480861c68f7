import json
import logging

import pytest
from helpers_problems import problem_of

from prismat.app.running import JsonLines, Listening


def test_about_tells_model_index_features_and_limits(api, served):
    found = api.get("/v1/about").json()
    assert found["name"] == "prismat"
    assert found["model"]["hash"] == served.prismat.hash
    assert found["model"]["windows"] == ["structure", "text", "xrd"]
    assert (found["index"]["kind"], found["index"]["size"]) == ("exact", len(served.index))
    features = found["features"]
    assert (features["store"], features["map"], features["confidence"], features["heads"]) == (
        True,
        False,
        False,
        [],
    )
    assert set(features["explain"]) == {"structure", "text", "xrd"}
    assert found["limits"]["k"] == 1000
    for name, ends in found["index"]["properties"].items():
        values = [
            h.properties[name].value
            for h in served.index.records(0, len(served.index))
            if name in h.properties
        ]
        assert (ends["min"], ends["max"]) == (min(values), max(values))


def test_every_example_is_a_query(api):
    for example in api.get("/v1/about").json()["examples"]:
        assert api.get("/v1/words", params={"q": example["q"]}).status_code == 200


def test_health_and_readiness(api):
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json()["status"] == "ready"


def test_metrics_count_by_route_not_by_address(api):
    for name in ("one", "two"):
        api.get(f"/v1/materials/{name}")
    api.get("/nowhere/at/all")
    api.request("BREW", "/healthz")
    found = api.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain")
    assert 'method="GET",route="/v1/materials/{id:path}",status="404"' in found.text
    assert 'route="unmatched",status="404"' in found.text
    assert "BREW" not in found.text
    assert 'method="other"' in found.text
    assert "prismat_index_records" in found.text
    assert "nowhere" not in found.text


def test_two_apps_count_apart(served, calls, api):
    with calls(served) as other:
        other.get("/v1/about")
        assert 'route="/v1/about",status="200"} 1.0' in other.get("/metrics").text


def test_wrong_addresses_and_methods_are_problems(api):
    problem_of(api.get("/v2/search"), 404, "/v2/search", "openapi")
    found = api.delete("/v1/search")
    problem_of(found, 405, "Allow")
    assert found.headers["allow"]
    problem_of(api.get("/docs"), 404)
    problem_of(api.get("/static/../limits.py"), 404)
    problem_of(api.get("/static/%2e%2e/limits.py"), 404)


def test_the_page_comes_from_the_package(api):
    found = api.get("/")
    assert found.headers["content-type"].startswith("text/html")
    assert "<!doctype html>" in found.text.lower()
    script = api.get("/static/js/api.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert (
        api.get("/static/fonts/source-sans-3-latin-wght-normal.woff2").headers["content-type"] == "font/woff2"
    )


def test_the_document_declares_problems_everywhere(api, served, calls):
    found = api.get("/openapi.json").json()
    for path, operations in found["paths"].items():
        for operation in operations.values():
            assert {"400", "422", "429", "500", "503"} <= set(operation["responses"]), path
            assert operation.get("summary"), path
    assert "HTTPValidationError" not in json.dumps(found["paths"])
    assert found["components"]["schemas"]["Problem"]["required"][:3] == ["type", "title", "status"]
    assert "401" not in found["paths"]["/v1/about"]["get"]["responses"]


def test_a_line_of_the_log_is_json():
    record = logging.LogRecord("prismat.app.access", logging.INFO, "", 0, "request", (), None)
    record.facts = {"request_id": "a", "path": "/ü\n"}
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["message"], found["level"], found["path"]) == ("request", "info", "/ü\n")


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.3.2.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host, is_loopback):
    assert Listening(host).is_loopback == is_loopback
