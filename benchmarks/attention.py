"""What do text encoders attend to, does seeing crystals change it, and is it an explanation?

Three questions on held-out texts, each with a bootstrap interval over groups of linked records:

* pairs: the same text encoder trained with crystals, trained on the same texts by masked language modelling
  alone, and with random weights; the same for more seeds, whose distance from one another is the noise.
* check: deletion and insertion curves of words ordered by attention, rollout, attention × gradient and
  occlusion against random orders; the score is the cosine with the text's own crystal.
* recipes: which steps and words of synthesis recipes get the mass, against their share of the tokens.

Needs trained runs: ``systems.py`` (clac, trimodal), ``prismat quickstart``, and runs on a synthesis store.
Usage: python attention.py [--parts pairs check recipes] [--texts 200], then python attention.py --draw
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from _machine import RESULTS, ROOT, write

from prismat.explain.attention.check import CheckSettings
from prismat.explain.attention.kinds import is_kind, kinds_of
from prismat.explain.attention.pictures import bars_svg
from prismat.explain.attention.recipes import RecipeReading, mass_by_kind, read_recipe_text
from prismat.explain.attention.source import TextSource, bare_source, source_of
from prismat.explain.attention.study import (
    Case,
    Reading,
    check_figures,
    check_many,
    choose_head,
    difference_with_interval,
    distances,
    mean_with_interval,
    read_many,
)
from prismat.explain.attention.tokens import words_of
from prismat.modalities.lexicon import Lexicon
from prismat.modalities.text import clean_text
from prismat.page.picture import standalone_svg
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened, open_run
from prismat.tasks.text_tasks.encoders import ALIGNED, LANGUAGE, RANDOM, open_rivals


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        parts: ``pairs``, ``check``, ``recipes``; figures of the others are kept.
        runs: folder of the runs of ``systems.py``.
        quickstart: a quickstart folder.
        synthesis: runs on a synthesis store; of one with frozen text half as many recipes are read, and a
            tenth as many checked.
        synthesis_store: their store.
        folder: of the language models, taken from there where finished.
        encoders: those that are checked; figures of the others are kept.
        texts: held-out texts of a check; a quarter as many for a large encoder.
        seed: of draws.
        draw: make the pictures of the manual from the figures and measure nothing.
    """

    parts: tuple[str, ...] = ("pairs", "check", "recipes")
    runs: Path = ROOT / "runs" / "systems"
    quickstart: Path = ROOT / "runs" / "quickstart"
    synthesis: tuple[Path, ...] = (
        ROOT / "runs" / "tasks6" / "synthesis" / "run",
        ROOT / "runs" / "attention" / "synthesis",
    )
    synthesis_store: Path = ROOT / "runs" / "tasks6" / "synthesis" / "store"
    folder: Path = ROOT / "runs" / "attention"
    encoders: tuple[str, ...] = ("clac-0", "trimodal-0", "quickstart")
    texts: int = 200
    seed: int = 0
    draw: bool = False


@dataclass(frozen=True)
class Titles:
    """Texts of one part with their rows, marks of chemistry and groups."""

    rows: np.ndarray
    texts: list[str]
    marked: list[np.ndarray]
    groups: np.ndarray


def titles_of(opened: Opened, part: str, count: int | None, seed: int, view: str = "title") -> Titles:
    """Distinct texts of two words or more with a word of chemistry and one without, in random order."""
    lexicon = Lexicon.from_names(opened.records.minerals)
    rows, texts, marked, seen = [], [], [], set()
    for row in np.random.default_rng(seed).permutation(opened.rows[part]):
        text = clean_text(dict(opened.records.table["texts"][row]).get(view, ""))
        words = words_of(text)
        mark = is_kind(kinds_of(words, text, lexicon))
        if text not in seen and mark.any() and not mark.all():
            seen.add(text)
            rows.append(row)
            texts.append(text)
            marked.append(mark)
    kept = slice(0, count)
    chosen = np.array(rows[kept])
    return Titles(chosen, texts[kept], marked[kept], opened.groups[chosen])


def sources(run: Path, store: Store, folder: Path) -> dict[str, TextSource]:
    """The aligned encoder and those beside it."""
    rivals = open_rivals(run, store, folder)
    found = {ALIGNED: source_of(rivals.prismat)}
    for name in (LANGUAGE, RANDOM):
        if name in rivals.encoders and rivals.by_tokens:
            found[name] = bare_source(name, rivals.encoders[name], rivals.reader)
    return found


