import hashlib
import threading
import time
from email.utils import formatdate

import pytest

from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings, Secret
from prismat.fetch.errors import FetchError

CONTENT = bytes(range(256)) * 4000
HASH = hashlib.sha256(CONTENT).hexdigest()


def waiting(**settings):
    """A client and the seconds it would have waited."""
    waits = []
    return Client(ClientSettings(per_second=1e6, timeout=5.0, **settings), sleep=waits.append), waits


def test_json_with_parameters(server, client):
    server.routes["/v1"] = lambda request: Answer.json({"asked": request.query})
    assert client.get_json(f"{server.url}/v1", {"a": "1 b", "c": 2}) == {"asked": {"a": ["1 b"], "c": ["2"]}}


@pytest.mark.parametrize("fault", [Answer(status=429), Answer(status=500), Answer(status=503), Answer.html()])
def test_passing_failures_are_asked_again(server, client, fault):
    server.routes["/v1"] = lambda _: Answer.json([1])
    server.faults["/v1"] = [fault, fault]
    assert client.get_json(f"{server.url}/v1") == [1]
    assert server.asked("/v1") == 3


def test_half_a_body_is_asked_for_again(server, client):
    server.routes["/v1"] = lambda _: Answer.json({"whole": True})
    server.faults["/v1"] = [Answer(b'{"whol', claim=100)]
    assert client.get_json(f"{server.url}/v1") == {"whole": True}


def test_the_server_says_how_long_to_wait(server):
    client, waits = waiting(longest_wait=50.0)
    server.routes["/v1"] = lambda _: Answer.json(1)
    later = formatdate(time.time() + 30, usegmt=True)
    server.faults["/v1"] = [
        Answer(status=429, headers={"Retry-After": value}) for value in ("7", later, "900")
    ]
    client.get_json(f"{server.url}/v1")
    assert waits[0] == 7.0
    assert 25 < waits[1] <= 30
    assert waits[2] == 50.0


def test_waits_grow_and_the_last_failure_says_what_to_do(server):
    client, waits = waiting(attempts=4, backoff=1.0)
    server.routes["/v1"] = lambda _: Answer(status=502)
    with pytest.raises(
        FetchError, match=r"/v1: HTTP 502, 4 times\. Run the same command again later"
    ) as failed:
        client.get(f"{server.url}/v1", {"key": "hidden"})
    assert waits == [1.0, 2.0, 4.0]
    assert (failed.value.temporary, failed.value.status) == (True, 502)
    assert "hidden" not in str(failed.value)


def test_html_for_json_is_named(server, client):
    server.routes["/v1"] = lambda _: Answer.html()
    with pytest.raises(FetchError, match="HTML where JSON was expected"):
        client.get_json(f"{server.url}/v1")


def test_a_missing_page_is_asked_for_once(server, client):
    with pytest.raises(FetchError, match="HTTP 404") as failed:
        client.get(f"{server.url}/none")
    assert not failed.value.temporary
    assert server.asked("/none") == 1


def test_an_expired_key_names_its_variable_and_never_the_key(server):
    secret = Secret("X-Api-Key", "s3cr3t", server.url, "SERVICE_KEY")
    client = Client(ClientSettings(per_second=1e6), secret)
    server.routes["/v1"] = lambda _: Answer(status=401)
    with pytest.raises(FetchError, match="environment variable SERVICE_KEY") as failed:
        client.get(f"{server.url}/v1")
    assert "s3cr3t" not in str(failed.value) + repr(secret)
    assert server.asked("/v1") == 1


def test_the_key_stays_with_its_server(server, client):
    from helpers_server import FakeServer

    other = FakeServer()
    other.routes["/v1"] = lambda _: Answer.json("elsewhere")
    server.routes["/v1"] = lambda _: Answer(status=302, headers={"Location": f"{other.url}/v1"})
    keyed = Client(client.settings, Secret("X-Api-Key", "s3cr3t", server.url, "SERVICE_KEY"))
    assert keyed.get_json(f"{server.url}/v1") == "elsewhere"
    keyed.get(f"{other.url}/v1")
    other.close()
    assert server.seen[0].headers["X-Api-Key"] == "s3cr3t"
    assert all("X-Api-Key" not in request.headers for request in other.seen)


