"""Entity-level precision, recall and F1 of IOB2 tags, as seqeval counts them, with bootstrap intervals.

An entity is found where its type, first and last token are. It starts at every B- tag, and at an I- tag that
follows O or another type, as in conlleval (Tjong Kim Sang and Buchholz, CoNLL 2000) and in seqeval's default
mode; it never crosses a sentence. Macro averages are over the types among the true or predicted entities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import interval, resample_counts

Tags = Sequence[Sequence[str]]

MEASURES = ("precision", "recall", "f1")
RESAMPLES = 2_000
OUTSIDE = "O"


@dataclass(frozen=True, eq=False)
class Entities:
    """Entities of consecutive sentences.

    Attributes:
        sentence: in which each is.
        first: its first token, counted over all sentences.
        last: its last token.
        kind: its type, a row of the list it was read with.
    """

    sentence: Int[np.ndarray, " entities"]
    first: Int[np.ndarray, " entities"]
    last: Int[np.ndarray, " entities"]
    kind: Int[np.ndarray, " entities"]


def tag_types(*groups: Tags) -> list[str]:
    """Types of all entities, sorted.

    Raises:
        BadInputError: a tag that is neither O nor B-TYPE or I-TYPE.
    """
    distinct = {tag for tags in groups for sentence in tags for tag in sentence}
    for tag in sorted(distinct):
        if tag != OUTSIDE and (tag[:2] not in ("B-", "I-") or len(tag) <= len("B-")):
            raise BadInputError(f"{tag!r} is no IOB2 tag", field="tags", remedy="Use O, B-TYPE and I-TYPE.")
    return sorted({tag[2:] for tag in distinct if tag != OUTSIDE})


def find_entities(tags: Tags, types: Sequence[str]) -> Entities:
    """All entities of tagged sentences.

    Args:
        tags: by sentence and token.
        types: from :func:`tag_types`.
    """
    place = {name: i for i, name in enumerate(types)}
    flat = [tag for sentence in tags for tag in sentence]
    kind = np.array([place[t[2:]] if t != OUTSIDE else -1 for t in flat], dtype=np.int64)
    begins = np.array([t.startswith("B-") for t in flat], dtype=bool)
    sentence = np.repeat(np.arange(len(tags)), [len(s) for s in tags])
    inside = kind >= 0
    goes_on = _same_as_before(kind, sentence) & ~begins & inside
    first = np.flatnonzero(inside & ~goes_on)
    # An entity ends before the next token that does not go on with it.
    stops = np.append(np.flatnonzero(~goes_on), len(flat))
    last = stops[np.searchsorted(stops, first, side="right")] - 1
    return Entities(sentence[first], first, last, kind[first])


def _same_as_before(
    kind: Int[np.ndarray, " tokens"], sentence: Int[np.ndarray, " tokens"]
) -> Bool[np.ndarray, " tokens"]:
    """Whether the token before is of the same type and sentence."""
    same = np.zeros(len(kind), dtype=bool)
    same[1:] = (kind[1:] == kind[:-1]) & (sentence[1:] == sentence[:-1])
    return same


def entity_metrics(
    truth: Tags,
    predicted: Tags,
    groups: Int[np.ndarray, " sentences"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Micro and macro precision, recall and F1 over entities, and those of every type.

    Args:
        truth: IOB2 tags by sentence and token.
        predicted: the same sentences.
        groups: of each sentence, such as its document, drawn as wholes; each by itself where left out.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Returns:
        ``micro_precision`` to ``macro_f1``: value, lower and upper end of the 95 % interval; ``per_type``: by
        type the same for precision, recall and f1, with its ``support``.

    Raises:
        BadInputError: sentences of different lengths, none, or a tag that is not IOB2.
    """
    _check(truth, predicted, groups)
    types = tag_types(truth, predicted)
    summed = _by_group(entity_counts(truth, predicted, types), groups)
    whole = _measures(summed.sum(0)[None])
    drawn = [
        _measures(np.tensordot(c.astype(np.float64), summed, axes=1))
        for c in resample_counts(len(summed), resamples, seed)
    ]
    samples = [np.concatenate([d[i] for d in drawn]) for i in range(3)]
    found: dict[str, Any] = {}
    for i, name in enumerate(("micro", "macro")):
        for j, measure in enumerate(MEASURES):
            ends = interval(samples[i][:, j])
            found[f"{name}_{measure}"] = (float(whole[i][0, j]), *ends)
    found["per_type"] = {
        kind: {
            measure: (float(whole[2][0, k, j]), *interval(samples[2][:, k, j]))
            for j, measure in enumerate(MEASURES)
        }
        | {"support": int(summed[:, k, 2].sum())}
        for k, kind in enumerate(types)
    }
    return found


