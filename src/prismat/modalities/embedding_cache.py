"""Embeddings of a frozen model, kept on disk so that no text is embedded twice.

Every call that embeds something new adds one segment file and never touches those that are there. A segment
appears under its name only when it is whole, so a process killed at any moment loses at most its last batch,
and several processes may write at once: at worst the same text is held twice.
"""

import hashlib
import logging
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from prismat.errors import BadInputError
from prismat.files import replacing

logger = logging.getLogger(__name__)

EmbedFunction = Callable[[list[str]], Float[np.ndarray, "texts width"]]
Progress = Callable[[int, int], None]

_KEY = np.dtype("S32")


class EmbeddingCache:
    """Embeddings by text of one model.

    Args:
        folder: holds one folder per model hash.
        model_hash: hexadecimal hash of everything that decides an embedding: weights, tokeniser, pooling.
        width: length of an embedding.

    Raises:
        BadInputError: the model hash is not hexadecimal, or the segments are of another width.
    """

    def __init__(self, folder: Path, model_hash: str, width: int) -> None:
        if not model_hash or set(model_hash) - set("0123456789abcdef"):
            raise BadInputError(f"{model_hash!r} is no hexadecimal hash", field="model_hash")
        self.folder = Path(folder) / model_hash
        self.width = width
        self._seen: set[str] = set()
        self._keys = np.zeros(0, _KEY)
        self._rows = np.zeros((0, width), np.float32)

    def __len__(self) -> int:
        """Distinct texts known on disk."""
        self._refresh()
        return len(self._keys)

    def get(
        self,
        texts: Sequence[str],
        embed: EmbedFunction,
        batch: int = 2048,
        progress: Progress | None = None,
    ) -> Float[np.ndarray, "texts width"]:
        """Embeddings of texts, in their order; only unknown distinct texts are embedded.

        Args:
            texts: any texts; repeated ones cost nothing.
            embed: maps a list of texts to (texts, width).
            batch: texts per call of ``embed`` and per segment file; an interrupted job repeats at most these.
            progress: called with (texts done, texts to do) of those that had to be embedded.

        Raises:
            BadInputError: ``embed`` gives another shape than (texts, width) or a value that is not finite, or
                the disk does not give back what was written.
        """
        self._refresh()
        keys, first, inverse = np.unique(_keys_of(texts), return_index=True, return_inverse=True)
        missing = first[self._find(keys) < 0]
        for start in range(0, len(missing), batch):
            chunk = [texts[row] for row in missing[start : start + batch]]
            self._append(_keys_of(chunk), self._embedded(embed, chunk))
            if progress:
                progress(start + len(chunk), len(missing))
        if len(missing):
            self._refresh()
        found = self._find(keys)
        if (found < 0).any():
            raise BadInputError(
                "segments that were just written cannot be read back",
                record=str(self.folder),
                remedy="Check the disk, or use another folder.",
            )
        return self._rows[found][inverse]

    def _embedded(self, embed: EmbedFunction, texts: list[str]) -> Float[np.ndarray, "texts width"]:
        rows = np.asarray(embed(texts), dtype=np.float32)
        if rows.shape != (len(texts), self.width):
            raise BadInputError(
                f"embedding has shape {rows.shape}, not {(len(texts), self.width)}", field="embed"
            )
        if not np.isfinite(rows).all():
            worst = texts[int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])]
            raise BadInputError("embedding is not finite", record=worst[:80], field="embed")
        return rows

    def _append(self, keys: np.ndarray, rows: Float[np.ndarray, "texts width"]) -> None:
        """Writes one segment."""
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        with replacing(path) as temporary:
            save_file({"keys": _as_bytes(keys), "rows": np.ascontiguousarray(rows)}, temporary)
            with temporary.open("rb") as stream:
                # Without this a power cut may leave the name without the content.
                os.fsync(stream.fileno())

    def _refresh(self) -> None:
        """Takes in the segments that this or another process has added since the last look."""
        names = {path.name for path in self.folder.glob("*.safetensors") if not path.name.startswith(".")}
        keys, rows = [], []
        for name in sorted(names - self._seen):
            segment = self._read(self.folder / name)
            if segment is not None:
                keys.append(segment[0])
                rows.append(segment[1])
            self._seen.add(name)
        if keys:
            self._merge(keys, rows)

    def _read(self, path: Path) -> tuple[np.ndarray, Float[np.ndarray, "texts width"]] | None:
        """One segment; None, with a warning, where it is damaged."""
        try:
            parts = load_file(path)
            keys, rows = parts["keys"], parts["rows"]
        except (OSError, SafetensorError, KeyError) as error:
            logger.warning("segment %s cannot be read and is ignored (%s)", path, error)
            return None
        if keys.dtype != np.uint8 or rows.dtype != np.float32 or keys.shape != (len(rows), _KEY.itemsize):
            logger.warning("segment %s has another layout and is ignored", path)
            return None
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise BadInputError(
                f"segment holds embeddings of shape {rows.shape}, and width {self.width} was asked for",
                record=str(path),
                remedy="Give every model its own hash.",
            )
        return np.ascontiguousarray(keys).view(_KEY)[:, 0], rows

    def _merge(self, keys: list[np.ndarray], rows: list[np.ndarray]) -> None:
        known, first = np.unique(np.concatenate([self._keys, *keys]), return_index=True)
        self._rows = np.concatenate([self._rows, *rows])[first]
        self._keys = known

    def _find(self, keys: np.ndarray) -> Int[np.ndarray, " keys"]:
        """Row of each key, −1 where unknown."""
        if not len(self._keys):
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, at, -1)


def _keys_of(texts: Sequence[str]) -> np.ndarray:
    """Digests of texts as fixed-length hexadecimal strings, shape (texts,)."""
    # 128 bits: a collision among a billion texts has odds of 1 in 10²⁰. Hexadecimal, for numpy's
    # byte strings drop trailing zero bytes.
    digests = [
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts
    ]
    return np.array(digests, dtype=_KEY)


def _as_bytes(keys: np.ndarray) -> np.ndarray:
    return np.frombuffer(keys.tobytes(), np.uint8).reshape(len(keys), _KEY.itemsize)
