"""Abstracts by DOI from the Crossref REST API, each DOI asked for once and kept in one SQLite file.

Hendricks et al., Quant. Sci. Stud. 1, 414 (2020); https://api.crossref.org.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.errors import FetchError
from prismat.sources.jats import plain_abstract

CROSSREF = "https://api.crossref.org"
AT_ONCE = 50
"""DOIs in one request: the address stays below 8,000 characters."""

_PREFIXES = ("https://doi.org/", "http://doi.org/", "https://dx.doi.org/", "http://dx.doi.org/", "doi:")
_NO_SUCH = frozenset({400, 404, 414})
_TABLE = "CREATE TABLE IF NOT EXISTS works (doi TEXT PRIMARY KEY, abstract TEXT NOT NULL) WITHOUT ROWID"


def plain_doi(text: str) -> str:
    """A DOI in lower case without resolver or ``doi:``; empty where the text is none."""
    text = text.strip().lower()
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix).strip()
    return text if text.startswith("10.") and "/" in text and not any(c.isspace() for c in text) else ""


class AbstractMirror:
    """Abstracts of works by DOI.

    A DOI that Crossref does not know, and a work without an abstract, are kept as empty text: neither is
    asked for again. Batches are written whole, so that a kill loses the one under way.

    Args:
        folder: holds ``works.sqlite``; shared by all that ask the same service.
        base_url: of the service.
        contact: e-mail address sent along, which gives access to the polite pool.
    """

    def __init__(self, folder: Path, base_url: str = CROSSREF, contact: str = "") -> None:
        self.path, self.base_url, self.contact = Path(folder) / "works.sqlite", base_url.rstrip("/"), contact

    def obtain(
        self, dois: Iterable[str], client: Client, progress: Callable[[int], None] | None = None
    ) -> None:
        """Asks for the DOIs that are not known yet.

        Args:
            dois: as ``plain_doi`` writes them; repeated ones are asked for once.
            client: how the service is asked.
            progress: called with how many of the DOIs are done.

        Raises:
            FetchError: the service is down, or answers in another form than documented.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(_TABLE)
            for done, wanted in _batches(dois, lambda doi: _known(connection, doi) is not None):
                found = self._ask(wanted, client)
                with connection:
                    connection.executemany("INSERT OR REPLACE INTO works VALUES (?, ?)", found.items())
                if progress:
                    progress(done)

    def abstracts(self, dois: Iterable[str]) -> Iterator[str]:
        """The abstract of each DOI in turn; empty where there is none.

        Raises:
            BadInputError: nothing was fetched yet, or a DOI was not asked for.
        """
        with self._opened() as connection:
            for doi in dois:
                found = _known(connection, doi)
                if found is None:
                    raise BadInputError(f"{doi} was not asked for", field="doi", remedy="Fetch it first.")
                yield found

    def fingerprint(self, dois: Iterable[str]) -> str:
        """SHA-256 over the abstracts of DOIs, in order."""
        total = hashlib.sha256()
        for text in self.abstracts(dois):
            total.update(hashlib.sha256(text.encode()).digest())
        return total.hexdigest()

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection]:
        if not self.path.is_file():
            raise BadInputError(f"{self.path} is not there", remedy="Fetch the abstracts first.")
        with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection

    def _ask(self, dois: list[str], client: Client) -> dict[str, str]:
        """Abstract by DOI of one batch."""
        # A comma divides filters: such DOIs, and a batch that is refused, are asked for one by one.
        together = [doi for doi in dois if "," not in doi]
        try:
            found = self._list(together, client) if together else {}
        except FetchError as error:
            if error.status not in _NO_SUCH:
                raise
            found, together = {}, []
        alone = [doi for doi in dois if doi not in set(together)]
        return {doi: found.get(doi, "") for doi in together} | {doi: self._one(doi, client) for doi in alone}

    def _list(self, dois: list[str], client: Client) -> dict[str, str]:
        url = f"{self.base_url}/works"
        asked = {
            "filter": ",".join(f"doi:{doi}" for doi in dois),
            "rows": len(dois),
            "select": "DOI,abstract",
            **self._polite(),
        }
        items = _field(client.get_json(url, asked), "items", list, url)
        return dict(_work(item, url) for item in items)

    def _one(self, doi: str, client: Client) -> str:
        url = f"{self.base_url}/works/{quote(doi, safe='')}"
        try:
            answer = client.get_json(url, self._polite())
        except FetchError as error:
            if error.status in _NO_SUCH:
                return ""
            raise
        _field(answer, "DOI", str, url)
        return _work(answer["message"], url)[1]

    def _polite(self) -> dict[str, str]:
        return {"mailto": self.contact} if self.contact else {}


def _field(answer: Any, name: str, kind: type, url: str) -> Any:
    """A field of the answer's message."""
    message = answer.get("message") if isinstance(answer, dict) else None
    found = message.get(name) if isinstance(message, dict) else None
    if not isinstance(found, kind):
        raise _changed(f"message.{name}", url)
    return found


def _work(item: Any, url: str) -> tuple[str, str]:
    """(DOI, abstract) of one work."""
    doi = item.get("DOI") if isinstance(item, dict) else None
    abstract = item.get("abstract", "") if isinstance(item, dict) else ""
    if not isinstance(doi, str):
        raise _changed("DOI of a work", url)
    if not isinstance(abstract, str):
        raise _changed("abstract of a work", url)
    return plain_doi(doi), plain_abstract(abstract)


def _changed(field: str, url: str) -> FetchError:
    return FetchError(f"Crossref's answer has no {field}: the service may have changed", url)


def _known(connection: sqlite3.Connection, doi: str) -> str | None:
    found = connection.execute("SELECT abstract FROM works WHERE doi = ?", (doi,)).fetchone()
    return found[0] if found else None


def _batches(dois: Iterable[str], known: Callable[[str], bool]) -> Iterator[tuple[int, list[str]]]:
    """(how many DOIs were gone through, those of them to ask for now)."""
    rest, done = iter(dois), 0
    while True:
        waiting: dict[str, None] = {}
        for doi in rest:
            done += 1
            if not known(doi):
                waiting[doi] = None
            if len(waiting) == AT_ONCE:
                break
        if not waiting:
            return
        yield done, list(islice(waiting, AT_ONCE))
