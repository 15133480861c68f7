"""What two records may have in common besides the structure: text, publication, mineral, original id."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from prismat.hygiene.parts import Part

Keys = list[tuple[str, ...]]
"""For each record what it would share with another; nothing for a record that has no such thing."""

_DOI = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", re.IGNORECASE)


def text_keys(part: Part) -> Keys:
    """Texts by kind, whatever their case and blanks."""
    return [
        tuple(f"{kind}: {clean}" for kind, text in texts if (clean := _clean(text)))
        for texts in part.column("texts")
    ]


def formula_keys(part: Part) -> Keys:
    """Reduced formulas."""
    return [(formula,) if formula else () for formula in part.column("formula")]


def publication_keys(part: Part) -> Keys:
    """Journal references and DOIs."""
    return _of_tags(part, lambda tags: (tags.get("publication", ""), _DOI.sub("", tags.get("doi", ""))))


def mineral_keys(part: Part) -> Keys:
    """Names of minerals."""
    return _of_tags(part, lambda tags: (tags.get("mineral", ""),))


def original_keys(part: Part) -> Keys:
    """Ids at the source; a bare number is an id only beside the name of its source."""
    found = []
    for entries in part.column("provenance"):
        told = dict(entries)
        identifier = _clean(told.get("source_id", ""))
        is_telling = any(c.isalpha() for c in identifier) and any(c.isdigit() for c in identifier)
        found.append((identifier if is_telling else f"{told['source']} {identifier}",) if identifier else ())
    return found


def _of_tags(part: Part, read: Callable[[Mapping[str, Any]], tuple[str, ...]]) -> Keys:
    return [tuple(clean for v in read(dict(t)) if (clean := _clean(v))) for t in part.column("tags")]


def _clean(text: str) -> str:
    return " ".join(text.split()).casefold()


KEYS: dict[str, Callable[[Part], Keys]] = {
    "text": text_keys,
    "publication": publication_keys,
    "mineral": mineral_keys,
    "original_id": original_keys,
}
"""What may be shared, by name."""
