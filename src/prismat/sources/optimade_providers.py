"""The list of OPTIMADE providers: from a name such as ``oqmd`` to the address of a database.

The list names the index meta-database of every provider, which names its databases and, where it has one, its
default (OPTIMADE specification v1.2, "Index Meta-Database" and "Links Endpoint").
"""

import re
from pathlib import Path
from typing import Any

from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.errors import FetchError
from prismat.fetch.pages import PageMirror, Row
from prismat.fetch.place import fetched_folder
from prismat.sources.optimade_answers import ask, entries

PROVIDERS = "https://providers.optimade.org/providers.json"
_VERSION = re.compile(r"/v1(\.\d+)*$")


def resolve(name: str, client: Client, providers: str = PROVIDERS, cache: Path | None = None) -> str:
    """Base address of a database; asked for once, then taken from the cache.

    Args:
        name: of a provider (``oqmd``), or of one database of a provider (``mcloud/mc3d-pbe-v1``).
        client: how the list and the index are asked for.
        providers: address of the list.
        cache: folder for all that is fetched; that of Prismat where None.

    Raises:
        BadInputError: no such provider or database, one without a public service, or several databases and
            none of them the default: the choices are named.
        FetchError: a server did not answer.
    """
    query = {"providers": providers, "name": name}
    mirror = PageMirror(fetched_folder("optimade-provider", query, cache), query)
    if not mirror.complete:
        mirror.obtain(lambda _: ([{"base_url": _asked(name, client, providers)}], None))
    return next(mirror.rows(0, 1))["base_url"]


def versioned(base_url: str, endpoint: str) -> str:
    """Address of an endpoint of version 1 of the protocol; the base address may hold the version."""
    base = base_url.rstrip("/")
    return f"{base}/{endpoint}" if _VERSION.search(base) else f"{base}/v1/{endpoint}"


def _asked(name: str, client: Client, providers: str) -> str:
    provider, _, database = name.partition("/")
    index = _chosen(_links(ask(client, providers), providers), provider, "provider")
    links_url = versioned(index, "links")
    children = _links(ask(client, links_url), links_url, "child")
    about = {} if len(children) == 1 else _info(client, index)
    if not database and not children and not about.get("attributes", {}).get("is_index"):
        return index
    if not database:
        database = _default(about) if len(children) > 1 else next(iter(children), "")
    return _chosen(children, database, f"database of provider {provider!r}")


def _links(answer: Row, url: str, kind: str = "") -> dict[str, str]:
    """Addresses of the links of a kind, or of all, by id; empty where there is no service yet."""
    found = entries(answer, url)
    if kind:
        found = [row for row in found if row["attributes"].get("link_type") == kind]
    return {str(row["id"]): _address(row["attributes"].get("base_url")) for row in found}


def _chosen(known: dict[str, str], name: str, what: str) -> str:
    if known.get(name):
        return known[name]
    problem = f"{what} {name!r} has no public service" if name in known else f"no {what} {name!r}"
    choices = ", ".join(sorted(key for key, address in known.items() if address)) or "none"
    raise BadInputError(
        problem if name else f"no {what} is named, and none is its default",
        field="provider",
        remedy=f"Give PROVIDER/DATABASE or an address as base_url. There are: {choices}.",
    )


def _info(client: Client, index: str) -> Row:
    """What an index says of itself; nothing where it has no such page."""
    try:
        found = ask(client, versioned(index, "info"))["data"]
    except FetchError as error:
        if error.status == 404:
            return {}
        raise
    return found if isinstance(found, dict) else {}


def _default(about: Row) -> str:
    """Id of the database that an index names as its default; empty where it names none."""
    found: Any = about
    for key in ("relationships", "default", "data", "id"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _address(link: Any) -> str:
    """An address given as a string or as an object with ``href``; empty where there is none."""
    link = link.get("href") if isinstance(link, dict) else link
    return link if isinstance(link, str) and link.startswith(("http://", "https://")) else ""
