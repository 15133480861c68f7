"""Development data that are no part of the project: tests that use them are skipped where they are absent."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SHARED = Path(os.environ.get("PRISMAT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared_rows(name: str, count: int | None = None) -> list[dict]:
    """Rows of a Parquet file."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not in PRISMAT_SHARED_DATA")
    table = pq.read_table(path)
    return (table if count is None else table.slice(0, count)).to_pylist()
