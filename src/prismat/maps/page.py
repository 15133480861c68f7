"""One self-contained page of a map: its data and its script are inside, and it asks for nothing."""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Shaped

from prismat.maps.colours import HEAT, HEAT_ENDS, NUMBERS, PALETTE
from prismat.maps.overlays import Overlay
from prismat.maps.world import MaterialsMap

_UNKNOWN = 65535
_TYPES = {"int16": "i16", "uint16": "u16", "uint32": "u32"}


@dataclass
class _Packed:
    """Arrays one after the other, each where four bytes begin."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, array: Shaped[np.ndarray, "..."]) -> dict[str, Any]:
        """Appends an array and tells where it is."""
        little = array.astype(array.dtype.newbyteorder("<"))
        raw = little.tobytes()
        told = {"type": _TYPES[array.dtype.name], "offset": self.size, "bytes": len(raw)}
        self.parts.append(raw + b"\0" * (-len(raw) % 4))
        self.size += len(self.parts[-1])
        return told


def map_page(world: MaterialsMap, title: str, lede: str) -> str:
    """The page as text.

    Args:
        world: the map.
        title: of the page, as plain text.
        lede: a sentence below it, as plain text.
    """
    data = files("prismat") / "data"
    read = lambda name: (data / name).read_text(encoding="utf-8")  # noqa: E731
    script = read("map_draw.js") + read("map.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    filled = {
        "script_hash": f"'sha256-{digest}'",
        "title": escape(title),
        "lede": escape(lede),
        "count": f"{len(world):,}",
        "style": read("report.css") + read("map.css"),
        "data": base64.b64encode(gzip.compress(_payload(world), 6, mtime=0)).decode(),
        "script": script,
    }
    # Split at the marks, so that nothing in the data is taken for one.
    pieces = read("map.html").split("{{")
    return pieces[0] + "".join(filled[p.partition("}}")[0]] + p.partition("}}")[2] for p in pieces[1:])


def _payload(world: MaterialsMap) -> bytes:
    packed = _Packed()
    titles = list(dict.fromkeys(world.titles))
    place = {t: i for i, t in enumerate(titles)}
    head = {
        "count": len(world),
        "xy": packed.add(np.round(np.clip(world.xy, -1, 1) * 32767).astype(np.int16)),
        "cluster": packed.add(world.cluster.astype(np.uint16)),
        "title": packed.add(np.array([place[t] for t in world.titles], dtype=np.uint32)),
        "clusters": [vars(c) for c in world.clusters],
        "columns": [_column(packed, name, o) for name, o in world.overlays.items()]
        + [_heat(packed, words, values) for words, values in world.heats.items()],
        "palette": PALETTE,
        "scales": {"number": NUMBERS, "heat": HEAT},
        "ids": world.ids,
        "formulas": world.formulas,
        "titles": titles,
    }
    # The header's own length decides where the arrays start; spaces make that a multiple of four.
    text = json.dumps({**head, "start": "@@@@@@@@@@"}, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 4)
    start = f"{len(text) + 4:>12}".encode()
    text = text.replace(b'"@@@@@@@@@@"', start)
    return len(text).to_bytes(4, "little") + text + b"".join(packed.parts)


def _column(packed: _Packed, name: str, overlay: Overlay) -> dict[str, Any]:
    label = (
        name.removeprefix("tag:")
        .replace("element:", "Contains ")
        .replace("_", " ")
        .replace("n ", "number of ")
    )
    label = label[:1].upper() + label[1:]
    if overlay.categories:
        values = np.nan_to_num(overlay.values, nan=_UNKNOWN).astype(np.uint16)
        sizes = np.bincount(values[values != _UNKNOWN], minlength=len(overlay.categories)).tolist()
        told = {"categories": overlay.categories, "sizes": sizes, "kind": "category"}
        return {"name": name, "label": label, "unit": "", "array": packed.add(values), **told}
    shown = f"{label} ({overlay.unit})" if overlay.unit else label
    numbers = _numbers(packed, overlay.values, overlay.low, overlay.high)
    return {"name": name, "label": shown, "unit": overlay.unit, "kind": "number", **numbers}


def _heat(packed: _Packed, words: str, values: np.ndarray) -> dict[str, Any]:
    low, high = np.percentile(values, HEAT_ENDS).tolist()
    return {
        "name": f"heat:{words}",
        "label": words,
        "unit": "",
        "kind": "heat",
        **_numbers(packed, values, low, high),
    }


def _numbers(packed: _Packed, values: np.ndarray, low: float, high: float) -> dict[str, Any]:
    """Numbers in 65,535 steps between their least and greatest; the last code is for the unknown."""
    known = values[np.isfinite(values)]
    least, most = float(known.min()), float(known.max())
    span = most - least or 1.0
    codes = np.where(np.isfinite(values), np.round((np.nan_to_num(values) - least) / span * 65534), _UNKNOWN)
    ends = {"from": round((low - least) / span * 65534), "to": round((high - least) / span * 65534)}
    told = {"least": least, "most": most, "low": f"{low:.4g}", "high": f"{high:.4g}"}
    return {"array": packed.add(codes.astype(np.uint16)), **told, **ends}
