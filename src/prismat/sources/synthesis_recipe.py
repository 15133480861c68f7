"""One text-mined reaction as a recipe: product, precursors, text, conditions, formulas to find it by."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismat.elements import MAX_Z, atomic_number
from prismat.errors import BadInputError
from prismat.modalities.formula_text import SYMBOL, parse_formula
from prismat.sources.synthesis_steps import Step, read_steps
from prismat.sources.synthesis_text import compose

_REMEDY = "It is left out."
_LONGEST = 500
# A formula of elements and numbers alone: one with letters that stand for amounts has no composition.
_PLAIN = re.compile(rf"(?:(?:{SYMBOL}|[(\[)\]])(?:\d+\.?\d*|\.\d+)?)+")


@dataclass(frozen=True)
class Recipe:
    """What is kept of a reaction.

    Attributes:
        target: formula of the product as the article has it.
        text: the recipe in words.
        precursors: formulas of what it is made from.
        doi: of the article.
        temperature: of the hottest heating, °C; None where not told.
        hours: of all heating together; None where not told.
        mp_id: entry of the Materials Project that the data set gives for the product.
        formulas: compositions of the product, for ``composition_key``.
        additives: dopants that the composition does not count.
        route: kind of synthesis, where the data set tells it.
    """

    target: str
    text: str
    precursors: tuple[str, ...] = ()
    doi: str = ""
    temperature: float | None = None
    hours: float | None = None
    mp_id: str = ""
    formulas: tuple[str, ...] = ()
    additives: tuple[str, ...] = ()
    route: str = ""


def read_recipe(entry: Mapping[str, Any], name_target: bool = True) -> Recipe:
    """The recipe of one reaction of the solid-state, sol-gel or solution data set.

    The excerpt of the paragraph that the data sets have is no text of the recipe and is not read.

    Args:
        entry: ``target``, ``precursors``, ``operations``; ``targets_string``, ``doi``, ``type`` where known.
        name_target: whether the text names the product.

    Raises:
        BadInputError: no product, no precursors, or operations that are none.
    """
    target = entry.get("target")
    formula = _formula(target)
    if not formula or not isinstance(target, Mapping):
        raise BadInputError("no formula of the product", field="target", remedy=_REMEDY)
    given = entry.get("precursors")
    found = [_formula(one) for one in given] if isinstance(given, Sequence) else []
    precursors = tuple(dict.fromkeys(name for name in found if name))
    if not precursors:
        raise BadInputError("no precursors", field="precursors", remedy=_REMEDY)
    steps = read_steps(entry.get("operations") or [])
    heating = [step for step in steps if step.kind == "heat"]
    return Recipe(
        formula,
        compose(formula, precursors, steps, _variables(target), name_target),
        precursors,
        str(entry.get("doi") or "").strip(),
        max((high for step in heating for _, high in step.temperatures), default=None),
        _total_hours(heating),
        str(target.get("mp_id") or "").strip(),
        tuple(_keys(target, entry.get("targets_string"))),
        tuple(str(one) for one in target.get("additives") or ()),
        str(entry.get("type") or "").strip(),
    )


def composition_key(amounts: Mapping[int, int | float]) -> str:
    """Same text for the same composition: atomic fractions to four digits, by atomic number."""
    total = sum(amounts.values())
    return " ".join(f"{z}:{amounts[z] / total:.4f}" for z in sorted(amounts) if amounts[z] / total >= 5e-5)


def _total_hours(heating: Iterable[Step]) -> float | None:
    """Times of all heating together, the longer end of ranges; None where no step tells one."""
    hours = [high for step in heating for _, high in step.hours]
    return round(sum(hours), 3) if hours else None


def _formula(material: Any) -> str:
    """Formula of a material, or what the article calls it."""
    if not isinstance(material, Mapping):
        return ""
    found = str(material.get("material_formula") or material.get("material_string") or "").strip()
    return " ".join(found.split())[:_LONGEST]


def _variables(target: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the letters of a formula stand for: amounts and elements."""
    found: dict[str, list[str]] = {}
    amounts, elements = target.get("amounts_vars"), target.get("elements_vars")
    for name, values in (amounts if isinstance(amounts, Mapping) else {}).items():
        if isinstance(values, Mapping):
            listed = values.get("values") or [
                v for v in (values.get("min_value"), values.get("max_value")) if v is not None
            ]
        else:
            listed = values if isinstance(values, Sequence) and not isinstance(values, str) else []
        found[str(name)] = [f"{v:g}" if isinstance(v, float) else str(v) for v in dict.fromkeys(listed)]
    for name, symbols in (elements if isinstance(elements, Mapping) else {}).items():
        found[str(name)] = [str(symbol) for symbol in symbols or ()]
    return found


def _keys(target: Mapping[str, Any], strings: Any) -> Iterable[str]:
    """Compositions of the product: of its components, then of the formulas with all letters replaced."""
    found: dict[str, None] = {}
    if own := _composition(target.get("composition")):
        found[composition_key(own)] = None
    for text in strings if isinstance(strings, Sequence) and not isinstance(strings, str) else ():
        if isinstance(text, str) and _PLAIN.fullmatch(text):
            amounts = dict(parse_formula(text) or ())
            if amounts and min(amounts.values()) >= 0 and sum(amounts.values()) > 0:
                found[composition_key(amounts)] = None
    return found


def _composition(components: Any) -> dict[int, float]:
    """Amounts by atomic number, all components together; empty where one is not a number or no element."""
    total: dict[int, float] = {}
    try:
        for component in components or ():
            share = float(component.get("amount") or 1)
            for symbol, amount in component["elements"].items():
                z = atomic_number(symbol)
                total[z] = total.get(z, 0.0) + share * float(amount)
    except (BadInputError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    plain = all(0 <= n < 1e9 for n in total.values()) and sum(total.values()) > 0
    return total if plain and max(total) <= MAX_Z else {}
