"""Attention of one text as a person reads it: page, pictures and JSON, the check beside every picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

import numpy as np

from prismat.explain.attention.kinds import is_kind, kinds_of
from prismat.explain.attention.pictures import WordRow, check_svg, grid_svg, matrix_svg, words_svg
from prismat.explain.attention.recipes import RecipeReading, as_recipe
from prismat.explain.attention.study import distances, word_rows
from prismat.explain.attention.told import AREAS, Shown, Told, number, verdict
from prismat.modalities.lexicon import EMPTY, Lexicon
from prismat.tasks.result import Picture, ResultPage, Table

_MANY = 24
"""A matrix of more tokens is drawn over the whole page."""


@dataclass(frozen=True, eq=False)
class Page:
    """What is put on one page.

    Attributes:
        told: the encoder that is asked about.
        beside: others with the same text, such as one that has seen no crystal.
        shown: layer and head.
        lexicon: mineral names that count as chemistry.
    """

    told: Told
    beside: tuple[Told, ...] = ()
    shown: Shown = Shown()
    lexicon: Lexicon = field(default_factory=lambda: EMPTY)

    def result(self, matrices: bool = False) -> dict[str, Any]:
        """Everything as JSON types."""
        found = self.told.to_dict(matrices)
        found["chemistry"] = self.chemistry()
        recipe = self.recipe()
        if recipe is not None:
            found["recipe"] = recipe.to_dict()
        if self.beside:
            found["beside"] = [one.to_dict(matrices) for one in self.beside]
            found["distance"] = {one.source.name: self.distance(one) for one in self.beside}
        return found

    def chemistry(self) -> dict[str, Any]:
        """Share of each encoder's attention to words that lies on words of chemistry, layer by head."""
        tokens = self.told.attention.tokens
        kinds = kinds_of(tokens.words, tokens.text, self.lexicon)
        marked = is_kind(kinds)
        share = {
            one.source.name: np.round(word_rows(one.attention)[:, :, marked].sum(axis=2), 6).tolist()
            for one in (self.told, *self.beside)
        }
        even = float(tokens.counts[marked].sum() / max(tokens.counts.sum(), 1))
        return {"kinds": list(kinds), "share": share, "share_of_tokens": even}

    def recipe(self) -> RecipeReading | None:
        """The text step by step, where it is a recipe of three steps or more."""
        return as_recipe(self.told.attention, self.told.values)

    def distance(self, other: Told) -> float:
        """Jensen–Shannon distance of two encoders' attention over the words, mean over layers."""
        a, b = (word_rows(one.attention).mean(axis=1) for one in (self.told, other))
        return float(distances([a], [b])[0])

    def page(self) -> ResultPage:
        """For people."""
        told = self.told
        text = shorten(told.attention.tokens.text, 160, placeholder=" …")
        lede = f"“{text}”, read by {_named(told)}. {verdict(told)}"
        if told.unread:
            lede += (
                f" Of {len(told.attention.words)} words it reads {len(told.attention.words) - told.unread}."
            )
        if self.beside:
            pairs = ", ".join(f"{self.distance(one):.2f} to {one.source.name}" for one in self.beside)
            lede += f" Distance of its attention (0 the same, 1 nothing in common): {pairs}."
        return ResultPage(
            "What the text encoder attends to", "attention", lede, self.pictures(), self.tables()
        )

    def pictures(self) -> list[Picture]:
        """Words of all encoders, heads, one matrix, and the curves of the check."""
        told, chemistry = self.told, self.chemistry()
        shown, tokens = told.first, told.attention.tokens
        rows = [WordRow(f"{way} · {_checked(told, way)}", values) for way, values in told.values.items()]
        label = f"words of the text coloured by {', '.join(told.values)}"
        found = [
            Picture("attention_words", words_svg(tokens.words, rows, label), _words_caption(told), wide=True)
        ]
        if self.beside:
            found.append(self._beside())
        share = np.array(chemistry["share"][told.source.name])
        caption = (
            "Share of each head's attention to words that lies on formulas, elements, minerals and symmetry; "
            f"even attention would give {chemistry['share_of_tokens']:.2f}."
        )
        grid = grid_svg(share, "attention heads", "attention to chemistry by layer and head")
        found.append(Picture("attention_heads", grid, caption))
        matrix = matrix_svg(
            tokens, told.attention.matrix(self.shown.layer, self.shown.head), "attention matrix", shown
        )
        wide = len(tokens.ids) > _MANY
        found.append(
            Picture(
                "attention_matrix", matrix, f"{shown}: each row shows from which tokens a token reads.", wide
            )
        )
        return found + _curves(told)

    def _beside(self) -> Picture:
        every = (self.told, *self.beside)
        rows = [
            WordRow(f"{one.source.name} · {one.first} · {_checked(one, one.first)}", one.values[one.first])
            for one in every
        ]
        words = self.told.attention.words
        svg = words_svg(words, rows, "the same words as several encoders attend to them")
        caption = (
            "The same text in encoders of one architecture; the greatest weight of each line is darkest."
        )
        return Picture("attention_beside", svg, caption, wide=True)

    def tables(self) -> list[Table]:
        """The check in numbers, by encoder and way."""
        head = ("order of words", "deletion", "random", "insertion", "random ", "beats random")
        recipe = self.recipe()
        tables = [] if recipe is None else [_steps_table(recipe)]
        for one in (self.told, *self.beside):
            if not one.check:
                continue
            rows = [(way, *_figures(curves.to_dict())) for way, curves in one.check.items()]
            aside = (
                f"Area under the cosine with {one.target} while words are left out, or put in, highest "
                "first; beside it the mean of random orders. Lower is better for deletion, higher for "
                "insertion."
            )
            tables.append(Table(f"Check: {_named(one)}", head, rows, head[1:], aside))
        return tables


