import logging
from dataclasses import replace

import httpx
import pytest
from helpers_problems import problem_of

from prismat.app.guard import Rate
from prismat.app.limits import Access, Limits
from prismat.errors import BadInputError

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def guarded(served, calls):
    with calls(served, Limits(per_second=0.0), Access(TOKEN)) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/about", "/optimade/v1/info", "/metrics", "/v1/nothing"])
@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", TOKEN, f"Basic {TOKEN}", "Bearer é"])
def test_without_the_token_nothing_is_told(guarded, path, given):
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    found = guarded.get(path, headers=headers)
    problem_of(found, 401, "token")
    assert found.headers["www-authenticate"].startswith("Bearer")


def test_with_the_token_everything_is(guarded):
    headers = {"Authorization": f"bearer {TOKEN}"}
    assert guarded.get("/v1/about", headers=headers).status_code == 200
    assert guarded.get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_health_needs_no_token(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("token", ["short", "", "ü" * 20])
def test_a_weak_token_is_refused(token):
    with pytest.raises(BadInputError, match="shorter than 16 characters or not ASCII"):
        Access(token)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]", "localhost.:80"])
def test_another_host_name_is_refused(api, host):
    problem_of(api.get("/v1/about", headers={"Host": host}), 421, "host name", "localhost")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:8321", "[::1]"])
def test_loopback_names_are_known(api, host):
    assert api.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_client_that_asks_too_often_waits(served, calls):
    with calls(served, Limits(per_second=0.5, burst=3)) as api:
        assert [api.get("/v1/about").status_code for _ in range(3)] == [200] * 3
        found = api.get("/v1/about")
        problem_of(found, 429, "0.5 requests a second", "Retry-After")
        assert 1 <= int(found.headers["retry-after"]) <= 2
        assert api.get("/healthz").status_code == 200


async def nothing(scope, receive, send):
    """An app that says nothing."""


def test_the_bucket_fills_again_and_memory_is_bounded():
    now = [0.0]
    rate = Rate(nothing, Limits(per_second=2.0, burst=2, clients=3), lambda: now[0])
    assert [rate.take("a") for _ in range(2)] == [0.0, 0.0]
    assert rate.take("a") == pytest.approx(0.5)
    now[0] = 0.5
    assert rate.take("a") == 0.0
    for name in "bcd":
        rate.take(name)
    assert len(rate._buckets) == 3
    assert "a" not in rate._buckets


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/v1/search", "/v1/upload", "/v1/nothing"])
def test_a_long_body_is_refused_however_it_comes(served, calls, chunked, path):
    limits = Limits(per_second=0.0, body_bytes=2_000, upload_bytes=2_000)
    pieces = [b'{"text": "', *[b"a" * 500] * 8, b'"}']
    content = iter(pieces) if chunked else b"".join(pieces)
    headers = {"Content-Type": "application/json"}
    if path == "/v1/upload":
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with calls(served, limits) as api:
        found = api.post(path, content=content, headers=headers)
        if path == "/v1/nothing" and chunked:
            assert found.status_code == 404
        else:
            problem_of(found, 413, "MiB", "smaller file")
        assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_on_reads_why_it_was_refused(running, chunked):
    pieces = [b"a" * (1 << 20)] * 12
    content = iter(pieces) if chunked else b"".join(pieces)
    headers = {"Content-Type": "application/json"}
    found = httpx.post(f"{running.url}/v1/search", content=content, headers=headers, timeout=30)
    problem_of(found, 413, "MiB", "smaller file")


@pytest.mark.parametrize("length", ["-1", "many", "9" * 30])
def test_an_absurd_length_is_refused(api, length):
    problem_of(api.post("/v1/search", content=b"{}", headers={"Content-Length": length}), 413)


def test_a_request_that_takes_too_long_is_given_up(served, calls, monkeypatch):
    import time

    monkeypatch.setattr("prismat.app.routes.search.respond_to", lambda *_: time.sleep(1))
    with calls(served, Limits(per_second=0.0, seconds=0.1)) as api:
        found = api.post("/v1/search", json={"text": "slow"})
        problem_of(found, 503, "longer than 0.1 s")
        assert found.headers["retry-after"] == "5"


def test_an_unforeseen_error_tells_the_client_only_its_request(served, calls, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr("prismat.app.routes.search.respond_to", fail)
    with calls(served, Limits(per_second=0.0)) as api, caplog.at_level(logging.ERROR, "prismat.app"):
        found = api.post("/v1/search", json={"text": "x"}, headers={"X-Request-ID": "my-id"})
    problem = problem_of(found, 500, "request id")
    assert problem["instance"] == "urn:request:my-id"
    assert "secret" not in found.text
    assert "secret of the house" in caplog.text
    assert "request my-id failed" in caplog.text


def test_every_answer_has_an_id_and_security_headers(api):
    for path in ("/", "/healthz", "/v1/nothing", "/static/nothing.js"):
        found = api.get(path)
        assert len(found.headers["x-request-id"]) == 32
        assert "script-src 'self'" in found.headers["content-security-policy"]
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["x-frame-options"] == "DENY"
        assert found.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("given", "is_kept"), [("abc-1.2_Z", True), ("a b", False), ("a" * 65, False), ("", False)]
)
def test_a_plain_request_id_is_kept(api, given, is_kept):
    found = api.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (found == given) == is_kept


def test_the_log_has_one_line_a_request_and_no_secret(guarded, caplog):
    with caplog.at_level(logging.INFO, "prismat.app.access"):
        guarded.get("/v1/search?q=secretwords", headers={"Authorization": f"Bearer {TOKEN}"})
    records = [r for r in caplog.records if r.name == "prismat.app.access"]
    assert len(records) == 1
    facts = records[0].facts
    assert {"request_id", "method", "path", "status", "ms", "bytes", "client"} == set(facts)
    assert facts["path"] == "/v1/search"
    assert facts["status"] == 200
    assert TOKEN not in str(facts)
    assert "secretwords" not in str(facts)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "a limit below 1"),
        ({"queue": -1}, "a limit below 1"),
        ({"seconds": 0.0}, "0.0 s a request"),
        ({"per_second": -1.0}, "-1.0 requests a second"),
    ],
)
def test_limits_that_mean_nothing_are_refused(wrong, words):
    with pytest.raises(BadInputError, match=words):
        replace(Limits(), **wrong)
