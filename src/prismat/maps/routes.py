"""The route of a synthesis, by the operations that its recipe names."""

import re

ROUTES: tuple[tuple[str, str], ...] = (
    ("melt or quench", r"melt\w*|quench\w*|flux"),
    ("solution", r"dissolv\w*|stir|evaporate|precipitat\w*|gel|hydrothermal|autoclave"),
    ("reducing or inert gas", r"hydrogen|argon|nitrogen|vacuum|helium"),
    ("milled, pressed, sintered", r"(?:mill|grind)\b.*\b(?:press|sinter)"),
    ("pressed or sintered", r"press|sinter|pellets?"),
    ("milled, fired in powder", r"(?:mill|grind)\b"),
    ("fired in powder", r"calcine|fire|heat|anneal|react|preheat"),
)
"""Routes with the words that tell them; the first that a recipe names is its own."""
_COMPILED = tuple((name, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for name, words in ROUTES)


def synthesis_route(recipe: str) -> str:
    """The route of a recipe; empty where it names no operation of any.

    The words of the product are left out, for what is made is not how.
    """
    steps = recipe.partition("Product:")[0]
    return next((name for name, words in _COMPILED if words.search(steps)), "")