def _steps_table(recipe: RecipeReading) -> Table:
    """Share of the mass of every way on each step."""
    head = ("step", "kind", "tokens", *recipe.values)
    shares = [recipe.words_by_step(), *(recipe.by_step(way) for way in recipe.values)]
    rows = [
        (step.text, step.kind, *(f"{share[i]:.2f}" for share in shares))
        for i, step in enumerate(recipe.steps)
    ]
    aside = (
        "Share of the weights of all words that lies on each step; tokens: what even attention would give."
    )
    return Table("Steps of the recipe", head, rows, head[2:], aside)


def _named(told: Told) -> str:
    return f"{told.source.name} ({told.source.note})" if told.source.note else told.source.name


def _words_caption(told: Told) -> str:
    return (
        f"{_named(told)}. The greatest weight of each line is darkest; occlusion below zero, where the score "
        "rises without the word, is in the other colour. Attention is no explanation unless its check passes."
    )


def _checked(told: Told, way: str) -> str:
    """The check's result in a few words."""
    if way not in told.check:
        return "not checked"
    found = told.check[way].to_dict()
    return (
        f"deletion {number(found['deletion'])} (random {number(found['deletion_random'])}), "
        f"insertion {number(found['insertion'])} (random {number(found['insertion_random'])})"
    )


def _curves(told: Told) -> list[Picture]:
    captions = {
        "deletion": f"Cosine with {told.target} while words are left out, by each order.",
        "insertion": f"Cosine with {told.target} while words are put in, by each order.",
    }
    return [
        Picture(f"attention_{kind}", check_svg(told.check, kind, f"attention {kind}"), caption)
        for kind, caption in captions.items()
        if told.check
    ]


def _figures(check: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = [check[name] for name in AREAS]
    falls, rises = numbers[0] < numbers[1], numbers[2] > numbers[3]
    told = {(True, True): "both", (True, False): "deletion", (False, True): "insertion"}
    return (*(number(value, 3) for value in numbers), told.get((falls, rises), "neither"))
