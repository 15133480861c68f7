"""Metadata of entries of the Crystallography Open Database, kept on disk in pages of rows.

They come from the search of the database, from a file with its SQL table, or from the names in a mirror.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.errors import FetchError
from prismat.fetch.pages import PageMirror
from prismat.files import write_json
from prismat.sources.cod_search import CodSearch
from prismat.sources.cod_table import Row, numbered, read_table

PAGE_ROWS = 2000
_ASKED_AGAIN = 3


def keep_rows(pages: PageMirror, rows: Callable[[], Iterator[Row]]) -> None:
    """Writes rows to a mirror page by page; a job that was killed goes on after its last page.

    Args:
        pages: the mirror.
        rows: begins to give the rows, always the same.

    Raises:
        BadInputError: there are none.
    """
    stream: Iterator[Row] | None = None

    def fetch(done: int | None) -> tuple[list[dict[str, Any]], int | None]:
        nonlocal stream
        if stream is None:
            stream = islice(numbered(rows()), done or 0, None)
        found = list(islice(stream, PAGE_ROWS))
        if not found and not done:
            raise BadInputError("no entry was found", field="search", remedy="Ask for less.")
        return [dict(row) for row in found], (done or 0) + len(found) if len(found) == PAGE_ROWS else None

    pages.obtain(fetch)


def table_rows(path: Path, search: CodSearch) -> Iterator[Row]:
    """Wanted rows of a file."""
    return filter(search.takes, read_table(path, search.columns()))


def searched_rows(files: list[Path]) -> Iterator[Row]:
    """Rows of the answers of the search."""
    for path in files:
        yield from read_table(path)


def search_files(client: Client, base_url: str, search: CodSearch, folder: Path) -> list[Path]:
    """Answers of the database's search as CSV files, each fetched once and checked for completeness.

    Args:
        client: how the database is asked.
        base_url: its address.
        search: what is wanted.
        folder: receives ``search-000.csv``, and ``search-000.json`` once that is whole.

    Raises:
        FetchError: the database is down, answers in another form than documented, or not completely.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, asked in enumerate(search.requests()):
        path = folder / f"search-{number:03d}.csv"
        if not path.with_suffix(".json").is_file():
            rows = _whole(client, f"{base_url}/result", asked, path)
            write_json(path.with_suffix(".json"), {"asked": asked, "rows": rows})
        found += [path] if path.is_file() else []
    return found


def _whole(client: Client, url: str, asked: dict[str, str], path: Path) -> int:
    """Fetches one answer until it has as many rows as the database counts; returns their number."""
    expected = _count(client, url, asked)
    if expected == 0:
        return 0
    problem = ""
    for _ in range(_ASKED_AGAIN):
        client.download(f"{url}?{urlencode({**asked, 'format': 'csv'})}", path)
        try:
            rows = sum(1 for _ in read_table(path))
        except BadInputError as error:
            problem = error.problem
            if error.field:
                path.unlink()
                raise FetchError(f"{problem} in COD's answer: the service may have changed", url) from error
        else:
            if rows == expected:
                return rows
            problem = f"{rows} rows where COD counts {expected}"
        path.unlink()
    raise FetchError(f"{problem}, {_ASKED_AGAIN} times", url, temporary=True)


def _count(client: Client, url: str, asked: dict[str, str]) -> int:
    problem = ""
    for _ in range(_ASKED_AGAIN):
        text = client.get(url, {**asked, "format": "count"}).decode("utf-8", errors="replace").strip()
        if text.strip('"').isdecimal():
            return int(text.strip('"'))
        problem = "HTML" if text.startswith("<") else "text"
        if problem == "text":
            break
    raise FetchError(
        f"{problem} where the number of entries was expected: the service may have changed",
        url,
        temporary=problem == "HTML",
    )
