"""Do explanations say what holds a match up? Deletion and insertion curves against random orders.

A match is a held-out record seen through two of its own windows. One window is explained, the other is held
fixed; its parts are taken away in the order of the attribution, and the score has to fall sooner than in the
mean of 20 random orders. Beside the methods stand baselines that know no model: heavy atoms, high peaks and
rare words first. Settings were chosen on validation records (``--part val``), test records are for the
last run.

Usage: python explain.py --run ../runs/quickstart [--part val]
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from _machine import ROOT, write

from prismat.api import PROFILE, SENTENCE
from prismat.explain.attribution import integrated_gradients, leave_one_out, occlusion
from prismat.explain.check import many_curves
from prismat.explain.comparisons import blended
from prismat.explain.explanation import Curves
from prismat.explain.pattern_side import PatternSide
from prismat.explain.seen import Seen
from prismat.explain.side import Comparison, Side, Target
from prismat.explain.source import material_of, stored_windows
from prismat.explain.structure_side import AtomSide
from prismat.material import Material
from prismat.modalities.rendering import ProfileNoise
from prismat.search.comparisons import DEFAULT_BLEND
from prismat.store import Store
from prismat.tasks.bootstrap import bootstrap_means, interval
from prismat.tasks.opened import Opened, open_run

LEAST_PARTS = 3
SEARCH = "search"
"""In the place of the other window: the whole score that a search ranks by."""
PAIRS = (
    ("structure", "text"),
    ("structure", "xrd"),
    ("xrd", "structure"),
    ("xrd", SEARCH),
    ("text", "structure"),
)
Attributions = dict[str, np.ndarray]


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        run: a quickstart folder.
        windows: folder of the runs of single windows; none where it is not there.
        part: ``val`` or ``test``.
        matches: of each direction.
        few: matches of each direction of the windows' runs.
        explained: windows measured in this call; all where none is named.
        orders: random orders.
        text_orders: of words, whose encoder is the slowest.
        seed: of the choice of records and of the random orders.
        skip: place in the random order to begin at, for several processes at once.
        work: where matches are kept as they are measured.
        out: name of the file of results.
    """

    run: Path = ROOT / "runs" / "quickstart"
    windows: Path = ROOT / "runs" / "windows"
    part: str = "test"
    matches: int = 200
    few: int = 30
    explained: tuple[str, ...] = ()
    orders: int = 20
    text_orders: int = 10
    seed: int = 0
    skip: int = 0
    work: Path = ROOT / "runs" / "explain"
    out: str = "explain"


@dataclass(frozen=True)
class Row:
    """A direction: what is explained, and against what.

    Attributes:
        window: explained.
        other: held fixed, or ``SEARCH``.
    """

    window: str
    other: str

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.window} (towards {self.other})"


def main(options: Options) -> None:
    """Measures what is not measured yet, and writes the figures of all that is."""
    torch.set_num_threads(1)
    opened = open_run(options.run, Store(options.run / "store"))
    wanted = [(opened, Row(*pair), options.matches) for pair in PAIRS]
    for window in ("dos", "phonon_dos", "charge_density"):
        if (options.windows / window / "run").is_dir():
            other = open_run(options.windows / window / "run", Store(options.windows / window / "store"))
            wanted.append((other, Row(window, "structure"), options.few))
    for run, row, matches in wanted:
        if not options.explained or row.window in options.explained:
            measure(run, row, options, matches)
    kept = {row.name: known(options, row) for _, row, _ in wanted}
    found = {name: figures(rows) for name, rows in kept.items() if any("areas" in one for one in rows)}
    print(markdown(found))
    print(write(options.out, {"part": options.part, "directions": found}))


