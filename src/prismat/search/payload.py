"""Measured data as JSON and back: arrays as their bytes in base 64; lists of numbers are read too."""

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from prismat.errors import BadInputError
from prismat.material import Property
from prismat.measurements import ChargeDensity, Dos, Image

MAX_NUMBERS = 20_000_000
_KINDS = {"image": Image, "dos": Dos, "phonon_dos": Dos, "charge_density": ChargeDensity}
_TYPES = ("uint8", "uint16", "float32", "float64")


def to_payload(data: Image | Dos | ChargeDensity | Mapping[str, Property]) -> dict[str, Any]:
    """Data of one window in JSON types."""
    if isinstance(data, Mapping):
        return {name: {"value": p.value, "unit": p.unit} for name, p in data.items()}
    fields = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)}
    return {k: _array(v) if isinstance(v, np.ndarray) else v for k, v in fields.items()}


def _array(values: np.ndarray) -> dict[str, Any]:
    plain = values if values.dtype.name in _TYPES else values.astype(np.float64)
    text = base64.b64encode(np.ascontiguousarray(plain).tobytes()).decode("ascii")
    return {"shape": list(plain.shape), "dtype": plain.dtype.name, "base64": text}


def from_payloads(payloads: object) -> dict[str, Any]:
    """Data by window from JSON types, from anyone.

    Raises:
        BadInputError: an unknown window, missing or unknown fields, or arrays that do not fit their shape.
    """
    if not isinstance(payloads, dict):
        raise BadInputError("not an object", field="measured", remedy='Write {"dos": {…}}.')
    return {str(window): _data(str(window), payload) for window, payload in payloads.items()}


def _data(window: str, payload: object) -> Image | Dos | ChargeDensity | dict[str, Property]:
    if not isinstance(payload, dict) or (window not in _KINDS and window != "properties"):
        raise BadInputError(
            f"not data of a window {window!r}",
            field="measured",
            remedy=f"Use {', '.join([*_KINDS, 'properties'])}, each with an object.",
        )
    try:
        if window == "properties":
            return {str(n): Property(float(p["value"]), str(p["unit"])) for n, p in payload.items()}
        return _KINDS[window](**{k: _plain(v) for k, v in payload.items()})
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        # Python's own words about arguments say nothing to whoever wrote the JSON.
        said = str(error) if isinstance(error, ValueError) else "a field is missing or unknown"
        raise BadInputError(
            f"data that does not fit the window ({said})",
            field=f"measured.{window}",
            remedy=_remedy(window),
        ) from error


def _remedy(window: str) -> str:
    if window == "properties":
        return 'Write {"band_gap": {"value": 1.1, "unit": "eV"}}.'
    return f"Give {', '.join(f.name for f in dataclasses.fields(_KINDS[window]))}, as Query.to_json does."


def _plain(value: Any) -> Any:
    """Arrays from base 64 or from lists of numbers; other values as they are."""
    if isinstance(value, list):
        return np.array(value, dtype=np.float64)
    if not isinstance(value, dict):
        return value
    shape, name = tuple(int(n) for n in value["shape"]), value["dtype"]
    if name not in _TYPES or min(shape, default=0) < 0 or np.prod(shape, dtype=float) > MAX_NUMBERS:
        raise ValueError(f"an array of {name} and shape {shape}")
    return np.frombuffer(base64.b64decode(value["base64"], validate=True), dtype=name).reshape(shape)
