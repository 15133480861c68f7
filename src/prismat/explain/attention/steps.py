"""Steps of a recipe in words, and what each of its words tells: what is done, to what, how hot, how long."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from prismat.explain.attention.tokens import Word

StepKind = Literal["mixing", "heating", "drying", "shaping", "cooling", "product", "other"]
Part = Literal[
    "operation", "precursors", "temperature", "time", "atmosphere", "medium", "product", "glue", "other"
]
STEP_KINDS: tuple[StepKind, ...] = get_args(StepKind)
PARTS: tuple[Part, ...] = get_args(Part)

_CLAUSE = re.compile(r"[^;]+?(?:;|\.(?=\s)|\.?$)")
_VERBS: tuple[tuple[StepKind, str], ...] = (
    (
        "heating",
        "calcine|precalcine|decarbonate|sinter|presinter|anneal|preanneal|fire|prefire|melt|decompose",
    ),
    ("heating", "bake|age|oxidize|reduce|heat|preheat|reflux"),
    (
        "mixing",
        "mill|grind|pulverize|crush|triturate|homogenize|blend|mix|premix|stir|dissolve|disperse",
    ),
    ("mixing", "react|dilute|shake|add|sonicate|premill|pregrind"),
    ("drying", "dry|predry|evaporate"),
    ("shaping", "press|prepress|granulate|shape|transfer|seal"),
    ("cooling", "cool|quench"),
)
_STEP_OF_VERB = {verb: kind for kind, verbs in _VERBS for verb in verbs.split("|")}
_GASES = re.compile(
    r"\W*(air|oxygen|nitrogen|argon|hydrogen|helium|vacuum|ammonia|inert|reducing|flowing|atmosphere|gas|O2|N2|Ar|H2|He|CO2?"
    r"|NH3|H2S|N2/H2|Ar/H2|H2/Ar|H2/N2|atm)\W*",
    re.IGNORECASE,
)
_UNITS: dict[str, Part] = {"°C": "temperature", "h": "time"}
_NUMBER = re.compile(r"[\d.,]+")
_GLUE = frozenset(["and", "in", "at", "for", "to", "using", "again", "into", "pellets"])


@dataclass(frozen=True)
class RecipeStep:
    """One step of a recipe.

    Attributes:
        kind: what sort of step it is.
        start: first character.
        end: behind the last character.
        text: its words.
    """

    kind: StepKind
    start: int
    end: int
    text: str


def steps_of(text: str) -> tuple[RecipeStep, ...]:
    """Steps of a recipe, as its semicolons and full stops divide it; ``Product: …`` is one of them."""
    found = []
    for match in _CLAUSE.finditer(text):
        words = match.group().strip()
        if words:
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            found.append(RecipeStep(_step_kind(words), start, match.end(), words))
    return tuple(found)


def step_of_words(words: tuple[Word, ...], steps: tuple[RecipeStep, ...]) -> list[int]:
    """Number of the step that each word is part of."""
    return [next(i for i, step in enumerate(steps) if word.start < step.end) for word in words]


def parts_of(words: tuple[Word, ...], steps: tuple[RecipeStep, ...]) -> list[Part]:
    """What every word of a recipe tells.

    Temperatures and times are numbers with the unit behind them, whose ``to`` and ``and`` count as glue. The
    first word of a step is its operation. Behind ``in``, gases are atmosphere and the rest is the medium,
    which ``using`` begins as well; what remains of a step are precursors.
    """
    owner = step_of_words(words, steps)
    found: list[Part] = []
    for i, word in enumerate(words):
        first = i == 0 or owner[i] != owner[i - 1]
        before = [w.text for w, o in zip(words[:i], owner[:i], strict=True) if o == owner[i]]
        behind = [w.text for w, o in zip(words[i + 1 :], owner[i + 1 :], strict=True) if o == owner[i]]
        found.append(_part(word.text, steps[owner[i]].kind, first, before, behind))
    return found


def _part(word: str, step: StepKind, first: bool, before: list[str], behind: list[str]) -> Part:
    plain = word.strip(".,;:()")
    if step == "product" or first:
        return "product" if step == "product" else "operation"
    if plain.lower() in _GLUE:
        return "glue"
    unit = plain if plain in _UNITS else _unit(behind) if _NUMBER.fullmatch(plain) else ""
    if unit:
        return _UNITS[unit]
    if not {"in", "using"} & set(before):
        return "precursors" if any(c.isupper() or c.isdigit() for c in plain) else "other"
    return "atmosphere" if _GASES.fullmatch(plain) else "medium"


def _unit(behind: list[str]) -> str:
    """The unit behind a number, over other numbers and the words between them."""
    for word in behind:
        plain = word.strip(".,;")
        if plain in _UNITS:
            return plain
        if not (_NUMBER.fullmatch(plain) or plain in ("and", "to")):
            return ""
    return ""


def _step_kind(clause: str) -> StepKind:
    first = clause.split(maxsplit=1)[0].strip(".,;").lower()
    return "product" if first == "product:" else _STEP_OF_VERB.get(first, "other")
