"""Text-mined synthesis recipes, joined to the structures of their products.

O. Kononova et al., Sci. Data 6, 203 (2019): solid-state and sol-gel reactions; Z. Wang et al., Sci. Data 9,
231 (2022): reactions in solution. Files are JSON: an array of reactions, or an object with it as
``reactions``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from prismat.crystal import MAX_SITES, Crystal, check
from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.pages import PageMirror, Row
from prismat.fetch.place import fetched_folder
from prismat.files import sha256 as sha256_of
from prismat.material import Material, Property, Provenance, Reject
from prismat.sources.data_file import DataFile
from prismat.sources.json_rows import json_members, keep_rows, seen_fields
from prismat.sources.mirrored import MirroredSource
from prismat.sources.synthesis_join import (
    Match,
    StructureIndex,
    open_structures,
    read_crystals,
    write_crystals,
)
from prismat.sources.synthesis_recipe import read_recipe

Dataset = Literal["solid-state", "sol-gel", "solution"]

_HUB = "https://github.com/CederGroupHub"
URLS: dict[Dataset, str] = {
    "solid-state": f"{_HUB}/text-mined-synthesis_public/raw/master/solid-state_dataset_20200713.json.xz",
    "sol-gel": f"{_HUB}/text-mined-synthesis_public/raw/master/sol-gel_dataset_20200713.json.xz",
    "solution": f"{_HUB}/text-mined-solution-synthesis_public/raw/main/"
    "solution-synthesis_dataset_2021-8-5.json.zip",
}
"""Public addresses of the data sets."""

_KONONOVA = "Kononova et al., Sci. Data 6, 203 (2019), doi:10.1038/s41597-019-0224-1"
_WANG = "Wang et al., Sci. Data 9, 231 (2022), doi:10.1038/s41597-022-01317-2"
_VERSION = 2
"""Raised whenever other texts or matches come of the same file."""
_PAGE = 256
_CRYSTALS = "structures.parquet"


@dataclass(frozen=True)
class SynthesisOptions:
    """Which recipes are read, and what they are joined to.

    Attributes:
        dataset: ``solid-state``, ``sol-gel`` (both Kononova 2019) or ``solution`` (Wang 2022).
        path: the file, .json, .json.xz or .json.zip; fetched once where not given.
        structures: a prepared store, or a Parquet table as the layout mp2018 has it; no structures where not
            given.
        unmatched: keep recipes for which there is no structure as texts alone, or reject them.
        group: every reaction is a record, or all reactions of one product are one.
        name_target: name the product in the text.
        limit: rows drawn at random, by a fixed seed; 0 for all.
        max_sites: larger cells are rejected.
        url: where the file is fetched; the public address of the data set where empty.
        sha256: of the file, checked where given.
        cache: folder for what is fetched; that of Prismat where not given.
    """

    dataset: Dataset = "solid-state"
    path: Path | None = None
    structures: Path | None = None
    unmatched: Literal["keep", "reject"] = "keep"
    group: Literal["reaction", "target"] = "reaction"
    name_target: bool = True
    limit: int = 0
    max_sites: int = MAX_SITES
    url: str = ""
    sha256: str = ""
    cache: Path | None = None

    def open(self) -> "SynthesisSource":
        """The source."""
        return SynthesisSource(self)


class SynthesisSource(MirroredSource):
    """Recipes as texts of kind ``synthesis``, each with the structure of its product where one is found.

    Tags: ``target``, ``precursors``, ``doi``, ``matched_by`` (``mp_id``, ``formula`` or ``none``),
    ``structure`` (its id), ``candidates`` (structures of that composition, of which the most stable was
    taken), ``compositions`` (how many the formula stands for, where several; the structure is one of them),
    ``additives`` (dopants that the structure lacks), ``route``, ``recipes`` (how many, where several), and
    what a split keeps together: ``publication`` (the DOI) and, without a structure, ``group`` (the
    composition). Properties: ``synthesis_temperature`` (°C) of the hottest heating,
    ``heating_time`` (h) of all heating; of several recipes in one record, the median. With a structure, also
    the properties that its table or store has of it, under their names and in their units.

    Args:
        options: which recipes.
        client: asks the server; a polite one where None.
    """

    name = "synthesis"

    def __init__(self, options: SynthesisOptions | None = None, client: Client | None = None) -> None:
        self.options = options or SynthesisOptions()
        super().__init__(self.options.limit, client)
        self.licence = "CC BY 4.0"
        self.citation = _WANG if self.options.dataset == "solution" else _KONONOVA
        self._structures = open_structures(self.options.structures) if self.options.structures else None
        self._crystals: dict[int, Crystal | None] = {}
        if self._structures:
            self.licence = f"{self.licence}; structures: {self._structures.licence or 'not stated'}"
            self.citation = "; ".join(filter(None, (self.citation, self._structures.citation)))

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Rows start … stop − 1; one that cannot be a material comes as a Reject."""
        rows = list(self._read_rows(start, stop))
        self._crystals = read_crystals(
            self._rows().folder / _CRYSTALS, {row["row"] for _, row in rows if row.get("row") is not None}
        )
        for number, row in rows:
            yield self._made(number, row)

    def _kept_rows(self, progress: Callable[[int], None] | None) -> PageMirror:
        options, structures = self.options, self._structures
        url = options.url or URLS[options.dataset]
        file = DataFile(self.name, url, options.path, options.sha256, cache=options.cache).obtain(
            self._client
        )
        query = {
            "file": sha256_of(file),
            "structures": structures.fingerprint() if structures else "",
            "made": [options.dataset, options.group, options.name_target, _VERSION],
        }
        mirror = PageMirror(fetched_folder(self.name, query, options.cache), query)
        keep_rows(mirror, lambda: self._recipes(file), _PAGE, progress)
        path = mirror.folder / _CRYSTALS
        if structures and not path.is_file():
            found = {row["row"] for row in mirror.rows(0, len(mirror)) if row.get("row") is not None}
            write_crystals(structures, sorted(found), path)
        return mirror

    def _recipes(self, file: Path) -> Iterator[Row]:
        index = StructureIndex(self._structures.entries() if self._structures else ())
        rows = read_rows(file, self.options.dataset, index, self.options.name_target)
        return by_target(rows) if self.options.group == "target" else rows

    def _described(self) -> Any:
        return [self.options.unmatched, self.options.max_sites]

    def _id(self, number: int, row: Row) -> str:  # noqa: ARG002 - the row has its own
        return row["id"]

    def _material(self, number: int, row: Row) -> Material:
        if problem := row.get("problem"):
            raise BadInputError(problem)
        identifier, recipes = self._id(number, row), row["recipes"]
        crystal = self._crystal(row)
        return Material(
            identifier,
            crystal,
            texts={"synthesis": "\n".join(dict.fromkeys(recipe["text"] for recipe in recipes))},
            properties=_structure_properties(row) | _properties(recipes),
            tags=_tags(row),
            provenance=Provenance(self.name, identifier, self.licence, self.citation),
        )

    def _crystal(self, row: Row) -> Crystal | None:
        if row["row"] is None:
            if self.options.unmatched == "reject":
                raise BadInputError("no structure of this product", field="structures", remedy="Keep them.")
            return None
        crystal = self._crystals.get(row["row"])
        if crystal is None:
            raise BadInputError(f"the structure {row['structure']} cannot be read", field="structures")
        return check(crystal, self.options.max_sites)


