"""The properties of an entry: name, type, unit, and what may be asked of each.

OPTIMADE specification v1.2, "Structures Entries" and "Property Definitions".
"""

import re
from dataclasses import dataclass

PREFIX = "_prismat_"
"""Of properties beyond the standard."""
_OWN_PREFIX = re.compile(r"_[a-z0-9]+_")


@dataclass(frozen=True)
class Field:
    """One property of an entry.

    Attributes:
        name: as in ``attributes`` of an entry.
        type: OPTIMADE data type: string, integer, float, timestamp or list.
        description: for people.
        unit: None for a pure number and for what is no number.
        queryable: whether a filter may ask for it.
        items: data type of the items of a queryable list.
    """

    name: str
    type: str
    description: str
    unit: str | None = None
    queryable: bool = True
    items: str = ""

    @property
    def sortable(self) -> bool:
        """Whether entries can be ordered by it: all single values that can be asked for."""
        return self.queryable and self.type != "list"


STANDARD = (
    Field("id", "string", "Identifier of the entry."),
    Field("type", "string", "Type of the entry: structures."),
    Field("immutable_id", "string", "Source and the identifier that the source itself uses."),
    Field("last_modified", "timestamp", "When the data set was prepared."),
    Field("elements", "list", "Symbols of the elements, by alphabet.", items="string"),
    Field("nelements", "integer", "Number of elements."),
    Field("elements_ratios", "list", "Atomic fractions, in the order of elements.", items="float"),
    Field("chemical_formula_descriptive", "string", "Formula, most electropositive element first."),
    Field("chemical_formula_reduced", "string", "Reduced formula in whole numbers, by alphabet."),
    Field("chemical_formula_hill", "string", "Formula unit in Hill order; null with fractional amounts."),
    Field("chemical_formula_anonymous", "string", "Reduced formula with A, B … for the elements."),
    Field("dimension_types", "list", "1 for each direction in which the structure repeats.", items="integer"),
    Field("nperiodic_dimensions", "integer", "Directions in which the structure repeats."),
    Field("lattice_vectors", "list", "Vectors of the primitive cell.", "Å", queryable=False),
    Field("cartesian_site_positions", "list", "Positions of the sites.", "Å", queryable=False),
    Field("nsites", "integer", "Number of sites in the primitive cell."),
    Field("species", "list", "What sits on sites, with its concentrations.", queryable=False),
    Field("species_at_sites", "list", "Name of the species on each site.", queryable=False),
    Field("structure_features", "list", "disorder where a site is mixed or partly empty.", items="string"),
    Field("space_group_it_number", "integer", "Number of the space group in International Tables, volume A."),
    Field(f"{PREFIX}title", "string", "Title of the publication, or name of the mineral."),
    Field(f"{PREFIX}spacegroup", "string", "Hermann–Mauguin symbol of the space group."),
    Field(f"{PREFIX}spacegroup_number", "integer", "Number of the space group."),
    Field(f"{PREFIX}source", "string", "Database that the entry came from."),
    Field(f"{PREFIX}licence", "string", "Terms of the entry, as its source tells them."),
    Field(f"{PREFIX}citation", "string", "What to cite for the entry."),
)
"""Every server has these; those of the index's own properties follow."""
ABSENT = (
    "assemblies",
    "space_group_symbol_hall",
    "space_group_symbol_hermann_mauguin",
    "space_group_symbol_hermann_mauguin_extended",
    "space_group_symmetry_operations_xyz",
)
"""Properties of the standard that no entry here has: null where they are asked for."""


def property_field_name(name: str) -> str:
    """Name under which a property of the index is served, in the letters that the standard allows."""
    return PREFIX + (re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_") or "property")


def is_foreign(name: str) -> bool:
    """Whether a property belongs to another provider: such are unknown, not wrong."""
    return bool(_OWN_PREFIX.match(name)) and not name.startswith(PREFIX)


def is_unknown(name: str) -> bool:
    """Whether a property can exist, but has no value here."""
    return name in ABSENT or is_foreign(name)