def pair_figures(readings: dict[str, Reading], groups: np.ndarray) -> dict:
    """Shares, entropies and distances, with the paired difference to the aligned encoder."""
    share = {name: r.share.mean(axis=2) for name, r in readings.items()}
    aligned = readings[ALIGNED]
    found: dict = {
        "share_of_tokens": mean_with_interval(aligned.uniform, groups),
        "encoders": {},
        "aligned_minus": {},
    }
    for name, reading in readings.items():
        found["encoders"][name] = {
            "chemistry_share": mean_with_interval(share[name].mean(axis=1), groups),
            "chemistry_share_by_layer": share[name].mean(axis=0).tolist(),
            "chemistry_share_by_head": reading.share.mean(axis=0).tolist(),
            "entropy": mean_with_interval(reading.entropy.mean(axis=(1, 2)), groups),
            "entropy_by_head": reading.entropy.mean(axis=0).tolist(),
            "special": mean_with_interval(reading.special.mean(axis=(1, 2)), groups),
        }
        if name != ALIGNED:
            found["aligned_minus"][name] = {
                "chemistry_share": difference_with_interval(
                    share[ALIGNED].mean(axis=1), share[name].mean(axis=1), groups
                ),
                "chemistry_share_by_layer": [
                    difference_with_interval(share[ALIGNED][:, i], share[name][:, i], groups)
                    for i in range(share[name].shape[1])
                ],
                "entropy": difference_with_interval(
                    aligned.entropy.mean(axis=(1, 2)), reading.entropy.mean(axis=(1, 2)), groups
                ),
                "distance": mean_with_interval(distances(aligned.words, reading.words), groups),
            }
    return found


def pairs(options: Options) -> dict:
    """The aligned encoder, masked language alone and random weights, on all distinct test titles."""
    store = Store(options.runs / "store")
    found, kept, groups = {}, {}, np.zeros(0)
    for name in ("clac-0", "clac-1", "clac-2", "trimodal-0"):
        run = options.runs / name
        opened = open_run(run, store)
        titles = titles_of(opened, "test", None, options.seed)
        readings = {
            which: read_many(source, titles.texts, titles.marked)
            for which, source in sources(run, store, options.folder / f"language_{name}").items()
        }
        found[name] = {"texts": len(titles.texts), **pair_figures(readings, titles.groups)}
        if name.startswith("clac"):
            kept[name], groups = readings, titles.groups
        print(name, json.dumps(found[name]["aligned_minus"], indent=1)[:600], flush=True)
    seeds = {
        which: mean_with_interval(
            np.mean(
                [distances(kept[a][which].words, kept[b][which].words) for a, b in _two(list(kept))], axis=0
            ),
            groups,
        )
        for which in (ALIGNED, LANGUAGE)
    }
    return {"runs": found, "distance_between_seeds_of_clac": seeds}


def _two(names: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]


def cases_of(opened: Opened, titles: Titles) -> list[Case]:
    """Titles with their crystals' vectors."""
    vectors, present = embed_rows(opened.prismat, opened.data, titles.rows, ["structure"])
    key = opened.prismat.key("structure", "text")
    return [
        Case(text, torch.from_numpy(vector), mark)
        for text, vector, mark, there in zip(
            titles.texts, vectors[key], titles.marked, present[key], strict=True
        )
        if there
    ]


