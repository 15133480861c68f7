"""A text whose words are shaded by what they contribute."""

from html import escape

import numpy as np
from jaxtyping import Float

from prismat.explain.explanation import Part

_LINE, _ADVANCE, _SIZE, _WIDTH = 27.0, 8.45, 14, 700.0
"""Height of a line, width of a character of the fixed-width face, its size, and width of the picture."""


def words_svg(part: Part, strength: Float[np.ndarray, " words"]) -> str:
    """Words in a fixed-width face, so that their places are known without the reader's fonts.

    Args:
        part: values of words.
        strength: of each item, −1 to 1.
    """
    boxes, x, y = [], 0.0, 0.0
    for item, value in zip(part.items, strength, strict=True):
        for word in item.label.split():
            width = len(word) * _ADVANCE
            if x and x + width > _WIDTH - 12:
                x, y = 0.0, y + _LINE
            boxes.append(_word(word, x + 6, y, width, float(value), item.value))
            x += width + _ADVANCE
    label = escape(f"words of the {part.side}, shaded by attribution", quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {_WIDTH:g} {y + _LINE + 4:g}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{_SIZE}">{"".join(boxes)}</svg>'
    )


def _word(word: str, x: float, y: float, width: float, strength: float, value: float) -> str:
    colour = "var(--s0)" if strength > 0 else "var(--s1)"
    return (
        f"<g><title>{escape(word)} {value:+.3f}</title>"
        f'<rect x="{x - 3:.1f}" y="{y + 4:.1f}" width="{width + 6:.1f}" height="21" rx="3" '
        f'style="fill: {colour}" fill-opacity="{0.62 * abs(strength):.3f}"/>'
        f'<text x="{x:.1f}" y="{y + 19.5:.1f}" style="fill: var(--ink)" textLength="{width:.1f}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(word)}</text></g>'
    )
