"""A page's figure as a picture file of its own, light or dark as its reader's screen is."""

import re
from functools import cache
from importlib.resources import files

_SPACE = 'xmlns="http://www.w3.org/2000/svg"'


def standalone_svg(inline: str) -> str:
    """A whole SVG file from what :func:`prismat.page.figure.inline_svg` gave.

    The colours that an inline figure takes from its page are put into it.
    """
    head = inline if _SPACE in inline.split(">", 1)[0] else inline.replace("<svg ", f"<svg {_SPACE} ", 1)
    start = head.index(">", head.index("<svg ")) + 1
    body = f"{head[:start]}<style>{_colours()}</style>{head[start:]}"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


@cache
def _colours() -> str:
    """The page's colours, and its paper behind the figure."""
    css = (files("prismat") / "data" / "report.css").read_text(encoding="utf-8")
    light, dark = (" ".join(block.split()) for block in re.findall(r":root\s*{([^}]*)}", css)[:2])
    return f"svg{{{light} background: var(--paper)}} @media (prefers-color-scheme: dark){{svg{{{dark}}}}}"
