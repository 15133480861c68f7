"""What a server allows: sizes, times, rates, and who may ask."""

from dataclasses import dataclass

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Names under which a browser on the same machine reaches the server."""


@dataclass(frozen=True)
class Limits:
    """Sizes, times and rates.

    Attributes:
        upload_bytes: longest body of an upload.
        body_bytes: longest body of any other request.
        k: most results of one answer.
        stream_k: most results of one streamed answer.
        batch: most texts, structures or patterns embedded in one request.
        sites: most sites of an uploaded cell.
        seconds: a request that takes longer is given up.
        per_second: requests that one client may send in the long run; 0 for no limit.
        burst: requests that it may send at once.
        clients: clients whose rate is remembered.
        workers: threads that do heavy work.
        queue: requests that may wait for one of them.
    """

    upload_bytes: int = 32 << 20
    body_bytes: int = 8 << 20
    k: int = 1_000
    stream_k: int = 10_000
    batch: int = 256
    sites: int = MAX_SITES
    seconds: float = 30.0
    per_second: float = 50.0
    burst: int = 200
    clients: int = 10_000
    workers: int = 2
    queue: int = 256

    def __post_init__(self) -> None:
        counts = (self.upload_bytes, self.body_bytes, self.k, self.stream_k, self.batch, self.sites)
        if min(*counts, self.burst, self.clients, self.workers) < 1 or self.queue < 0:
            raise BadInputError("a limit below 1", field="limits", remedy="Give positive whole numbers.")
        if not self.seconds > 0 or not self.per_second >= 0:
            raise BadInputError(
                f"{self.seconds} s a request, {self.per_second} requests a second",
                field="limits",
                remedy="Give a time above 0, and a rate from 0 (0: no limit).",
            )


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: bearer token that ``/v1``, ``/optimade`` and ``/metrics`` ask for; None asks for none.
        hosts: names by which requests may call this server, against DNS rebinding; ``*`` lets any pass.
    """

    token: str | None = None
    hosts: tuple[str, ...] = LOOPBACK

    def __post_init__(self) -> None:
        if self.token is not None and not (len(self.token) >= 16 and self.token.isascii()):
            raise BadInputError(
                "the token is shorter than 16 characters or not ASCII",
                field="token",
                remedy="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'.",
            )
