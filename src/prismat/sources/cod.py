"""Crystallography Open Database: experimental crystals with titles, DOIs and, through Crossref, abstracts.

Gražulis et al., J. Appl. Cryst. 42, 726 (2009); Nucleic Acids Res. 40, D420 (2012).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from prismat.cif import crystal_from_cif
from prismat.crystal import MAX_SITES, check
from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings
from prismat.fetch.pages import PageMirror
from prismat.fetch.place import fetched_folder
from prismat.files import digest, sha256, write_json
from prismat.material import Material, Provenance, Reject
from prismat.sources.cod_entry import Flag, check_flags, conditions_of, facts_of, left_out, tags_of
from prismat.sources.cod_files import FetchedFiles, MirroredFiles, Numbers
from prismat.sources.cod_metadata import keep_rows, search_files, searched_rows, table_rows
from prismat.sources.cod_search import CodSearch
from prismat.sources.cod_table import Row
from prismat.sources.crossref import CROSSREF, AbstractMirror, plain_doi

COD = "https://www.crystallography.net/cod"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CodOptions:
    """Crystallography Open Database: experimental crystals with titles and DOIs (CC0).

    Attributes:
        search: which entries; where neither this nor a table is given, those of the mirror.
        table: CSV or TSV of the database's SQL table ``data`` in place of its search.
        mirror: folder with a copy of the CIFs, as rsync writes it, in place of HTTP.
        abstracts: also take abstracts from Crossref, by DOI.
        contact: your e-mail address, sent along to both services, as they ask for.
        limit: entries drawn at random, by a fixed seed; 0 for all.
        max_sites: larger cells are rejected.
        titled: reject entries without a title.
        keep: flags of entries that are taken all the same.
        retry: ask again for CIFs that failed before for a passing reason.
        per_second: requests to COD per second at most.
        cache: folder for what is fetched; that of Prismat where not given.
        base_url: address of COD or of a copy of it.
        crossref_url: address of Crossref or of a copy of it.
    """

    search: CodSearch = field(default_factory=CodSearch)
    table: Path | None = None
    mirror: Path | None = None
    abstracts: bool = False
    contact: str = ""
    limit: int = 0
    max_sites: int = MAX_SITES
    titled: bool = False
    keep: tuple[Flag, ...] = ()
    retry: bool = False
    per_second: float = 2.0
    cache: Path | None = None
    base_url: str = COD
    crossref_url: str = CROSSREF

    def open(self) -> "CodSource":
        """The source; ``obtain`` fetches what it needs."""
        return CodSource(self)


class CodSource:
    """Entries of the database as materials.

    Metadata come first, from the database's search or from a file; then the CIF of every entry that is not
    flagged, and the abstracts. What came stays in the cache, so that nothing is asked for twice. Entries that
    COD flags as duplicate, suboptimal, retracted, wrong or theoretical, and those without coordinates, are
    rejects.

    Args:
        options: what to take, and from where.
        client: asks both services; one each of its own where None.

    Raises:
        BadInputError: nothing says which entries are wanted, or there is no such table or mirror.
    """

    name = "cod"
    citation = "Gražulis et al., J. Appl. Cryst. 42, 726 (2009); Nucleic Acids Res. 40, D420 (2012)"

    def __init__(self, options: CodOptions, client: Client | None = None) -> None:
        self.options = replace(options, base_url=options.base_url.rstrip("/"))
        self._client = client
        if options.table is None and options.mirror is None and options.search.is_empty:
            raise BadInputError(
                "nothing says which entries are wanted",
                field="search",
                remedy="Give --search.elements or another filter, --table FILE, or --mirror FOLDER.",
            )
        if options.abstracts and options.table is None and options.search.is_empty:
            raise BadInputError(
                "abstracts without the DOIs to ask for",
                field="abstracts",
                remedy="Give --table FILE or a search: the names of a mirror alone do not tell them.",
            )
        self._local = MirroredFiles(options.mirror) if options.mirror is not None else None
        self._fetched = FetchedFiles(self._folder("cod-cif", self.options.base_url), self.options.base_url)
        works = self._folder("crossref", options.crossref_url)
        self._abstracts = AbstractMirror(works, options.crossref_url, options.contact)

    @property
    def licence(self) -> str:
        """Terms of the database, and of the abstracts where they are taken."""
        return "CC0 1.0" + ("; abstracts: their publishers', from Crossref" * self.options.abstracts)

    def obtain(self, progress: Progress | None = None) -> None:
        """Fetches what is not there.

        Args:
            progress: called with how many CIFs, and then DOIs, of all are done.

        Raises:
            FetchError: a service is down, or answers in another form than documented; what came is kept.
            BadInputError: a table that cannot be used, or no entry was found.
        """
        self._obtain_rows()
        if self._done.is_file() and not self.options.retry:
            return
        found = {}
        if self._local is None:
            client = self._client or Client(self._settings(self.options.per_second))
            found["cifs"] = self._fetched.obtain(self._numbers(), client, progress)
        if self.options.abstracts:
            total = sum(1 for _ in self._dois())
            # Lists may be asked for once a second without an address.
            client = self._client or Client(self._settings(3.0 if self.options.contact else 1.0))
            self._abstracts.obtain(
                self._dois(), client, (lambda done: progress(done, total)) if progress else None
            )
            found["abstracts"] = self._abstracts.fingerprint(self._dois())
        write_json(self._done, found)

    def fingerprint(self) -> str:
        """SHA-256 over metadata, files, abstracts and the reading options.

        Raises:
            BadInputError: not all of it is there yet.
        """
        if not self._done.is_file():
            raise BadInputError("not fetched yet", record=self.name, remedy="Call obtain() first.")
        contents = json.loads(self._done.read_text(encoding="utf-8"))
        if self._local is not None:
            contents["mirror"] = self._local.fingerprint(self._numbers())
        read = (self.options.limit, self.options.max_sites, self.options.titled, sorted(self.options.keep))
        return digest(self._pages.fingerprint(), contents, read)

    def __len__(self) -> int:
        return len(self._drawn) if self._drawn is not None else len(self._pages)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Entries start … stop − 1, those left out as rejects."""
        for row in self._rows(start, stop):
            identifier = f"cod-{row.get('file', '')}"
            try:
                yield self._material(identifier, row)
            except Exception as error:
                yield Reject.because(identifier, error)

    def __getstate__(self) -> dict[str, object]:
        """Travels to worker processes, which only read what was fetched."""
        return {k: v for k, v in self.__dict__.items() if k != "_drawn"} | {"_client": None}

    def _folder(self, name: str, query: object) -> Path:
        return fetched_folder(name, query, self.options.cache)

    def _settings(self, per_second: float) -> ClientSettings:
        return ClientSettings(per_second=per_second, contact=self.options.contact)

    @cached_property
    def _query(self) -> dict[str, object]:
        """What the rows are of."""
        search = asdict(self.options.search)
        if self.options.table is not None:
            return {"search": search, "table": sha256(self._existing(self.options.table))}
        if self._local is not None and self.options.search.is_empty:
            return {"mirror": str(self._local.root.resolve())}
        return {"search": search, "base_url": self.options.base_url}

    @cached_property
    def _pages(self) -> PageMirror:
        return PageMirror(self._folder("cod-metadata", self._query), {"cod": self._query})

    @cached_property
    def _done(self) -> Path:
        """Written when all is there."""
        options = self.options
        wanted = (self._query, options.limit, sorted(options.keep), options.abstracts, options.crossref_url)
        return self._folder("cod", (*wanted, options.base_url, self._local is None)) / "done.json"

    @cached_property
    def _drawn(self) -> np.ndarray | None:
        """Numbers of the rows that are read, ascending; None for all."""
        total = len(self._pages)
        if not 0 < self.options.limit < total:
            return None
        return np.sort(np.random.default_rng(0).choice(total, self.options.limit, replace=False))

    def _existing(self, table: Path) -> Path:
        if not table.is_file():
            raise BadInputError("no such file", record=str(table), field="table", remedy="Check the path.")
        return table

    def _obtain_rows(self) -> None:
        if self._pages.complete:
            return
        folder, options = self._pages.folder, self.options
        if options.table is not None:
            table = options.table
            keep_rows(self._pages, lambda: table_rows(table, options.search))
        elif self._local is not None and options.search.is_empty:
            keep_rows(self._pages, self._local.rows)
        else:
            client = self._client or Client(self._settings(options.per_second))
            files = search_files(client, options.base_url, options.search, folder / "search")
            keep_rows(self._pages, lambda: searched_rows(files))
            for path in files:
                path.unlink()

    def _rows(self, start: int, stop: int) -> Iterator[Row]:
        if self._drawn is None:
            yield from self._pages.rows(start, stop)
            return
        for number in self._drawn[start:stop].tolist():
            yield from self._pages.rows(number, number + 1)

    def _taken(self) -> Iterator[Row]:
        """Rows that are not left out by what they say."""
        return (row for row in self._rows(0, len(self)) if not left_out(row, self.options.keep))

    def _numbers(self) -> Numbers:
        return np.fromiter((int(row["file"]) for row in self._taken()), dtype=np.int32)

    def _dois(self) -> Iterator[str]:
        return filter(None, (plain_doi(row.get("doi", "")) for row in self._taken()))

    def _material(self, identifier: str, row: Row) -> Material:
        if reason := left_out(row, self.options.keep):
            raise BadInputError(reason)
        text = (self._local or self._fetched).text(row["file"])
        check_flags(text, row["file"], self.options.keep)
        crystal = check(crystal_from_cif(text), self.options.max_sites)
        facts = facts_of(row, text)
        if self.options.titled and not facts["title"]:
            raise BadInputError("no title", field="title")
        texts = {"title": facts["title"], "abstract": self._abstract(row)}
        return Material(
            id=identifier,
            structure=crystal,
            texts={kind: words for kind, words in texts.items() if words},
            properties=conditions_of(row),
            tags=tags_of(facts),
            provenance=Provenance(self.name, row["file"], self.licence, self.citation),
        )

    def _abstract(self, row: Row) -> str:
        doi = plain_doi(row.get("doi", "")) if self.options.abstracts else ""
        return next(self._abstracts.abstracts([doi])) if doi else ""
