"""Powder patterns in CIF: columns of the powder dictionary (Toby, J. Appl. Cryst. 36, 1285, 2003)."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.formats_xrd import parse_xy
from prismat.measurements import Pattern

if TYPE_CHECKING:
    import gemmi

MAX_BYTES = 50_000_000
MAX_POINTS = 1_000_000
CU_K_ALPHA = 1.54184
"""Å. The mean of Cu Kα, as for .xy files, where no wavelength is stated."""

_ANGLES = ("_pd_proc_2theta_corrected", "_pd_meas_2theta_corrected", "_pd_meas_2theta_scan")
_RANGES = ("_pd_proc_2theta_range", "_pd_meas_2theta_range")
_INTENSITIES = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_meas_intensity_net",
    "_pd_proc_intensity_net",
)
_NEUTRONS = re.compile(r"_diffrn_radiation_probe\s+['\"]?(neutron|electron)")
_REMEDY = "Give columns of 2θ (degrees) and of measured intensity, or a .xy file."


def has_powder_data(text: str) -> bool:
    """Whether a CIF has a column of measured intensities; many only tell of the measurement."""
    lower = text.lower()
    return any(tag in lower for tag in _INTENSITIES)


def is_xray_scan(text: str) -> bool:
    """Whether that column is against 2θ, and not of neutrons."""
    lower = text.lower()
    return (
        has_powder_data(text)
        and any(tag in lower for tag in (*_ANGLES, *_RANGES))
        and not _NEUTRONS.search(lower)
    )


def has_atoms(text: str) -> bool:
    """Whether a CIF has atoms."""
    return "_atom_site_" in text.lower()


def read_cif_text(path: Path) -> str:
    """Text of a CIF; bytes that are no UTF-8 are replaced.

    Raises:
        BadInputError: too large, or it cannot be read.
    """
    content = read_limited(path, MAX_BYTES)
    if len(content) > MAX_BYTES:
        raise BadInputError(f"larger than {MAX_BYTES // 1_000_000} MB", field="file", remedy="Split it.")
    return content.decode("utf-8", errors="replace")


def parse_powder_cif(text: str, record: str = "") -> Pattern:
    """The measured pattern of the first block of a CIF that has one.

    2θ is a column, or a range with a step; the intensity is measured, in total before net. Points whose
    intensity is not given are left out. The wavelength is the mean over the lines by their weights, that of
    the first line where they have none, and Cu Kα where none is stated.

    Args:
        text: the CIF.
        record: name for error messages.

    Raises:
        BadInputError: unreadable syntax; no measured intensities against 2θ (calculated ones, times of flight
            or neutrons instead); or numbers that ``parse_xy`` refuses.
    """
    import gemmi

    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "syntax error"
        raise BadInputError(
            f"unreadable CIF ({reason})", record=record, field="CIF", remedy="Correct the file."
        ) from error
    found = ((block, _column(block, _INTENSITIES)) for block in document)
    block, intensity = next(((b, column) for b, column in found if column is not None), (None, None))
    if block is None or intensity is None:
        raise BadInputError(
            "no measured intensities in the CIF", record=record, field="_pd_meas", remedy=_REMEDY
        )
    _check_probe(block, record)
    angle = _angles(block, len(intensity), record)
    known = np.isfinite(angle) & np.isfinite(intensity)
    rows = zip(angle[known].tolist(), intensity[known].tolist(), strict=True)
    return parse_xy("\n".join(f"{x!r} {y!r}" for x, y in rows), record, _wavelength(block))


def _column(block: "gemmi.cif.Block", tags: tuple[str, ...]) -> Float[np.ndarray, " points"] | None:
    """The first of the columns that is there, with NaN for what is not given."""
    import gemmi

    for tag in tags:
        loop = block.find_loop(tag)
        if 1 < len(loop) <= MAX_POINTS:
            return np.array([gemmi.cif.as_number(value) for value in loop], dtype=np.float64)
    return None


def _angles(block: "gemmi.cif.Block", count: int, record: str) -> Float[np.ndarray, " points"]:
    import gemmi

    column = _column(block, _ANGLES)
    if column is not None and len(column) == count:
        return column
    for name in _RANGES:
        raw = [block.find_value(f"{name}_{end}") for end in ("min", "max")]
        low, high = (gemmi.cif.as_number(value) if value else math.nan for value in raw)
        if math.isfinite(low) and math.isfinite(high):
            step = gemmi.cif.as_number(block.find_value(f"{name}_inc") or "?")
            if math.isfinite(step) and abs((high - low) / (count - 1) / step - 1) > 0.5 / count:
                raise BadInputError(
                    f"{count} intensities do not fill {low:g} to {high:g}° in steps of {step:g}°",
                    record=record,
                    field=name,
                    remedy=_REMEDY,
                )
            return np.linspace(low, high, count)
    raise BadInputError(
        "intensities without 2θ (times of flight or d spacings are not read)",
        record=record,
        field="_pd_meas_2theta",
        remedy=_REMEDY,
    )


def _check_probe(block: "gemmi.cif.Block", record: str) -> None:
    import gemmi

    probe = gemmi.cif.as_string(block.find_value("_diffrn_radiation_probe") or "").lower()
    if probe in ("neutron", "electron"):
        raise BadInputError(
            f"a pattern of {probe}s, not of X-rays",
            record=record,
            field="_diffrn_radiation_probe",
            remedy="Take it out of the folder.",
        )


def _wavelength(block: "gemmi.cif.Block") -> float:
    import gemmi

    tag = "_diffrn_radiation_wavelength"
    values = [gemmi.cif.as_number(value) for value in block.find_values(tag)]
    weights = [gemmi.cif.as_number(value) for value in block.find_values(f"{tag}_wt")]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return CU_K_ALPHA
    weighted = len(weights) == len(values) and all(w > 0 for w in weights)
    return float(np.average(values, weights=weights)) if weighted else values[0]
