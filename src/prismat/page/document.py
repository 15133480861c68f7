"""A page that loads nothing and runs nothing."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, kind: str, lede: str, sections: Iterable[str], footer: str) -> str:
    """A whole page in the house's style.

    Args:
        title: of the page, as plain text.
        kind: what it is (``evaluation``), as plain text.
        lede: the first paragraph, as HTML.
        sections: HTML; empty ones are left out.
        footer: the last line, as HTML.
    """
    style = (files("prismat") / "data" / "report.css").read_text(encoding="utf-8")
    name, told = escape(title), escape(kind)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} · Prismat</title><style>\n{style}</style></head>\n<body><main>"
        f'<header><p class="eyebrow">Prismat · {told}</p><h1>{name}</h1><p class="lede">{lede}</p></header>\n'
        + "\n".join(s for s in sections if s)
        + f"<footer>{footer}</footer></main></body></html>\n"
    )
