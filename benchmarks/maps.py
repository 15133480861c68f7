"""What maps keep, how pure their neighbourhoods are, where left-out points land, and whether heat is true.

Reads ``runs/quickstart`` (model, index, store), ``runs/systems/{default-0,cmml-0,store}`` and
``runs/tasks6/synthesis``. Parts are measured one by one and merged into ``results/maps.json``:
``python benchmarks/maps.py --parts methods placing purity heat compare routes``.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from _machine import RESULTS, ROOT, write

from prismat.maps.figure import highlight_figure, overlay_figure, write_figure
from prismat.maps.measures import nearest_apart, neighbours_kept, purity, trustworthiness, word_purity
from prismat.maps.overlays import CLASSES, SYSTEMS, categories, chemical_class, crystal_system
from prismat.maps.projection import Fitted, ProjectionConfig, fit_projection, projection_of
from prismat.maps.routes import synthesis_route
from prismat.maps.world import MaterialsMap, fitted_to_map
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened, open_beside, open_run
from prismat.tasks.screening.evaluation import composition_model
from prismat.tasks.words import WORDS, roc_auc, word_labels

IMAGES = ROOT / "docs" / "images"
QUICK, SYSTEMS_RUNS, SYNTHESIS = (
    ROOT / "runs" / "quickstart",
    ROOT / "runs" / "systems",
    ROOT / "runs" / "tasks6" / "synthesis",
)
KEY, K, RESAMPLES = "structure@text", 15, 2000
FEWEST = 8


def mean_with_interval(values: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Mean over the known values and its 95 % interval over groups."""
    known = np.isfinite(values)
    means = bootstrap_means(values[known][:, None], groups[known], RESAMPLES)[:, 0]
    return {"mean": float(values[known].mean()), "interval": interval(means), "points": int(known.sum())}


def quick_vectors() -> np.ndarray:
    """Vectors of all minerals in the space of structures and titles, in the store's order."""
    index = Index.open(QUICK / "index")
    store = Store(QUICK / "store")
    return np.asarray(index.vectors_of(KEY, store.ids)[0], dtype=np.float64)


def fits(vectors: np.ndarray) -> dict[str, tuple[Fitted, float]]:
    """Each method's map and its seconds; kept beside the run, for other parts."""
    found = {}
    for method in ("pca", "tsne", "umap"):
        path = ROOT / "runs" / "maps" / f"{method}.npz"
        if not path.is_file():
            begun = time.perf_counter()
            fitted = fit_projection(method, vectors, ProjectionConfig())
            path.parent.mkdir(parents=True, exist_ok=True)
            saved = {"xy": fitted.xy, "seconds": np.array(time.perf_counter() - begun), **fitted.arrays}
            np.savez(path, allow_pickle=False, **saved)
        with np.load(path) as saved:
            arrays = {n: saved[n] for n in saved.files if n not in ("xy", "seconds")}
            found[method] = (Fitted(saved["xy"], arrays), float(saved["seconds"]))
    return found


def methods() -> dict[str, Any]:
    """What each method keeps of the space, and its time."""
    vectors, opened = quick_vectors(), open_run(QUICK, Store(QUICK / "store"))
    told: dict[str, Any] = {"records": len(vectors), "dimensions": vectors.shape[1], "k": K}
    for method, (fitted, seconds) in fits(vectors).items():
        kept = mean_with_interval(neighbours_kept(vectors, fitted.xy, K), opened.groups)
        trust = trustworthiness(vectors, fitted.xy, K)
        told[method] = {"neighbours_kept": kept, "trustworthiness": trust, "seconds": seconds}
    shuffled = np.random.default_rng(0).permutation(fits(vectors)["tsne"][0].xy)
    told["shuffled"] = {
        "neighbours_kept": mean_with_interval(neighbours_kept(vectors, shuffled, K), opened.groups),
        "trustworthiness": trustworthiness(vectors, shuffled, K),
    }
    return told


def placing() -> dict[str, Any]:
    """How far from its place in the full fit a point lands that is taken off the map and placed anew."""
    vectors, opened = quick_vectors(), open_run(QUICK, Store(QUICK / "store"))
    rng = np.random.default_rng(0)
    single = rng.choice(len(vectors), 300, replace=False)
    order = rng.permutation(np.unique(opened.groups))
    sizes = np.bincount(opened.groups)
    small = order[(sizes[order] <= 20)]
    whole = np.flatnonzero(np.isin(opened.groups, small[: np.searchsorted(np.cumsum(sizes[small]), 300)]))
    told: dict[str, Any] = {"unit": "share of the map's longer side"}
    for name, held in (("single records", single), ("whole groups of like records", whole)):
        for method, (fitted, _) in fits(vectors).items():
            told.setdefault(name, {"points": len(held)})[method] = _placed(
                method, fitted, vectors, held, opened
            )
    return told


