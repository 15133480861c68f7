"""What 'not', 'like' and 'unlike' do for precision: weights chosen on validation records, judged on test.

Run: python benchmarks/queries.py [quickstart folder] [--test]
"""

import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _machine import ROOT, write

from prismat.api import SENTENCE, Prismat, load
from prismat.elements import atomic_number, table
from prismat.search.comparisons import DEFAULT_BLEND, compare
from prismat.search.filters import SYSTEMS
from prismat.search.index import Index
from prismat.search.notes import STOP_WORDS
from prismat.search.query import Query
from prismat.splits import Split
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference

WEIGHTS = tuple(round(0.1 * n, 1) for n in range(11))
LEAST, SHARE = 8, (0.2, 0.8)
"""Records of a word, and share of them that what is to be avoided applies to."""
EXAMPLES, DRAWS, K = 3, 5, 10
LOSS = 0.02
"""Share of the average precision that 'unlike' may cost."""
MEASURES = ("average precision", "precision at 10", "unwanted among 10")
BLENDS = {
    "structure": {"structure": 1.0},
    "pattern": {"profile": 1.0, "xrd": 0.5},
    "words": {"sentence": 1.0},
    "structure, pattern": {"structure": 1.0, "profile": 0.67, "xrd": 0.33},
    "structure, words": {"structure": 1.0, "sentence": 1.0},
    "structure, pattern, words": {"structure": 1.0, "profile": 0.67, "xrd": 0.33, "sentence": 1.0},
}


@dataclass(frozen=True, eq=False)
class Part:
    """Records of one part of the split.

    Attributes:
        rows: in the index.
        titles: words of each title.
        elements: symbols of each record.
        system: crystal system of each record.
        kind: space group and number of sites, which stand for a structure type.
        read: vectors by key.
    """

    rows: np.ndarray
    titles: list[set[str]]
    elements: list[set[str]]
    system: np.ndarray
    kind: list[tuple]
    read: dict[str, np.ndarray] = field(default_factory=dict)

    def gallery(self, index: Index, key: str) -> np.ndarray:
        """Vectors of the part's records under a key, read once."""
        if key not in self.read:
            self.read[key] = np.asarray(index.vectors[key][self.rows])
        return self.read[key]


def words_of(text: str) -> set[str]:
    """Words of five letters or more without a plural s."""
    return {w.removesuffix("s") for w in re.findall(r"[a-z]{5,}", text.lower()) if w not in STOP_WORDS}


def read_part(index: Index, rows: np.ndarray) -> Part:
    rows = np.sort(rows)
    found = index.table.take(rows).to_pylist()
    names = {n: name for name, (low, high) in SYSTEMS.items() for n in range(low, high + 1)}
    return Part(
        rows,
        [words_of(r["title"] or "") for r in found],
        [set(r["elements"] or ()) for r in found],
        np.array([names.get(r["spacegroup_number"], "") for r in found]),
        [(r["spacegroup_number"], r["n_sites"]) for r in found],
    )


class Scores:
    """Scores of texts against the records of one part, embedded a batch at a time."""

    def __init__(self, prismat: Prismat, index: Index, part: Part) -> None:
        self.prismat, self.index, self.known = prismat, index, {}
        found = compare(prismat, index, Query("text"), DEFAULT_BLEND)
        self.shares = {one.key: one.share for one in found}
        self.own = {key: key if key == SENTENCE else prismat.key("text", "structure") for key in self.shares}
        self.gallery = {key: np.asarray(index.vectors[key][part.rows]) for key in self.shares}
        self.present = {key: index.present[key][part.rows] for key in self.shares}
        self.weight = sum(share * self.present[key] for key, share in self.shares.items())

    def read(self, texts: list[str]) -> None:
        """Embeds what is not yet known."""
        new = sorted(set(texts) - set(self.known))
        for start in range(0, len(new), 128):
            batch = new[start : start + 128]
            vectors = self.prismat.embed(texts=batch)
            total = sum(
                share * self.gallery[key] @ np.asarray(vectors[self.own[key]]).T
                for key, share in self.shares.items()
            )
            scores = (total / np.maximum(self.weight, 1e-9)[:, None]).astype(np.float32)
            self.known |= {text: scores[:, i] for i, text in enumerate(batch)}

    def of(self, text: str) -> np.ndarray:
        """Mean cosine of the text with every record over the keys it has."""
        if text not in self.known:
            self.read([text])
        return self.known[text]


