"""Answers of OPTIMADE services: asked for, checked, and their errors told in their own words.

OPTIMADE specification v1.2, "JSON Response Schema: Common Fields".
"""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

from prismat.fetch.client import Client, plain
from prismat.fetch.errors import FetchError
from prismat.fetch.pages import Row

CHANGED = "The service may have changed; look for a newer version of Prismat."
_Params = dict[str, str | int]


def ask(client: Client, url: str, params: _Params | None = None) -> Row:
    """One answer with ``data``.

    Raises:
        FetchError: no answer, an error document (told with its title and detail), or no OPTIMADE answer.
    """
    try:
        found = client.get_json(url, params)
    except FetchError as error:
        detail = _detail(error.body)
        if not detail or error.temporary:
            raise
        raise FetchError(f"{error.problem}: {detail}", error.url, error.status) from error
    if isinstance(found, dict) and found.get("errors"):
        raise FetchError(_told(found) or "an error without words", plain(url))
    if not isinstance(found, dict) or not isinstance(found.get("data"), list | dict):
        raise missing("data", url)
    return found


def entries(answer: Row, url: str) -> list[Row]:
    """The entries of an answer, each with ``id`` and ``attributes``.

    Raises:
        FetchError: no list of entries.
    """
    rows = answer["data"]
    if not isinstance(rows, list):
        raise missing("data", url)
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str | int):
            raise missing("id", url)
        if not isinstance(row.get("attributes"), dict):
            raise missing("attributes", url)
    return rows


def check_attributes(rows: list[Row], names: Iterable[str], url: str) -> None:
    """Refuses a page on which no entry has an attribute that was asked for; unknown ones come as null.

    Raises:
        FetchError: names the attribute.
    """
    for name in names if rows else ():
        if not any(name in row["attributes"] for row in rows):
            raise missing(name, url)


def next_address(answer: Row, url: str) -> str | None:
    """Where the next page is; None at the end.

    Links are strings or objects with ``href``, absolute or relative. One that leaves the host is refused, and
    one that would fall back from https to http is asked for by https.

    Raises:
        FetchError: no ``meta``, a link of another form or to another host, to the same page, from a page
            without entries, or none although there is more.
    """
    meta, links = answer.get("meta"), answer.get("links") or {}
    if not isinstance(meta, dict):
        raise missing("meta", url)
    link = links.get("next") if isinstance(links, dict) else None
    link = link.get("href") if isinstance(link, dict) else link
    if link is None or link == "":
        if meta.get("more_data_available") is True:
            raise FetchError("more data announced, but no link to them", plain(url), remedy=CHANGED)
        return None
    if not isinstance(link, str):
        raise missing("links.next", url)
    here, there = urlsplit(url), urlsplit(urljoin(url, link))
    if there.hostname != here.hostname:
        raise FetchError(
            f"the next page lies on another host, {there.hostname}",
            plain(url),
            remedy="Give the address that the service itself uses as base_url.",
        )
    if here.scheme == "https":
        there = there._replace(scheme="https", netloc=here.netloc)
    following = there.geturl()
    if following == url or not answer["data"]:
        raise FetchError("the link to the next page leads nowhere", plain(url), remedy=CHANGED)
    return following


def missing(name: str, url: str) -> FetchError:
    """The error of an answer without a field."""
    return FetchError(f"an answer without {name!r}, or of another form", plain(url), remedy=CHANGED)


def _detail(body: bytes) -> str:
    """Words of an error document."""
    try:
        return _told(json.loads(body))
    except ValueError:
        return ""


def _told(document: Any) -> str:
    """Title and detail of the errors in a document, in one line."""
    errors = document.get("errors") if isinstance(document, dict) else None
    said = [
        ": ".join(str(one[key]) for key in ("title", "detail") if one.get(key))
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict)
    ]
    return " ".join("; ".join(part for part in said if part).split())[:500].rstrip(".")