def check(options: Options) -> dict:
    """The check on held-out titles; the head is chosen on validation titles."""
    runs = {name: (options.runs / name, options.runs / "store") for name in ("clac-0", "trimodal-0")}
    runs["quickstart"] = (options.quickstart, options.quickstart / "store")
    found = kept_figures().get("check", {})
    for name in options.encoders:
        run, store = runs[name]
        started = time.process_time()
        opened = open_run(run, Store(store))
        source = source_of(opened.prismat)
        is_small = not source.note
        count = options.texts if is_small else options.texts // 4
        validation = titles_of(opened, "val", 60 if is_small else 8, options.seed)
        settings = CheckSettings() if is_small else CheckSettings(orders=10, points=6)
        head, gains = choose_head(source, cases_of(opened, validation), settings)
        titles = titles_of(opened, "test", count, options.seed)
        figures = check_figures(check_many(source, cases_of(opened, titles), head, settings), titles.groups)
        found[name] = {
            "encoder": source.note or "trained with crystals",
            "texts": len(titles.texts),
            "head": list(head),
            "gain_by_head_of_validation": gains.tolist(),
            "ways": figures,
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        print(name, head, {w: round(f["beats_random"]["mean"], 3) for w, f in figures.items()}, flush=True)
    return found


def recipes(options: Options) -> dict:
    """Mass by kind of step and word, and the check of orders of words, on held-out recipes with a crystal."""
    found = kept_figures().get("recipes", {})
    for run in options.synthesis:
        started = time.process_time()
        opened = open_run(run, Store(options.synthesis_store))
        source = source_of(opened.prismat)
        titles = recipe_texts(opened, options.texts if not source.note else options.texts // 2, options.seed)
        cases = cases_of(opened, titles)
        readings: list[RecipeReading] = [read_recipe_text(source, case.text, case.target) for case in cases]
        settings = CheckSettings(orders=10, points=6)
        checked = check_many(source, cases[: options.texts // 10 if source.note else None], None, settings)
        mass = mass_by_kind(readings, titles.groups)
        found["frozen" if source.note else "trained"] = {
            "encoder": source.note or source.name,
            "recipes": len(readings),
            "mass": mass,
            "check": check_figures(checked, titles.groups[: len(next(iter(checked.values())))]),
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        print(run.name, json.dumps(mass["steps"], indent=1)[:800], flush=True)
    return found


def recipe_texts(opened: Opened, count: int, seed: int) -> Titles:
    """Recipes of three steps or more whose product has a crystal; the words of chemistry are marked."""
    has = opened.records.fractions.any(axis=1)
    rows, texts, marked, seen = [], [], [], set()
    for row in np.random.default_rng(seed).permutation(opened.rows["test"]):
        text = clean_text(dict(opened.records.table["texts"][row]).get("synthesis", ""))
        if has[row] and text.count(";") >= 2 and text not in seen and len(rows) < count:
            seen.add(text)
            rows.append(row)
            texts.append(text)
            marked.append(is_kind(kinds_of(words_of(text), text)))
    return Titles(np.array(rows), texts, marked, opened.groups[np.array(rows)])


def draw(figures: dict) -> None:
    """Share of titles on which each order beats random ones, and mass on the parts of recipes."""
    checked = figures["check"]["clac-0"]["ways"]
    rows = [(way, *_range(one["beats_random"], "mean", "interval")) for way, one in checked.items()]
    chance = checked["one random order"]["beats_random"]["mean"]
    label = "share of titles, better than random by deletion and insertion"
    _save("attention_check", bars_svg(rows, "attention check", label, label, chance))
    for name, found in figures["recipes"].items():
        rows = [
            (f"{kind} · {way}", *_range(one[way], "ratio", "ratio_interval"))
            for kind, one in found["mass"]["words"].items()
            for way in ("attention", "occlusion")
            if one and kind not in ("glue", "other")
        ]
        label = "share of the mass over share of the tokens"
        _save(f"attention_parts_{name}", bars_svg(rows, f"attention parts {name}", label, label, 1.0))


def _range(figure: dict, value: str, ends: str) -> tuple[float, tuple[float, float]]:
    low, high = figure[ends]
    return figure[value], (low, high)


def _save(name: str, svg: str) -> None:
    path = Path(__file__).parents[1] / "docs" / "images" / f"{name}.svg"
    path.write_text(standalone_svg(svg), encoding="utf-8")


def kept_figures() -> dict:
    """What was measured before."""
    path = RESULTS / "attention.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    kept.pop("machine", None)
    return kept


def main(options: Options) -> None:
    """Measures the parts and keeps the others' figures."""
    if options.draw:
        draw(kept_figures())
        return
    for part in options.parts:
        started = time.monotonic(), time.process_time()
        figures = {"pairs": pairs, "check": check, "recipes": recipes}[part](options)
        kept = kept_figures()
        took = {
            "wall": round(time.monotonic() - started[0], 1),
            "processor": round(time.process_time() - started[1], 1),
        }
        write("attention", {**kept, part: figures, "seconds": {**kept.get("seconds", {}), part: took}})


if __name__ == "__main__":
    main(tyro.cli(Options))
