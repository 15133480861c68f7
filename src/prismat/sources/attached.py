"""Any source with densities of states and charge densities computed by ``prismat compute``."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from prismat.compute.results import read_facts, read_measurements
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.files import digest
from prismat.material import Material, Reject
from prismat.modalities.standard_cell import standardize
from prismat.sources.base import Source

COMPUTED = "computed"
"""Tag that says how the measurements were computed."""
_BLOCK = 512
_VOLUME_TOLERANCE = 0.01


class AttachedSource:
    """The materials of a source, with the computed measurements of those that have some, found by id.

    A material gets ``dos`` and ``charge_density`` as far as they were computed, in place of its own, and the
    tag ``computed``, which says how. A result that was computed for another structure makes a reject.

    Args:
        source: where the materials come from.
        folder: of ``prismat compute``.
        only: leave out rows, rejects included, for whose id nothing was computed. The source is then read
            once to find them.

    Raises:
        BadInputError: no results in the folder, or files there that are none.
    """

    def __init__(self, source: Source, folder: Path, only: bool = False) -> None:
        self.source, self.folder, self.only = source, Path(folder), only
        self.name, self.licence, self.citation = source.name, source.licence, source.citation
        if not self._facts:
            raise BadInputError(
                "no computed results in it", record=str(folder), remedy="Run 'prismat compute' first."
            )

    def fingerprint(self) -> str:
        """SHA-256 over the source's, the content of every result, and whether others are left out."""
        results = {id_: facts["sha256"] for id_, facts in self._facts.items()}
        return digest(self.source.fingerprint(), results, self.only)

    def __len__(self) -> int:
        return len(self._rows) if self.only else len(self.source)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Rows start … stop − 1; a result that does not belong to its material makes a Reject."""
        if self.only:
            for row in self._rows[start:stop]:
                yield from map(self._with_measurements, self.source.read(row, row + 1))
        else:
            yield from map(self._with_measurements, self.source.read(start, stop))

    def __getstate__(self) -> dict[str, Any]:
        """Travels with the numbers of its rows, and reads its results again."""
        state = self.__dict__ | ({"_rows": self._rows} if self.only else {})
        state.pop("_facts", None)
        return state

    @cached_property
    def _facts(self) -> dict[str, dict[str, Any]]:
        return read_facts(self.folder)

    @cached_property
    def _rows(self) -> list[int]:
        """Rows of the source whose id has a result."""
        found: list[int] = []
        for start in range(0, len(self.source), _BLOCK):
            block = self.source.read(start, start + _BLOCK)
            found += [row for row, item in enumerate(block, start) if item.id in self._facts]
        return found

    def _with_measurements(self, item: Material | Reject) -> Material | Reject:
        facts = self._facts.get(item.id)
        if facts is None or isinstance(item, Reject):
            return item
        try:
            check_belongs(item, facts)
            found = read_measurements(self.folder, facts)
        except BadInputError as error:
            return Reject.because(item.id, error)
        return replace(
            item,
            measurements={**item.measurements, **found},
            tags={**item.tags, COMPUTED: facts["method"]},
        )


def check_belongs(material: Material, facts: dict[str, Any]) -> None:
    """Refuses a result of another structure: formula, and atoms and volume of the primitive cell.

    Raises:
        BadInputError: it is of another one, or the material has no structure.
    """
    crystal = material.structure
    if crystal is not None and crystal.periodic and crystal.formula == facts["formula"]:
        primitive = standardize(crystal).primitive
        if len(primitive) == facts["n_atoms"] and _same_volume(primitive, facts):
            return
    raise BadInputError(
        f"what was computed is of {facts['formula']} with {facts['n_atoms']} atoms in "
        f"{facts['volume_a3']:.2f} Å³, another structure",
        record=material.id,
        field=COMPUTED,
        remedy="Compute this source's own structures, or attach the results to the source they belong to.",
    )


def _same_volume(primitive: Crystal, facts: dict[str, Any]) -> bool:
    return abs(primitive.volume / facts["volume_a3"] - 1) <= _VOLUME_TOLERANCE