def entity_counts(
    truth: Tags, predicted: Tags, types: Sequence[str]
) -> Float[np.ndarray, "sentences types three"]:
    """By sentence and type: entities found, predicted and true."""
    counts = np.zeros((len(truth), len(types), 3))
    true, told = find_entities(truth, types), find_entities(predicted, types)
    hit = np.isin(_keys(true, len(types)), _keys(told, len(types)))
    for column, (found, which) in enumerate(((true, hit), (told, slice(None)), (true, slice(None)))):
        place = found.sentence[which] * len(types) + found.kind[which]
        number = np.bincount(place, minlength=len(truth) * len(types))
        counts[:, :, column] = number.reshape(len(truth), len(types))
    return counts


def micro_f1(truth: Tags, predicted: Tags) -> float:
    """F1 over all entities, without an interval: what weights are chosen by."""
    types = tag_types(truth, predicted)
    return float(_measures(entity_counts(truth, predicted, types).sum(0)[None])[0][0, 2])


def _keys(entities: Entities, types: int) -> np.ndarray:
    """One number per entity: its first token, its length and its type."""
    longest = 1 << 20
    return (entities.first * longest + entities.last - entities.first) * max(types, 1) + entities.kind


def _measures(counts: Float[np.ndarray, "n types three"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Micro, macro and by type: precision, recall and F1, 0 where a denominator is."""
    by_type = _three(counts)
    occurs = counts[:, :, 1:].sum(2) > 0
    macro = (by_type * occurs[:, :, None]).sum(1) / np.maximum(occurs.sum(1), 1)[:, None]
    return _three(counts.sum(1)), macro, by_type


def _three(counts: Float[np.ndarray, "*n three"]) -> Float[np.ndarray, "*n three"]:
    hit, told, true = counts[..., 0], counts[..., 1], counts[..., 2]
    pairs = ((hit, told), (hit, true), (2 * hit, told + true))
    return np.stack([np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in pairs], axis=-1)


def _check(truth: Tags, predicted: Tags, groups: np.ndarray | None) -> None:
    if not len(truth) or len(truth) != len(predicted):
        raise BadInputError(
            f"{len(truth)} true and {len(predicted)} predicted sentences",
            field="tags",
            remedy="Give the same sentences, one at least.",
        )
    for number, (a, b) in enumerate(zip(truth, predicted, strict=True)):
        if len(a) != len(b):
            raise BadInputError(
                f"{len(a)} true and {len(b)} predicted tags",
                record=f"sentence {number}",
                field="tags",
                remedy="Give one tag per token.",
            )
    if groups is not None and len(groups) != len(truth):
        raise BadInputError(
            f"{len(groups)} groups for {len(truth)} sentences", field="groups", remedy="Give one each."
        )


def entity_differences(
    truth: Tags,
    first: Tags,
    second: Tags,
    groups: Int[np.ndarray, " sentences"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float, float]]:
    """Each of ``micro_precision`` to ``macro_f1`` of one system minus another's, with its 95 % interval.

    Args:
        truth: IOB2 tags by sentence and token.
        first: tags of one system.
        second: tags of the other.
        groups: of each sentence, drawn as wholes; each by itself where left out.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Raises:
        BadInputError: as ``entity_metrics``.
    """
    _check(truth, first, groups)
    _check(truth, second, groups)
    types = tag_types(truth, first, second)
    pair = [_by_group(entity_counts(truth, tags, types), groups) for tags in (first, second)]
    whole = [_measures(summed.sum(0)[None]) for summed in pair]
    drawn: list[np.ndarray] = []
    for counts in resample_counts(len(pair[0]), resamples, seed):
        a, b = (_measures(np.tensordot(counts.astype(np.float64), summed, axes=1)) for summed in pair)
        drawn.append(np.stack([a[i] - b[i] for i in range(2)], axis=1))
    samples = np.concatenate(drawn)
    return {
        f"{name}_{measure}": (
            float(whole[0][i][0, j] - whole[1][i][0, j]),
            *interval(samples[:, i, j]),
        )
        for i, name in enumerate(("micro", "macro"))
        for j, measure in enumerate(MEASURES)
    }


def _by_group(
    counts: Float[np.ndarray, "sentences types three"], groups: np.ndarray | None
) -> Float[np.ndarray, "groups types three"]:
    """Counts of what is drawn as a whole."""
    labels = np.arange(len(counts)) if groups is None else groups
    numbers, cluster = np.unique(labels, return_inverse=True)
    summed = np.zeros((len(numbers), *counts.shape[1:]))
    np.add.at(summed, cluster.ravel(), counts)
    return summed
