"""Many small files fetched from a service, each once, with the failures kept beside them."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prismat.errors import BadInputError
from prismat.fetch.client import Client, content_hash, plain
from prismat.fetch.errors import FetchError
from prismat.files import digest, replacing, write_json

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_GIVE_UP_AFTER = 20
_AHEAD = 4
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Item:
    """One file to fetch.

    Attributes:
        id: its name here; letters, digits, dot, dash and underscore.
        url: where it is.
    """

    id: str
    url: str


Work = Callable[[Item], FetchError | None]
"""Fetches one file and gives what went wrong, if anything did."""


class ItemMirror:
    """Files of a service by id, under ``<last two characters>/<id><suffix>``.

    What could not be had stands as ``<id>.failed.json`` with its reason. Once all were asked for, the mirror
    is finished: nothing is asked for again, not even what failed, unless that is wished.

    Args:
        folder: of the mirror.
        suffix: of the files, such as ``.cif``.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self.suffix = Path(folder), suffix

    def path(self, id: str) -> Path:
        """Where the file of an id belongs.

        Raises:
            BadInputError: an id that is no plain name.
        """
        if not _SAFE.fullmatch(id):
            raise BadInputError(f"{id!r} is no plain name", field="id", remedy="It is left out.")
        return self.folder / id[-2:] / f"{id}{self.suffix}"

    def failure(self, id: str) -> str:
        """Why a file could not be had; empty where it is there or was not asked for."""
        found = self._failed(id)
        return found["reason"] if found else ""

    def obtain(
        self,
        items: Sequence[Item],
        client: Client,
        threads: int = 4,
        progress: Progress | None = None,
        retry_failed: bool = False,
        refuse: Callable[[bytes], str] = lambda _: "",
    ) -> None:
        """Fetches what is not there.

        Args:
            items: what is wanted.
            client: how it is asked for.
            threads: requests under way at a time.
            progress: called with how many of all are done.
            retry_failed: ask again for what failed before for a passing reason.
            refuse: says of a body why it is not what was wanted, such as a page of HTML; that counts as a
                passing failure. An empty string takes it.

        Raises:
            FetchError: twenty in a row failed for passing reasons: the server is down; run again later.
        """
        identity = digest([item.id for item in items])
        done = self.folder / "finished.json"
        known = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else {}
        if known.get("items") == identity and not retry_failed:
            return
        # Passing failures of a job that was stopped are asked for again, those of a finished one on request.
        wanted = [item for item in items if not self._settled(item.id)]
        self._fetch_all(wanted, lambda item: self._one(item, client, refuse), threads, progress, len(items))
        write_json(done, {"items": identity, "content": self._content(items)})

    def fingerprint(self) -> str:
        """SHA-256 over all that was fetched and what could not be.

        Raises:
            BadInputError: not all of it is there yet.
        """
        path = self.folder / "finished.json"
        if not path.is_file():
            raise BadInputError(f"{self.folder} is not complete", remedy="Fetch it first.")
        return json.loads(path.read_text(encoding="utf-8"))["content"]

    def _fetch_all(
        self, wanted: Sequence[Item], work: Work, threads: int, progress: Progress | None, total: int
    ) -> None:
        before, row = total - len(wanted), 0
        with ThreadPoolExecutor(threads) as pool:
            # A few ahead of the threads, so that a stop leaves little under way.
            for number, error in enumerate(_bounded(pool, work, wanted, threads)):
                row = row + 1 if error is not None and error.temporary else 0
                if error is not None and row >= _GIVE_UP_AFTER:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise error
                if progress:
                    progress(before + number + 1, total)

    def _one(self, item: Item, client: Client, refuse: Callable[[bytes], str]) -> FetchError | None:
        """Fetches one file; gives what went wrong."""
        try:
            path = self.path(item.id)
        except BadInputError:
            return None
        try:
            body = client.get(item.url)
            if reason := refuse(body):
                raise FetchError(reason, plain(item.url), temporary=True)
        except FetchError as error:
            failed = {"reason": error.problem, "status": error.status, "temporary": error.temporary}
            write_json(self._failed_path(item.id), failed)
            return error
        with replacing(path) as temporary:
            temporary.write_bytes(body)
        self._failed_path(item.id).unlink(missing_ok=True)
        return None

    def _settled(self, id: str) -> bool:
        failed = self._failed(id)
        return not failed["temporary"] if failed else self.path(id).is_file()

    def _failed_path(self, id: str) -> Path:
        return self.folder / id[-2:] / f"{id}.failed.json"

    def _failed(self, id: str) -> dict | None:
        if not _SAFE.fullmatch(id):
            return {"reason": f"{id!r} is no plain name", "status": 0, "temporary": False}
        path = self._failed_path(id)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _content(self, items: Sequence[Item]) -> str:
        return digest(
            [(i.id, self.failure(i.id) or content_hash(self.path(i.id).read_bytes())) for i in items]
        )


def _bounded(
    pool: ThreadPoolExecutor,
    work: Work,
    items: Sequence[Item],
    threads: int,
) -> Iterator[FetchError | None]:
    """Results in order, with no more than a few jobs waiting."""
    rest = iter(items)
    waiting = [pool.submit(work, item) for item in islice(rest, threads * _AHEAD)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [pool.submit(work, item) for item in islice(rest, 1)]
