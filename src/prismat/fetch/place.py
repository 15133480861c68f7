"""Where fetched data are kept."""

from pathlib import Path

from prismat.files import digest
from prismat.packaged import cache_dir


def fetched_folder(source: str, query: object, cache: Path | None = None) -> Path:
    """Folder of one query to one source; the same query finds it again.

    Args:
        source: name of the source.
        query: what is asked, as JSON.
        cache: folder for all that is fetched; that of Prismat where None.
    """
    root = Path(cache) if cache is not None else cache_dir() / "fetched"
    return root / f"{source}-{digest(query)[:16]}"
