"""Requests that nobody should send, and clients that behave badly: clear answers, and the server stays up."""

import asyncio
import json
import socket
import struct
import time

import httpx
import pytest
from helpers_running import problem

DEEP = '{"text":' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.fixture(scope="module")
def api(running):
    """A patient client of the server."""
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def alive(running):
    """After each test the server answers, and its memory has not run away."""
    before = running.rss
    yield
    assert httpx.get(f"{running.url}/healthz", timeout=30).json() == {"status": "ok"}
    assert running.rss < before + 400


QUERIES = {
    "100,000 characters": "a" * 100_000,
    "nothing": "  ",
    "only stop words": "the of and with a in",
    "Arabic": "العقيق",
    "Chinese": "石榴石",
    "right to left": "\u202egarnet\u202c",
    "pictures": "😀" * 50,
    "control characters": "\x00\x01\x1b[31m",
    "markup": "<script>alert(1)</script>",
    "half a quote": '"garnet',
    "one letter of 18 bytes": "ﷺ" * 3000,
    "operators alone": "not - + only: like:",
    "an unknown record": "like:../../etc/passwd",
    "an empty range": "density:9..1",
    "numbers that are none": "density:nan..inf sites:1e400..",
    "an unknown element": "+Xx",
}


@pytest.mark.parametrize("name", QUERIES)
def test_any_words_are_answered_or_refused(api, name):
    words = QUERIES[name]
    asked = [api.post("/v1/search", json={"text": words, "k": 3})]
    if len(words) < 10_000:
        asked.append(api.get("/v1/search", params={"q": words, "k": 3}))
    for answer in asked:
        if answer.status_code == 200:
            assert answer.headers["content-type"].startswith("application/json")
            assert len(answer.json()["hits"]) <= 3
        else:
            problem(answer, 422)
    if name == "100,000 characters":
        assert asked[0].status_code == 422


BODIES = {
    "nothing": "",
    "no JSON": "{",
    "null": "null",
    "a list": "[]",
    "deep lists": DEEP,
    "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "an unknown key": '{"tex": "a"}',
    "NaN": '{"text": "a", "weights": {"text": NaN}}',
    "infinity": '{"text": "a", "k": Infinity}',
    "k of 0": '{"text": "a", "k": 0}',
    "k of 10^20": '{"text": "a", "k": 100000000000000000000}',
    "k of 5,000 digits": '{"text": "a", "k": ' + "9" * 5000 + "}",
    "k of 1.5": '{"text": "a", "k": 1.5}',
    "k of true": '{"text": "a", "k": true}',
    "a path as a structure": '{"structure": "/etc/passwd"}',
    "a list as a structure": '{"structure": [1]}',
    "an empty pattern": '{"xrd": {"two_theta": [], "intensity": []}}',
    "unequal lengths": '{"xrd": {"two_theta": [1, 2], "intensity": [1]}}',
    "a pattern of NaN": '{"xrd": {"two_theta": [10, NaN], "intensity": [1, 2]}}',
    "no weight": '{"text": "a", "weights": {"text": 0}}',
    "sites beyond 2^64": '{"text": "a", "filter": {"n_sites": [1e30, 0]}}',
    "sites of 400 digits": '{"text": "a", "filter": {"n_sites": [' + "9" * 400 + ", null]}}",
    "an unknown record": '{"steer": {"like": ["../x"]}}',
    "100,000 records": json.dumps({"steer": {"like": ["x"] * 100_000}}),
    "negative parts alone": '{"steer": {"not_text": ["a"]}}',
    "no data": '{"measured": {"dos": {}}}',
    "half a surrogate pair": '{"text": "\\ud800"}',
    "Latin-1": b'{"text": "\xff"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_no_queries(api, name):
    body = BODIES[name]
    content = body if isinstance(body, bytes) else body.encode()
    for path in ("/v1/search", "/v1/search/stream"):
        answer = api.post(path, content=content, headers={"Content-Type": "application/json"})
        problem(answer, 400, 413, 422)


def test_ranges_beyond_every_number_find_nothing(api):
    for least in (1e308, 99999999999999999999999):
        answer = api.post("/v1/search", json={"text": "oxide", "filter": {"n_sites": [least, None]}})
        if answer.status_code == 200:
            assert answer.json()["hits"] == []
        else:
            problem(answer, 422)


def test_the_same_key_twice_counts_once(api):
    answer = api.post("/v1/search", content='{"text": "a", "text": "oxide", "k": 2}')
    if answer.status_code == 200:
        alone = api.post("/v1/search", json={"text": "oxide", "k": 2})
        assert [h["id"] for h in answer.json()["hits"]] == [h["id"] for h in alone.json()["hits"]]
    else:
        problem(answer, 415, 422)


@pytest.mark.parametrize("kind", ["text/xml", "text/plain", "application/json; charset=utf-16", "\x7f"])
def test_bodies_of_another_type(api, kind):
    answer = api.post("/v1/search", content=b"<query/>", headers={"Content-Type": kind})
    problem(answer, 400, 415, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2f..%2fpyproject.toml",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static//etc/passwd",
        "/static/%00",
        "/static/..\\server.py",
        "/v1/materials/..%2f..%2fetc%2fpasswd",
        "/v1/materials/%2e%2e/structure.cif",
        "/v1/materials/%00",
        "/v1/materials/%ff%fe",
        "/v1/materials/" + "a" * 10_000,
        "/%",
        "//",
    ],
    ids=lambda path: path[:36],
)
def test_paths_lead_nowhere(running, path):
    answer = running.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"404", b"422"), answer[:300]
    for secret in (b"root:", b"FastAPI(", b"[project]", b"Traceback"):
        assert secret not in body


