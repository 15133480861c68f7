"""Structures and properties from any database that speaks OPTIMADE.

Andersen et al., Sci. Data 8, 217 (2021); Evans et al., Digital Discovery 3, 1509 (2024). Version 1 of the
protocol.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings, plain
from prismat.fetch.errors import FetchError
from prismat.fetch.pages import Cursor, PageMirror, Row
from prismat.fetch.place import fetched_folder
from prismat.files import digest, write_json
from prismat.material import Material, Provenance, Reject
from prismat.sources.base import Progress
from prismat.sources.optimade_answers import ask, check_attributes, entries, missing, next_address
from prismat.sources.optimade_fields import parse_fields, properties_of
from prismat.sources.optimade_providers import PROVIDERS, resolve, versioned
from prismat.sources.optimade_structure import NEEDED_FIELDS, STRUCTURE_FIELDS, crystal_of

logger = logging.getLogger(__name__)

_PROTOCOL = "OPTIMADE: Evans et al., Digital Discovery 3, 1509 (2024), doi:10.1039/D4DD00039K"
_DETAILS = ("immutable_id", "last_modified")


@dataclass(frozen=True)
class OptimadeQuery:
    """What is asked of a database.

    Attributes:
        filter: such as ``elements HAS ALL "Si","O" AND nelements=2``; all entries where empty.
        properties: provider's fields with their units, see ``optimade_fields.parse_fields``.
        limit: entries at most; 0 for all.
        page_limit: entries per request; services have an upper limit of their own.
    """

    filter: str = ""
    properties: tuple[str, ...] = ()
    limit: int = 0
    page_limit: int = 100


@dataclass(frozen=True)
class Terms:
    """What is known of the data beforehand.

    Attributes:
        licence: of the data; what the service says of itself where empty.
        citation: what to cite beside OPTIMADE; the provider's name and home page where empty.
    """

    licence: str = ""
    citation: str = ""


class OptimadeSource:
    """Entries of one database as materials.

    ``obtain`` comes first: it fetches the pages that are not there yet; everything else reads the mirror.
    ``immutable_id`` and ``last_modified`` become tags.

    Args:
        base_url: of the database, with or without ``/v1``.
        query: which entries, and which of their properties.
        terms: licence and citation where the service does not tell them.
        cache: folder for all that is fetched; that of Prismat where None.
        client: how it is asked; two requests per second where None.
        max_sites: larger cells are rejected.

    Raises:
        BadInputError: properties of another form than FIELD=UNIT.
    """

    name = "optimade"

    def __init__(
        self,
        base_url: str,
        query: OptimadeQuery = OptimadeQuery(),
        terms: Terms = Terms(),
        cache: Path | None = None,
        client: Client | None = None,
        max_sites: int = MAX_SITES,
    ) -> None:
        self.base_url, self.query, self.terms, self.max_sites = base_url, query, terms, max_sites
        self.fields = parse_fields(query.properties)
        asked = {
            "url": versioned(base_url, "structures"),
            "filter": query.filter,
            "attributes": sorted(self._attributes()),
            "limit": query.limit,
        }
        self.folder = fetched_folder(self.name, asked, cache)
        self._mirror = PageMirror(self.folder, asked)
        self._client, self._total = client, 0
        self._known: dict[str, str] | None = None

    @property
    def licence(self) -> str:
        """Terms of the data; empty where neither the user nor the service tells them."""
        return self.terms.licence or self._about["licence"]

    @property
    def citation(self) -> str:
        """What to cite."""
        return f"{self.terms.citation or self._about['provider']}; {_PROTOCOL}"

    def obtain(self, progress: Progress | None = None) -> None:
        """Fetches what is not there yet: what the service says of itself, then page after page.

        Args:
            progress: called with entries so far and, once known, of how many.

        Raises:
            FetchError: the service did not answer, answered with an error, or in another form than expected.
        """
        if self._mirror.complete and self._about_path.is_file():
            return
        client = self._client or Client(ClientSettings(per_second=2.0))
        if not self._about_path.is_file():
            write_json(self._about_path, _asked_about(client, versioned(self.base_url, "info")))
        tell = (lambda rows: progress(rows, max(rows, self._total))) if progress else None
        self._mirror.obtain(lambda cursor: self._fetch(client, cursor), tell)

    def fingerprint(self) -> str:
        """SHA-256 over the query, all that was fetched and how it is read."""
        read = [self.licence, self.citation, self.max_sites, sorted(self.query.properties)]
        return digest(self._mirror.fingerprint(), read)

    def __len__(self) -> int:
        return len(self._mirror)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Entries start … stop − 1; one that cannot be a material comes as a Reject."""
        for row in self._mirror.rows(start, stop):
            identifier = self.identifier(row)
            try:
                yield self._material(identifier, row)
            except (BadInputError, ValueError, TypeError, KeyError) as error:
                yield Reject.because(identifier, error)

    def __getstate__(self) -> dict[str, Any]:
        """Travels to worker processes without the client: they read the mirror only."""
        return {**self.__dict__, "_client": None}

    def identifier(self, row: Row) -> str:
        """Id of an entry in a store: that of the service, behind the provider's prefix."""
        prefix, own = self._about["prefix"], str(row["id"])
        return own if not prefix or own.startswith(f"{prefix}-") else f"{prefix}-{own}"

    def _material(self, identifier: str, row: Row) -> Material:
        attributes = row["attributes"]
        return Material(
            identifier,
            crystal_of(attributes, self.max_sites),
            properties=properties_of(attributes, self.fields),
            tags={name: str(attributes[name]) for name in _DETAILS if attributes.get(name)},
            provenance=Provenance(self._origin, str(row["id"]), self.licence, self.citation),
        )

    @property
    def _origin(self) -> str:
        """Name of the source in the provenance of a record."""
        return f"optimade:{self._about['prefix'] or self.base_url}"

    def _attributes(self) -> set[str]:
        return {*STRUCTURE_FIELDS, *_DETAILS, *(field.attribute for field in self.fields)}

    def _fetch(self, client: Client, cursor: Cursor) -> tuple[list[Row], Cursor]:
        """Entries of the page at a cursor, reduced to what was asked for, and where the next page is."""
        limit = self.query.limit
        url = cursor["url"] if cursor else versioned(self.base_url, "structures")
        answer = ask(client, url, None if cursor else self._params())
        rows = entries(answer, url)
        # Some services leave out what an entry does not have, instead of null.
        own = () if cursor else [field.attribute for field in self.fields]
        check_attributes(rows, [*NEEDED_FIELDS, *own], url)
        seen = (cursor["rows"] if cursor else 0) + len(rows)
        first = cursor["first"] if cursor else (str(rows[0]["id"]) if rows else "")
        if cursor and rows and str(rows[0]["id"]) == first:
            raise missing("links.next to a further page", url)
        following = next_address(answer, url) if not 0 < limit <= seen else None
        self._total = _returned(answer, limit)
        if following is None and seen < self._total:
            logger.warning(
                "%s announced %d entries and gave %d", versioned(self.base_url, ""), self._total, seen
            )
        if limit and seen > limit:
            rows = rows[: len(rows) - (seen - limit)]
        kept = self._attributes()
        slim = [
            {"id": row["id"], "attributes": {k: v for k, v in row["attributes"].items() if k in kept}}
            for row in rows
        ]
        return slim, {"url": following, "rows": seen, "first": first} if following else None

    def _params(self) -> dict[str, str | int]:
        query = self.query
        size = min(query.page_limit, query.limit) if query.limit else query.page_limit
        wanted: dict[str, str | int] = {"response_fields": ",".join(sorted(self._attributes()))}
        wanted |= {"page_limit": size, "response_format": "json"}
        return wanted | ({"filter": query.filter} if query.filter else {})

    @property
    def _about_path(self) -> Path:
        return self.folder / "about.json"

    @property
    def _about(self) -> dict[str, str]:
        """What the service says of itself; nothing before it was asked."""
        if self._known is None and self._about_path.is_file():
            self._known = json.loads(self._about_path.read_text(encoding="utf-8"))
        return self._known or {"provider": self.base_url, "prefix": "", "licence": ""}


