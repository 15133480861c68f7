"""Ablations by a word: which arms a study of windows, parts, losses, views, texts or heads has."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Literal, get_args

from prismat.encoders.crystal import Part
from prismat.errors import BadInputError
from prismat.modalities.text_views import VIEWS
from prismat.objectives.config import Kind
from prismat.objectives.pairs import pair_name
from prismat.recipes.base import Job
from prismat.recipes.crysmmnet import PredictorJob
from prismat.recipes.systems import PLAIN
from prismat.store import Store
from prismat.studies.variant import AnyJob, Variant, check_job, on_windows, with_settings

Preset = Literal["windows", "growth", "parts", "objective", "weights", "views", "texts", "heads"]
"""``windows``: every subset that has a pair; ``growth``: one more window at a time, in the recipe's order;
``parts``: what stands for the structure; ``objective``: the losses; ``weights``: λ of each pair;
``views``: training views left out; ``texts``: kinds of text; ``heads``: shared or per pair, linear or not."""

FACTORS = ("0.3", "3")
"""λ of one pair at a time where all others weigh 1."""
_OBJECTIVES: tuple[Kind, ...] = ("infonce", "cosface", "siglip", "triplet", "jsd", "tensor_clip", "barlow")
_FALLS_FOR = {"tensor_clip": range(3, 4), "barlow": range(2, 5)}
"""Numbers of windows that a loss over all of them takes."""


def variants_over(preset: str, base: AnyJob, store: Store) -> list[Variant]:
    """The arms of a preset, without the base itself.

    Raises:
        BadInputError: no such preset, or one that has nothing to vary in the job.
    """
    if preset not in get_args(Preset):
        raise BadInputError(
            f"no ablation {preset!r}", field="over", remedy=f"Use one of {', '.join(get_args(Preset))}."
        )
    found = _predictor(preset, base, store) if isinstance(base, PredictorJob) else _JOINT[preset](base, store)
    if not found:
        raise BadInputError(
            f"the job has no {preset} to vary", field="over", remedy="Use another, or --vary path=value."
        )
    return found


def _windows(base: Job, store: Store) -> list[Variant]:
    every = base.recipe.windows
    subsets = [s for n in range(2, len(every)) for s in combinations(every, n)]
    return [Variant("+".join(s), on_windows(base, s, store)) for s in subsets]


def _growth(base: Job, store: Store) -> list[Variant]:
    every = base.recipe.windows
    return [
        Variant(f"{n}: {'+'.join(every[:n])}", on_windows(base, every[:n], store))
        for n in range(2, len(every))
    ]


def _parts(base: Job, store: Store) -> list[Variant]:  # noqa: ARG001 (one signature for all)
    if "structure" not in base.recipe.windows:
        return []
    every = base.recipe.encoders.structure.parts
    subsets = [s for n in range(1, len(every)) for s in combinations(every, n)]
    return [Variant("+".join(s), _with_parts(base, s)) for s in subsets]


def _with_parts(base: Job, parts: tuple[Part, ...]) -> Job:
    encoders = base.recipe.encoders
    # The store's graphs stay as they were made: a part may go unread.
    encoders = replace(encoders, structure=replace(encoders.structure, parts=parts))
    return replace(base, recipe=replace(base.recipe, encoders=encoders))


def _objective(base: Job, store: Store) -> list[Variant]:  # noqa: ARG001
    recipe, count, found = base.recipe, len(base.recipe.windows), []
    for kind in _OBJECTIVES:
        if count not in _FALLS_FOR.get(kind, range(2, 99)) or kind == recipe.objective.kind:
            continue
        objective = replace(recipe.objective, kind=kind)
        if kind in _FALLS_FOR:
            objective = replace(objective, weights={}, anchor="")
        job = replace(base, recipe=replace(recipe, objective=objective))
        try:
            check_job(job)
        except BadInputError:
            # This loss compares one embedding per window; the head of the base does not give one.
            shared = replace(recipe.projection, heads="shared")
            job = replace(base, recipe=replace(recipe, objective=objective, projection=shared))
            check_job(job)
        found.append(
            Variant(kind if job.recipe.projection == recipe.projection else f"{kind}, one head", job)
        )
    return found


def _weights(base: Job, store: Store) -> list[Variant]:
    pairs = [pair_name(a, b) for a, b in combinations(base.recipe.windows, 2)]
    if base.recipe.objective.kind in _FALLS_FOR or len(pairs) < 2:
        return []
    made = [
        (f"λ({pair}) = {factor}", {f"recipe.objective.weights.{pair}": factor})
        for pair in pairs
        for factor in FACTORS
    ]
    return [Variant(name, with_settings(base, settings, store), settings) for name, settings in made]


def _views(base: Job, store: Store) -> list[Variant]:  # noqa: ARG001
    views = base.recipe.views
    without = {
        "no strain": replace(views, strain=0.0),
        "no noise": replace(views, noise=None),
        "no hidden lexicon": replace(views, lexicon_dropout=0.0),
        "no image views": replace(views, image=None),
        "no structure views": replace(views, structure=None),
        "no token views": replace(views, tokens=None),
        "titles alone": replace(views, text={"title": 1.0}),
        "no views": PLAIN,
    }
    needs = {
        "no noise": "xrd",
        "no image views": "image",
        "titles alone": "text",
        "no hidden lexicon": "text",
    }
    return [
        Variant(name, replace(base, recipe=replace(base.recipe, views=left)))
        for name, left in without.items()
        if needs.get(name, "structure") in base.recipe.windows
    ]


def _texts(base: Job, store: Store) -> list[Variant]:
    if "text" not in base.recipe.windows:
        return []
    views = base.recipe.views
    made = {f"{kind} alone": {kind: 1.0} for kind in text_kinds(store)}
    return [
        Variant(n, replace(base, recipe=replace(base.recipe, views=replace(views, text=t))))
        for n, t in made.items()
    ]


def text_kinds(store: Store) -> list[str]:
    """Kinds of text that a record of the store can be read by: those made from its facts, and its own."""
    return [*VIEWS, *sorted({k for texts in store.table["texts"] for k in dict(texts)} - set(VIEWS))]


def _heads(base: Job, store: Store) -> list[Variant]:
    linear = {"recipe.projection.hidden": "0"}
    made = {
        "one head per window": {"recipe.projection.heads": "shared"},
        "a head per pair": {"recipe.projection.heads": "pair"},
        "linear heads": linear,
        "one linear head per window": linear | {"recipe.projection.heads": "shared"},
    }
    found = []
    for name, settings in made.items():
        try:
            found.append(Variant(name, with_settings(base, settings, store), settings))
        except BadInputError:
            # The loss compares one embedding per window and takes no heads per pair.
            continue
    return found


def _predictor(preset: str, base: PredictorJob, store: Store) -> list[Variant]:
    """What a predictor of a property has: text, graph or both, and the kind of text."""
    named: dict[str, list[tuple[str, dict[str, str]]]] = {
        "windows": [(f"{p} alone", {"recipe.parts": p}) for p in ("graph", "text")],
        "heads": [(f"fusion by {k}", {"recipe.fusion.kind": k}) for k in ("concat", "sum", "average")],
        "texts": [(f"text: {k}", {"recipe.text.view": k}) for k in text_kinds(store)],
    }
    named["parts"] = named["windows"]
    if "text" not in base.recipe.windows:
        named.pop("texts")
    return [Variant(n, with_settings(base, s, store), s) for n, s in named.get(preset, [])]


_JOINT: dict[str, Callable[[Job, Store], list[Variant]]] = {
    "windows": _windows,
    "growth": _growth,
    "parts": _parts,
    "objective": _objective,
    "weights": _weights,
    "views": _views,
    "texts": _texts,
    "heads": _heads,
}
