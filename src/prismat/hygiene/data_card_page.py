"""The data card as a page that loads nothing and runs nothing, and as Markdown; every string is escaped."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from prismat.hygiene.data_card_plots import card_plots
from prismat.hygiene.manifest import manifest_lines, text_line
from prismat.page.document import document
from prismat.page.sections import data_table, facts, section
from prismat.page.words import duration, number

_CAPTIONS = {
    "elements": "Records that hold each element; depth of colour on a logarithmic scale.",
    "systems": "Records by crystal system.",
    "sites": "Records by number of atoms in the primitive cell.",
    "years": "Records by year of publication.",
}
_NUMBERS = frozenset(
    (
        "Records",
        "Distinct",
        "Words, median",
        "Words, 95 %",
        "Least",
        "5 %",
        "Median",
        "95 %",
        "Greatest",
        "Rows",
    )
)
"""Columns of numbers."""
_NAMES = {"xrd, simulated": "Diffraction, simulated", "xrd, measured": "Diffraction, measured", "dos": "DOS"}
_SHOWN = ("min", "q05", "median", "q95", "max")


def render_page(card: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        card: what :func:`prismat.hygiene.data_card.data_card` gave.
    """
    drawn = card_plots(card)
    sections = (
        _overview(card),
        section("Elements", _figure(drawn, "elements", "wide")),
        _figures(card, drawn),
        _texts(card),
        _properties(card),
        _terms(card),
        _rejects(card),
        _origin(card),
    )
    footer = "The same numbers, unrounded, are in data_card.json beside this page."
    return document(str(card["name"]), "data card", escape(summary(card)), sections, footer)


def summary(card: Mapping[str, Any]) -> str:
    """One paragraph on what the store holds, every word of it computed from the numbers."""
    counts, found = card["counts"], card["manifest"]
    told = [f"{counts['records']:,} records from {found['source']}"]
    if counts["with_structure"]:
        told[0] += f", {counts['with_structure']:,} with a structure of {len(card['elements'])} elements"
    told[0] += f"; {counts['rejected']:,} rows were rejected"
    if card["years"]:
        told.append(f"Published from {card['years']['first']} to {card['years']['last']}")
    if card["journals"]:
        share, distinct = card["journals"]["first_ten_share"], card["journals"]["distinct"]
        told.append(f"The ten commonest of {distinct:,} journals hold {share:.0%} of the records")
    return f"{'. '.join(told)}. {found['notice']}"


def _overview(card: Mapping[str, Any]) -> str:
    counts, names = card["counts"], {"prepare_s": "Preparation"}
    rows = [
        (names.get(k, _spaced(k)), escape(duration(v) if k == "prepare_s" else number(v)))
        for k, v in counts.items()
        if v or k in ("records", "rejected")
    ]
    windows = [(_spaced(k), _share(v, counts["records"])) for k, v in card["windows"].items()]
    alike = [
        (_spaced(k), f"{v['records']:,} in {v['groups']:,} groups") for k, v in card["duplicates"].items()
    ]
    splits = [(k.capitalize(), escape(number(v))) for k, v in card["splits"].items()]
    body = (
        facts("Records", rows)
        + facts("Windows", windows)
        + facts("Looks the same", alike)
        + facts("Division the data came with", [(escape(k), v) for k, v in splits])
    )
    return section("What is in it", f'<div class="facts">{body}</div>')


def _share(n: int, total: int) -> str:
    return escape(f"{n:,} ({100 * n / total:.3g} %)")


def _spaced(name: str) -> str:
    words = _NAMES.get(name, name.replace("_", " "))
    return words[:1].upper() + words[1:]


def _figure(drawn: Mapping[str, str], name: str, kind: str = "", caption: str = "") -> str:
    if name not in drawn:
        return ""
    told = escape(caption or _CAPTIONS.get(name, ""))
    return f'<figure class="{kind}">{drawn[name]}<figcaption>{told}</figcaption></figure>'