def _placed(method: str, fitted: Fitted, vectors: np.ndarray, held: np.ndarray, opened: Opened) -> dict:
    rest = np.setdiff1d(np.arange(len(vectors)), held)
    there = Fitted(fitted.xy[rest], fitted.arrays)
    begun = time.perf_counter()
    found = projection_of(method).place(vectors[held], vectors[rest], there)
    seconds = time.perf_counter() - begun
    side = float(np.ptp(fitted.xy, axis=0).max())
    error = np.linalg.norm(found - fitted.xy[held], axis=1) / side
    random = fitted.xy[np.random.default_rng(1).choice(rest, len(held))]
    chance = np.linalg.norm(random - fitted.xy[held], axis=1) / side
    closer = [
        (np.linalg.norm(there.xy - own, axis=1) < np.linalg.norm(p - own)).mean()
        for own, p in zip(fitted.xy[held], found, strict=True)
    ]
    return {
        "error": mean_with_interval(error, opened.groups[held]),
        "median_error": float(np.median(error)),
        "random_place": mean_with_interval(chance, opened.groups[held]),
        "median_random": float(np.median(chance)),
        "median_share_of_points_closer": float(np.median(closer)),
        "seconds_each": seconds / len(held),
    }


def labels_of(opened: Opened) -> dict[str, np.ndarray]:
    """Crystal system, chemical class and mineral of each record; −1 where unknown or rare."""
    table = opened.records.table
    systems = [crystal_system(n) for n in table["spacegroup_number"]]
    classes = [chemical_class(e) for e in table["elements"]]
    names, counts = np.unique([m.lower() for m in opened.records.minerals], return_counts=True)
    common = {n: i for i, (n, c) in enumerate(zip(names.tolist(), counts, strict=True)) if n and c >= 20}
    return {
        "crystal system": np.array([SYSTEMS.index(s) if s else -1 for s in systems]),
        "chemical class": np.array([CLASSES.index(c) if c else -1 for c in classes]),
        "mineral (20 crystals or more)": np.array(
            [common.get(m.lower(), -1) for m in opened.records.minerals]
        ),
    }


def purities() -> dict[str, Any]:
    """Share of like neighbours of test records in the space, on each map, and by chance.

    No neighbour is of the same publication; for crystal system and class none is of the same mineral either.
    """
    vectors, opened = quick_vectors(), open_run(QUICK, Store(QUICK / "store"))
    test, told = opened.rows["test"], {}
    paper = np.unique(opened.records.titles, return_inverse=True)[1]
    places = {"space": vectors, **{m: f.xy for m, (f, _) in fits(vectors).items()}}
    places["composition only, space"] = opened.records.fractions
    for name, labels in labels_of(opened).items():
        apart = paper if name.startswith("mineral") else opened.groups
        near = {place: nearest_apart(xy, apart, K, 1200, test) for place, xy in places.items()}
        rows = {
            place: mean_with_interval(purity(found, labels, test), opened.groups[test])
            for place, found in near.items()
        }
        shuffled = labels.copy()
        shuffled[labels >= 0] = np.random.default_rng(0).permutation(labels[labels >= 0])
        chance = purity(near["space"], shuffled, test)
        told[name] = rows | {"shuffled": mean_with_interval(chance, opened.groups[test])}
    return told


def heat() -> dict[str, Any]:
    """ROC-AUC of a word's heat against titles of test records that hold the word."""
    opened = open_run(QUICK, Store(QUICK / "store"))
    baseline = composition_model(QUICK)
    if baseline is None:
        raise SystemExit("no composition baseline beside runs/quickstart")
    rows = opened.rows["test"]
    titles = [opened.records.titles[r] for r in rows]
    models = {"model": opened, "composition only": open_beside(baseline, opened)}
    vectors = {n: embed_rows(o.prismat, o.data, rows, ["structure"])[0] for n, o in models.items()}
    words = {
        **WORDS,
        "metal-organic frameworks": ("metal-organic framework", "MOF"),
        "zeolite": ("zeolitic",),
    }
    told: dict[str, Any] = {"test_records": len(rows), "words": {}, "too_few": {}}
    groups = opened.groups[rows]
    for word, forms in words.items():
        has = word_labels(titles, word, forms)
        if has.sum() < FEWEST:
            told["too_few"][word] = int(has.sum())
            continue
        scores = {n: _heat(o, vectors[n], word) for n, o in models.items()}
        told["words"][word] = {"titles": int(has.sum()), **_aucs(scores, has, groups)}
    found = told["words"].values()
    told["mean"] = {n: float(np.mean([w[n]["roc_auc"] for w in found])) for n in (*models, "shuffled")}
    return told


