"""The REST interface of the Materials Project: pages of documents, and the key it asks for.

Materials Project API documentation, api.materialsproject.org/docs: documents in ``data``, their number in
``meta.total_doc``, pages by ``_skip`` and ``_limit``, fields by ``_fields``, the key in ``X-API-KEY``.
"""

import os
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings, Secret, plain
from prismat.fetch.errors import FetchError
from prismat.fetch.pages import Row

API = "https://api.materialsproject.org"
KEY = "MP_API_KEY"
"""Environment variable that holds the key."""
CHANGED = "The service may have changed; look for a newer version of Prismat."
PAGE = 1000
"""Documents per request, the most that the service gives."""


def api_client(
    base_url: str = API,
    settings: ClientSettings | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Client:
    """A client that sends the key to this host alone.

    Raises:
        BadInputError: no key in the environment.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise BadInputError(
            f"no key in the environment variable {KEY}",
            field="Materials Project",
            remedy=f"Log in at materialsproject.org/api, and run: export {KEY}=...",
        )
    parts = urlsplit(base_url)
    return Client(
        settings or ClientSettings(), Secret("X-API-KEY", key, f"{parts.scheme}://{parts.netloc}", KEY), sleep
    )


def documents(
    client: Client, url: str, params: dict[str, str | int], needed: Sequence[str]
) -> tuple[list[Row], int]:
    """One page of documents, and how many there are on all pages.

    Args:
        client: with the key.
        url: of the endpoint.
        params: filters, fields and place of the page.
        needed: fields that every answer must have, in one document at least.

    Raises:
        FetchError: no answer, a refused key, or an answer of another form than expected.
    """
    found = client.get_json(url, params)
    rows = found.get("data") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _missing("data", url)
    meta = found.get("meta")
    total = meta.get("total_doc") if isinstance(meta, dict) else None
    if not isinstance(total, int):
        raise _missing("meta.total_doc", url)
    for field in needed if rows else ():
        if not any(field in row for row in rows):
            raise _missing(field, url)
    return rows, total


def _missing(field: str, url: str) -> FetchError:
    return FetchError(f"an answer without {field!r}, or of another form", plain(url), remedy=CHANGED)
