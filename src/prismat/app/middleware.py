"""Around every request: an id, a log line, counters, security headers, and no traceback to the client."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prismat.app.metrics import Metrics
from prismat.app.pool import GONE, ClientGoneError
from prismat.app.problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

access = logging.getLogger("prismat.app.access")
logger = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class Around:
    """The outermost layer.

    Args:
        app: what answers.
        metrics: where requests are counted.
    """

    def __init__(self, app: AsgiApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["request_id"] = _request_id(scope)
        sent = {"status": 0, "bytes": 0}

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                own = [(b"x-request-id", scope["request_id"].encode()), *SECURITY_HEADERS]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            else:
                sent["bytes"] += len(message.get("body", b""))
            await send(message)

        started = time.perf_counter()
        self.metrics.open.inc()
        try:
            await self._answer(scope, receive, told, sent)
        finally:
            self.metrics.open.dec()
            self._tell(scope, sent, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, sent: dict[str, int]) -> None:
        """Answers; what nobody foresaw becomes a 500 that says only its request id."""
        try:
            await self.app(scope, receive, send)
        except ClientGoneError:
            sent["status"] = GONE
        except asyncio.CancelledError:
            # The server stops, and the grace time is over.
            if not sent["status"]:
                problem = Problem(503, "The server is stopping.", "stopping", headers={"Retry-After": "10"})
                await problem.response(scope["request_id"])(scope, receive, send)
        except Exception:
            logger.exception("request %s failed", scope["request_id"])
            if sent["status"]:
                raise
            problem = Problem(
                500,
                "The server failed on this request.",
                remedy="Tell its operator the request id.",
            )
            await problem.response(scope["request_id"])(scope, receive, send)

    def _tell(self, scope: Scope, sent: dict[str, int], seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.count(method, route, sent["status"], seconds)
        facts = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "path": scope["path"],
            "status": sent["status"],
            "ms": round(1000 * seconds, 1),
            "bytes": sent["bytes"],
            "client": client_of(scope),
        }
        access.info("request", extra={"facts": facts})


def client_of(scope: Scope) -> str:
    """Address of the client."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def _request_id(scope: Scope) -> str:
    """The client's own id, if it is a plain one, so that it can follow its request through many services."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
