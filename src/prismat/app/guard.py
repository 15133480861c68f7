"""Who may ask, how often, how much and for how long: layers of pure ASGI around the routes."""

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from prismat.app.limits import Access, Limits
from prismat.app.middleware import AsgiApp, Message, Receive, Scope, Send, client_of
from prismat.app.problems import Problem

PROTECTED = ("/v1", "/optimade", "/metrics")
"""Paths that ask for the token, where there is one."""
FREE = ("/healthz", "/readyz", "/static")
"""Paths that no rate limits."""
UPLOAD = "/v1/upload"
_DRAINED = 4
"""Times the allowed length that is read of a body that is too long, and thrown away."""
_DRAIN_SECONDS = 3.0


def is_under(path: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a path is one of the prefixes or lies below one."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem.response(scope.get("request_id", ""))
    await response(scope, receive, send)


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of a name in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


class Doorkeeper:
    """Refuses hosts that this server does not go by, and clients without the token.

    A web site that a user visits can make a name of its own point to 127.0.0.1 and then talk to this server
    as if it were its own; but it cannot change the ``Host`` header that the browser sends.

    Args:
        app: what answers.
        access: who may ask.
    """

    def __init__(self, app: AsgiApp, access: Access) -> None:
        self.app, self.access = app, access
        self._hosts = frozenset(host.lower() for host in access.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or refuses it."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is not None:
            await _refuse(problem, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        if not self._knows(header(scope, b"host") or b""):
            return Problem(
                421,
                "This server does not go by the host name of the request.",
                "unknown-host",
                remedy="Ask 127.0.0.1 or localhost, or start it with --allowed-hosts NAME.",
            )
        if self.access.token is None or not is_under(scope["path"], PROTECTED):
            return None
        scheme, _, given = (header(scope, b"authorization") or b"").partition(b" ")
        known = hmac.compare_digest(given.strip(), self.access.token.encode())
        if scheme.lower() == b"bearer" and known:
            return None
        return Problem(
            401,
            "This needs the server's token.",
            remedy="Send the header 'Authorization: Bearer TOKEN'.",
            headers={"WWW-Authenticate": 'Bearer realm="prismat"'},
        )

    def _knows(self, host: bytes) -> bool:
        if "*" in self._hosts:
            return True
        name = host.decode("latin-1").lower()
        name = name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
        return name in self._hosts


class Rate:
    """A token bucket for each client; those that have not asked for longest are forgotten.

    Args:
        app: what answers.
        limits: rate, burst and the number of clients remembered.
        clock: seconds.
    """

    def __init__(self, app: AsgiApp, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.limits, self.clock = app, limits, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or says when to ask again."""
        counted = scope["type"] == "http" and self.limits.per_second and not is_under(scope["path"], FREE)
        wait = self.take(client_of(scope)) if counted else 0.0
        if wait <= 0:
            await self.app(scope, receive, send)
            return
        problem = Problem(
            429,
            f"More than {self.limits.per_second:g} requests a second.",
            remedy="Wait as long as Retry-After says.",
            headers={"Retry-After": str(math.ceil(wait))},
        )
        await _refuse(problem, scope, receive, send)

    def take(self, client: str) -> float:
        """Takes one request from a client's bucket; gives the seconds to wait where it is empty."""
        now = self.clock()
        left, last = self._buckets.pop(client, (float(self.limits.burst), now))
        left = min(left + (now - last) * self.limits.per_second, float(self.limits.burst))
        allowed = left >= 1
        self._buckets[client] = (left - allowed, now)
        while len(self._buckets) > self.limits.clients:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self.limits.per_second


class _TooLargeError(Exception):
    """A body that is longer than allowed."""


class Sized:
    """Bodies of bounded length, counted as they come, since nobody has to say the length before.

    Args:
        app: what answers.
        limits: lengths.
    """

    def __init__(self, app: AsgiApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or refuses it with status 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.limits.upload_bytes if scope["path"] == UPLOAD else self.limits.body_bytes
        told = header(scope, b"content-length") or b"0"
        if not told.isdigit() or int(told[:18]) > most:
            await _drain(most, scope, receive)
            await _refuse(_too_large(most), scope, receive, send)
            return
        state = {"bytes": 0, "started": False, "whole": False}

        async def counted() -> Message:
            message = await receive()
            state["bytes"] += len(message.get("body", b""))
            state["whole"] = not message.get("more_body", False)
            if state["bytes"] > most:
                raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            # Whoever was reading the body may have made an answer of its own out of our error.
            if state["bytes"] > most and not state["started"]:
                raise _TooLargeError
            state["started"] = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except _TooLargeError:
            if not state["whole"]:
                await _drain(most, scope, receive)
            await _refuse(_too_large(most), scope, receive, send)


async def _drain(most: int, scope: Scope, receive: Receive) -> None:
    """Reads on until the client has sent its body or has sent long enough, and throws it away.

    Most clients read no answer before they have sent everything: one that comes before is lost.
    """
    left = 0 if header(scope, b"expect") else _DRAINED * most
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) + 1
                if not message.get("more_body", False):
                    break


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        f"The body is longer than {most / (1 << 20):g} MiB.",
        "too-large",
        remedy="Send less: a smaller file, or fewer points.",
        headers={"Connection": "close"},
    )


class Timed:
    """Gives a request up that takes too long: what waits is dropped.

    Args:
        app: what answers.
        limits: seconds.
    """

    def __init__(self, app: AsgiApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or gives up with status 503."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self.limits.seconds) as clock:
                await self.app(scope, receive, watched)
        except TimeoutError:
            if started or not clock.expired():
                raise
            problem = Problem(
                503,
                f"This took longer than {self.limits.seconds:g} s.",
                "timeout",
                remedy="Ask for less, or again when the server is less busy.",
                headers={"Retry-After": "5"},
            )
            await _refuse(problem, scope, receive, send)
