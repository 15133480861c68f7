"""An HTTP client that waits its turn, asks again after passing failures and goes on with broken downloads."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError, PassingError
from prismat.files import sha256 as sha256_of

Params = Mapping[str, str | int | float | list[str]]

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_BLOCK = 1 << 16
_TOLD_BYTES = 4096


@dataclass(frozen=True)
class ClientSettings:
    """How a server is asked.

    Attributes:
        per_second: requests per second at most, over all threads.
        attempts: how often one thing is asked for before it counts as failed.
        backoff: seconds before the second attempt; doubled before each further one.
        longest_wait: seconds between attempts at most, also where the server asks for more.
        timeout: seconds without an answer or without a further byte.
        page_bytes: largest answer that is read into memory.
        file_bytes: largest file that is downloaded.
        contact: e-mail address sent along, as public services ask for.
    """

    per_second: float = 5.0
    attempts: int = 6
    backoff: float = 1.0
    longest_wait: float = 120.0
    timeout: float = 60.0
    page_bytes: int = 256_000_000
    file_bytes: int = 20_000_000_000
    contact: str = ""


@dataclass(frozen=True)
class Secret:
    """A key that is sent to one server only.

    Attributes:
        header: name of the header that carries it.
        value: the key; never written anywhere.
        origin: scheme and host that may see it, such as ``https://api.example.org``.
        variable: environment variable it came from, named in errors.
    """

    header: str
    value: str = field(repr=False)
    origin: str
    variable: str


class _Session(requests.Session):
    """Redirects to another host do not carry the key along."""

    secret: Secret | None = None

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        super().rebuild_auth(prepared_request, response)
        if self.secret and _origin(prepared_request.url) != self.secret.origin:
            prepared_request.headers.pop(self.secret.header, None)


class Client:
    """Asks servers over HTTP; may be used from several threads.

    Args:
        settings: rate, attempts, waits and limits.
        secret: a key for one server.
        sleep: how to wait, seconds; replaced in tests.
    """

    def __init__(
        self,
        settings: ClientSettings = ClientSettings(),
        secret: Secret | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings, self.secret, self._sleep = settings, secret, sleep
        self._local, self._lock, self._next = threading.local(), threading.Lock(), 0.0
        about = f"prismat/{version('prismat')}"
        self._agent = f"{about} (mailto:{settings.contact})" if settings.contact else about

    def get(self, url: str, params: Params | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of an answer.

        Raises:
            FetchError: no such thing, refused, too large, or still failing after all attempts.
        """
        return self._again(url, lambda: self._body(url, params, headers))

    def get_json(
        self, url: str, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The answer as JSON; a page of HTML in its place counts as a passing failure.

        Raises:
            FetchError: as ``get``.
        """
        wanted = {"Accept": "application/json, application/vnd.api+json", **(headers or {})}
        return self._again(url, lambda: _json(self._body(url, params, wanted), url))

    def download(self, url: str, path: Path, sha256: str = "") -> Path:
        """A file, under a temporary name until it is whole; a broken download goes on where it stopped.

        Args:
            url: of the file.
            path: where it belongs; a file that is there is not fetched again.
            sha256: of its content, checked where given.

        Raises:
            FetchError: as ``get``, or the content has another hash.
        """
        if path.is_file():
            if sha256 and sha256_of(path) != sha256:
                raise BadInputError(
                    "a file of another SHA-256 than expected", record=str(path), remedy="Delete it."
                )
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        self._again(url, lambda: self._stream(url, part, sha256))
        part.replace(path)
        return path

    def _again(self, url: str, attempt: Callable[[], Any]) -> Any:
        """Result of the first attempt that succeeds."""
        for number in range(1, self.settings.attempts + 1):
            try:
                self._wait_turn()
                return attempt()
            except PassingError as error:
                if number == self.settings.attempts:
                    raise FetchError(
                        f"{error.problem}, {number} times", plain(url), error.status, True
                    ) from error
                wait = max(error.wait, self.settings.backoff * 2 ** (number - 1))
                self._sleep(min(wait, self.settings.longest_wait))
        raise FetchError("no attempt allowed", plain(url), remedy="Allow one attempt or more.")

    def _wait_turn(self) -> None:
        """Waits until the rate allows a further request."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + 1.0 / self.settings.per_second
        if turn > now:
            self._sleep(turn - now)

    def _session(self) -> _Session:
        if not hasattr(self._local, "session"):
            self._local.session = _Session()
            self._local.session.secret = self.secret
            self._local.session.max_redirects = 5
        return self._local.session

    @contextmanager
    def _answer(
        self, url: str, params: Params | None, headers: Mapping[str, str]
    ) -> Generator[requests.Response]:
        """An answer that is good to read; failures on the way as passing or final errors."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise FetchError("not an http or https address", plain(url))
        sent = {"User-Agent": self._agent, **headers}
        if self.secret and _origin(url) == self.secret.origin:
            sent[self.secret.header] = self.secret.value
        try:
            with self._session().get(
                url, params=params, headers=sent, timeout=self.settings.timeout, stream=True
            ) as response:
                self._check(response, url)
                yield response
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise PassingError(f"the connection failed ({_short(error)})") from error
        except requests.exceptions.ContentDecodingError as error:
            raise PassingError("the answer is damaged") from error
        except requests.RequestException as error:
            raise FetchError(f"cannot be asked for ({_short(error)})", plain(url)) from error

    def _check(self, response: requests.Response, url: str) -> None:
        status = response.status_code
        if status in _PASSING:
            raise PassingError(
                f"HTTP {status}", status, _retry_after(response.headers.get("Retry-After", ""))
            )
        if status in _REFUSED:
            variable = self.secret.variable if self.secret else ""
            remedy = f"Check the key in the environment variable {variable}." if variable else ""
            raise FetchError(f"access refused (HTTP {status})", plain(url), status, remedy=remedy)
        if status >= 400:
            body = response.raw.read(_TOLD_BYTES, decode_content=True)
            raise FetchError(f"HTTP {status}", plain(url), status, body=body)

    def _body(self, url: str, params: Params | None, headers: Mapping[str, str] | None) -> bytes:
        limit, found = self.settings.page_bytes, bytearray()
        with self._answer(url, params, headers or {}) as response:
            for block in response.iter_content(_BLOCK):
                found += block
                if len(found) > limit:
                    raise FetchError(f"an answer of more than {limit:,} bytes", plain(url))
        return bytes(found)

    def _stream(self, url: str, part: Path, sha256: str) -> None:
        """Appends to what is there, or begins anew where the server cannot go on."""
        have = part.stat().st_size if part.is_file() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with self._answer(url, None, headers) as response:
                going_on = have > 0 and response.status_code == 206
                with part.open("ab" if going_on else "wb") as sink:
                    self._copy(response, sink, have if going_on else 0, url)
        except FetchError as error:
            # 416: nothing is left to send, or the file has changed meanwhile.
            if error.status != 416 or not have:
                raise
            if not sha256 or sha256_of(part) != sha256:
                part.unlink()
                raise PassingError("a part of another file was left from before") from error
        if sha256 and (found := sha256_of(part)) != sha256:
            part.unlink()
            raise PassingError(f"SHA-256 {found[:12]}… where {sha256[:12]}… was expected")

    def _copy(self, response: requests.Response, sink: Any, size: int, url: str) -> None:
        for block in response.iter_content(_BLOCK):
            size += len(block)
            if size > self.settings.file_bytes:
                raise FetchError(f"a file of more than {self.settings.file_bytes:,} bytes", plain(url))
            sink.write(block)


def plain(url: str) -> str:
    """An address without user, password, query and fragment, fit for a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def content_hash(body: bytes) -> str:
    """SHA-256 of bytes as hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}"


def _json(body: bytes, url: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        kind = "HTML" if body.lstrip()[:1] == b"<" else "text"
        raise PassingError(f"{kind} where JSON was expected at {plain(url)}") from error


def _retry_after(value: str) -> float:
    """Seconds that a server asks to wait, given as a number or as a date."""
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _short(error: Exception) -> str:
    return type(error).__name__
