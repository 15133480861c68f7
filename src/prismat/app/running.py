"""Runs an app on a socket until it is told to stop, and stops it gracefully."""

import ipaddress
import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prismat.errors import BadInputError, MissingExtraError

if TYPE_CHECKING:
    from fastapi import FastAPI

_LONGEST_HEAD = 256 * 1024
"""Bytes of a request's line and headers: 20,000 characters of any script in an address."""
_CONNECTIONS = 1_000


@dataclass(frozen=True)
class Listening:
    """Where and how a server listens.

    Attributes:
        host: address or name.
        port: 0 for any that is free.
        grace: seconds that running requests get when the server is told to stop.
        proxies: addresses whose ``X-Forwarded-For`` is believed.
    """

    host: str = "127.0.0.1"
    port: int = 8321
    grace: float = 10.0
    proxies: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_anywhere(self) -> bool:
        """Whether it listens on every address of this machine."""
        return self.host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


class JsonLines(logging.Formatter):
    """Log records as one JSON object a line; ``facts`` of a record are its own keys."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def bind(listening: Listening) -> socket.socket:
    """A listening socket.

    Raises:
        BadInputError: no port, an address that is taken, or one that is none of this machine.
    """
    if not 0 <= listening.port <= 65535:
        raise BadInputError(
            f"the port is {listening.port}", field="port", remedy="Give 0 to 65535; 0 takes any that is free."
        )
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    try:
        made = socket.create_server((listening.host, listening.port), family=family, backlog=2048)
    except OSError as error:
        raise BadInputError(
            f"cannot listen on {listening.host}:{listening.port} ({error})",
            field="port",
            remedy="Choose another with --port; 0 takes any that is free.",
        ) from error
    # asyncio turns Nagle's algorithm off only where the protocol is named; else answers wait 40 ms.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, made.detach())


def address_of(bound: socket.socket, listening: Listening) -> str:
    """The address to open in a browser."""
    host = "127.0.0.1" if listening.is_anywhere else listening.host
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"


def run(
    app: "FastAPI", bound: socket.socket, listening: Listening, started: Callable[[], None] = lambda: None
) -> None:
    """Serves until SIGINT or SIGTERM; requests that run are finished within the grace time.

    Args:
        app: made by ``make_app``.
        bound: made by ``bind``.
        listening: grace time and proxies.
        started: called once requests are answered.

    Raises:
        MissingExtraError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("uvicorn", "app") from error

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=bool(listening.proxies),
        forwarded_allow_ips=list(listening.proxies),
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(listening.grace)),
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        http="h11",
    )
    # uvicorn raises the signal once more when it is done, which would end the process as if it had failed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    Server(config).run(sockets=[bound])
    if app.state.context.pool.taken:
        # Work whose client left may run for long, and no thread can be stopped.
        logging.shutdown()
        os._exit(0)