@dataclass(frozen=True)
class OptimadeOptions:
    """Any database that speaks OPTIMADE.

    Attributes:
        provider: name on the list of providers, such as ``oqmd``, ``mp`` or ``cod``; ``NAME/DATABASE`` where
            a provider has several.
        base_url: address of the database, in place of a provider.
        filter: such as ``elements HAS ALL "Si","O" AND nelements=2``; all entries where empty.
        properties: provider's fields with their units: ``_oqmd_delta_e=eV/atom``, or ``NAME:FIELD=UNIT``.
        limit: entries at most; 0 for all.
        page_limit: entries per request.
        licence: of the data, where the service does not tell it.
        citation: what to cite.
        contact: e-mail address sent along with the requests.
        max_sites: larger cells are rejected.
        cache: folder for what is fetched.
        providers: address of the list of providers.
    """

    provider: str = ""
    base_url: str = ""
    filter: str = ""
    properties: tuple[str, ...] = ()
    limit: int = 0
    page_limit: int = 100
    licence: str = ""
    citation: str = ""
    contact: str = ""
    max_sites: int = MAX_SITES
    cache: Path | None = None
    providers: str = PROVIDERS

    def open(self, client: Client | None = None) -> OptimadeSource:
        """The source; the address of a named provider is asked for once.

        Raises:
            BadInputError: neither or both of provider and base_url, or no such provider.
            FetchError: the list of providers could not be had.
        """
        if bool(self.provider) == bool(self.base_url):
            raise BadInputError(
                "neither a provider nor an address" if not self.provider else "a provider and an address",
                field="provider, base_url",
                remedy="Give one of them, such as --provider oqmd.",
            )
        client = client or Client(ClientSettings(per_second=2.0, contact=self.contact))
        base_url = self.base_url or resolve(self.provider, client, self.providers, self.cache)
        query = OptimadeQuery(self.filter, self.properties, self.limit, self.page_limit)
        terms = Terms(self.licence, self.citation)
        return OptimadeSource(base_url, query, terms, self.cache, client, self.max_sites)


