"""Texts that took long or cost money, kept on disk by the hash of what they were made from."""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from prismat.errors import BadInputError


class TextCache:
    """A table of key and text in one SQLite file; what was put survives a kill at any moment.

    Several threads and several processes may use one file at once.

    Args:
        path: the file; made where it is not there.

    Raises:
        BadInputError: the file is none of ours, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = Path(path), threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self.path, timeout=60.0, check_same_thread=False)
        with self._explained():
            # With a log of its own every commit is whole or absent, also after a kill.
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS texts (key TEXT PRIMARY KEY, text TEXT NOT NULL)"
            )

    def get(self, key: str) -> str | None:
        """The text of a key, or None."""
        with self._explained():
            row = self._connection.execute("SELECT text FROM texts WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, text: str) -> None:
        """Keeps a text, in place of any of that key."""
        with self._explained(), self._connection:
            self._connection.execute("INSERT OR REPLACE INTO texts VALUES (?, ?)", (key, text))

    def __len__(self) -> int:
        with self._explained():
            return self._connection.execute("SELECT COUNT(*) FROM texts").fetchone()[0]

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> "TextCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _explained(self) -> Generator[None]:
        """One thread at a time; what SQLite says of a bad file in our words."""
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                self._connection.close()
                raise BadInputError(
                    f"the cache of texts cannot be used ({error})",
                    record=str(self.path),
                    remedy="Delete the file; its texts are then made again.",
                ) from error
