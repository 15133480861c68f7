"""Verb that serves a run: the web page and the HTTP API."""

import json
import logging
import os
import sys
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import tyro

from prismat.app.limits import LOOPBACK, Access, Limits
from prismat.commands.talk import Run
from prismat.errors import BadInputError, MissingExtraError
from prismat.files import read_limited

if TYPE_CHECKING:
    from prismat.app.running import Listening


@dataclass(frozen=True)
class RemoteOptions:
    """Serving others than this machine.

    Attributes:
        token_file: a file that holds the token which requests must carry.
        allow_remote: listen on an address that others can reach although there is no token.
        allowed_hosts: further names by which requests may call this server.
        trusted_proxies: addresses of proxies whose X-Forwarded-For is believed.
    """

    token_file: Path | None = None
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()

    def token(self) -> str | None:
        """The token, or None.

        Raises:
            BadInputError: no such file.
        """
        if self.token_file is None:
            return None
        return read_limited(self.token_file, 4096).decode(errors="replace").strip()


@dataclass(frozen=True)
class Serve:
    """Serve the web page and the HTTP API of a trained model.

    Attributes:
        run_folder: a quickstart folder or a run with an index.
        host: address to listen on; this machine alone by default.
        port: to listen on; 0 takes any that is free.
        index: an index made with the same model; ``RUN/index`` where not given.
        store: the records of the index; ``RUN/store`` where not given, if it is there.
        map: made by ``prismat map``; ``RUN/map`` where not given, if it is there.
        head: folders that ``prismat fit`` wrote, to predict properties with.
        remote: serving others.
        seconds: a request that takes longer is given up.
        workers: threads that do the heavy work.
        grace: seconds that running requests get when the server is told to stop.
        open: open the page in a browser.
        quiet: no line for each request.
        json: print the address as JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    host: str = "127.0.0.1"
    port: int = 8321
    index: str | None = None
    store: Path | None = None
    map: Path | None = None
    head: tuple[Path, ...] = ()
    remote: Annotated[RemoteOptions, tyro.conf.arg(name="")] = field(default_factory=RemoteOptions)
    seconds: float = 30.0
    workers: int = 2
    grace: float = 10.0
    open: bool = False
    quiet: bool = False
    json: bool = False

    def run(self) -> None:
        """Serves until it is told to stop."""
        try:
            from prismat.app.running import Listening, address_of, bind, run
            from prismat.app.server import make_app
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "fastapi", "app") from error
        from prismat.app.state import Places, open_served

        listening = Listening(self.host, self.port, self.grace, self.remote.trusted_proxies)
        access = self._access(listening)
        limits = Limits(seconds=self.seconds, workers=self.workers)
        places = Places(self.run_folder, self.index, self.store, self.map, self.head)
        app = make_app(open_served(places), limits, access)
        bound = bind(listening)
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // self.workers))
        address = address_of(bound, listening)
        log_to_stderr(self.quiet)
        run(app, bound, listening, lambda: self._tell(address, access.token is not None))

    def _access(self, listening: "Listening") -> Access:
        """Who may ask.

        Raises:
            BadInputError: others could reach the server, and nothing stands in their way.
        """
        token, more = self.remote.token(), self.remote.allowed_hosts
        if listening.is_loopback:
            return Access(token, (*LOOPBACK, *more))
        if token is None and not self.remote.allow_remote:
            raise BadInputError(
                f"everybody who can reach {self.host} could use this server",
                field="host",
                remedy="Give --token-file FILE, or --allow-remote if that is meant.",
            )
        own = () if listening.is_anywhere else (f"[{self.host}]" if ":" in self.host else self.host,)
        return Access(token, (*LOOPBACK, *own, *more) if own or more else ("*",))

    def _tell(self, address: str, is_guarded: bool) -> None:
        """Says where the server is."""
        if self.json:
            print(json.dumps({"address": address, "api": f"{address}/openapi.json", "pid": os.getpid()}))
        else:
            print(f"Prismat serves {self.run_folder} at {address}")
            print(f"Open {address} in a browser; the API is described at {address}/openapi.json.")
            print("Requests need the token of --token-file." if is_guarded else "Stop it with Ctrl-C.")
        sys.stdout.flush()
        if self.open:
            webbrowser.open(address)


def log_to_stderr(quiet: bool) -> None:
    """Sends the server's log to standard error, one JSON object a line."""
    from prismat.app.running import JsonLines

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("prismat", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(logging.WARNING)
    logging.getLogger("prismat.app").setLevel(logging.WARNING if quiet else logging.INFO)
