"""Critical steps of a recipe: where attention and occlusion lie, against the steps' share of the words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.explain.attention.check import WordSide, lost, occlusion
from prismat.explain.attention.gradient import relevance
from prismat.explain.attention.source import TextSource
from prismat.explain.attention.steps import (
    PARTS,
    STEP_KINDS,
    RecipeStep,
    parts_of,
    step_of_words,
    steps_of,
)
from prismat.explain.attention.weights import Attention, read_attention
from prismat.tasks.bootstrap import bootstrap_means, interval

_LEAST_STEPS = 3
WAYS = ("attention", "rollout", "attention × gradient", "occlusion")


@dataclass(frozen=True, eq=False)
class RecipeReading:
    """One recipe, step by step.

    Attributes:
        attention: of the text.
        steps: of the recipe.
        step_of: number of the step that each word is part of.
        parts: what each word tells.
        values: by way, a value per word; those of occlusion may be negative.
        step_loss: what the score loses without each step; None without a target.
    """

    attention: Attention
    steps: tuple[RecipeStep, ...]
    step_of: Int[np.ndarray, " words"]
    parts: tuple[str, ...]
    values: dict[str, Float[np.ndarray, " words"]]
    step_loss: Float[np.ndarray, " steps"] | None

    def by_step(self, way: str) -> Float[np.ndarray, " steps"]:
        """Share of a way's mass on each step; negative values count nothing."""
        mass = shares_of(self.values[way])
        return np.bincount(self.step_of, weights=mass, minlength=len(self.steps))

    def words_by_step(self) -> Float[np.ndarray, " steps"]:
        """Share of the tokens that each step has."""
        counts = shares_of(self.attention.tokens.counts.astype(np.float64))
        return np.bincount(self.step_of, weights=counts, minlength=len(self.steps))

    def to_dict(self) -> dict[str, Any]:
        """Steps with their shares, as JSON types."""
        ways = {way: self.by_step(way) for way in self.values}
        even = self.words_by_step()
        return {
            "steps": [
                {
                    "text": step.text,
                    "kind": step.kind,
                    "share_of_tokens": round(float(even[i]), 6),
                    **{way: round(float(mass[i]), 6) for way, mass in ways.items()},
                    "loss": None if self.step_loss is None else round(float(self.step_loss[i]), 6),
                }
                for i, step in enumerate(self.steps)
            ]
        }


def shares_of(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Values above zero brought to sum 1; all alike where there is none."""
    positive = np.maximum(values, 0)
    total = positive.sum()
    return positive / total if total > 0 else np.full(len(values), 1 / max(len(values), 1))


def read_recipe_text(
    source: TextSource, text: str, target: Float[torch.Tensor, " dim"] | None = None
) -> RecipeReading:
    """Attention and occlusion of a recipe, word by word and step by step.

    Args:
        source: the encoder.
        text: a recipe, its steps divided by semicolons or full stops.
        target: unit vector, such as that of the product's crystal; without one there is only attention.
    """
    attention = read_attention(source.transformer, [text])[0]
    tokens = attention.tokens
    steps = steps_of(tokens.text)
    owner = np.array(step_of_words(tokens.words, steps), dtype=np.int64)
    values = {
        "attention": tokens.by_word(attention.of().astype(np.float64)),
        "rollout": tokens.by_word(attention.rollout()),
    }
    step_loss = None
    if target is not None:
        side = WordSide(source, tokens.text, tokens.words)
        values["attention × gradient"] = tokens.by_word(relevance(source, tokens.text, target)[1])
        if len(side) > 1:
            values["occlusion"] = occlusion(side, target)
            step_loss = lost(side, target, owner == np.arange(len(steps))[:, None])
    return RecipeReading(attention, steps, owner, tuple(parts_of(tokens.words, steps)), values, step_loss)


def as_recipe(attention: Attention, values: dict[str, Float[np.ndarray, " words"]]) -> RecipeReading | None:
    """A text that was read already, step by step; None where it is no recipe of three steps.

    Args:
        attention: of the text.
        values: by way, a value per word.
    """
    words = attention.words
    steps = steps_of(attention.tokens.text)
    if len(steps) < _LEAST_STEPS or all(step.kind == "other" for step in steps):
        return None
    owner = np.array(step_of_words(words, steps), dtype=np.int64)
    return RecipeReading(attention, steps, owner, tuple(parts_of(words, steps)), values, None)


def mass_by_kind(
    readings: Sequence[RecipeReading], groups: Int[np.ndarray, " texts"] | None = None
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Mean share of mass on each kind of step and word, over recipes that have it, beside that of tokens.

    Args:
        readings: of recipes with a target.
        groups: recipes that are not independent.

    Returns:
        Under ``steps`` and ``words``: by kind, by way (and ``tokens``): mean and 95 % interval; of ways,
        also the ratio to the tokens' share with its interval.
    """
    return {
        "steps": {kind: _kind_figures(readings, groups, kind, True) for kind in STEP_KINDS},
        "words": {kind: _kind_figures(readings, groups, kind, False) for kind in PARTS},
    }


def _kind_figures(
    readings: Sequence[RecipeReading], groups: Int[np.ndarray, " texts"] | None, kind: str, by_step: bool
) -> dict[str, dict[str, Any]]:
    marks = [_marked(reading, kind, by_step) for reading in readings]
    has = np.array([mark.any() for mark in marks], dtype=bool)
    if has.sum() < 5:
        return {}
    chosen = [(r, m) for r, m in zip(readings, marks, strict=True) if m.any()]
    own = None if groups is None else groups[has]
    even = np.array([shares_of(r.attention.tokens.counts.astype(np.float64))[m].sum() for r, m in chosen])
    found: dict[str, dict[str, Any]] = {"tokens": {"recipes": int(has.sum()), **_mean(even, own)}}
    for way in WAYS:
        if all(way in r.values for r, _ in chosen):
            mass = np.array([shares_of(r.values[way])[m].sum() for r, m in chosen])
            found[way] = {**_mean(mass, own), **_ratio(mass, even, own)}
    return found


def _marked(reading: RecipeReading, kind: str, by_step: bool) -> Bool[np.ndarray, " words"]:
    if by_step:
        return np.array([reading.steps[i].kind == kind for i in reading.step_of], dtype=bool)
    return np.array([part == kind for part in reading.parts], dtype=bool)


def _mean(values: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    low, high = interval(bootstrap_means(values[:, None], groups)[:, 0])
    return {"mean": float(values.mean()), "interval": [low, high]}


def _ratio(mass: np.ndarray, even: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    """Ratio of the two means; its interval by resampling both together."""
    means = bootstrap_means(np.stack([mass, even], axis=1), groups)
    low, high = interval(means[:, 0] / np.maximum(means[:, 1], 1e-12))
    return {"ratio": float(mass.mean() / max(even.mean(), 1e-12)), "ratio_interval": [low, high]}
