"""A local HTTP server for tests: routes with real answers, and faults on the way to them."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    """What a route gives back."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    claim: int | None = None  # Content-Length that is announced, where it is not that of the body

    @classmethod
    def json(cls, payload, status=200, **headers):
        return cls(json.dumps(payload).encode(), status, {"Content-Type": "application/json", **headers})

    @classmethod
    def html(cls, text="<html><body>maintenance</body></html>", status=200):
        return cls(text.encode(), status, {"Content-Type": "text/html"})


@dataclass
class Request:
    """What a client asked for."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = b""


Route = Callable[[Request], Answer]


class FakeServer:
    """Routes by path; ``faults[path]`` are given first, one per request.

    ``seen`` holds every request, so that a test can say what was asked for and how often. Routes that end in
    a slash take every path below them. Files of bytes honour Range.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.faults: dict[str, list[Answer]] = {}
        self.seen: list[Request] = []
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def file(self, path: str, content: bytes, **headers: str) -> None:
        """A file that can be asked for in parts."""
        self.routes[path] = lambda request: _ranged(request, content, headers)

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(request.path == path for request in self.seen)

    def answer(self, request: Request) -> Answer:
        self.seen.append(request)
        if self.faults.get(request.path):
            return self.faults[request.path].pop(0)
        route = self.routes.get(request.path)
        if route is None:
            below = [path for path in self.routes if path.endswith("/") and request.path.startswith(path)]
            route = self.routes[max(below, key=len)] if below else None
        return route(request) if route else Answer(b"not here", 404)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up, as one with a limit does, is no fault of the test."""


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request(parts.path, parse_qs(parts.query), dict(self.headers), self.command, body)
        answer = self.fake.answer(request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if answer.claim is None else answer.claim))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.claim is not None:
            self.close_connection = True

    do_GET = do_POST = _serve

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _ranged(request: Request, content: bytes, headers: dict[str, str]) -> Answer:
    wanted = request.headers.get("Range", "")
    if not wanted.startswith("bytes="):
        return Answer(content, 200, {"Accept-Ranges": "bytes", **headers})
    start = int(wanted.removeprefix("bytes=").split("-")[0])
    if start >= len(content):
        return Answer(b"", 416, {"Content-Range": f"bytes */{len(content)}"})
    return Answer(content[start:], 206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})
