"""4,764 computed crystals with refractive index: matbench_dielectric as crystal-toolkit carries it."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prismat.crystal import check
from prismat.errors import BadInputError
from prismat.material import Material, Property
from prismat.packaged import MATBENCH_DIELECTRIC
from prismat.sources.packaged_base import PackagedSource, read_whole, wrong_form
from prismat.sources.pymatgen_json import crystal_from_dict

MAX_BYTES = 200_000_000
"""Of the JSON; the pinned file unpacks to 25 MB."""

Row = tuple[str, str, Any]
"""Row number, the structure's JSON, and the refractive index."""


class MatbenchDielectricSource(PackagedSource):
    """A crystal and its refractive index in each row; the file keeps no other id than the row's number."""

    name = "dielectric"
    licence = "data: not stated; packaged by crystal-toolkit (BSD 3-Clause, University of California)"
    citation = (
        "Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134; "
        "Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"
    )
    files = (MATBENCH_DIELECTRIC,)

    def load(self, paths: tuple[Path, ...]) -> Sequence[Row]:
        """Rows whose structures stay text until they are read, which takes a tenth of the memory."""
        text = read_whole(paths[0], MAX_BYTES, packed=True).decode("utf-8", errors="replace")
        try:
            columns = dict(_entries(text))
            indices = json.loads(columns["n"])
            return [(key, structure, indices.get(key)) for key, structure in _entries(columns["structure"])]
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise wrong_form(paths[0], error) from error

    def identifier(self, row: Row) -> str:
        """The set's name and the row's number."""
        return f"{self.name}-{row[0]}"

    def material(self, row: Row) -> Material:
        """Structure and refractive index of a row."""
        key, structure, index = row
        if not isinstance(index, (int, float)) or not math.isfinite(index):
            raise BadInputError(f"a refractive index of {index!r}", field="n")
        return Material(
            self.identifier(row),
            check(crystal_from_dict(json.loads(structure)), self.max_sites),
            properties={"refractive_index": Property(float(index), "")},
            provenance=self.provenance(key),
        )


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Keys of a JSON object and the text of their values, without what JSON allows but pandas never writes.

    Raises:
        ValueError: the text is no such object.
    """
    decoder, place = json.JSONDecoder(), 1
    if not text.startswith("{"):
        raise ValueError("no JSON object")
    while not text.startswith("}", place):
        key, end = decoder.raw_decode(text, place)
        if not text.startswith(":", end):
            raise ValueError(f"no value of {str(key)[:40]!r}")
        _, place = decoder.raw_decode(text, end + 1)
        yield key, text[end + 1 : place]
        place += text.startswith(",", place)