def precision(scores: np.ndarray, right: np.ndarray, bad: np.ndarray) -> tuple[float, float, float]:
    """Average precision, shares of right and of unwanted among the first ten; −inf leaves a record out."""
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    hit = right[order]
    at = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    # Right records that were filtered out are missed.
    return (
        float((at * hit).sum() / max(int(right.sum()), 1)),
        float(hit[:K].mean()),
        float(bad[order[:K]].mean()),
    )


@dataclass(frozen=True, eq=False)
class Pair:
    """One query: words, and what to avoid.

    Attributes:
        kind: ``element``, ``crystal system`` or ``word``.
        word: wanted.
        avoid: not wanted, as a word.
        has: records of the part with the word.
        bad: records of the part with what is to be avoided, by fact.
        told: records whose title has the word to avoid.
    """

    kind: str
    word: str
    avoid: str
    has: np.ndarray
    bad: np.ndarray
    told: np.ndarray


def pairs(part: Part) -> list[Pair]:
    """Every word of enough titles with everything that is true of a fifth to four fifths of its records."""
    counts = Counter(w for title in part.titles for w in title)
    usual = sorted(w for w, n in counts.items() if LEAST <= n <= len(part.rows) // 4)
    names = {row["symbol"]: row["name"] for row in table()}
    symbols = sorted({s for e in part.elements for s in e} - {"H", "D", "O"}, key=atomic_number)
    facts = [("element", names[s], np.array([s in e for e in part.elements])) for s in symbols if s in names]
    facts += [("crystal system", name, part.system == name) for name in SYSTEMS]
    in_title = {w: np.array([w in title for title in part.titles]) for w in usual}
    facts += [("word", w, mask) for w, mask in in_title.items()]
    found = []
    for word in usual:
        has = in_title[word]
        for kind, avoid, bad in facts:
            if avoid == word or not SHARE[0] <= (has & bad).sum() / has.sum() <= SHARE[1]:
                continue
            told = np.array([avoid in title for title in part.titles])
            found.append(Pair(kind, word, avoid, has, bad, told))
    return found


def negation(scores: Scores, among: list[Pair], weights: tuple[float, ...]) -> dict:
    """Average precision and precision at ten of every pair under every way to say 'not'; by way."""
    ways: dict[str, list[tuple[float, float, float]]] = {}
    scores.read([t for p in among for t in (p.word, p.avoid, f"{p.word} without {p.avoid}")])
    for pair in among:
        right = pair.has & ~pair.bad
        wanted, bad = scores.of(pair.word), scores.of(pair.avoid)
        said = scores.of(f"{pair.word} without {pair.avoid}")
        tried = {f"weight {w}": wanted - w * bad for w in weights}
        tried["in the words of the query"] = said
        tried["titles with the word filtered out"] = np.where(pair.told, -np.inf, wanted)
        tried["filtered by fact"] = np.where(pair.bad, -np.inf, wanted)
        for name, found in tried.items():
            ways.setdefault(name, []).append(precision(found, right, pair.bad))
    return {name: np.array(values) for name, values in ways.items()}


def several(scores: Scores, among: list[Pair], weights: tuple[float, ...], rng) -> dict:
    """Two elements to avoid at once: each with the whole weight, or sharing it."""
    by_word: dict[str, list[Pair]] = {}
    for pair in among:
        if pair.kind == "element":
            by_word.setdefault(pair.word, []).append(pair)
    ways: dict[str, list[float]] = {}
    for word, known in sorted(by_word.items()):
        for _ in range(min(3, len(known) // 2)):
            a, b = (known[i] for i in rng.choice(len(known), 2, replace=False))
            right = a.has & ~a.bad & ~b.bad
            if right.sum() < 2:
                continue
            wanted, both = scores.of(word), scores.of(a.avoid) + scores.of(b.avoid)
            for w in weights:
                ways.setdefault(f"each {w}", []).append(precision(wanted - w * both, right, ~right)[0])
                ways.setdefault(f"shared {w}", []).append(precision(wanted - w / 2 * both, right, ~right)[0])
    return {name: float(np.mean(values)) for name, values in ways.items()}


def example_tasks(part: Part, rng: np.random.Generator) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """(kind, class, examples, members) drawn from title words and from structure types."""
    counts = Counter(w for title in part.titles for w in title)
    classes = {
        ("word", w): np.array([w in t for t in part.titles])
        for w, n in sorted(counts.items())
        if LEAST <= n <= len(part.rows) // 4
    }
    kinds = Counter(part.kind)
    classes |= {
        ("structure type", str(k)): np.array([x == k for x in part.kind])
        for k, n in sorted(kinds.items(), key=str)
        if n >= LEAST
    }
    return [
        (kind, name, rng.choice(np.flatnonzero(members), EXAMPLES, replace=False), members)
        for (kind, name), members in classes.items()
        for _ in range(DRAWS)
    ]


def example_scores(index: Index, part: Part, examples: np.ndarray, blend: dict[str, float]) -> np.ndarray:
    """Mean cosine of every record of the part with each example over the keys both have."""
    rows = part.rows
    total, weight = (np.zeros((len(rows), len(examples))) for _ in range(2))
    for key in index.vectors:
        window = key.partition("@")[0]
        keys = [k for k in index.vectors if k.partition("@")[0] == window]
        share = blend.get(window, 0.0) / len(keys)
        if share:
            gallery, present = part.gallery(index, key), index.present[key][rows]
            both = present[:, None] & present[examples][None]
            total += share * both * (gallery @ gallery[examples].T)
            weight += share * both
    return np.where(weight > 0, total / np.maximum(weight, 1e-9), -1.0)


def likeness(index: Index, part: Part, tasks: list, blends: dict) -> dict[str, np.ndarray]:
    """Average precision of every task by what is compared and how examples are joined."""
    ways: dict[str, list[tuple[float, float, float]]] = {}
    for _, _, examples, members in tasks:
        right = members.copy()
        right[examples] = False
        for name, blend in blends.items():
            each = example_scores(index, part, examples, blend)
            joined = {"one": each[:, 0], "mean": each.mean(axis=1), "best": each.max(axis=1)}
            for how, values in joined.items():
                found = values.copy()
                found[examples] = -np.inf
                ways.setdefault(f"{name}: {how}", []).append(precision(found, right, ~members))
    return {name: np.array(values) for name, values in ways.items()}


def is_enough(pair: Pair) -> bool:
    """Whether three examples of each kind leave two records to be found."""
    return min((pair.has & ~pair.bad).sum() - 2, (pair.has & pair.bad).sum()) >= EXAMPLES


def unlikeness(index: Index, part: Part, among: list[Pair], blend: dict, weights, rng) -> dict:
    """'Like these three, unlike those three' where those share the word but have what is to be avoided."""
    ways: dict[str, list[tuple[float, float, float]]] = {}
    for pair in among:
        if not is_enough(pair):
            continue
        good, bad = np.flatnonzero(pair.has & ~pair.bad), np.flatnonzero(pair.has & pair.bad)
        liked, unliked = (rng.choice(rows, EXAMPLES, replace=False) for rows in (good, bad))
        right = pair.has & ~pair.bad
        right[liked] = False
        near = example_scores(index, part, liked, blend).mean(axis=1)
        far = example_scores(index, part, unliked, blend).mean(axis=1)
        for w in weights:
            found = near - w * far
            found[[*liked, *unliked]] = -np.inf
            ways.setdefault(f"weight {w}", []).append(precision(found, right, pair.bad))
    return {name: np.array(values) for name, values in ways.items()}


def told(values: np.ndarray, groups: np.ndarray) -> dict:
    """Mean average precision and precision at ten with intervals over the wanted words."""
    means = bootstrap_means(values, groups, resamples=2000)
    return {
        name: {"value": float(values[:, i].mean()), "interval": interval(means[:, i])}
        for i, name in enumerate(MEASURES)
    }


def labels(names: list[str]) -> np.ndarray:
    return np.unique(names, return_inverse=True)[1].ravel()


def by_kind(
    ways: dict, kinds: np.ndarray, groups: np.ndarray, shown: list[str], base: str, best: str
) -> dict:
    """Figures of each kind of query, and the paired gain of ``best`` over ``base``."""
    found = {}
    for kind in sorted(set(kinds)):
        mask = kinds == kind
        ours, theirs = (ways[w][mask] for w in (best, base))
        found[kind] = {
            "queries": int(mask.sum()),
            "words": len(set(groups[mask].tolist())),
            "ways": {w: told(ways[w][mask], groups[mask]) for w in shown},
            **{
                f"change in {m}": paired_difference(ours[:, i], theirs[:, i], groups[mask], 0, 2000)
                for i, m in enumerate(MEASURES)
            },
        }
    return found


def curve(ways: dict, kinds: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean average precision by weight, for each kind and as the mean of the kinds."""
    found = {}
    for name, values in ways.items():
        each = {kind: float(values[kinds == kind][:, 0].mean()) for kind in sorted(set(kinds))}
        found[name] = {**each, "mean": float(np.mean(list(each.values())))}
    return found


def chosen(found: dict[str, dict[str, float]], names: list[str]) -> str:
    return max(names, key=lambda name: found[name]["mean"])


def main(folder: Path) -> None:
    start = time.perf_counter()
    prismat, index = load(folder), Index.open(folder / "index")
    split = Split.from_json((folder / "run" / "split.json").read_text())
    rows = split.rows(index.table["id"].to_pylist())
    val, test = (read_part(index, rows[name]) for name in ("val", "test"))
    names = [f"weight {w}" for w in WEIGHTS]
    result: dict = {"records": {"val": len(val.rows), "test": len(test.rows)}}

    scores, among = Scores(prismat, index, val), pairs(val)
    kinds = np.array([p.kind for p in among])
    values = negation(scores, among, WEIGHTS)
    found = curve(values, kinds)
    best = chosen(found, names)
    unwanted = {name: float(v[:, 2].mean()) for name, v in values.items()}
    result["not"] = {
        "validation": found,
        "validation, unwanted among 10": unwanted,
        "queries": dict(Counter(kinds.tolist())),
        "chosen": best,
    }
    print("not", best, flush=True)
    result["not"]["two elements, validation"] = several(scores, among, WEIGHTS, np.random.default_rng(0))

    tasks = example_tasks(val, np.random.default_rng(0))
    like_kinds = np.array([kind for kind, *_ in tasks])
    like = curve(likeness(index, val, tasks, BLENDS), like_kinds)
    best_like = chosen(like, [name for name in like if not name.endswith(": one")])
    result["like"] = {"validation": like, "chosen": best_like, "queries": dict(Counter(like_kinds.tolist()))}

    print("like", best_like, flush=True)
    # What every back end can answer is the mean of the examples.
    usable = chosen(like, [name for name in like if name.endswith(": mean")])
    blend = BLENDS[usable.removesuffix(": mean")]
    apart = [p for p in among if p.kind != "word"]
    values = unlikeness(index, val, apart, blend, WEIGHTS, np.random.default_rng(0))
    mean = {name: dict(zip(MEASURES, v.mean(axis=0).tolist(), strict=True)) for name, v in values.items()}
    floor = (1 - LOSS) * mean["weight 0.0"]["average precision"]
    allowed = [name for name, m in mean.items() if m["average precision"] >= floor]
    best_unlike = min(allowed, key=lambda name: mean[name]["unwanted among 10"])
    result["unlike"] = {"validation": mean, "chosen": best_unlike, "compared": usable}
    print("unlike", best_unlike, flush=True)
    if "--test" in sys.argv:
        judge(result, Scores(prismat, index, test), index, test, (best, usable, best_unlike))
    result["seconds"] = round(time.perf_counter() - start, 1)
    print(write("queries", result))


def judge(result: dict, scores: Scores, index: Index, test: Part, picked: tuple[str, str, str]) -> None:
    """Test records, once, with what was chosen."""
    best, usable, best_unlike = picked
    among = pairs(test)
    groups, kinds = labels([p.word for p in among]), np.array([p.kind for p in among])
    weight = float(best.split()[1])
    ways = negation(scores, among, tuple(dict.fromkeys((0.0, weight))))
    result["not"]["test"] = by_kind(ways, kinds, groups, list(ways), "weight 0.0", best)
    against = "titles with the word filtered out"
    result["not"]["test, gain over filtering words"] = {
        kind: paired_difference(
            ways[best][kinds == kind][:, 0],
            ways[against][kinds == kind][:, 0],
            groups[kinds == kind],
            0,
            2000,
        )
        for kind in sorted(set(kinds))
    }
    tasks = example_tasks(test, np.random.default_rng(1))
    name = usable.removesuffix(": mean")
    like = likeness(index, test, tasks, {name: BLENDS[name]})
    kinds, groups = np.array([t[0] for t in tasks]), labels([f"{t[0]} {t[1]}" for t in tasks])
    result["like"]["test"] = by_kind(like, kinds, groups, list(like), f"{name}: one", usable)
    result["like"]["test, chance"] = {
        kind: float(np.mean([t[3].mean() for t in tasks if t[0] == kind])) for kind in sorted(set(kinds))
    }
    apart = [p for p in among if p.kind != "word"]
    weights = tuple(dict.fromkeys((0.0, float(best_unlike.split()[1]))))
    values = unlikeness(index, test, apart, BLENDS[name], weights, np.random.default_rng(1))
    kinds = np.full(len(values["weight 0.0"]), "element or crystal system")
    groups = labels([p.word for p in apart if is_enough(p)])
    result["unlike"]["test"] = by_kind(values, kinds, groups, list(values), "weight 0.0", best_unlike)


if __name__ == "__main__":
    main(Path(next((a for a in sys.argv[1:] if not a.startswith("-")), ROOT / "runs" / "quickstart")))
