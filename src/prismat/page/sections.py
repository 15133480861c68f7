"""Headed sections and lists of facts; each escapes what it shows and is empty where its data is missing."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from prismat.page.words import number


def section(title: str, body: str, aside: str = "") -> str:
    """A headed section, or nothing where there is no body."""
    if not body:
        return ""
    note = f'<p class="aside">{escape(aside)}</p>' if aside else ""
    return f"<section><h2>{escape(title)}</h2>{note}{body}</section>"


def facts(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A titled list of names and values; the values are HTML."""
    body = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<div><h3>{escape(title)}</h3><dl>{body}</dl></div>" if body else ""


def named(
    values: Mapping[str, Any],
    names: Mapping[str, str],
    formats: Mapping[str, Callable[[object], str]] | None = None,
) -> list[tuple[str, str]]:
    """Known values first, under their names; others follow under their keys."""
    order = [*(n for n in names if n in values), *(n for n in values if n not in names)]
    shown = {n: (formats or {}).get(n, plain)(values[n]) for n in order}
    return [(names.get(n, spaced(n)), escape(shown[n])) for n in order]


def spaced(name: str) -> str:
    """A key as words: ``with_text`` becomes ``With text``."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def plain(value: object) -> str:
    """A number, a word, or several of them in a row."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {plain(v)}" for k, v in value.items())
    return ", ".join(plain(v) for v in value) if isinstance(value, (list, tuple)) else number(value)


def data_table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """A table of plain text, nothing without rows.

    Args:
        head: names of the columns.
        rows: cells, as many as the head has.
        numbers: names of columns of numbers, which stand to the right.
    """
    if not rows:
        return ""
    kinds = [' class="figure"' if name in numbers else "" for name in head]
    top = "".join(f'<th scope="col"{k}>{escape(h)}</th>' for h, k in zip(head, kinds, strict=True))
    lines = ("".join(f"<td{k}>{escape(c)}</td>" for c, k in zip(row, kinds, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="plain scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def figure_block(svg: str, caption: str, kind: str = "") -> str:
    """A figure with its caption as plain text, nothing without a figure."""
    return f'<figure class="{kind}">{svg}<figcaption>{escape(caption)}</figcaption></figure>' if svg else ""