def markdown(found: dict[str, dict]) -> str:
    """The table of the documentation."""
    head = ("Explained (towards)", "Matches", "Parts", "Occlusion", "Gradients", "Leaving one out", "Blind")
    lines = [f"| {' | '.join(head)} |", "| --- | --: | --: | --- | --- | --- | --- |"]
    for name, direction in found.items():
        cells = [f"{name}", str(direction["matches"]), f"{direction['median_parts']:g}"]
        for method in list(direction["methods"])[:4]:
            one = direction["methods"][method]["beats_random"]
            low, high = one["wilson"]
            cells.append(f"{one['share']:.1%} ({low:.1%} to {high:.1%})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def known(options: Options, row: Row) -> list[dict]:
    """Matches of a direction that were measured already, one per line of its file."""
    path = options.work / options.part / f"{row.window}-{row.other}.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return list({kept["record"]: kept for kept in map(json.loads, lines)}.values())


def measure(opened: Opened, row: Row, options: Options, wanted: int) -> None:
    """Measures matches until as many are known as wanted; a run that was stopped goes on."""
    rarity, path = word_rarity(opened), options.work / options.part / f"{row.window}-{row.other}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    orders = options.text_orders if row.window == "text" else options.orders
    for record, side, target in matches(opened, row, options):
        if sum("areas" in kept for kept in known(options, row)) >= wanted:
            break
        kept = {"record": record, "group": int(opened.groups[record]), "parts": len(side), "orders": orders}
        if len(side) >= LEAST_PARTS:
            made = attributions(side, target, rarity)
            seed = options.seed + record
            checked = many_curves(side, target, list(made.values()), orders=orders, seed=seed)
            kept["areas"] = {name: areas(curves) for name, curves in zip(made, checked, strict=True)}
        with path.open("a") as stream:
            stream.write(json.dumps(kept) + "\n")


def areas(curves: Curves) -> dict[str, float]:
    """Areas under the curves of one attribution and of the random orders."""
    deleted, inserted = curves.area(curves.random_deletion), curves.area(curves.random_insertion)
    return {
        "deletion": float(curves.area(curves.deletion)),
        "insertion": float(curves.area(curves.insertion)),
        "random_deletion": float(deleted.mean()),
        "random_insertion": float(inserted.mean()),
        "best_random_deletion": float(deleted.min()),
    }


def matches(opened: Opened, row: Row, options: Options) -> Iterator[tuple[int, Side, Target]]:
    """Held-out records that have both windows, in random order, without those that are known."""
    prismat, store = opened.prismat, opened.prepared.store
    order = np.random.default_rng(options.seed).permutation(opened.rows[options.part])
    for record in np.roll(order, -options.skip).tolist():
        if any(record == kept["record"] for kept in known(options, row)):
            continue
        seen = Seen.of(prismat, raw(store, record, row), {row.window}, stored(opened, record))
        if row.window not in seen.windows:
            continue
        compared = searched(opened, record, row) if row.other == SEARCH else paired(opened, record, row)
        if compared:
            side = seen.side(prismat, row.window, True)
            if row.other == SEARCH and row.window == "xrd":
                side = PatternSide(prismat, distorted(opened, record, options.seed))
            yield record, side, Target(compared)


def paired(opened: Opened, record: int, row: Row) -> list[Comparison]:
    """The cosine of two windows of one record; none where it lacks the other one."""
    prismat = opened.prismat
    key, against = prismat.key(row.window, row.other), prismat.key(row.other, row.window)
    batch = opened.data.batches(np.array([record]), None, [row.other])[row.other]
    vectors = prismat.embed_batch(row.other, batch)
    return [Comparison(key, against, vectors[against][0], 1.0)] if bool(batch.present[0]) else []


def searched(opened: Opened, record: int, row: Row) -> list[Comparison]:
    """All that a search compares a title or a pattern with, the record as an index holds it."""
    prismat, store = opened.prismat, opened.prepared.store
    seen = Seen.of(prismat, material_of(store, store.ids[record]), prismat.recipe.windows)
    theirs: dict[str, np.ndarray] = {}
    for window in seen.windows:
        theirs |= seen.vectors(prismat, window)
    links = blended(prismat, DEFAULT_BLEND, row.window, {SENTENCE if row.window == "text" else PROFILE})
    return [
        Comparison(k.query, k.material, theirs[k.material], k.weight) for k in links if k.material in theirs
    ]


def distorted(opened: Opened, record: int, seed: int) -> np.ndarray:
    """A record's pattern as an instrument would give it, with the distortions of training."""
    modality = opened.prismat.modalities["xrd"]
    packed = opened.prepared.store.take(np.array([record]), list(modality.columns))
    drawn = torch.Generator().manual_seed(seed + record)
    return modality.collate(packed, ProfileNoise(), drawn).profile[0].numpy()


def raw(store: Store, record: int, row: Row) -> Material:
    """Structure and title of a record, where they are explained."""
    if row.window not in {"structure", "text"}:
        return Material(store.ids[record])
    material = material_of(store, store.ids[record])
    title = material.texts.get("title", "")
    return Material(material.id, material.structure, {"title": title} if title else {})


def stored(opened: Opened, record: int) -> dict[str, object]:
    """What the store keeps of a record besides structure and text."""
    return stored_windows(opened.prismat, opened.prepared.store, opened.prepared.store.ids[record])


def attributions(side: Side, target: Target, rarity: Callable[[str], float]) -> Attributions:
    """Of both methods and of the baselines."""
    made = {
        "occlusion": occlusion(side, target),
        "integrated gradients": integrated_gradients(side, target)[0],
        "leaving one out": leave_one_out(side, target),
    }
    return made | baselines(side, rarity)


def baselines(side: Side, rarity: Callable[[str], float]) -> Attributions:
    """Orders that know no model."""
    zero = np.zeros(len(side))
    items = side.items(zero)
    if isinstance(side, AtomSide):
        batch = side.batch
        z = (batch.species * batch.occupancy).numpy()
        heavy = np.bincount(side.node_part[batch.species_node.numpy()], weights=z, minlength=len(side))
        return {"heavy atoms first": heavy, "frequent orbits first": np.bincount(side.sites.cell.orbit)}
    if side.window == "text":
        return {
            "rare words first": np.array([rarity(i.label) for i in items]),
            "long words first": np.array([len(i.label) for i in items], dtype=float),
        }
    if side.window == "xrd":
        height = np.interp([i.x or 0.0 for i in items], side.data["two_theta"], side.data["intensity"])
        return {"high peaks first": height}
    if side.window in {"dos", "phonon_dos"}:
        x, y = np.array(side.data["energies"]), np.array(side.data["densities"])
        inside = [(x >= i.low) & (x <= i.high) for i in items]
        return {"high bands first": np.array([y[m].sum() for m in inside])}
    values = side.batch.values[0].numpy().ravel()  # ty: ignore[unresolved-attribute]
    dense = np.bincount(side.block.numpy().ravel(), weights=values)  # ty: ignore[unresolved-attribute]
    return {"dense blocks first": dense}


def word_rarity(opened: Opened) -> Callable[[str], float]:
    """−log of the share of training titles that hold a word."""
    titles = [opened.records.titles[i] for i in opened.rows["train"]]
    counts: dict[str, int] = {}
    for title in titles:
        for word in set(title.lower().split()):
            counts[word] = counts.get(word, 0) + 1
    return lambda word: -float(np.log((1 + counts.get(word.lower(), 0)) / (1 + len(titles))))


def figures(kept: list[dict]) -> dict:
    """Figures of one direction, for every method."""
    used = [match for match in kept if "areas" in match]
    groups = np.array([match["group"] for match in used])
    methods = {name: told([match["areas"][name] for match in used], groups) for name in used[0]["areas"]}
    return {
        "matches": len(used),
        "with_fewer_parts": len(kept) - len(used),
        "median_parts": float(np.median([match["parts"] for match in used])),
        "random_orders": used[0]["orders"],
        "methods": methods,
    }


def told(found: list[dict[str, float]], groups: np.ndarray) -> dict:
    """Shares and mean gains with 95 % intervals, groups of like records drawn whole."""
    area = {name: np.array([one[name] for one in found]) for name in found[0]}
    deletion = area["random_deletion"] - area["deletion"]
    insertion = area["insertion"] - area["random_insertion"]
    columns = {
        "beats_random": deletion > 0,
        "insertion_beats_random": insertion > 0,
        "beats_best_random": area["deletion"] < area["best_random_deletion"],
        "deletion_gain": deletion,
        "insertion_gain": insertion,
    }
    values = np.column_stack([np.asarray(v, dtype=float) for v in columns.values()])
    drawn, result = bootstrap_means(values, groups), {}
    for i, name in enumerate(columns):
        low, high = interval(drawn[:, i])
        kind = "mean" if name.endswith("gain") else "share"
        result[name] = {
            kind: round(float(values[:, i].mean()), 4),
            "interval": [round(low, 4), round(high, 4)],
        }
    result["beats_random"]["wilson"] = wilson(int((deletion > 0).sum()), len(deletion))
    return result


def wilson(hits: int, n: int, z: float = 1.959964) -> list[float]:
    """Score interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927))."""
    p = hits / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round(float((middle + s * half) / (1 + z * z / n)), 4) for s in (-1, 1)]


if __name__ == "__main__":
    main(tyro.cli(Options))