@pytest.mark.parametrize(
    "head",
    [
        b"Host: evil.example",
        b"Host: localhost\r\nContent-Length: -1",
        b"Host: localhost\r\nContent-Length: 1e9",
        b"Host: localhost\r\nTransfer-Encoding: bogus",
        b"Host: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"Host: localhost\r\nAuthorization: Bearer \xff\xfe",
        b"Host: localhost\r\nX-Request-ID: " + b"a" * 10_000,
        b"Host: localhost\r\nX-Request-ID: <script>",
        b"Host: localhost\r\nCookie: " + b"a" * 300_000,
        b"Host: localhost\r\nRange: bytes=" + b"0-1," * 500,
        b"Host: localhost\r\n" + b"A: b\r\n" * 5000 + b"C: d",
        b"no header",
        b"Host: a\r\nHost: b",
    ],
    ids=lambda head: repr(head[:40]),
)
def test_headers_do_no_harm(running, head):
    try:
        answer = running.raw(b"GET /v1/about HTTP/1.1\r\n" + head + b"\r\nConnection: close\r\n\r\n")
    except ConnectionError:
        answer = b""  # cut off in the middle of what is too long
    assert b"Traceback" not in answer
    assert b"aaaaaaaaaa" not in answer
    assert b"<script>" not in answer
    assert not answer or answer.split()[1] in (b"200", b"400", b"413", b"421", b"431"), answer[:200]


def test_a_slow_client_does_not_hold_the_server(running):
    held = [socket.create_connection(running.address, timeout=30) for _ in range(50)]
    for connection in held:
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    started = time.perf_counter()
    answer = httpx.post(f"{running.url}/v1/search", json={"text": "oxide", "k": 1}, timeout=30)
    assert answer.status_code == 200
    assert time.perf_counter() - started < 15
    for connection in held:
        connection.close()


def test_clients_that_leave_in_the_middle(running):
    body = json.dumps({"text": "oxide", "k": 100}).encode()
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.cif"\r\n\r\n' + b"x" * 10_000
    form = b"POST /v1/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
    form += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    for sent in (head + body[:10], head + body, form + part, b"GET /v1/ab"):
        for _ in range(10):
            connection = socket.create_connection(running.address, timeout=30)
            connection.sendall(sent)
            # Closed with a reset, as by a process that was killed.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    answer = httpx.post(f"{running.url}/v1/search", json={"text": "oxide", "k": 1}, timeout=30)
    assert len(answer.json()["hits"]) == 1


def test_200_clients_at_once_are_answered_or_told_to_wait(running):
    expected = httpx.post(
        f"{running.url}/v1/search", json={"text": "titanium oxide", "k": 5}, timeout=30
    ).json()

    async def ask(client, gate):
        async with gate:
            return await client.post("/v1/search", json={"text": "titanium oxide", "k": 5})

    async def all_at_once():
        # A kept connection may be closed by the server at the moment when it is used again.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=running.url, timeout=120, limits=limits) as client:
            gate = asyncio.Semaphore(200)
            return await asyncio.gather(*(ask(client, gate) for _ in range(400)))

    before = running.rss
    answers = asyncio.run(all_at_once())
    good = [a for a in answers if a.status_code == 200]
    for answer in answers:
        if answer.status_code != 200:
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
    assert len(good) >= 100
    ids = [hit["id"] for hit in expected["hits"]]
    assert all([hit["id"] for hit in answer.json()["hits"]] == ids for answer in good)
    assert running.rss < before + 200
