"""A client of language models behind any OpenAI-compatible endpoint: vLLM, Ollama, or a hosted service."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings, Secret, plain
from prismat.fetch.errors import FetchError, PassingError
from prismat.texts.prompts import Message

_ANSWER_BYTES = 4_000_000
_REFUSED = (401, 403)


@dataclass(frozen=True)
class Endpoint:
    """Which model is asked, where and how.

    Attributes:
        base_url: address up to ``/chat/completions``, such as ``http://localhost:8000/v1``.
        model: name of the model as the endpoint knows it.
        api_key_env: environment variable that holds the key; empty where none is needed.
        temperature: 0 for the likeliest answer.
        seed: of the sampling, where the endpoint honours it.
        max_tokens: of one answer at most.
        concurrency: requests under way at a time.
        timeout: seconds without an answer.
        attempts: how often one request is made before the job stops.
    """

    base_url: str
    model: str
    api_key_env: str = ""
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 600
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 6


@dataclass(frozen=True)
class Reply:
    """One answer of the model.

    Attributes:
        text: what it said.
        whole: False where it was cut at ``max_tokens``.
        prompt_tokens: tokens read, as the endpoint counts them; 0 where it does not say.
        completion_tokens: tokens written, likewise.
    """

    text: str
    whole: bool
    prompt_tokens: int
    completion_tokens: int


class ChatClient(Client):
    """Asks one endpoint; may be used from several threads.

    Passing failures (429, 5xx, broken connections and answers that are no JSON) are asked again with growing
    waits, or after as long as the server's Retry-After says.

    Args:
        endpoint: which model, where and how.
        sleep: how to wait, seconds; replaced in tests.

    Raises:
        BadInputError: no http address, no model, or the named environment variable is not set.
    """

    def __init__(self, endpoint: Endpoint, sleep: Callable[[float], Any] = time.sleep) -> None:
        parts = urlsplit(endpoint.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInputError(
                f"{endpoint.base_url!r} is no http or https address",
                field="endpoint",
                remedy="Give one such as http://localhost:8000/v1.",
            )
        if not endpoint.model:
            raise BadInputError("no model is named", field="model", remedy="Add --model NAME.")
        settings = ClientSettings(
            per_second=1000.0, attempts=endpoint.attempts, timeout=endpoint.timeout, page_bytes=_ANSWER_BYTES
        )
        self.endpoint, self.url = endpoint, f"{endpoint.base_url.rstrip('/')}/chat/completions"
        super().__init__(settings, _secret(endpoint), sleep)

    def ask(self, messages: Sequence[Message]) -> Reply:
        """The model's answer to a conversation.

        Raises:
            FetchError: refused, not understood, or still failing after all attempts.
        """
        payload = {
            "model": self.endpoint.model,
            "messages": list(messages),
            "temperature": self.endpoint.temperature,
            "seed": self.endpoint.seed,
            "max_tokens": self.endpoint.max_tokens,
        }
        return self._again(self.url, lambda: _reply(self._post(payload)))

    def _post(self, payload: dict[str, Any]) -> bytes:
        sent = {"User-Agent": self._agent, "Accept": "application/json"}
        if self.secret:
            sent[self.secret.header] = self.secret.value
        try:
            # A redirect would carry the key and the records elsewhere.
            with self._session().post(
                self.url,
                json=payload,
                headers=sent,
                timeout=self.settings.timeout,
                stream=True,
                allow_redirects=False,
                # Without one of our own, requests would put a key of ~/.netrc in the place of this one.
                auth=_as_it_is,
            ) as response:
                body = _limited(response)
                self._check_answer(response, body)
                return body
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise PassingError(f"the connection failed ({type(error).__name__})") from error
        except requests.RequestException as error:
            raise FetchError(f"cannot be asked ({type(error).__name__})", plain(self.url)) from None

    def _check_answer(self, response: requests.Response, body: bytes) -> None:
        status = response.status_code
        if status in _REFUSED:
            name = self.endpoint.api_key_env
            key = f"Check the key in the environment variable {name}: it may have expired."
            none = "Name the environment variable that holds the key: --api-key-env NAME."
            raise FetchError(
                f"access refused (HTTP {status})", plain(self.url), status, remedy=key if name else none
            )
        if 300 <= status < 400:
            raise FetchError(
                f"the address leads elsewhere (HTTP {status})", plain(self.url), status, remedy="Correct it."
            )
        if 400 <= status < 500 and status not in (408, 425, 429):
            remedy = "Check address and model." if status == 404 else ""
            said = self._without_key(_said(body))
            raise FetchError(f"HTTP {status}{said}", plain(self.url), status, remedy=remedy)
        self._check(response, self.url)

    def _without_key(self, text: str) -> str:
        key = os.environ.get(self.endpoint.api_key_env, "") if self.endpoint.api_key_env else ""
        return text.replace(key, "…") if key else text


def _secret(endpoint: Endpoint) -> Secret | None:
    name = endpoint.api_key_env
    if not name:
        return None
    key = os.environ.get(name, "").strip()
    remedy = "Set it to the key of the endpoint."
    if not key:
        raise BadInputError(f"the environment variable {name} is not set", field="api_key_env", remedy=remedy)
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadInputError(
            f"the environment variable {name} holds no key", field="api_key_env", remedy=remedy
        )
    parts = urlsplit(endpoint.base_url)
    return Secret("Authorization", f"Bearer {key}", f"{parts.scheme}://{parts.netloc}", name)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _limited(response: requests.Response) -> bytes:
    found = bytearray()
    for block in response.iter_content(1 << 16):
        found += block
        if len(found) > _ANSWER_BYTES:
            raise PassingError(f"an answer of more than {_ANSWER_BYTES:,} bytes")
    return bytes(found)


def _said(body: bytes) -> str:
    """What the endpoint says of an error, in its own words."""
    try:
        error = json.loads(body)["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({' '.join(str(message).split())[:200]})"


def _reply(body: bytes) -> Reply:
    try:
        found = json.loads(body)
    except ValueError as error:
        kind = "HTML" if body.lstrip()[:1] == b"<" else "text"
        raise PassingError(f"{kind} where JSON was expected") from error
    try:
        choice = found["choices"][0]
        text = choice["message"]["content"] or ""
    except (KeyError, IndexError, TypeError) as error:
        raise PassingError("an answer without choices") from error
    if not isinstance(text, str):
        raise PassingError("an answer that is no text")
    usage = found.get("usage") or {}
    tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    read, written = (t if isinstance(t, int) else 0 for t in tokens)
    return Reply(text, choice.get("finish_reason") != "length", read, written)
