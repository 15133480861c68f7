"""Pictures of attention: coloured words, heads as a grid, one head as a matrix, curves of the check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

from prismat.explain.attention.tokens import Tokens, Word
from prismat.explain.explanation import Curves
from prismat.page.figure import MUTED, SERIES, bare_axes, inline_svg, label_axes

_WIDTH, _MARGIN, _SIZE, _LINE, _GAP = 720, 8, 15, 27, 5
_NARROW, _WIDE = frozenset("ijlftr.,:;'()[]|!I1-/°"), frozenset("mwMWOQGDCNHU—%@")
_DARKEST = 0.62
MOST_TOKENS = 40
"""A matrix shows so many tokens at most."""


@dataclass(frozen=True, eq=False)
class WordRow:
    """One line of a picture of words.

    Attributes:
        label: what the values are, such as ``layer 2, head 4``.
        values: of every word; those below zero are drawn in another colour.
    """

    label: str
    values: Float[np.ndarray, " words"]


def words_svg(words: Sequence[Word], rows: Sequence[WordRow], label: str) -> str:
    """The same words under several ways to weigh them, each way's greatest weight darkest.

    Args:
        words: of the text.
        rows: values of the words.
        label: for those who cannot see it.
    """
    parts, top = [], 0
    for row in rows:
        block, height = _row(words, row, top)
        parts.append(block)
        top += height
    wide, high = _WIDTH + 2 * _MARGIN, top + _MARGIN
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="-{_MARGIN} -{_MARGIN // 2} {wide} {high}" '
        f'width="{wide}" height="{high}" xmlns="http://www.w3.org/2000/svg" style="font-family: var(--sans)">'
        f"{''.join(parts)}</svg>"
    )


def _row(words: Sequence[Word], row: WordRow, top: int) -> tuple[str, int]:
    """A label and the words below it, and how high that is."""
    greatest = max(float(np.abs(row.values).max(initial=0)), 1e-12)
    parts = [
        f'<text x="0" y="{top + 15}" style="font-size: 12px; fill: var(--muted)">{escape(row.label)}</text>'
    ]
    x, y = 0.0, float(top + 24)
    for word, value in zip(words, row.values, strict=True):
        wide = min(_width(word.text), _WIDTH - 2 * _GAP)
        if x and x + wide + 2 * _GAP > _WIDTH:
            x, y = 0.0, y + _LINE
        parts.append(_word(word.text, float(value), abs(float(value)) / greatest, x, y, wide))
        x += wide + 2 * _GAP + 2
    return "".join(parts), int(y) + _LINE + 14 - top


def _width(text: str) -> float:
    """About how wide a word is in a sans-serif font."""
    return _SIZE * sum(0.36 if c in _NARROW else 0.76 if c in _WIDE else 0.56 for c in text)


def _word(text: str, value: float, strength: float, x: float, y: float, wide: float) -> str:
    colour = "var(--s0)" if value >= 0 else "var(--s1)"
    # The length is told, so that words fit their boxes in any font.
    return (
        f"<g><title>{escape(text)}: {value:.3f}</title>"
        f'<rect x="{x:.1f}" y="{y:.0f}" width="{wide + 2 * _GAP:.1f}" height="{_LINE - 4}" rx="3" '
        f'style="fill: {colour}; fill-opacity: {_DARKEST * strength:.3f}"/>'
        f'<text x="{x + _GAP:.1f}" y="{y + 16:.0f}" textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs" '
        f'style="font-size: {_SIZE}px; fill: var(--ink)">{escape(text)}</text></g>'
    )


def grid_svg(values: Float[np.ndarray, "layers heads"], name: str, label: str, digits: int = 2) -> str:
    """Layers × heads as a grid, darkest where greatest, with the numbers in it."""
    from matplotlib.patches import Rectangle

    layers, heads = values.shape
    figure, axes = bare_axes((min(7.4, 1.2 + 0.52 * heads), 0.9 + 0.36 * layers))
    axes.grid(visible=False)
    low, high = float(values.min()), float(values.max())
    strength = (values - low) / max(high - low, 1e-12)
    for i in range(layers):
        for j in range(heads):
            shade = _DARKEST * (0.08 + 0.92 * float(strength[i, j]))
            box = Rectangle((j + 0.53, i + 0.53), 0.94, 0.94, facecolor=SERIES[0], alpha=shade, lw=0)
            axes.add_patch(box)
            axes.text(j + 1, i + 1, f"{values[i, j]:.{digits}f}", ha="center", va="center", fontsize=7.5)
    axes.set(xlim=(0.5, heads + 0.5), ylim=(layers + 0.5, 0.5))
    axes.set_xticks(range(1, heads + 1))
    axes.set_yticks(range(1, layers + 1))
    axes.spines["bottom"].set_visible(False)
    label_axes(axes, "head", "layer")
    return _inked(inline_svg(figure, name, label))


def matrix_svg(tokens: Tokens, matrix: Float[np.ndarray, "tokens tokens"], name: str, label: str) -> str:
    """One head: each row tells from which tokens a token reads; the first tokens of a long text."""
    from matplotlib.patches import Rectangle

    count = min(len(tokens.ids), MOST_TOKENS)
    shown = matrix[:count, :count]
    names = [_plain(tokens, i) for i in range(count)]
    side = 1.3 + 0.17 * count
    figure, axes = bare_axes((side + 0.2, side))
    axes.grid(visible=False)
    greatest = max(float(shown.max()), 1e-12)
    for i, j in zip(*np.nonzero(shown > 0.004 * greatest), strict=True):
        shade = float(shown[i, j]) / greatest
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=SERIES[0], alpha=shade, lw=0))
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(count), names, rotation=90, fontsize=7, color=MUTED)
    axes.set_yticks(range(count), names, fontsize=7, color=MUTED)
    axes.xaxis.tick_top()
    axes.spines["bottom"].set_visible(False)
    return _inked(inline_svg(figure, name, label))


def check_svg(curves: Mapping[str, Curves], kind: str, name: str) -> str:
    """Deletion or insertion curves of several orders of words over the middle 90 % of random orders.

    Args:
        curves: by the order's name, of one text.
        kind: ``deletion`` or ``insertion``.
        name: of the picture.
    """
    figure, axes = bare_axes()
    first = next(iter(curves.values()))
    random = first.random_deletion if kind == "deletion" else first.random_insertion
    low, high = np.quantile(random, [0.05, 0.95], axis=0)
    axes.fill_between(first.share, low, high, color=MUTED, alpha=0.18, lw=0, label="random orders, 90 %")
    axes.plot(first.share, random.mean(axis=0), color=MUTED, lw=1, ls="--")
    for i, (order, found) in enumerate(curves.items()):
        values = found.deletion if kind == "deletion" else found.insertion
        axes.plot(found.share, values, color=SERIES[i % len(SERIES)], lw=1.6, label=order)
    gone = "left out" if kind == "deletion" else "put in"
    label_axes(axes, f"share of words {gone}, highest first", "score")
    legend = axes.legend(fontsize=7.5, frameon=False)
    for text in legend.get_texts():
        text.set_color(MUTED)
    return inline_svg(figure, name, f"{kind} curves of {', '.join(curves)} against random orders")


def bars_svg(
    rows: Sequence[tuple[str, float, tuple[float, float]]],
    name: str,
    label: str,
    axis: str,
    line: float = 0.0,
) -> str:
    """Figures with their intervals as points on lines, beside a line for 'no difference'."""
    figure, axes = bare_axes((6.4, 0.9 + 0.3 * len(rows)))
    places = np.arange(len(rows))[::-1]
    axes.axvline(line, color=MUTED, lw=0.9, ls="--")
    for place, (_, value, (low, high)) in zip(places, rows, strict=True):
        axes.plot([low, high], [place, place], color=SERIES[0], lw=1.6, alpha=0.6)
        axes.plot([value], [place], "o", color=SERIES[0], ms=5)
    axes.set_yticks(places, [text for text, _, _ in rows], fontsize=8.5, color=MUTED)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    label_axes(axes, axis, "")
    return inline_svg(figure, name, label)


def _plain(tokens: Tokens, number: int) -> str:
    """A token as its characters stand in the text; special ones by their name."""
    if tokens.special[number]:
        return tokens.pieces[number]
    return tokens.text[tokens.start[number] : tokens.end[number]].strip() or "␣"


def _inked(svg: str) -> str:
    """Numbers that matplotlib drew in black, in the page's ink."""
    return svg.replace('<text style="', '<text style="fill: var(--ink); ').replace(
        "fill: #000000", "fill: var(--ink)"
    )
