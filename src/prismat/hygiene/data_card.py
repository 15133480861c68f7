"""The data card of a store: what is in it, counted, as JSON, as a page and as Markdown.

Data cards after Pushkarna et al., FAccT (2022), doi:10.1145/3531146.3533231; the distribution of journals is
figure 7 of Suzuki et al. (CLaSP, 2025).
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from prismat.duplicates import duplicate_structures, text_labels
from prismat.files import write_json, write_text
from prismat.hygiene.manifest import manifest
from prismat.hygiene.parts import Part, whole
from prismat.store import Store

SYSTEMS = {
    "triclinic": 2, "monoclinic": 15, "orthorhombic": 74, "tetragonal": 142, "trigonal": 167,
    "hexagonal": 194, "cubic": 230,
}  # fmt: skip
"""Crystal systems with their last space group."""
MOST_JOURNALS = 20
_MOST_GROUPS = 15
_MOST_REASONS = 30
_QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}
_WINDOWS = {
    "image": ("image.pixels", "image.two_theta", "image.profile"),
    "dos": ("dos.density",),
    "phonon_dos": ("phonon_dos.density",),
    "charge_density": ("charge_density.values",),
}
"""Columns of which one is filled where a record has the window."""


def write_data_card(store: Store, folder: Path, markdown: bool = False) -> dict[str, Any]:
    """Counts what is in a store and writes it as JSON and as a page that loads nothing.

    Args:
        store: a prepared store.
        folder: receives ``data_card.json`` and ``data_card.html``; made where missing.
        markdown: also ``data_card.md``.

    Returns:
        The content of ``data_card.json``.
    """
    from prismat.hygiene.data_card_page import render_markdown, render_page

    card = data_card(store)
    write_json(Path(folder) / "data_card.json", card)
    write_text(Path(folder) / "data_card.html", render_page(card))
    if markdown:
        write_text(Path(folder) / "data_card.md", render_markdown(card))
    return card


def data_card(store: Store) -> dict[str, Any]:
    """What is in a store, as JSON; a part of which there is nothing is empty.

    Args:
        store: a prepared store.

    Returns:
        ``name``, ``counts``, ``windows`` (records that have each), ``elements`` (records that hold each),
        ``cells``, ``symmetry``, ``texts`` by kind, ``years``, ``journals``, ``properties``, ``splits``,
        ``rejects`` by reason, ``duplicates`` (by space group, cell and composition, without the matcher) and
        ``manifest``.
    """
    part = whole(store)
    tags = [dict(entries) for entries in part.column("tags")]
    texts = [dict(entries) for entries in part.column("texts")]
    return {
        "name": part.name,
        "counts": _counts(part),
        "windows": _windows(part, texts),
        "elements": _counted(e for symbols in part.column("elements") for e in symbols),
        "cells": _cells(part),
        "symmetry": _symmetry(part),
        "texts": _texts(texts, store),
        "years": _years([t.get("year", "") for t in tags]),
        "journals": _journals([t.get("journal", "") for t in tags]),
        "properties": _properties(part),
        "splits": _counted(t["split"] for t in tags if t.get("split")),
        "rejects": _rejects(store.folder / "rejects.jsonl"),
        "duplicates": _duplicates(part, texts),
        "manifest": manifest(store),
    }


def _counted(values: Any) -> dict[str, int]:
    """How often each value occurs, the commonest first."""
    counted = Counter(values)
    return {str(k): counted[k] for k in sorted(counted, key=lambda key: (-counted[key], str(key)))}


def quantiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Least, greatest and what lies between, to six digits; nothing of no values."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return {}
    return {name: float(f"{np.quantile(known, q):.6g}") for name, q in _QUANTILES.items()}


def histogram(
    values: Sequence[float] | np.ndarray, edges: Sequence[float]
) -> dict[str, list[float] | list[int]]:
    """Counts between edges, the last one inclusive."""
    counts, _ = np.histogram(np.asarray(values, dtype=np.float64), bins=np.asarray(edges, dtype=np.float64))
    return {"edges": [float(e) for e in edges], "counts": [int(c) for c in counts]}


def _counts(part: Part) -> dict[str, int | float]:
    sites, numbers = np.array(part.column("n_sites")), np.array(part.column("spacegroup_number"))
    has, ordered = sites > 0, np.array(part.column("ordered"), dtype=bool)
    info = part.store.info
    return {
        "records": len(part),
        "rejected": info["rejected"],
        "with_structure": int(has.sum()),
        "ordered": int((has & ordered).sum()),
        "disordered": int((has & ~ordered).sum()),
        "molecules": int((has & (numbers == 0)).sum()),
        "formulas": len(set(part.column("formula")) - {""}),
        "prepare_s": info["prepare_s"],
    }


def _windows(part: Part, texts: list[dict[str, str]]) -> dict[str, int]:
    """Records that have each window; windows that none has are left out."""
    store = part.store
    there = {p.name.removesuffix(".lengths.npy") for p in _first_shard(store).glob("*.lengths.npy")}
    sites = np.array(part.column("n_sites")) > 0

    def filled(*columns: str) -> int:
        known = [store.lengths(name) > 0 for name in columns if name in there]
        return int(np.any(known, axis=0).sum()) if known else 0

    found = {
        "structure": int(sites.sum()),
        "text": sum(any(t.values()) for t in texts),
        "xrd, simulated": filled("xrd.two_theta"),
        "xrd, measured": filled("xrd.profile"),
        **{window: filled(*columns) for window, columns in _WINDOWS.items()},
        "properties": sum(bool(p) for p in part.column("properties")),
    }
    return {window: count for window, count in found.items() if count}


def _first_shard(store: Store) -> Path:
    return store.folder / store.info["shards"][0]["name"]


def _cells(part: Part) -> dict[str, Any]:
    """Atoms of the primitive cell, volume of the conventional cell, and elements of a formula."""
    sites = np.array(part.column("n_sites"))
    sites = sites[sites > 0]
    if not len(sites):
        return {}
    kinds = [len(e) for e in part.column("elements") if e]
    top = max(2, int(np.ceil(np.log2(sites.max() + 1))))
    return {
        "sites": quantiles(sites),
        "sites_histogram": histogram(sites, [2.0**k for k in range(top + 1)]),
        "elements_per_record": {str(k): n for k, n in sorted(Counter(kinds).items())},
    }


def _symmetry(part: Part) -> dict[str, Any]:
    numbers = np.array(part.column("spacegroup_number"))
    symbols = [s for s, n in zip(part.column("spacegroup"), numbers, strict=True) if n > 0]
    if not symbols:
        return {}
    system = np.searchsorted(list(SYSTEMS.values()), numbers[numbers > 0])
    groups = _counted(symbols)
    return {
        "systems": {name: int((system == k).sum()) for k, name in enumerate(SYSTEMS)},
        "groups": dict(list(groups.items())[:_MOST_GROUPS]),
        "n_groups": len(np.unique(numbers[numbers > 0])),
    }


def _texts(texts: list[dict[str, str]], store: Store) -> dict[str, dict[str, Any]]:
    """Figures of each kind of text, and what made it where it was added later."""
    found = {}
    for kind in sorted({k for own in texts for k, text in own.items() if text}):
        of_kind = [own[kind] for own in texts if own.get(kind)]
        words = np.array([len(text.split()) for text in of_kind])
        found[kind] = {
            "records": len(of_kind),
            "distinct": len(np.unique(text_labels(of_kind))),
            "characters": quantiles(np.array([len(text) for text in of_kind])),
            "words": quantiles(words),
            "words_histogram": histogram(words, _word_edges(words)),
            **({"made_by": store.added_texts[kind]} if kind in store.added_texts else {}),
        }
    return found


def _word_edges(words: Int[np.ndarray, " texts"]) -> list[float]:
    """Up to 30 bins of equal, whole width up to the 99th percentile, and one for what is longer."""
    top = int(np.quantile(words, 0.99)) + 1
    width = max(1, -(-top // 30))
    edges = [float(e) for e in range(0, top + width, width)]
    return edges if words.max() <= edges[-1] else [*edges, float(words.max())]


def _years(years: list[str]) -> dict[str, Any]:
    known = [int(y) for y in years if re.fullmatch(r"[12]\d{3}", y)]
    if not known:
        return {}
    return {"records": len(known), "first": min(known), "last": max(known), "median": int(np.median(known)),
            "counts": {str(year): n for year, n in sorted(Counter(known).items())}}  # fmt: skip


def _journals(journals: list[str]) -> dict[str, Any]:
    counted = _counted(j for j in journals if j)
    if not counted:
        return {}
    total, names = sum(counted.values()), list(counted)
    return {
        "records": total,
        "distinct": len(counted),
        "first_ten_share": round(sum(counted[n] for n in names[:10]) / total, 4),
        "most": {n: counted[n] for n in names[:MOST_JOURNALS]},
    }


def _properties(part: Part) -> list[dict[str, Any]]:
    """Name, unit, number and quantiles of each property."""
    values: dict[tuple[str, str], list[float]] = {}
    for entries in part.column("properties"):
        for entry in entries:
            values.setdefault((entry["name"], entry["unit"]), []).append(entry["value"])
    return [
        {"name": name, "unit": unit, "records": len(found), "quantiles": quantiles(found)}
        for (name, unit), found in sorted(values.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _rejects(path: Path) -> dict[str, int]:
    """Rejects by reason; numbers within a reason are left out, so that alike ones are counted together."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    reasons = (re.sub(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", "#", json.loads(line)["reason"]) for line in lines)
    return dict(list(_counted(reason[:200] for reason in reasons).items())[:_MOST_REASONS])


def _duplicates(part: Part, texts: list[dict[str, str]]) -> dict[str, dict[str, int]]:
    """Groups of records that look the same, by structure and by each kind of text."""
    has = part.fractions.any(axis=1)
    found = {}
    if has.any():
        cells = np.array([c or [0.0] * 6 for c in part.column("cell")], dtype=np.float64)
        numbers = np.array(part.column("spacegroup_number"), dtype=np.int64)
        sites = np.array(part.column("n_sites"), dtype=np.int64)
        found["structure"] = _groups(
            duplicate_structures(part.fractions[has], cells[has], numbers[has], sites[has])
        )
    for kind in sorted({k for own in texts for k, text in own.items() if text}):
        found[kind] = _groups(text_labels([own[kind] for own in texts if own.get(kind)]))
    return found


def _groups(labels: np.ndarray) -> dict[str, int]:
    size = np.bincount(labels)
    several = size[size > 1]
    return {"groups": len(several), "records": int(several.sum()), "largest": int(several.max(initial=0))}