def _heat(opened: Opened, vectors: dict[str, np.ndarray], word: str) -> np.ndarray:
    prismat = opened.prismat
    query = prismat.embed(texts=[word])[prismat.key("text", "structure")][0]
    return vectors[prismat.key("structure", "text")] @ query


def _aucs(scores: dict[str, np.ndarray], has: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Areas with intervals over groups; the shuffled one has its labels drawn anew."""
    rng = np.random.default_rng(0)
    _, code = np.unique(groups, return_inverse=True)
    drawn: dict[str, list[float]] = {n: [] for n in scores}
    members = [np.flatnonzero(code == c) for c in range(code.max() + 1)]
    for _ in range(300):
        rows = np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))])
        if 0 < has[rows].sum() < len(rows):
            for name, values in scores.items():
                drawn[name].append(roc_auc(values[rows], has[rows]))
    told = {
        n: {"roc_auc": roc_auc(v, has), "interval": interval(np.array(drawn[n]))} for n, v in scores.items()
    }
    told["shuffled"] = {"roc_auc": roc_auc(next(iter(scores.values())), rng.permutation(has))}
    difference = np.array(drawn["model"]) - np.array(drawn["composition only"])
    return {**told, "model_minus_composition": {"interval": interval(difference)}}


def compare() -> dict[str, Any]:
    """Purity of title words around test records: trained with titles against trained with patterns (CMML)."""
    store = Store(SYSTEMS_RUNS / "store")
    ours = open_run(SYSTEMS_RUNS / "default-0", store)
    cmml = open_beside(SYSTEMS_RUNS / "cmml-0", ours)
    rows, groups = ours.rows["test"], ours.groups[ours.rows["test"]]
    titles = [ours.records.titles[r] for r in rows]
    paper = np.unique(titles, return_inverse=True)[1]
    spaces = {"with titles": _structures(ours, rows, "text"), "CMML": _structures(cmml, rows, "xrd")}
    spaces["composition only"] = ours.records.fractions[rows]
    maps = {n: fit_projection("tsne", spaces[n], ProjectionConfig()).xy for n in ("with titles", "CMML")}
    told: dict[str, Any] = {"test_records": len(rows), "k": K, "words": {}}
    pooled: dict[str, list] = {}
    marks = {}
    near = {n: nearest_apart(v, paper, K) for n, v in spaces.items()}
    near |= {f"{n}, map": nearest_apart(xy, paper, K) for n, xy in maps.items()}
    for word, forms in WORDS.items():
        has = word_labels(titles, word, forms)
        if has.sum() < FEWEST:
            continue
        found = {n: word_purity(rows_near, has) for n, rows_near in near.items()}
        told["words"][word] = _purities(found, has, groups)
        for n, values in found.items():
            pooled.setdefault(n, []).append(values)
        pooled.setdefault("groups", []).append(groups[has])
        pooled.setdefault("chance", []).append(np.full(int(has.sum()), (has.sum() - 1) / (len(has) - 1)))
        marks[word] = has
    joined = {n: np.concatenate(v) for n, v in pooled.items()}
    told["all words"] = _purities(
        {n: v for n, v in joined.items() if n not in ("groups", "chance")},
        np.ones(len(joined["groups"]), bool),
        joined["groups"],
    ) | {"shuffled": float(joined["chance"].mean())}
    shown = ("garnet", "spinel", "perovskite", "superconductor")
    word = max(
        marks,
        key=lambda w: told["words"][w]["with titles minus CMML"]["mean"] * (w in shown),
    )
    _draw_compare(maps, marks[word], word, told["words"][word])
    return told | {"drawn": word}


def _structures(opened: Opened, rows: np.ndarray, partner: str) -> np.ndarray:
    vectors, _ = embed_rows(opened.prismat, opened.data, rows, ["structure"])
    return vectors[opened.prismat.key("structure", partner)].astype(np.float64)


def _purities(found: dict[str, np.ndarray], has: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    told: dict[str, Any] = {n: mean_with_interval(v, groups[has]) for n, v in found.items()}
    for suffix in ("", ", map"):
        pair = found[f"with titles{suffix}"], found[f"CMML{suffix}"]
        mean, low, high = paired_difference(*pair, groups[has], resamples=RESAMPLES)
        told[f"with titles minus CMML{suffix}"] = {"mean": mean, "interval": (low, high)}
    return told | {"titles": int(has.sum()), "shuffled": float((has.sum() - 1) / (len(has) - 1))}


def _draw_compare(maps: dict[str, np.ndarray], has: np.ndarray, word: str, told: dict) -> None:
    names = {"CMML": "CMML: structure and pattern", "with titles": "Prismat: structure, pattern and title"}
    boxed = {names[n]: fitted_to_map(Fitted(maps[n], {}))[0] for n in names}
    said = {
        names[n]: f"{100 * told[n]['mean']:.0f} % of the neighbours have “{word}” too, "
        f"{100 * told['shuffled']:.0f} % by chance"
        for n in names
    }
    figure = highlight_figure(boxed, dict.fromkeys(boxed, has), said)
    write_figure(figure, IMAGES / "map_compare", ["png"])


def routes() -> dict[str, Any]:
    """Purity of synthesis routes around test records, by the recipe's vector and by the structure's."""
    store = Store(SYNTHESIS / "store")
    opened = open_run(SYNTHESIS / "run", store)
    rng = np.random.default_rng(0)
    rows = opened.rows["test"]
    rows = np.sort(rng.choice(rows, min(3000, len(rows)), replace=False))
    texts = [dict(t).get("synthesis", "") for t in opened.records.table["texts"]]
    made = [synthesis_route(texts[r]) for r in rows]
    shown = categories(made)
    labels = np.nan_to_num(shown.values, nan=-1).astype(int)
    paper = np.unique([opened.records.publications[r] for r in rows], return_inverse=True)[1]
    vectors, present = embed_rows(opened.prismat, opened.data, rows, ["structure", "text"])
    told: dict[str, Any] = {
        "test_records": len(rows),
        "routes": dict(zip(shown.categories, np.bincount(labels[labels >= 0]).tolist(), strict=True)),
    }
    told["shuffled"] = mean_with_interval(
        purity(nearest_apart(vectors["text@structure"].astype(float), paper, K), rng.permutation(labels)),
        paper,
    )
    for name, key in (("recipe", "text@structure"), ("structure", "structure@text")):
        has = present[key]
        space = vectors[key][has].astype(np.float64)
        fitted = fit_projection("tsne", space, ProjectionConfig())
        for place, xy in (("space", space), ("map", fitted.xy)):
            found = purity(nearest_apart(xy, paper[has], K), labels[has])
            told[f"{name}, {place}"] = mean_with_interval(found, paper[has])
        if name == "structure":
            # Most recipes come without a structure, and so without atomic fractions.
            near = nearest_apart(opened.records.fractions[rows][has], paper[has], K)
            told["structure, composition only"] = mean_with_interval(purity(near, labels[has]), paper[has])
        chance = purity(nearest_apart(space, paper[has], K), rng.permutation(labels[has]))
        told[f"{name}, shuffled"] = mean_with_interval(chance, paper[has])
        if name == "recipe":
            _draw_routes(fitted, shown, has)
    return told


def _draw_routes(fitted: Fitted, shown: Any, has: np.ndarray) -> None:
    xy, _ = fitted_to_map(fitted)
    n = len(xy)
    overlay = replace(shown, values=shown.values[has])
    empty = ("",) * n
    world = MaterialsMap(
        empty, empty, empty, xy, np.zeros(n, np.int16), (), {"synthesis routes": overlay}, {}, "tsne", "", ""
    )
    write_figure(overlay_figure(world, "synthesis routes"), IMAGES / "map_routes", ["png"])


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "methods": methods,
    "placing": placing,
    "purity": purities,
    "heat": heat,
    "compare": compare,
    "routes": routes,
}


def main() -> None:
    """Measures the parts asked for and merges them with what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    for part in parser.parse_args().parts:
        begun = time.perf_counter()
        found = PARTS[part]()
        path = RESULTS / "maps.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        known.pop("machine", None)
        found["wall_seconds"] = round(time.perf_counter() - begun, 1)
        write("maps", {**known, part: found})
        print(part, json.dumps(found, default=float)[:3000], flush=True)


if __name__ == "__main__":
    main()
