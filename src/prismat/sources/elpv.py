"""Electroluminescence images of solar cells with the probability of a defect: 2,624 cells of 44 modules.

Buerhop-Lutz et al., EU PVSEC (2018), as the folder ``data`` of the package elpv-dataset.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from prismat.errors import BadInputError
from prismat.formats_image import read_image
from prismat.material import Material, Property, Provenance, Reject
from prismat.packaged import ELPV, folder_sha256, locate_folder

BLOCK = 32
"""Cells in a row that a split keeps together, since neighbours may be of one module."""
_REMEDY = "Give the folder that holds labels.csv and images/ of elpv-dataset 1.0.0.post1."
_TYPES = {"mono": "monocrystalline", "poly": "polycrystalline"}
_COLUMNS = 3


@dataclass(frozen=True)
class ElpvOptions:
    """2,624 electroluminescence images of solar cells with the probability of a defect.

    Attributes:
        path: the folder with labels.csv and images/; obtained by package name, and checked, where not given.
    """

    path: Path | None = None

    def open(self) -> "ElpvSource":
        """The source."""
        return ElpvSource(self.path)


class ElpvSource:
    """Cells as materials: one image, the probability of a defect, and the type of the module.

    The probability is what experts judged, one of 0, 1/3, 2/3 and 1. The package does not say which module a
    cell was cut from; cells of one module stand beside one another in its list, so that blocks of it are kept
    together by a split (tag ``group``).

    Args:
        folder: holds labels.csv and images/; obtained by package name, and checked, where not given.

    Raises:
        BadInputError: the folder is not that of the data set, or cannot be obtained.
    """

    name = "elpv"
    licence = "CC BY-NC-SA 4.0"
    citation = (
        "Buerhop-Lutz et al., EU PVSEC (2018), doi:10.4229/35thEUPVSEC20182018-5CV.3.15; "
        "Deitsch et al., Sol. Energy 185, 455 (2019), doi:10.1016/j.solener.2019.02.067; "
        "Deitsch et al., Mach. Vis. Appl. 32, 84 (2021), doi:10.1007/s00138-021-01191-9"
    )

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder) if folder else locate_folder(ELPV)
        if not (self.folder / "labels.csv").is_file():
            raise BadInputError("no labels.csv in it", record=str(self.folder), remedy=_REMEDY)
        if not self._rows:
            raise BadInputError("labels.csv is empty", record=str(self.folder), remedy=_REMEDY)

    def fingerprint(self) -> str:
        """SHA-256 over names and contents of all files in the folder."""
        return folder_sha256(self.folder)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Cells of rows start … stop − 1; a row that cannot be one comes as a Reject."""
        for number, row in enumerate(self._rows[start:stop], start=start):
            try:
                yield self._material(row, number)
            except BadInputError as error:
                yield Reject.because(f"elpv-row-{number + 1}", error)

    def __getstate__(self) -> dict:
        """Travels to worker processes as a path; the list is read again there."""
        return {"folder": self.folder}

    @cached_property
    def _rows(self) -> list[str]:
        try:
            lines = (self.folder / "labels.csv").read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(
                f"labels.csv cannot be read ({error})", record=str(self.folder), remedy=_REMEDY
            ) from error
        return [line for line in lines if line.strip()]

    @cached_property
    def _images(self) -> dict[str, Path]:
        """Files by the name the list has for them; the list itself never names a path to open."""
        return {f"images/{p.name}": p for p in sorted((self.folder / "images").glob("*.png")) if p.is_file()}

    def _material(self, row: str, number: int) -> Material:
        name, probability, kind = _fields(row)
        path = self._images.get(name)
        if path is None:
            raise BadInputError(f"no image {name!r}", field="image", remedy=_REMEDY)
        identifier = f"elpv-{path.stem.removeprefix('cell')}"
        return Material(
            id=identifier,
            measurements={"image": read_image(path, identifier, "electroluminescence")},
            properties={"defect_probability": Property(probability, "")},
            tags={"module_type": kind, "group": f"cells {number // BLOCK * BLOCK} …"},
            provenance=Provenance(self.name, path.stem, self.licence, self.citation),
        )


def _fields(row: str) -> tuple[str, float, str]:
    """Image, probability of a defect and type of the module, from one line of the list."""
    words = row.split()
    try:
        if len(words) != _COLUMNS or not 0 <= float(words[1]) <= 1:
            raise ValueError
        return words[0], float(words[1]), _TYPES[words[2]]
    except (ValueError, KeyError) as error:
        raise BadInputError(
            f"not an image, a probability and mono or poly: {row[:60]!r}", field="labels.csv", remedy=_REMEDY
        ) from error
