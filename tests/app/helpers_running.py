"""A server in a process of its own, for tests that are hard on it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import httpx

MIB = 1 << 20


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen

    @property
    def address(self) -> tuple[str, int]:
        parsed = httpx.URL(self.url)
        return parsed.host, parsed.port or 80

    @property
    def rss(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def raw(self, *parts: bytes, wait: float = 0.0) -> bytes:
        """Bytes as they are, and all that comes back."""
        with socket.create_connection(self.address, timeout=30) as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(wait)
            found = b""
            try:
                while piece := connection.recv(65536):
                    found += piece
            except (ConnectionError, TimeoutError):
                pass
            return found


PROGRAM = """
import sys
from pathlib import Path
import torch
from prismat.app.limits import Limits
from prismat.app.running import Listening, address_of, bind, run
from prismat.app.server import make_app
from prismat.app.state import Places, open_served

torch.set_num_threads(1)
listening = Listening(port=0, grace=2.0)
bound = bind(listening)
app = make_app(open_served(Places(*map(Path, sys.argv[1:]))), Limits(per_second=0.0, seconds=20.0))
run(app, bound, listening, lambda: print(address_of(bound, listening), flush=True))
"""


@contextlib.contextmanager
def serving(*places: Path) -> Iterator[Running]:
    """Serves a run, its index and its store; without a rate limit, since all clients are one address."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, places)],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), _all_of(said)
            yield Running(url, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in (0, -signal.SIGTERM)
            assert "Traceback" not in _all_of(said)
        finally:
            process.kill()
            process.communicate()


def _all_of(file: TextIO) -> str:
    """What was written to a file."""
    file.seek(0)
    return file.read()[-5000:]


def problem(answer: httpx.Response, *statuses: int) -> dict:
    """A problem document that tells nothing of the inside."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == answer.status_code
    assert found["detail"]
    assert found["instance"].endswith(answer.headers["x-request-id"])
    for secret in ("Traceback", "site-packages", "/src/prismat", 'File "'):
        assert secret not in answer.text
    return found
