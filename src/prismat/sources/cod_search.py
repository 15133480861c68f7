"""What to take from the Crystallography Open Database: as a request to it, and as a test of a row."""

import re
from dataclasses import dataclass
from typing import Any

from prismat.elements import SYMBOLS
from prismat.errors import BadInputError
from prismat.sources.cod_table import Row

_MOST_WITH, _MOST_WITHOUT = 8, 4
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_SEARCHED = ("title", "mineral", "chemname", "commonname", "journal")
# The search leaves these out unless told otherwise; here they become rejects that say why.
_FLAGGED_TOO = {"include_duplicates": "1", "include_errors": "1", "include_theoretical": "1"}


@dataclass(frozen=True)
class CodSearch:
    """Which entries are wanted; all that is given must hold.

    Attributes:
        text: word or phrase of title, compound or mineral name or journal.
        elements: symbols that the formula must have, eight at most.
        without: symbols that it must not have, four at most.
        min_elements: number of different elements at least; 0 for any.
        max_elements: number of different elements at most; 0 for any.
        max_volume: Å³ of the cell at most; 0 for any.
        years: years of publication; each is one request.
        journal: full name of the journal.
        doi: of the publication.
    """

    text: str = ""
    elements: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    min_elements: int = 0
    max_elements: int = 0
    max_volume: float = 0.0
    years: tuple[int, ...] = ()
    journal: str = ""
    doi: str = ""

    def __post_init__(self) -> None:
        unknown = [s for s in (*self.elements, *self.without) if s not in {*SYMBOLS[1:], "D"}]
        if unknown:
            raise BadInputError(
                f"{unknown[0]!r} is no element", field="elements", remedy="Give symbols such as Ti."
            )
        if len(self.elements) > _MOST_WITH or len(self.without) > _MOST_WITHOUT:
            raise BadInputError(
                "too many elements for one search",
                field="elements",
                remedy=f"Give {_MOST_WITH} to have and {_MOST_WITHOUT} not to have at most.",
            )

    @property
    def is_empty(self) -> bool:
        """Whether it takes every entry."""
        return self == CodSearch()

    def requests(self) -> list[dict[str, str]]:
        """Parameters of each request to the search (https://wiki.crystallography.net/RESTful_API/)."""
        given: dict[str, Any] = {
            "text": self.text,
            **{f"el{i}": symbol for i, symbol in enumerate(self.elements, start=1)},
            **{f"nel{i}": symbol for i, symbol in enumerate(self.without, start=1)},
            "strictmin": self.min_elements,
            "strictmax": self.max_elements,
            "vmax": self.max_volume,
            "journal": self.journal,
            "doi": self.doi,
        }
        common = {name: f"{value}" for name, value in given.items() if value} | _FLAGGED_TOO
        return [{**common, "year": str(year)} for year in sorted(set(self.years))] or [common]

    def columns(self) -> tuple[str, ...]:
        """Columns that a table must have for ``takes``."""
        by_formula = self.elements or self.without or self.min_elements or self.max_elements
        return (("formula",) if by_formula else ()) + (("vol",) if self.max_volume else ())

    def takes(self, row: Row) -> bool:
        """Whether an entry is wanted; rows that are none are taken, so that they are not lost."""
        return "problem" in row or (self._by_content(row) and self._by_publication(row))

    def _by_content(self, row: Row) -> bool:
        if not self.columns():
            return True
        found = set(_SYMBOL.findall(row.get("formula", "")))
        wanted = set(self.elements) <= found and not found & set(self.without)
        few = not self.max_elements or len(found) <= self.max_elements
        small = not self.max_volume or _number(row.get("vol", "")) <= self.max_volume
        return wanted and few and len(found) >= self.min_elements and small

    def _by_publication(self, row: Row) -> bool:
        words = "\n".join(row.get(column, "") for column in _SEARCHED).casefold()
        same = {"journal": self.journal, "doi": self.doi}
        return (
            self.text.casefold() in words
            and (not self.years or row.get("year", "") in {str(year) for year in self.years})
            and all(not v or row.get(k, "").casefold() == v.casefold() for k, v in same.items())
        )


def _number(text: str) -> float:
    """A volume; one that is not known is too large."""
    try:
        return float(text)
    except ValueError:
        return float("inf")
