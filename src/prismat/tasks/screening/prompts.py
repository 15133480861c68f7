"""Words of a query and how they are put to a model: variations, templates, and their mean on the sphere.

A prompt ensemble as in CLIP (Radford et al., ICML 2021, section 3.1.4): the unit vectors of several wordings
are averaged and brought to unit length again. The words of CLaSP's evaluation (Suzuki et al., 2024, table 1)
come with variations; the paper names those of *superconductor*, the others are made here in its way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.modalities.chemical_words import fold
from prismat.tasks.words import WORDS

CLASP_WORDS: dict[str, tuple[str, ...]] = {
    "ferromagnetic": ("ferromagnet", "ferromagnetism", "ferromagnetisch", "ferromagnetique"),
    "ferroelectric": ("ferroelectricity", "ferroelektrisch", "ferroelectrique"),
    "semiconductor": (
        *("semiconducting", "semiconductive", "semiconductivity"),
        *("halbleiter", "halbleitend", "semiconducteur"),
    ),
    "electroluminescence": ("electroluminescent", "elektrolumineszenz"),
    "thermoelectric": ("thermoelectricity", "thermoelectrics", "thermoelektrisch", "thermoelectrique"),
    "superconductor": (
        *("superconductive", "superconductivity", "superconducting"),
        *("supraleiter", "supraleitend", "supraconducteur"),
    ),
}
"""The six words of CLaSP's table 1 with variations, German and French ones included."""

WORD_SETS: dict[str, Mapping[str, tuple[str, ...]]] = {"clasp": CLASP_WORDS, "amcsd": WORDS}
"""The words that are evaluated, by the name of their set."""

FOREIGN = frozenset(
    (
        *("ferromagnetisch", "ferromagnetique", "ferroelektrisch", "ferroelectrique", "halbleiter"),
        *("halbleitend", "semiconducteur", "elektrolumineszenz", "thermoelektrisch", "thermoelectrique"),
        *("supraleiter", "supraleitend", "supraconducteur", "magnetique", "magnetisch", "magnetische"),
        *("hochdruck", "haute pression", "thermische ausdehnung", "dilatation thermique"),
        *("transition de phase", "perovskit", "perowskit", "spinelle", "spinell", "granat", "grenat"),
        *("pyrochlor", "silikat"),
    )
)
"""German and French forms: they count in a title, and are asked only where wanted."""

Variations = Literal["none", "english", "all"]

TEMPLATES = ("{}", "crystal structure of a {}")
"""Wordings around a query, chosen on validation titles; ``{}`` stands for it."""

_GAPS = {
    "narrow-bandgap material": ("narrow bandgap", "narrow band gap semiconductor", "small band gap"),
    "wide-bandgap material": ("wide bandgap", "wide band gap semiconductor", "large band gap"),
    "insulator": ("insulating", "electrical insulator", "dielectric"),
    "metal": ("metallic", "metallic conductor", "intermetallic"),
}


@dataclass(frozen=True)
class PromptConfig:
    """How a query is worded.

    Attributes:
        variations: which other forms of a known word are asked too.
        templates: wordings around every form; ``{}`` stands for it.
        own: prompts in place of all others; ``{}`` stands for the query where there is one.
    """

    variations: Variations = "english"
    templates: tuple[str, ...] = TEMPLATES
    own: tuple[str, ...] = ()


ALONE = PromptConfig(variations="none", templates=("{}",))
"""The query as it is: CLaSP's protocol."""


def variations_of(query: str, known: Mapping[str, Sequence[str]] | None = None) -> tuple[str, ...]:
    """Other forms of a known word, none of an unknown one.

    Args:
        query: a word or phrase; case, accents and hyphens do not matter.
        known: variations by word; those of all sets where left out.
    """
    sets = [CLASP_WORDS, WORDS, _GAPS] if known is None else [known]
    wanted = _plain(query)
    # Of a word in several sets the first counts: ferromagnetic is one of CLaSP's, and a form of our magnetic.
    for word, others in (item for some in sets for item in some.items()):
        forms = (word, *others)
        if wanted in map(_plain, forms):
            return tuple(form for form in forms if _plain(form) != wanted)
    return ()


def _plain(text: str) -> str:
    return " ".join(fold(text).replace("-", " ").split())


def prompts_for(
    query: str, config: PromptConfig = PromptConfig(), known: Mapping[str, Sequence[str]] | None = None
) -> tuple[str, ...]:
    """The prompts of a query, each once, the query itself first where it is one of them.

    Args:
        query: a word, a phrase or a sentence.
        config: how it is worded.
        known: variations by word, see :func:`variations_of`.

    Raises:
        BadInputError: a query or a prompt without a word, or a template without a place for the query.
    """
    query = " ".join(query.split())
    if not any(c.isalpha() for c in query):
        raise BadInputError(f"{query!r} has no word", field="query", remedy="Name a word or a phrase.")
    if config.own:
        found = [_own(prompt, query) for prompt in config.own]
        return tuple(dict.fromkeys(found))
    if bad := [t for t in config.templates if t.count("{}") != 1]:
        raise BadInputError(
            f"{bad[0]!r} has no place for the query", field="templates", remedy="Write {} once in each."
        )
    others = variations_of(query, known) if config.variations != "none" else ()
    forms = (query, *(f for f in others if config.variations == "all" or f not in FOREIGN))
    return tuple(dict.fromkeys(t.replace("{}", form) for form in forms for t in config.templates))


def _own(prompt: str, query: str) -> str:
    filled = " ".join(prompt.replace("{}", query).split())
    if not any(c.isalpha() for c in filled):
        raise BadInputError(f"the prompt {prompt!r} has no word", field="prompts", remedy="Name words.")
    return filled


def query_vectors(prismat: Prismat, prompts: Sequence[Sequence[str]]) -> Float[np.ndarray, "queries dim"]:
    """One unit vector per query: the mean over its prompts, on the sphere.

    Args:
        prismat: a model with structure and text.
        prompts: of each query, one at least.

    Raises:
        BadInputError: the model lacks a window, or a query has no prompt.
    """
    check_windows(prismat)
    if not prompts or not all(prompts):
        raise BadInputError("a query without a prompt", field="prompts", remedy="Give one at least.")
    distinct = list(dict.fromkeys(p for some in prompts for p in some))
    vectors = prismat.embed(texts=distinct)[prismat.key("text", "structure")]
    row = {prompt: i for i, prompt in enumerate(distinct)}
    means = np.stack([vectors[[row[p] for p in some]].mean(axis=0) for some in prompts])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def check_windows(prismat: Prismat) -> None:
    """Refuses a model that cannot compare words with structures.

    Raises:
        BadInputError: it lacks the text or the structure window.
    """
    if absent := [w for w in ("structure", "text") if w not in prismat.recipe.windows]:
        raise BadInputError(
            f"this model has no {absent[0]} window",
            field="run",
            remedy=f"It has {', '.join(prismat.recipe.windows)}; screening needs structure and text.",
        )
