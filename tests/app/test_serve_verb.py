"""A real server in a process of its own: started by the verb, stopped by signals."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from helpers_cli import call
from prismat.app.running import Listening, bind

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


class Running:
    """A server on a free port."""

    def __init__(self, folder, log, *words):
        command = [sys.executable, "-m", "prismat", "serve", "--run", str(folder), "--port", "0", "--json"]
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, *words], stdout=subprocess.PIPE, stderr=errors, text=True, env=ENVIRONMENT
            )
        self.told = json.loads(self.process.stdout.readline())
        self.client = httpx.Client(base_url=self.told["address"], timeout=30)

    def stop(self, number=signal.SIGTERM, within=20):
        """Sends a signal; gives the exit code."""
        self.client.close()
        self.process.send_signal(number)
        try:
            return self.process.wait(within)
        finally:
            self.process.kill()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def running(folder, tmp_path_factory):
    server = Running(folder, tmp_path_factory.mktemp("serve") / "log")
    yield server
    if server.process.poll() is None:
        server.stop()
    server.client.close()


def raw(running, content):
    """A connection that has sent these bytes."""
    host, port = running.told["address"].removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(content)
    return connection


def received(connection):
    """Everything until the other side closes."""
    with connection:
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_the_page_and_a_search_answer(running):
    assert running.client.get("/").status_code == 200
    assert len(running.client.get("/v1/search?q=oxide&k=3").json()["hits"]) == 3
    assert "server" not in running.client.get("/healthz").headers


@pytest.mark.parametrize(("length", "status"), [(20_001, b"422"), (20_000, b"200")])
def test_a_question_of_any_length_is_answered(running, length, status):
    question = b"%E7%9F%B3" * length
    head = b"GET /v1/search?k=1&q=%b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % question
    answer = received(raw(running, head))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert (b"application/problem+json" in answer) == (status == b"422")


def test_clients_that_leave_harm_nobody(running):
    body = json.dumps({"text": "oxide", "k": 100}).encode()
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for _ in range(30):
        raw(running, head + b"Content-Length: %d\r\n\r\n" % len(body) + body).close()
        raw(running, head + b"Content-Length: 100000\r\n\r\n{").close()
        raw(running, b"GET / HT").close()
    before = time.monotonic()
    # A request is logged when it has ended; the last ones may not even have been read yet.
    while running.log.read_text().count('"POST"') < 60 and time.monotonic() < before + 30:
        time.sleep(0.05)
    while running.client.get("/readyz").json()["pool"]["taken"] and time.monotonic() < before + 30:
        time.sleep(0.05)
    assert running.client.get("/readyz").json()["pool"]["taken"] == 0
    assert running.client.get("/v1/search?q=oxide&k=1").status_code == 200
    assert "Traceback" not in running.log.read_text()


def test_two_hundred_clients_at_once_are_answered_or_told_to_wait(running):
    # The rate limit sees one client: its burst is as large as this crowd.
    time.sleep(4)
    start = threading.Barrier(200)

    def one(i):
        start.wait()
        found = httpx.post(
            f"{running.told['address']}/v1/search", json={"text": f"oxide {i}", "k": 5}, timeout=30
        )
        return found.status_code, len(found.json().get("hits", []))

    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(one, range(200)))
    assert {status for status, _ in found} <= {200, 429, 503}
    answered = [hits for status, hits in found if status == 200]
    assert len(answered) > 150
    assert set(answered) == {5}
    assert running.process.poll() is None
    assert running.client.get("/healthz").status_code == 200


def test_the_log_is_json_lines(running):
    running.client.get("/healthz", headers={"X-Request-ID": "find-me"})
    time.sleep(0.2)
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    mine = [line for line in lines if line.get("request_id") == "find-me"]
    assert len(mine) == 1
    assert (mine[0]["path"], mine[0]["status"], mine[0]["client"]) == ("/healthz", 200, "127.0.0.1")


def test_a_running_request_is_finished_before_the_server_stops(running):
    body = json.dumps({"text": "oxide", "k": 10}).encode()
    half = len(body) // 2
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection = raw(running, head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:half])
    time.sleep(0.3)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    connection.sendall(body[half:])
    answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.rstrip().endswith(b"}")
    assert running.process.wait(20) == 0
    running.process.stdout.close()


def test_ctrl_c_ends_with_code_0_within_the_grace_time(folder, tmp_path):
    server = Running(folder, tmp_path / "log", "--grace", "1")
    hanging = raw(server, b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
    started = time.monotonic()
    assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < 10
    assert b" 503 " in received(hanging).splitlines()[0]
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--run", "/nowhere"), "No model in /nowhere"),
        (("--run", "{model}"), "No index in"),
        (("--run", "{run}", "--index", "/nowhere"), "/nowhere"),
        (("--run", "{run}", "--store", "/nowhere"), "no finished store in /nowhere"),
        (("--run", "{run}", "--map", "/nowhere"), "/nowhere"),
        (("--run", "{run}", "--head", "/nowhere"), "no head in /nowhere"),
        (("--run", "{run}", "--host", "0.0.0.0"), "everybody who can reach 0.0.0.0"),
        (("--run", "{run}", "--token-file", "/nowhere"), "no such file"),
        (("--run", "{run}", "--token-file", "{short}"), "shorter than 16 characters"),
        (("--run", "{run}", "--port", "70000"), "the port is 70000"),
        (("--run", "{run}", "--host", "192.0.2.1", "--allow-remote"), "cannot listen on 192.0.2.1"),
        (("--run", "{run}", "--workers", "0"), "a limit below 1"),
    ],
    ids=lambda value: " ".join(value[2:]) or "no run" if isinstance(value, tuple) else None,
)
def test_what_is_missing_is_told_at_the_start(folder, tmp_path, words, said):
    (tmp_path / "short").write_text("abc\n")
    alone = tmp_path / "alone"
    places = {"run": folder, "short": tmp_path / "short", "model": alone}
    if "{model}" in words:
        shutil.copytree(folder / "run" / "model", alone / "model")
    found = call("serve", *[w.format(**places) for w in words])
    assert found.code == 1
    assert found.err.startswith("prismat: ")
    assert said.lower() in found.err.lower()
    assert "Traceback" not in found.err


def test_an_index_of_another_model_is_refused(folder, tmp_path):
    shutil.copytree(folder / "index", tmp_path / "index")
    header = json.loads((tmp_path / "index" / "index.json").read_text())
    (tmp_path / "index" / "index.json").write_text(json.dumps({**header, "model_hash": "0" * 64}))
    found = call("serve", "--run", folder, "--index", tmp_path / "index")
    assert found.code == 1
    assert "model" in found.err


def test_a_taken_port_is_told(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = call("serve", "--run", folder, "--port", taken.getsockname()[1])
    assert found.code == 1
    assert "--port" in found.err


def test_small_answers_do_not_wait_for_an_acknowledgement():
    with bind(Listening(port=0)) as bound:
        # What asyncio looks at before it turns Nagle's algorithm off.
        assert bound.proto == socket.IPPROTO_TCP
        assert bound.getsockname()[0] == "127.0.0.1"
