"""The library of what a server serves."""

from typing import TYPE_CHECKING

import pyarrow as pa

from prismat.app.optimade.library import Library
from prismat.search.filters import PROPERTY
from prismat.search.index_files import SCHEMA, property_field

if TYPE_CHECKING:
    from prismat.app.state import Served
    from prismat.search.backends.base import SearchIndex


def library_of(served: "Served") -> Library:
    """Records of a server's index, with the structures of its store."""
    table = getattr(served.index, "table", None)
    if not isinstance(table, pa.Table):
        table = _table_of(served.index)
    return Library(table, dict(served.index.units), served.store)


def _table_of(index: "SearchIndex") -> pa.Table:
    """Metadata of an index that keeps them in a database of its own."""
    hits = index.records(0, len(index))
    columns = {
        name: pa.array([getattr(hit, name) for hit in hits], SCHEMA.field(name).type) for name in SCHEMA.names
    }
    table = pa.table(columns, schema=SCHEMA)
    for name, unit in index.units.items():
        values = [hit.properties[name].value if name in hit.properties else None for hit in hits]
        table = table.append_column(property_field(name, unit), pa.array(values, pa.float64()))
    return table.rename_columns([*SCHEMA.names, *(PROPERTY + name for name in index.units)])
