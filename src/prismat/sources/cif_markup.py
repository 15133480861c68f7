"""Plain text of titles with the markup of CIF and of HTML in them.

Codes: International Tables for Crystallography G (2005), section 2.2.7.4.13.
"""

import html
import re
import unicodedata

MAX_CHARACTERS = 20_000
"""A title is cut after as many."""

_GREEK = dict(zip("abcdefghiklmnopqrstuwxyz", "αβχδεφγηικλμνοπθρστυωξψζ", strict=True))
_ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    '"': "\u0308",
    "~": "\u0303",
    ",": "\u0327",
    "=": "\u0304",
    ".": "\u0307",
    ">": "\u030b",
    "<": "\u030c",
    "(": "\u0306",
    ";": "\u0328",
    "%": "\u030a",
}
_WORDS = {
    "times": "×",
    "infty": "∞",
    "simeq": "≃",
    "sim": "~",
    "neq": "≠",
    "rangle": "⟩",
    "langle": "⟨",
    "rightarrow": "→",
    "leftarrow": "←",
    "square": "□",
    "db": "=",
    "tb": "≡",
    "ddb": "=",
}
_WORD = re.compile(rf"\\\\({'|'.join(sorted(_WORDS, key=len, reverse=True))})\b")
_ACCENT = re.compile(r"\\(['`^\"~,=.><(;%])([A-Za-z])")
_STROKE = re.compile(r"\\/([oOlLdD])")
_GREEK_CODE = re.compile(r"\\([a-ikl-uw-zA-IKL-UW-Z])")
_STROKES = dict(zip("oOlLdD", "øØłŁđĐ", strict=True))
_LOW_OR_HIGH = re.compile(r"([~^])([^~^\s<>]{1,20})\1")
_TAG = re.compile(r"</?(?:i|b|em|strong|sub|sup|br|p|span|font|u|small)\s*/?>", re.IGNORECASE)


def plain_title(text: str) -> str:
    """A title on one line: tags removed, Greek letters and accents as themselves, Ba~3~ as Ba3.

    Args:
        text: as a CIF or the database has it; what follows the first 20,000 characters is left out.
    """
    text = _TAG.sub("", html.unescape(text[:MAX_CHARACTERS]))
    if "\\" in text:
        text = _WORD.sub(lambda found: _WORDS[found[1]], text)
        # A degree sign is \% before anything but a letter.
        text = _ACCENT.sub(lambda found: unicodedata.normalize("NFC", found[2] + _ACCENTS[found[1]]), text)
        text = _STROKE.sub(lambda found: _STROKES[found[1]], text).replace("\\%", "°")
        text = _GREEK_CODE.sub(lambda found: _greek(found[1]), text)
    return " ".join(_LOW_OR_HIGH.sub(r"\2", text).split())


def _greek(letter: str) -> str:
    found = _GREEK.get(letter.lower(), letter)
    return found.upper() if letter.isupper() else found
