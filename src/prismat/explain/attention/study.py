"""Attention over many held-out texts: what it lies on, by encoder, and whether it passes the check."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.explain.attention.check import (
    CheckSettings,
    WordSide,
    check_orders,
    deletion_gain,
    insertion_gain,
    occlusion,
)
from prismat.explain.attention.gradient import relevance
from prismat.explain.attention.source import TextSource
from prismat.explain.attention.weights import Attention, read_attention
from prismat.explain.explanation import Curves
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference

Progress = Callable[[int, int], None]
LAST, ROLLOUT, GRADIENT, OCCLUSION = "attention, last layer", "rollout", "attention × gradient", "occlusion"
CHOSEN, RANDOM = "best head of validation", "one random order"
CHEMISTRY_FIRST, TOKENS_FIRST = "chemistry words first", "words of most tokens first"


@dataclass(frozen=True, eq=False)
class Reading:
    """What the attention of one encoder lies on, text by text.

    Attributes:
        share: of the attention to words that lies on marked words, shape (texts, layers, heads).
        uniform: share of the tokens of words that are of marked words, which even attention would give.
        special: share of all attention on [CLS] and [SEP], shape (texts, layers, heads).
        entropy: over log(tokens), shape (texts, layers, heads).
        words: of each text, attention per word and layer, mean of heads, summing to 1, shape (layers, words).
    """

    share: Float[np.ndarray, "texts layers heads"]
    uniform: Float[np.ndarray, " texts"]
    special: Float[np.ndarray, "texts layers heads"]
    entropy: Float[np.ndarray, "texts layers heads"]
    words: list[Float[np.ndarray, "layers _"]]


def read_many(source: TextSource, texts: Sequence[str], marked: Sequence[Bool[np.ndarray, " _"]]) -> Reading:
    """Reads the attention of an encoder to marked words, such as those of chemistry.

    Args:
        source: the encoder.
        texts: cleaned texts.
        marked: which words of each text are meant.

    Raises:
        BadInputError: as ``read_attention``, or marks that are not one per word.
    """
    found = read_attention(source.transformer, texts)
    for attention, mark in zip(found, marked, strict=True):
        if len(mark) != len(attention.words):
            raise BadInputError(
                f"{len(mark)} marks for {len(attention.words)} words",
                record=attention.tokens.text[:60],
                field="marked",
            )
    rows = [word_rows(attention) for attention in found]
    return Reading(
        np.stack([row[:, :, mark].sum(axis=2) for row, mark in zip(rows, marked, strict=True)]),
        np.array([_even(one, mark) for one, mark in zip(found, marked, strict=True)]),
        np.stack([one.rows()[:, :, one.tokens.special].sum(axis=2) for one in found]).astype(np.float64),
        np.stack([one.entropy() for one in found]).astype(np.float64),
        [row.mean(axis=1) for row in rows],
    )


def word_rows(attention: Attention) -> Float[np.ndarray, "layers heads words"]:
    """The text's rows over words, special tokens left out, brought to sum 1."""
    rows = attention.tokens.by_word(attention.rows().astype(np.float64))
    return rows / np.maximum(rows.sum(axis=2, keepdims=True), 1e-12)


def distances(
    a: Sequence[Float[np.ndarray, "_ _"]], b: Sequence[Float[np.ndarray, "_ _"]]
) -> Float[np.ndarray, " texts"]:
    """Jensen–Shannon distance (base 2, 0 to 1) of two encoders' attention per text, mean over layers.

    Encoders of different depth are compared by their last layers alone. Each is (layers, words).
    """
    same = len(a[0]) == len(b[0])
    pairs = zip(a, b, strict=True)
    return np.array(
        [jensen_shannon(x, y).mean() if same else jensen_shannon(x[-1:], y[-1:])[0] for x, y in pairs]
    )


def jensen_shannon(
    p: Float[np.ndarray, "rows n"], q: Float[np.ndarray, "rows n"]
) -> Float[np.ndarray, " rows"]:
    """√ of the Jensen–Shannon divergence in bits (Endres & Schindelin, IEEE Trans. Inf. Theory 49 (2003))."""
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.sqrt(np.maximum(divergence, 0))


