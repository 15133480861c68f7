"""The files of a map: JSON for words, safetensors for numbers; nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from prismat.errors import BadInputError, VersionError
from prismat.files import read_limited, replacing, sha256, write_json

FORMAT_VERSION = 1
_AGAIN = "Run prismat map to make it again."
_LARGEST = 1 << 30


def write_world(
    folder: Path, content: Mapping[str, Any], arrays: Mapping[str, Shaped[np.ndarray, "..."]]
) -> None:
    """Writes ``world.safetensors``, then ``world.json``, which names its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "world.safetensors") as temporary:
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, temporary)
    stamp = sha256(folder / "world.safetensors")
    write_json(folder / "world.json", {"format_version": FORMAT_VERSION, "arrays_sha256": stamp, **content})


def read_world(folder: Path) -> tuple[dict[str, Any], dict[str, Shaped[np.ndarray, "..."]]]:
    """Words and numbers of a map.

    Raises:
        BadInputError: no map there, or a file is missing or damaged.
        VersionError: another format version.
    """
    path = folder / "world.json"
    if not path.is_file():
        raise BadInputError("there is no map", record=str(folder), remedy="Run prismat map.")
    try:
        content = json.loads(read_limited(path, _LARGEST).decode())
    except ValueError as error:
        raise BadInputError("world.json is damaged", record=str(folder), remedy=_AGAIN) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise VersionError(
            f"The map {str(folder)!r} has format version {version}, this program reads {FORMAT_VERSION}. "
            + _AGAIN
        )
    numbers = folder / "world.safetensors"
    if not numbers.is_file() or sha256(numbers) != content.get("arrays_sha256"):
        raise BadInputError("world.safetensors is missing or damaged", record=str(folder), remedy=_AGAIN)
    try:
        return content, load_file(numbers)
    except (SafetensorError, OSError) as error:
        raise BadInputError("world.safetensors is damaged", record=str(folder), remedy=_AGAIN) from error