def _asked_about(client: Client, url: str) -> dict[str, str]:
    """Name, prefix and licence of a service, as far as it tells them."""
    try:
        answer = ask(client, url)
    except FetchError as error:
        if error.status == 404:
            return {"provider": plain(url).removesuffix("/info"), "prefix": "", "licence": ""}
        raise
    meta = answer.get("meta")
    data = answer["data"]
    if not isinstance(meta, dict) or not isinstance(data, dict):
        raise missing("meta", url)
    provider = meta.get("provider") if isinstance(meta.get("provider"), dict) else {}
    page = provider.get("homepage")
    page = page.get("href") if isinstance(page, dict) else page
    name = " ".join(str(part) for part in (provider.get("name"), f"({page})" if page else "") if part)
    attributes = data.get("attributes") if isinstance(data.get("attributes"), dict) else {}
    prefix = str(provider.get("prefix") or "")
    return {"provider": name or url, "prefix": prefix, "licence": _terms(attributes)}


def _terms(attributes: Row) -> str:
    """Licences by their SPDX names, or the address of the terms."""
    named = [
        *(attributes.get("available_licenses") or []),
        *(attributes.get("available_licenses_for_entries") or []),
    ]
    if named:
        return " or ".join(dict.fromkeys(map(str, named)))
    link = attributes.get("license")
    link = link.get("href") if isinstance(link, dict) else link
    return str(link or "")


def _returned(answer: Row, limit: int) -> int:
    """How many entries there will be, as far as the service tells it."""
    found = answer["meta"].get("data_returned")
    total = found if isinstance(found, int) and not isinstance(found, bool) else 0
    return min(total, limit) if limit else total