def _relative_entropy(
    p: Float[np.ndarray, "rows n"], q: Float[np.ndarray, "rows n"]
) -> Float[np.ndarray, " rows"]:
    """Kullback–Leibler divergence in bits; q is above zero wherever p is."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return (p * np.log2(ratio)).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Case:
    """A text, and what its score is the cosine with.

    Attributes:
        text: cleaned.
        target: a unit vector, such as that of its crystal; None for the text's own.
        marked: its words of chemistry.
    """

    text: str
    target: Float[torch.Tensor, " dim"] | None
    marked: Bool[np.ndarray, " words"]


def word_values(
    source: TextSource, attention: Attention, target: Float[torch.Tensor, " dim"] | None
) -> dict[str, Float[np.ndarray, " words"]]:
    """A value per word by attention, rollout, attention × gradient and occlusion.

    Without a target the text's own vector is it, at which the gradient vanishes: there is none then.
    """
    tokens = attention.tokens
    against = source.own_vector(tokens.text) if target is None else target
    values = {
        LAST: tokens.by_word(attention.of().astype(np.float64)),
        ROLLOUT: tokens.by_word(attention.rollout()),
        OCCLUSION: occlusion(WordSide(source, tokens.text, tokens.words), against),
    }
    if target is not None:
        values[GRADIENT] = tokens.by_word(relevance(source, tokens.text, target)[1])
    return values


def check_many(
    source: TextSource,
    cases: Sequence[Case],
    head: tuple[int, int] | None = None,
    settings: CheckSettings = CheckSettings(),
    progress: Progress | None = None,
) -> dict[str, list[Curves]]:
    """Checks every way to rank words on many texts of two words or more.

    Beside attention stand three orders that look at no model: words of most tokens first (weights of tokens
    are summed, so even attention favours them), words of chemistry first, and one random order, which tells
    how often chance beats the mean of random orders.

    Args:
        source: the encoder.
        cases: texts with their targets.
        head: layer and head (from 1) that :func:`choose_head` gave on other texts.
        settings: random orders and points.
        progress: called with (texts done, texts in all).
    """
    found: dict[str, list[Curves]] = {}
    for number, case in enumerate(cases):
        attention = read_attention(source.transformer, [case.text])[0]
        values = word_values(source, attention, case.target)
        if head is not None:
            values[CHOSEN] = attention.tokens.by_word(attention.of(*head).astype(np.float64))
        values[TOKENS_FIRST] = attention.tokens.counts.astype(np.float64)
        values[CHEMISTRY_FIRST] = case.marked.astype(np.float64)
        values[RANDOM] = np.random.default_rng(settings.seed + 1 + number).random(len(case.marked))
        for name, check in _checked(source, attention, case, values, settings).items():
            found.setdefault(name, []).append(check)
        if progress:
            progress(number + 1, len(cases))
    return found


def choose_head(
    source: TextSource, cases: Sequence[Case], settings: CheckSettings = CheckSettings()
) -> tuple[tuple[int, int], Float[np.ndarray, "layers heads"]]:
    """The layer and head (from 1) whose order gains most on validation texts, and the gain of all.

    The gain is the mean of ``check.deletion_gain`` and ``check.insertion_gain``.
    """
    total: np.ndarray | None = None
    for case in cases:
        attention = read_attention(source.transformer, [case.text])[0]
        rows = attention.tokens.by_word(attention.rows().astype(np.float64))
        layers, heads = rows.shape[:2]
        values = {f"{i} {j}": rows[i, j] for i in range(layers) for j in range(heads)}
        checks = _checked(source, attention, case, values, settings)
        gains = np.array([(deletion_gain(c) + insertion_gain(c)) / 2 for c in checks.values()])
        total = gains.reshape(layers, heads) + (0 if total is None else total)
    if total is None:
        raise BadInputError("no text to choose a head on", field="cases", remedy="Give validation texts.")
    layer, head = np.unravel_index(int(total.argmax()), total.shape)
    return (int(layer) + 1, int(head) + 1), total / len(cases)


def _checked(
    source: TextSource,
    attention: Attention,
    case: Case,
    values: Mapping[str, Float[np.ndarray, " words"]],
    settings: CheckSettings,
) -> dict[str, Curves]:
    target = source.own_vector(case.text) if case.target is None else case.target
    return check_orders(WordSide(source, case.text, attention.words), target, values, settings)


def mean_with_interval(
    values: Float[np.ndarray, " texts"], groups: Int[np.ndarray, " texts"] | None = None
) -> dict[str, float | list[float]]:
    """Mean over texts with the 95 % interval of a bootstrap over groups."""
    low, high = interval(bootstrap_means(values[:, None].astype(np.float64), groups)[:, 0])
    return {"mean": float(values.mean()), "interval": [low, high]}


def difference_with_interval(
    a: Float[np.ndarray, " texts"],
    b: Float[np.ndarray, " texts"],
    groups: Int[np.ndarray, " texts"] | None = None,
) -> dict[str, float | list[float]]:
    """Mean of a − b over the same texts with its 95 % interval."""
    mean, low, high = paired_difference(a, b, groups)
    return {"mean": mean, "interval": [low, high]}


def check_figures(
    checks: Mapping[str, Sequence[Curves]], groups: Int[np.ndarray, " texts"] | None = None
) -> dict[str, dict]:
    """By way of ranking: share of texts on which it beats random orders, and by how much, with intervals."""
    figures = {}
    for name, found in checks.items():
        deletion = np.array([deletion_gain(curves) for curves in found])
        insertion = np.array([insertion_gain(curves) for curves in found])
        measured = {
            "beats_random": (deletion > 0) & (insertion > 0),
            "beats_random_by_deletion": deletion > 0,
            "beats_random_by_insertion": insertion > 0,
            "deletion_gain": deletion,
            "insertion_gain": insertion,
        }
        figures[name] = {k: mean_with_interval(v.astype(np.float64), groups) for k, v in measured.items()}
    return figures


def _even(attention: Attention, mark: Bool[np.ndarray, " words"]) -> float:
    counts = attention.tokens.counts
    return float(counts[mark].sum() / max(counts.sum(), 1))
