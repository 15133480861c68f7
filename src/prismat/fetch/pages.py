"""Answers of a paged service kept on disk, so that a job goes on with the next page after a kill."""

import gzip
import json
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from prismat.errors import BadInputError
from prismat.fetch.client import content_hash
from prismat.files import digest, replacing, write_json

Row = dict[str, Any]
Cursor = Any
"""Where a page begins, as JSON: an address, an offset, or nothing for the first."""


class PageMirror:
    """Rows of a query, page by page, in the order the service gave them.

    Layout: ``query.json`` (what was asked), ``page-00000.json.gz`` (rows) and ``page-00000.json`` (how many,
    their SHA-256, where the next page begins). A page is asked for once.

    Args:
        folder: of this query alone.
        query: what is asked, as JSON; a folder of another query is refused.

    Raises:
        BadInputError: the folder holds another query.
    """

    def __init__(self, folder: Path, query: Row) -> None:
        self.folder, self.query = Path(folder), query
        mark = self.folder / "query.json"
        if mark.is_file() and digest(json.loads(mark.read_text(encoding="utf-8"))) != digest(query):
            raise BadInputError(f"{folder} holds another query", remedy="Give another cache folder.")

    def obtain(
        self,
        fetch: Callable[[Cursor], tuple[list[Row], Cursor]],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Fetches the pages that are not there yet.

        Args:
            fetch: rows of the page at a cursor (None for the first), and where the next begins (None at the
                end).
            progress: called with the number of rows so far.
        """
        write_json(self.folder / "query.json", self.query)
        pages, cursor, rows = self._described(), None, 0
        if pages:
            cursor, rows = pages[-1]["next"], sum(page["rows"] for page in pages)
        number = len(pages)
        while number == 0 or cursor is not None:
            found, cursor = fetch(cursor)
            self._write(number, found, cursor)
            number, rows = number + 1, rows + len(found)
            if progress:
                progress(rows)
        self.__dict__.pop("pages", None)

    @property
    def complete(self) -> bool:
        """Whether the last page is there."""
        pages = self._described()
        return bool(pages) and pages[-1]["next"] is None

    @cached_property
    def pages(self) -> list[Row]:
        """Descriptions of the pages.

        Raises:
            BadInputError: some are not there yet.
        """
        if not self.complete:
            raise BadInputError(f"{self.folder} is not complete", remedy="Fetch it first.")
        return self._described()

    def fingerprint(self) -> str:
        """SHA-256 over the query and all pages."""
        return digest(self.query, [page["sha256"] for page in self.pages])

    def __len__(self) -> int:
        return sum(page["rows"] for page in self.pages)

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """Rows start … stop − 1; one page in memory at a time."""
        ends = np.cumsum([page["rows"] for page in self.pages])
        stop = min(stop, int(ends[-1]) if len(ends) else 0)
        while start < stop:
            number = int(np.searchsorted(ends, start, side="right"))
            first = int(ends[number]) - self.pages[number]["rows"]
            last = min(stop, int(ends[number]))
            yield from _page(self._path(number), self.pages[number]["sha256"])[start - first : last - first]
            start = last

    def _path(self, number: int) -> Path:
        return self.folder / f"page-{number:05d}.json.gz"

    def _described(self) -> list[Row]:
        """Descriptions of the pages from the first on, without a gap."""
        found: list[Row] = []
        while (path := self.folder / f"page-{len(found):05d}.json").is_file():
            found.append(json.loads(path.read_text(encoding="utf-8")))
        return found

    def _write(self, number: int, rows: list[Row], following: Cursor) -> None:
        body = json.dumps(rows, ensure_ascii=False).encode()
        path = self._path(number)
        with replacing(path) as temporary:
            temporary.write_bytes(gzip.compress(body, 5, mtime=0))
        # The description comes last: rows without it are fetched again.
        described = {"rows": len(rows), "sha256": content_hash(body), "next": following}
        write_json(path.with_suffix(""), described)


@lru_cache(maxsize=2)
def _page(path: Path, sha256: str) -> list[Row]:
    """Rows of one page; the two last ones stay in memory."""
    body = gzip.decompress(path.read_bytes())
    if content_hash(body) != sha256:
        raise BadInputError("not the page that was fetched", record=str(path), remedy="Delete its folder.")
    return json.loads(body)