def _figures(card: Mapping[str, Any], drawn: Mapping[str, str]) -> str:
    parts = [_figure(drawn, name) for name in ("systems", "sites", "years")]
    if card["journals"]:
        found = card["journals"]
        caption = (
            f"Records by journal: the {len(found['most'])} commonest of {found['distinct']:,}. "
            f"The first ten hold {found['first_ten_share']:.1%} of {found['records']:,} records."
        )
        parts.append(_figure(drawn, "journals", caption=caption))
    for kind in card["texts"]:
        caption = f"Texts of kind “{kind}” by number of words; the longest hundredth may stand in one bar."
        parts.append(_figure(drawn, f"text {kind}", caption=caption))
    body = "".join(parts)
    return section("Distributions", f'<div class="figures">{body}</div>' if body else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return data_table(head, rows, _NUMBERS)


def _texts(card: Mapping[str, Any]) -> str:
    return section("Texts", _table(TEXT_HEAD, text_rows(card)))


TEXT_HEAD = ("Kind", "Records", "Distinct", "Words, median", "Words, 95 %", "Made by")


def text_rows(card: Mapping[str, Any]) -> list[list[str]]:
    """One row for each kind of text."""
    return [
        [
            kind,
            number(found["records"]),
            number(found["distinct"]),
            number(found["words"]["median"]),
            number(found["words"]["q95"]),
            text_line(kind, found["made_by"]).partition(" made by ")[2]
            if "made_by" in found
            else "the source",
        ]
        for kind, found in card["texts"].items()
    ]


PROPERTY_HEAD = ("Property", "Unit", "Records", "Least", "5 %", "Median", "95 %", "Greatest")


def property_rows(card: Mapping[str, Any]) -> list[list[str]]:
    """One row for each property."""
    return [
        [p["name"], p["unit"] or "1", number(p["records"]), *(number(p["quantiles"].get(q)) for q in _SHOWN)]
        for p in card["properties"]
    ]


def _properties(card: Mapping[str, Any]) -> str:
    return section("Properties", _table(PROPERTY_HEAD, property_rows(card)))


TERMS_HEAD = ("Source", "Licence", "Cite", "Records")


def terms_rows(card: Mapping[str, Any]) -> list[list[str]]:
    """One row for each source, licence and citation."""
    return [
        [o["source"] or "–", o["licence"] or "not stated", o["citation"] or "–", number(o["records"])]
        for o in card["manifest"]["provenance"]
    ]


def _terms(card: Mapping[str, Any]) -> str:
    return section(
        "Licences and provenance", _table(TERMS_HEAD, terms_rows(card)), card["manifest"]["notice"]
    )


def _rejects(card: Mapping[str, Any]) -> str:
    rows = [[reason, number(count)] for reason, count in card["rejects"].items()]
    aside = "Numbers within a reason stand as #; each row is listed in rejects.jsonl of the store."
    return section("Rejected rows", _table(("Reason", "Rows"), rows), aside)


def _origin(card: Mapping[str, Any]) -> str:
    found = card["manifest"]
    rows = [
        ("Program", escape(found["program"])),
        ("Schema", escape(number(found["schema_version"]))),
        ("Content", f"<code>{escape(found['hash'][:16])}</code>"),
        ("Input", f"<code>{escape(str(found['fingerprint'])[:24])}</code>"),
    ]
    return section("Made from", f'<div class="facts">{facts("Hashes", rows)}</div>')


def render_markdown(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    counts = card["counts"]
    lines = [f"# Data card: {_plain(card['name'])}", "", _plain(summary(card)), "", "## Windows", ""]
    lines += [f"- {_spaced(k)}: {v:,} of {counts['records']:,}" for k, v in card["windows"].items()]
    tables = (
        ("Texts", TEXT_HEAD, text_rows(card)),
        ("Properties", PROPERTY_HEAD, property_rows(card)),
        ("Journals", ("Journal", "Records"), _pairs(card["journals"].get("most"))),
        ("Rejected rows", ("Reason", "Rows"), _pairs(card["rejects"])),
    )
    for title, head, rows in tables:
        lines += _markdown_table(title, head, rows)
    lines += ["", "## Licences and provenance", ""]
    lines += [f"- {_plain(line.strip())}" for line in manifest_lines(card["manifest"])]
    return "\n".join([*lines, ""])


def _pairs(counts: Mapping[str, int] | None) -> list[list[str]]:
    return [[name, number(count)] for name, count in (counts or {}).items()]


def _markdown_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    told = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows]
    return ["", f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *told]


def _plain(text: str) -> str:
    """Text that Markdown, and the HTML within it, leaves as it is."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", escape(" ".join(str(text).split()), quote=False))
