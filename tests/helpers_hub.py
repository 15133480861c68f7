"""A Hugging Face hub of one process: the few routes of its protocol by which a model is found and fetched."""

import hashlib
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories by name, and what was asked for.

    Attributes:
        endpoint: address of the server.
        repositories: folder by ``owner/name``; None for one that is gated.
        asked: method and path of every request.
    """

    endpoint: str = ""
    repositories: dict[str, Path | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_):
        """Says nothing."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.removeprefix("api/models/").split("/")
        name = "/".join(parts[:2])
        if name not in self.hub.repositories:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        folder = self.hub.repositories[name]
        if folder is None:
            return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if parts[2] == "resolve":
            return self.send(folder / "/".join(parts[4:]))
        if parts[2] == "tree":
            return self.answer(200, json.dumps([entry(folder, f) for f in files]).encode())
        names = [{"rfilename": str(f.relative_to(folder))} for f in files]
        return self.answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": names}).encode())

    def send(self, file):
        if not file.is_file():
            return self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        content = file.read_bytes()
        return self.answer(200, content, {"ETag": f'"{blob(content)}"', "X-Repo-Commit": COMMIT})

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(folder, file):
    content = file.read_bytes()
    return {
        "type": "file",
        "path": str(file.relative_to(folder)),
        "size": len(content),
        "oid": blob(content),
    }


@contextmanager
def serving():
    """A hub without any repository, on a free port."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port():
    """An address where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def point_to(endpoint, cache, monkeypatch):
    """Has huggingface_hub speak to an address, with a cache of its own; ``close_session`` when done."""
    import huggingface_hub
    from huggingface_hub import constants

    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    # The client reads the proxies once, when it is made.
    huggingface_hub.close_session()
