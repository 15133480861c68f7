"""The page of an explanation: what matters, drawn, with the check beside it."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from prismat.crystal import Crystal
from prismat.explain.explanation import Explanation, Item, Part, SideName
from prismat.explain.pictures import check_svg, part_svg
from prismat.files import write_json, write_text
from prismat.page.document import document
from prismat.page.picture import standalone_svg
from prismat.page.sections import data_table, figure_block, section
from prismat.tasks.report import to_plain

_MOST = 8
_WIDE = {"peak", "energy", "word", "voxel"}
_SHORT = {"occlusion": "occlusion", "integrated gradients": "gradients"}


def write_explanation(
    folder: Path,
    explanation: Explanation,
    asked: str,
    crystals: Mapping[SideName, Crystal | None] | None = None,
) -> Path:
    """Writes ``explanation.json``, ``explanation.html`` and an SVG per picture, each whole or not at all.

    Args:
        folder: made where missing.
        explanation: what to show.
        asked: the query in a few words.
        crystals: the structures of both sides, to draw atoms on.

    Returns:
        Path of the page.
    """
    folder, sections = Path(folder), []
    write_json(folder / "explanation.json", to_plain(explanation.to_dict()))
    for part in explanation.parts:
        drawn = part_svg(part, (crystals or {}).get(part.side))
        check = check_svg(part.check, picture_name(part)) if part.check is not None else ""
        write_text(folder / f"{picture_name(part)}.svg", standalone_svg(drawn))
        if check:
            write_text(folder / f"{picture_name(part)}-check.svg", standalone_svg(check))
        sections.append(_section(part, drawn, check))
    heading = f"Why {asked} matches {explanation.formula or explanation.id}"
    footer = "The same numbers, unrounded, are in explanation.json beside this page."
    page = document(heading, "explanation", escape(lede(explanation)), sections, footer)
    write_text(folder / "explanation.html", page)
    return folder / "explanation.html"


def lede(explanation: Explanation) -> str:
    """What holds the score up most, side by side, by the first method of each."""
    told: dict[str, str] = {}
    for part in explanation.parts:
        if part.unit != "bond":
            told.setdefault(f"{part.unit}s of the {part.side}", ", ".join(names(part, 3)))
    said = "; ".join(f"of the {what}, {which}" for what, which in told.items())
    first = f"{explanation.id} scores {explanation.score:.3f}. What holds it up most: {said}."
    return " ".join([first, *explanation.notes])


def names(part: Part, most: int) -> list[str]:
    """Labels of the greatest values, those of equivalent atoms once."""
    order = sorted(part.items, key=lambda item: -item.value)
    return list(dict.fromkeys(_name(part, item) for item in order))[:most]


def _name(part: Part, item: Item) -> str:
    if part.unit == "atom":
        return item.element or item.label
    return item.label.strip(".,;:()") if part.unit == "word" else item.label


def title(part: Part) -> str:
    """Side, window and method in words."""
    return f"{part.unit.capitalize()}s of the {part.side} by {part.method}"


def picture_name(part: Part) -> str:
    """Of a part's files, without ending."""
    return f"{part.side}-{part.window.replace('_', '-')}-{part.unit}s-{_SHORT[part.method]}"


def _section(part: Part, drawn: str, check: str) -> str:
    """A part with its check beside it."""
    caption = f"Blue holds the score of {part.score:.3f} up, orange works against it."
    picture = figure_block(drawn, caption, "wide" if part.unit in _WIDE else "")
    beside = figure_block(check, check_words(part)) if check else f"<p>{escape(check_words(part))}</p>"
    table = _table(part)
    if part.unit in _WIDE:
        body = f'{picture}<div class="figures">{beside}<div>{table}</div></div>'
    else:
        body = f'<div class="figures">{picture}{beside}</div>{table}'
    return section(title(part), body, _aside(part))


def check_words(part: Part) -> str:
    """The check's result in a sentence."""
    if part.check is None:
        return "There is one part only, whose order nothing can be said of."
    told = part.check.to_dict()
    verdict = "sooner" if part.check.beats_random else "no sooner"
    return (
        f"Check: when {part.operator.split(';')[0]}, the score falls {verdict} than in {told['orders']} "
        f"random orders (mean {told['deletion']:.3f} against {told['deletion_random']:.3f}); put back, it is "
        f"{told['insertion']:.3f} against {told['insertion_random']:.3f}."
    )


def _aside(part: Part) -> str:
    said = f"Taking away: {part.operator}."
    if part.completeness is not None:
        complete = part.completeness
        said += (
            f" The path begins at {part.baseline}; the attributions add up to {complete.sum:.4f} where the "
            f"score rises by {complete.difference:.4f}."
        )
    return said


def _table(part: Part) -> str:
    """The greatest values; equivalent atoms in one row."""
    rows: dict[tuple, tuple[str, str, str]] = {}
    for place, item in sorted(enumerate(part.items), key=lambda pair: -abs(pair[1].value)):
        alike = (item.element, round(item.value, 9), item.count) if part.unit == "atom" else (place,)
        rows.setdefault(alike, (item.label, f"{item.value:+.4f}", str(item.count or 1)))
    head = ("Part", "Value", "Count")
    shown = list(rows.values())[:_MOST]
    if part.unit not in {"atom", "bond"}:
        return data_table(head[:2], [row[:2] for row in shown], ("Value",))
    return data_table(head, shown, ("Value", "Count"))
