"""What refractiveindex.info says about materials in prose, in the public domain (CC0).

Polyanskiy, Sci. Data 11, 94 (2024), as the files about.yml of the package refractiveindex. Spectra of n and k
are not read.
"""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from prismat.errors import BadInputError
from prismat.material import Material
from prismat.packaged import REFRACTIVE_INDEX
from prismat.sources.packaged_base import PackagedSource, read_whole, wrong_form

MAX_BYTES = 1_000_000

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_KEY = re.compile(r"([A-Z]+):\s*(.*)")
_MINERAL = re.compile(r"^Minerals?: *(.+)$", re.MULTILINE)
_FORMULA = re.compile(r"(?:[A-Z][a-z]?(?:\d+(?:\.\d+)?)?)+")

Row = tuple[str, Path]
"""Folder of the material below ``data``, and its about.yml."""


class RefractiveIndexSource(PackagedSource):
    """Names and prose of a material in each row; those without prose are rejected."""

    name = "refractiveindex"
    licence = "CC0 1.0"
    citation = "Polyanskiy, Sci. Data 11, 94 (2024), doi:10.1038/s41597-023-02898-2"
    files = (REFRACTIVE_INDEX,)

    def load(self, paths: tuple[Path, ...]) -> Sequence[Row]:
        """All files of the folder, sorted."""
        root = paths[0].resolve()
        found = [p for p in sorted(root.rglob("about.yml")) if p.resolve().is_relative_to(root)]
        if not found:
            raise wrong_form(paths[0], "no about.yml in it")
        return [(p.parent.relative_to(root).as_posix(), p) for p in found]

    def identifier(self, row: Row) -> str:
        """The set's name and the folder's."""
        return f"{self.name}-{row[0]}"

    def material(self, row: Row) -> Material:
        """Prose and names of a material."""
        place, path = row
        names, prose = read_about(read_whole(path, MAX_BYTES).decode("utf-8", errors="replace"))
        if not prose:
            raise BadInputError("no text about it", field="ABOUT")
        shelf, _, rest = place.partition("/")
        formula = rest.rpartition("/")[2].partition(" - ")[0]
        mineral = _MINERAL.search(prose)
        tags = {
            "name": names[0] if names else "",
            "names": "; ".join(names),
            "shelf": shelf,
            "mineral": mineral[1].strip() if mineral else "",
            "reported_formula": formula
            if shelf in ("main", "organic") and _FORMULA.fullmatch(formula)
            else "",
        }
        return Material(
            self.identifier(row),
            texts={"description": prose},
            tags={key: value for key, value in tags.items() if value},
            provenance=self.provenance(place),
        )


def read_about(text: str) -> tuple[list[str], str]:
    """Names and prose of an about.yml, without marks of HTML.

    The files use three forms of YAML only: top-level keys, lists of plain words, and indented text.

    Args:
        text: contents of the file.

    Returns:
        Names, the preferred one first; the text below ``ABOUT``, empty where there is none.
    """
    parts: dict[str, list[str]] = {}
    key = ""
    for line in text.splitlines():
        match = _KEY.fullmatch(line)
        if match:
            key = match[1]
            parts[key] = [] if match[2] in ("", "|", ">") else [match[2]]
        elif key and not line.startswith("#"):
            parts[key].append(line)
    items = [line.strip() for line in parts.get("NAMES", ())]
    names = [_plain(item.removeprefix("-").strip().strip("'\"")) for item in items if item.startswith("-")]
    return [name for name in names if name], _plain(
        "\n".join(line.strip() for line in parts.get("ABOUT", ()))
    )


def _plain(text: str) -> str:
    """Text without tags and entities; lines keep apart, empty ones at most one by one."""
    bare = html.unescape(_TAG.sub("", text))
    lines = [" ".join(line.split()) for line in bare.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