def test_too_large_an_answer_is_refused(server):
    client, _ = waiting(page_bytes=10)
    server.routes["/v1"] = lambda _: Answer(b"x" * 1000)
    with pytest.raises(FetchError, match="more than 10 bytes"):
        client.get(f"{server.url}/v1")


def test_nobody_there(client):
    with pytest.raises(FetchError, match="the connection failed"):
        client.get("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x"])
def test_only_the_web_is_asked(client, url):
    with pytest.raises(FetchError, match="not an http or https address"):
        client.get(url)


def test_a_download_is_checked_and_not_repeated(server, client, tmp_path):
    server.file("/big", CONTENT)
    path = client.download(f"{server.url}/big", tmp_path / "sub" / "big", HASH)
    assert path.read_bytes() == CONTENT
    client.download(f"{server.url}/big", path, HASH)
    assert server.asked("/big") == 1
    assert [p.name for p in path.parent.iterdir()] == ["big"]


def test_a_broken_download_goes_on_where_it_stopped(server, client, tmp_path):
    server.file("/big", CONTENT)
    server.faults["/big"] = [Answer(CONTENT[:500_000], claim=len(CONTENT))]
    assert client.download(f"{server.url}/big", tmp_path / "big", HASH).read_bytes() == CONTENT
    start = int(server.seen[1].headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 500_000


def test_a_whole_part_left_by_a_kill_is_taken(server, client, tmp_path):
    server.file("/big", CONTENT)
    (tmp_path / ".big.part").write_bytes(CONTENT)
    assert client.download(f"{server.url}/big", tmp_path / "big", HASH).read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(server, client, tmp_path):
    server.routes["/big"] = lambda _: Answer(CONTENT)
    (tmp_path / ".big.part").write_bytes(b"something else")
    assert client.download(f"{server.url}/big", tmp_path / "big").read_bytes() == CONTENT


def test_a_wrong_checksum_is_fetched_again_and_then_refused(server, client, tmp_path):
    server.file("/big", CONTENT)
    server.faults["/big"] = [Answer(b"damaged")]
    assert client.download(f"{server.url}/big", tmp_path / "big", HASH).read_bytes() == CONTENT
    with pytest.raises(FetchError, match=r"SHA-256 .* where 000000000000… was expected, 3 times"):
        client.download(f"{server.url}/big", tmp_path / "other", "0" * 64)
    assert not (tmp_path / "other").exists()


def test_a_file_of_another_hash_is_never_overwritten(server, client, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    with pytest.raises(BadInputError, match="another SHA-256"):
        client.download(f"{server.url}/big", tmp_path / "mine", HASH)
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_the_rate_holds_over_threads(server):
    waits = []
    client = Client(ClientSettings(per_second=10.0), sleep=waits.append)
    server.routes["/v1"] = lambda _: Answer.json(1)
    threads = [threading.Thread(target=client.get, args=(f"{server.url}/v1",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) >= 4
    assert 0.3 < max(waits) <= 0.51


def test_contact_is_sent_along(server):
    server.routes["/v1"] = lambda _: Answer.json(1)
    Client(ClientSettings(contact="me@example.org")).get(f"{server.url}/v1")
    assert "mailto:me@example.org" in server.seen[0].headers["User-Agent"]


def test_what_the_server_says_of_a_wrong_question_is_kept(server, client):
    server.routes["/v1"] = lambda _: Answer.json({"detail": "no such field"}, status=422)
    with pytest.raises(FetchError) as failed:
        client.get(f"{server.url}/v1")
    assert b"no such field" in failed.value.body
