"""A recipe in words, by a template: what is mixed, and what is done with it, how hot and how long."""

from collections.abc import Mapping, Sequence

from prismat.sources.synthesis_steps import Range, Step


def compose(
    target: str,
    precursors: Sequence[str],
    steps: Sequence[Step],
    variables: Mapping[str, Sequence[str]] | None = None,
    name_target: bool = True,
) -> str:
    """A recipe as one paragraph.

    Such as ``Mix BaCO3 and TiO2 in ethanol; calcine at 900 °C for 12 h; press into pellets; sinter at 1350 °C
    for 4 h in air. Product: BaTiO3.``

    Args:
        target: formula of the product.
        precursors: formulas of what it is made from.
        steps: what is done, in order; one that repeats the one before it is left out.
        variables: what the letters in the formula stand for.
        name_target: whether the product is named.
    """
    told = _without_repeats(steps)
    first = next((number for number, step in enumerate(told) if step.kind == "mix"), None)
    phrases = [] if first is not None or not precursors else [f"react {listed(precursors)}"]
    for number, step in enumerate(told):
        phrases.append(_phrase(step, precursors if number == first else ()))
    text = "; ".join(phrases)
    recipe = f"{text[:1].upper()}{text[1:]}." if text else ""
    if not name_target:
        return recipe
    known = [f"{name} = {', '.join(values)}" for name, values in (variables or {}).items() if values]
    product = f"{target} ({'; '.join(known)})" if known else target
    return f"{recipe} Product: {product}.".strip()


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _without_repeats(steps: Sequence[Step]) -> list[Step]:
    """The steps without those that say what the one before them said and nothing more."""
    kept: list[Step] = []
    for step in steps:
        if kept and step.verb == kept[-1].verb and not step.has_conditions and not step.again:
            continue
        kept.append(step)
    return kept


def _phrase(step: Step, things: Sequence[str]) -> str:
    parts = [step.verb]
    if things:
        parts.append(listed(things))
    if step.again:
        parts.append("again")
    if step.liquids:
        parts.append(f"in {listed(step.liquids)}")
    if step.tools:
        parts.append(f"using {listed(step.tools)}")
    if step.temperatures:
        parts.append(f"at {_ranges(step.temperatures)} °C")
    if step.hours:
        parts.append(f"for {_ranges(step.hours)} h")
    if step.atmosphere:
        parts.append(f"in {listed(step.atmosphere)}")
    return " ".join(parts)


def _ranges(ranges: Sequence[Range]) -> str:
    return listed([f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in ranges])
