"""Files that somebody sent, read into the part of a query that they are."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from prismat.app.detect import detect
from prismat.app.limits import Limits
from prismat.errors import BadInputError
from prismat.formats import read_crystal, to_cif
from prismat.formats_density import parse_chgcar, parse_cube
from prismat.formats_dos import dos_of_vasprun, parse_doscar, parse_phonopy
from prismat.formats_image import parse_image
from prismat.formats_xrd import parse_xy
from prismat.measurements import ChargeDensity, Dos, Image
from prismat.modalities.resample_grid import resample
from prismat.modalities.standard_cell import standardize
from prismat.search.payload import to_payload
from prismat.vasprun import parse_vasprun
from prismat.xyz import molecule_from_xyz

MAX_POINTS = 100_000
"""Points of a pattern or a density of states; no instrument gives more, and a query has to hold them."""
GRID = 64
"""A charge density comes back with at most so many points along an edge: twice what a network reads."""
PIXELS = 1024
"""A picture comes back with at most so many pixels along an edge."""
_NAME = 100


@dataclass(frozen=True)
class Sent:
    """A file as it came.

    Attributes:
        name: as its sender calls it.
        content: its bytes.
        kind: what its sender says it is; found out where None.
        wavelength: Å, of a powder pattern.
    """

    name: str
    content: bytes
    kind: str | None = None
    wavelength: float = 1.54184

    @property
    def text(self) -> str:
        """The content as text."""
        is_wide = self.content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return self.content.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")

    @property
    def shown(self) -> str:
        """The name without folders and signs that do not print."""
        last = self.name.replace("\\", "/").rpartition("/")[2]
        return "".join(c if c.isprintable() else "_" for c in last)[:_NAME] or "file"


def read_sent(sent: Sent, limits: Limits) -> dict[str, Any]:
    """Kind, part of a query, and a summary of a file.

    Raises:
        Problem: a kind that is not taken.
        BadInputError: content that its reader refuses.
    """
    kind = detect(sent.shown, sent.content, sent.kind)
    readers: dict[str, Callable[[Sent, Limits], tuple[dict, dict]]] = {
        "structure": _structure,
        "xrd": _pattern,
        "dos": _dos,
        "phonon_dos": _phonon_dos,
        "charge_density": _charge_density,
        "image": _image,
    }
    part, summary = readers[kind](sent, limits)
    found = {"kind": kind, "name": sent.shown, "part": part, "summary": summary}
    _check_size(found, limits)
    return found


def _check_size(found: dict[str, Any], limits: Limits) -> None:
    """Refuses what could not be sent back in a query."""
    if len(json.dumps(found["part"], allow_nan=False)) > limits.body_bytes:
        raise BadInputError(
            "too large for a query", field="file", remedy="Send a smaller grid or fewer points."
        )


def _structure(sent: Sent, limits: Limits) -> tuple[dict, dict]:
    if sent.shown.lower().endswith(".xyz"):
        crystal = molecule_from_xyz(sent.text, limits.sites)
    else:
        # The reader takes a string without a line break for a path, and nobody's path is opened here.
        crystal = read_crystal(sent.text + "\n", record=sent.shown, max_sites=limits.sites)
    cif = to_cif(crystal, sent.shown.rpartition(".")[0] or sent.shown)
    standard = standardize(crystal)
    return {"structure": cif}, {
        "formula": crystal.formula,
        "spacegroup": standard.symbol,
        "spacegroup_number": standard.number,
        "n_sites": len(crystal),
    }


def _pattern(sent: Sent, _: Limits) -> tuple[dict, dict]:
    # Lines are counted before they are read: a reader takes seconds for each million of them.
    _check_points(sent.content.count(b"\n") // 2, "xrd")
    pattern = parse_xy(sent.text, sent.shown, sent.wavelength)
    _check_points(len(pattern.two_theta), "xrd")
    part = {
        "two_theta": pattern.two_theta.tolist(),
        "intensity": pattern.intensity.tolist(),
        "wavelength": pattern.wavelength,
    }
    ends = [float(pattern.two_theta[0]), float(pattern.two_theta[-1])]
    return {"xrd": part}, {"points": len(pattern.two_theta), "range": ends, "unit": "°"}


def _check_points(points: int, field: str) -> None:
    if points > MAX_POINTS:
        raise BadInputError(
            f"{points:,} points, more than {MAX_POINTS:,}", field=field, remedy="Bin or thin out the points."
        )


def _dos(sent: Sent, _: Limits) -> tuple[dict, dict]:
    if sent.content.lstrip()[:1] == b"<":
        dos = dos_of_vasprun(parse_vasprun(sent.content, sent.shown), sent.shown)
    else:
        dos = parse_doscar(sent.text, sent.shown)
    return _dos_part("dos", dos)


def _phonon_dos(sent: Sent, _: Limits) -> tuple[dict, dict]:
    return _dos_part("phonon_dos", parse_phonopy(sent.text, sent.shown))


def _dos_part(window: str, dos: Dos) -> tuple[dict, dict]:
    _check_points(len(dos.energy), window)
    if not (np.isfinite(dos.energy).all() and np.isfinite(dos.density).all()):
        raise BadInputError("a value that is not finite", field=window, remedy="Compute it again.")
    ends = [float(dos.energy[0]), float(dos.energy[-1])] if len(dos.energy) else []
    summary = {"points": len(dos.energy), "range": ends, "unit": dos.unit, "zero": dos.zero}
    return {"measured": {window: to_payload(dos)}}, summary


def _charge_density(sent: Sent, _: Limits) -> tuple[dict, dict]:
    is_cube = sent.shown.lower().endswith((".cube", ".cub"))
    crystal, density = (parse_cube if is_cube else parse_chgcar)(sent.content, sent.shown)
    shape = density.values.shape
    small = tuple(min(n, GRID) for n in shape)
    values = resample(density.values, small) if small != shape else density.values  # ty: ignore[invalid-argument-type]
    kept = ChargeDensity(values.astype(np.float32), density.lattice, density.kind)
    summary = {"formula": crystal.formula, "n_sites": len(crystal), "grid": list(shape), "kept": list(small)}
    return {"measured": {"charge_density": to_payload(kept)}}, summary


def _image(sent: Sent, _: Limits) -> tuple[dict, dict]:
    image = parse_image(sent.content, sent.shown)
    height, width = image.pixels.shape[:2]
    kept = Image(_shrunk(image.pixels), image.kind)
    return {"measured": {"image": to_payload(kept)}}, {
        "pixels": [width, height],
        "kept": list(kept.pixels.shape[1::-1]),
    }


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """At most ``PIXELS`` along an edge, each the mean of a square of those that were."""
    factor = -(-max(pixels.shape[:2]) // PIXELS)
    if factor == 1:
        return pixels
    height, width = (max(1, n // factor) for n in pixels.shape[:2])
    cut = pixels[: height * factor, : width * factor]
    blocks = cut.reshape(height, -1, width, cut.shape[1] // width, *pixels.shape[2:])
    mean = blocks.mean(axis=(1, 3), dtype=np.float64)
    return np.rint(mean).astype(np.uint8) if pixels.dtype == np.uint8 else mean.astype(pixels.dtype)