def read_rows(file: Path, dataset: str, index: StructureIndex, name_target: bool = True) -> Iterator[Row]:
    """Every reaction of a file as what is known of it and of its structure.

    That is {id, recipes: [recipe], row, structure, matched_by, candidates, properties}.

    A reaction that is none comes as {id, problem}.

    Args:
        file: JSON, packed or not.
        dataset: first part of the ids.
        index: of structures.
        name_target: whether the texts name the product.

    Raises:
        BadInputError: no JSON, damaged, or of another form.
    """
    found = (value for name, value in json_members(file, "reactions") if name == "reactions")
    entries = (value if isinstance(value, dict) else {} for value in found)
    needed = ("target", "precursors", "operations")
    for number, entry in enumerate(seen_fields(entries, needed, f"data set {dataset}"), start=1):
        identifier = f"{dataset}-{number:05d}"
        try:
            recipe = read_recipe(entry, name_target)
        except (BadInputError, ValueError, TypeError, AttributeError) as error:
            yield {"id": identifier, "problem": Reject.because(identifier, error).reason}
        else:
            yield {"id": identifier, "recipes": [asdict(recipe)], **_told(index.find(recipe))}


def by_target(rows: Iterable[Row]) -> Iterator[Row]:
    """One row per structure, or per formula where there is none, with all its recipes; the first one's id."""
    groups: dict[Any, Row] = {}
    for row in rows:
        if "problem" in row:
            groups["problem", row["id"]] = row
            continue
        target = row["recipes"][0]["target"]
        key = ("structure", row["row"]) if row["row"] is not None else ("formula", target)
        if key in groups:
            groups[key]["recipes"] += row["recipes"]
        else:
            groups[key] = row
    yield from groups.values()


def _told(match: Match | None) -> Row:
    if match is None:
        return {"row": None, "structure": "", "matched_by": "none", "candidates": 0, "properties": {}}
    entry = match.entry
    return {
        "row": entry.row,
        "structure": entry.ids[0],
        "matched_by": match.by,
        "candidates": match.candidates,
        "properties": {name: list(known) for name, known in entry.properties.items()},
    }


def _tags(row: Row) -> dict[str, str]:
    recipes: list[Row] = row["recipes"]
    first = recipes[0]
    dois = list(dict.fromkeys(recipe["doi"] for recipe in recipes if recipe["doi"]))
    found = {
        "target": first["target"],
        "precursors": "; ".join(dict.fromkeys(", ".join(recipe["precursors"]) for recipe in recipes)),
        "doi": "; ".join(dois),
        "publication": dois[0] if len(dois) == 1 else "",
        "matched_by": row["matched_by"],
        "structure": row["structure"],
        "candidates": str(row["candidates"] or ""),
        "compositions": str(len(first["formulas"])) if len(first["formulas"]) > 1 else "",
        "additives": ", ".join(dict.fromkeys(one for recipe in recipes for one in recipe["additives"])),
        "route": "; ".join(dict.fromkeys(recipe["route"] for recipe in recipes)),
        "recipes": str(len(recipes)) if len(recipes) > 1 else "",
        # What has no structure has no composition either that a split could keep together.
        "group": "" if row["structure"] else next(iter(first["formulas"]), first["target"]),
    }
    return {name: value for name, value in found.items() if value}


def _structure_properties(row: Row) -> dict[str, Property]:
    """What is known of the structure."""
    return {name: Property(value, unit) for name, (value, unit) in row["properties"].items()}


def _properties(recipes: Sequence[Row]) -> dict[str, Property]:
    """Median over the recipes that tell it."""
    found = {}
    for name, key, unit in (("synthesis_temperature", "temperature", "°C"), ("heating_time", "hours", "h")):
        values = [recipe[key] for recipe in recipes if recipe[key] is not None]
        if values:
            found[name] = Property(float(median(values)), unit)
    return found
