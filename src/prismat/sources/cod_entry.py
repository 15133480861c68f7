"""One entry of the Crystallography Open Database: whether it is taken, and what is known of it."""

import math
import re
from typing import Literal

from prismat.cif_values import first_value
from prismat.errors import BadInputError
from prismat.material import Property
from prismat.sources.cif_markup import plain_title
from prismat.sources.cod_table import Row
from prismat.sources.crossref import plain_doi

Flag = Literal["duplicate", "suboptimal", "retracted", "errors", "theoretical"]

_FLAG = re.compile(
    r"^_(?:\[local\]_)?cod_(error_flag|duplicate_entry|suboptimal_structure|database_code)[ \t]+(\S+)",
    re.MULTILINE,
)
_OTHER = re.compile(r"[1-9]\d{6}")
_YEAR = re.compile(r"(?:1[6-9]|20)\d\d")
_CIF_TAGS = {
    "title": ("_publ_section_title", "_publ.section_title"),
    "journal": ("_journal_name_full", "_journal.name_full"),
    "year": ("_journal_year", "_journal.year"),
    "volume": ("_journal_volume", "_journal.volume"),
    "firstpage": ("_journal_page_first", "_journal.page_first"),
    "doi": ("_journal_paper_doi", "_journal.paper_doi"),
    "mineral": ("_chemical_name_mineral", "_chemical.name_mineral"),
    "chemname": ("_chemical_name_systematic", "_chemical.name_systematic"),
}
_NEEDED = ("title", "journal", "year", "doi")
_GPA_OF_KPA = 1e-6


def left_out(row: Row, kept: tuple[Flag, ...] = ()) -> str:
    """Why an entry is not taken, by its row; empty where it is.

    Args:
        row: of the table.
        kept: flags that do not matter.
    """
    if "problem" in row:
        return row["problem"]
    status = row.get("status", "").lower()
    better = f"entry {row['optimal']}" if _OTHER.fullmatch(row.get("optimal", "")) else ""
    reasons = _reasons(row.get("duplicateof", ""), better, status)
    reasons |= {"theoretical": "a theoretical structure" if row.get("method") == "theoretical" else ""}
    found = next((reason for flag, reason in reasons.items() if reason and flag not in kept), "")
    known = row.get("flags", "")
    return found or ("" if not known or "has coordinates" in known else "the entry has no coordinates")


def check_flags(text: str, number: str, kept: tuple[Flag, ...] = ()) -> None:
    """Refuses a CIF that says it is flagged, or that it is another entry.

    Raises:
        BadInputError: what it says.
    """
    said = {name: value.strip("'\"") for name, value in _FLAG.findall(text)}
    if said.get("database_code", number) != number:
        raise BadInputError(f"the CIF is that of entry {said['database_code'][:40]}", field="CIF")
    better = "another entry" if said.get("suboptimal_structure", "").lower() == "yes" else ""
    reasons = _reasons(said.get("duplicate_entry", ""), better, said.get("error_flag", "").lower())
    for flag, reason in reasons.items():
        if reason and flag not in kept:
            raise BadInputError(reason, field="CIF")


def _reasons(duplicate_of: str, better: str, status: str) -> dict[str, str]:
    return {
        "duplicate": f"a duplicate of entry {duplicate_of}" if _OTHER.fullmatch(duplicate_of) else "",
        "suboptimal": f"suboptimal: {better} is better" if better else "",
        "retracted": "retracted" if "retracted" in status else "",
        "errors": "COD says it has errors" if "error" in status else "",
    }


def facts_of(row: Row, text: str) -> Row:
    """What is known of an entry; the CIF completes what the table does not say of title and publication."""
    said = {} if all(name in row for name in _NEEDED) else _of_cif(text)
    facts = said | row
    for name in ("title", "mineral", "chemname", "commonname"):
        facts[name] = plain_title(facts.get(name, ""))
    facts["doi"] = plain_doi(facts.get("doi", ""))
    facts["year"] = facts["year"] if _YEAR.fullmatch(facts.get("year", "")) else ""
    return facts


def tags_of(facts: Row) -> dict[str, str]:
    """Tags of an entry; a publication is known by its DOI, else by journal, volume, year and page."""
    journal, volume, page = (facts.get(name, "") for name in ("journal", "volume", "firstpage"))
    reference = [journal, volume, f"({facts['year']})" if facts["year"] else "", page]
    named = {
        "doi": facts["doi"],
        "journal": journal,
        "year": facts["year"],
        "publication": facts["doi"] or (" ".join(filter(None, reference)) if journal and page else ""),
        "mineral": facts["mineral"],
        "chemname": facts["chemname"] or facts["commonname"],
    }
    return {name: value for name, value in named.items() if value}


def conditions_of(row: Row) -> dict[str, Property]:
    """Temperature (K) and pressure (GPa) of the measurement, where the table states them."""
    found = {}
    temperature = _positive(row, "diffrtemp") or _positive(row, "celltemp")
    pressure = _positive(row, "diffrpressure") or _positive(row, "cellpressure")
    if temperature:
        found["temperature"] = Property(temperature, "K")
    if pressure:
        found["pressure"] = Property(pressure * _GPA_OF_KPA, "GPa")
    return found


def _positive(row: Row, name: str) -> float:
    """A number of the row; 0 where it is not known."""
    try:
        value = float(row.get(name, ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _of_cif(text: str) -> Row:
    import gemmi

    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError):
        return {}
    found = {}
    for name, tags in _CIF_TAGS.items():
        value = next(filter(None, (first_value(block, tags) for block in document)), "")
        if value:
            found[name] = value
    return found
