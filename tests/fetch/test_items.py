import pytest

from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.fetch.items import Item, ItemMirror


def items(server, n=5):
    for number in range(n):
        server.file(f"/{1000 + number}.cif", f"data_{number}".encode())
    return [Item(str(1000 + number), f"{server.url}/{1000 + number}.cif") for number in range(n)]


def test_each_file_once(server, client, tmp_path):
    mirror, wanted, told = ItemMirror(tmp_path, ".cif"), items(server), []
    mirror.obtain(wanted, client, progress=lambda done, total: told.append((done, total)))
    mirror.obtain(wanted, client)
    assert mirror.path("1003").read_text() == "data_3"
    assert told[-1] == (5, 5)
    assert all(server.asked(f"/{i.id}.cif") == 1 for i in wanted)
    assert len(mirror.fingerprint()) == 64


def test_failures_stay_with_their_reason_and_are_not_repeated(server, client, tmp_path):
    mirror, wanted = ItemMirror(tmp_path, ".cif"), items(server)
    del server.routes["/1001.cif"]
    server.routes["/1002.cif"] = lambda _: Answer(status=503)
    mirror.obtain(wanted, client)
    assert mirror.failure("1001") == "HTTP 404"
    assert mirror.failure("1002") == "HTTP 503, 3 times"
    assert mirror.failure("1003") == ""
    before = mirror.fingerprint()
    server.file("/1002.cif", b"data_2")
    mirror.obtain(wanted, client)
    assert mirror.fingerprint() == before
    mirror.obtain(wanted, client, retry_failed=True)
    assert mirror.failure("1002") == ""
    assert mirror.fingerprint() != before
    assert (server.asked("/1001.cif"), server.asked("/1002.cif")) == (1, 4)


def test_a_killed_job_fetches_the_rest_only(server, client, tmp_path):
    mirror, wanted = ItemMirror(tmp_path, ".cif"), items(server)
    mirror.obtain(wanted[:2], client)
    (tmp_path / "finished.json").unlink()
    mirror.obtain(wanted, client)
    assert all(server.asked(f"/{i.id}.cif") == 1 for i in wanted)


def test_a_server_that_is_down_stops_the_job(server, client, tmp_path):
    wanted = [Item(str(n), f"{server.url}/x") for n in range(200)]
    server.routes["/x"] = lambda _: Answer(status=500)
    with pytest.raises(FetchError, match="Run the same command again later"):
        ItemMirror(tmp_path, ".cif").obtain(wanted, client)
    assert server.asked("/x") < 200
    server.file("/x", b"data_x")
    ItemMirror(tmp_path, ".cif").obtain(wanted, client)
    assert not any(ItemMirror(tmp_path, ".cif").failure(item.id) for item in wanted)


@pytest.mark.parametrize("id", ["../up", "", "a/b", ".hidden", "x" * 101])
def test_ids_never_lead_out_of_the_folder(server, client, tmp_path, id):
    mirror = ItemMirror(tmp_path / "m", ".cif")
    with pytest.raises(BadInputError, match="is no plain name"):
        mirror.path(id)
    mirror.obtain([Item(id, f"{server.url}/x")], client)
    assert "is no plain name" in mirror.failure(id)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_not_yet_fetched(tmp_path):
    with pytest.raises(BadInputError, match="is not complete"):
        ItemMirror(tmp_path, ".cif").fingerprint()


def test_what_is_not_wanted_is_refused_and_asked_for_again(server, client, tmp_path):
    mirror, wanted = ItemMirror(tmp_path, ".cif"), items(server, 2)
    server.faults["/1001.cif"] = [Answer.html()]
    refuse = lambda body: "HTML where a CIF was expected" if body[:1] == b"<" else ""  # noqa: E731
    mirror.obtain(wanted, client, refuse=refuse)
    assert mirror.failure("1001") == "HTML where a CIF was expected"
    mirror.obtain(wanted, client, refuse=refuse, retry_failed=True)
    assert mirror.failure("1001") == ""
