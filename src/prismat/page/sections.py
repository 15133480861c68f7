"""Headed sections and lists of facts; each escapes what it shows and is empty where its data is missing."""

from collections.abc import Callable, Iterable, Mapping
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
