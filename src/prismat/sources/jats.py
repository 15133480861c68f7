"""Plain text of abstracts in JATS, the XML in which publishers hand them to Crossref."""

import html
import re

MAX_CHARACTERS = 100_000
"""An abstract is cut after as many."""

_TAG = re.compile(r"<([^<>]*)>")
_NAME = re.compile(r"/?\s*(?:([A-Za-z][\w-]*):)?([A-Za-z][\w-]*)\s*(?:/?$|\s[^<>]*=)")
_STILL_ENCODED = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,10});")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLOCK = re.compile(
    r"p|sec|title|list|list-item|def-list|break|br|hr|disp-formula|disp-quote|label|div|li|ul|ol|table|t[rdh]"
    r"|graphic|h[1-6]|abstract|abs-p"
)
_INLINE = re.compile(
    r"su[bp]|inf|italic|bold|i|b|em|strong|sc|monospace|styled-content|named-content|ext-link|xref|a|span|font"
    r"|u|underline|overline|strike|roman|sans-serif|small|tt|uri|email|inline-formula|inline-graphic"
    r"|alternatives|math|m[inos]|mrow|msu[bp]|msubsup|mtext|mspace|mfrac|msqrt|mroot|mover|munder|munderover"
    r"|mfenced|mstyle|mpadded|mphantom|mtable|mt[rd]|mmultiscripts|mprescripts|none|semantics|fn|target"
)
_HIDDEN = frozenset({"tex-math", "annotation", "annotation-xml", "script", "style"})
_HEADING = re.compile(r"^(?:Abstract|ABSTRACT|Summary|SUMMARY|Synopsis)[:.]?\s+(?=[A-Z0-9])")


def plain_abstract(jats: str) -> str:
    """Text without markup on one line; entities are decoded, also those that were encoded twice.

    Nothing is parsed as XML, so no entity is expanded and no document is refused: a ``<`` that opens no tag
    of JATS, MathML or HTML stays (T < Tc). Subscripts join what they follow (SrTiO3). TeX and the heading
    "Abstract" are left out.

    Args:
        jats: the abstract as Crossref gives it; what follows the first 100,000 characters is left out.
    """
    text = html.unescape(_stripped(jats[:MAX_CHARACTERS]))
    # Some publishers encode the markup itself.
    text = _stripped(text)
    if _STILL_ENCODED.search(text):
        text = html.unescape(text)
    return _HEADING.sub("", " ".join(_CONTROL.sub(" ", text).split()), count=1)


def _stripped(text: str) -> str:
    """The text without tags, and without what is inside of some."""
    parts: list[str] = []
    hidden = ""
    for number, piece in enumerate(_TAG.split(text)):
        if number % 2 == 0:
            parts += [] if hidden else [piece]
            continue
        name, closing = _name(piece), piece.startswith("/")
        if hidden:
            hidden = "" if closing and name == hidden else hidden
        elif name in _HIDDEN and not closing and not piece.endswith("/"):
            hidden = name
        else:
            parts.append(_instead(piece, name))
    return "".join(parts)


def _name(piece: str) -> str:
    """Name of a tag; ``?`` where only its prefix shows that it is one, empty where it is none."""
    found = _NAME.match(piece)
    if found is None:
        return ""
    name = found[2].lower()
    known = name in _HIDDEN or _BLOCK.fullmatch(name) or _INLINE.fullmatch(name)
    return name if known else "?" if found[1] else ""


def _instead(piece: str, name: str) -> str:
    """What stands in place of a tag."""
    if piece.startswith("![CDATA["):
        return piece.removeprefix("![CDATA[").removesuffix("]]")
    if _BLOCK.fullmatch(name):
        return " "
    return "" if name or piece.startswith(("!--", "?xml")) else f"<{piece}>"
