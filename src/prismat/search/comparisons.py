"""How the parts of a query are compared with the records of an index: keys, vectors and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from prismat.api import PROFILE, SENTENCE, Prismat, Vectors
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.search.backends.base import SearchIndex
from prismat.search.query import NEGATIVE, Query

_CANCELLED = 1e-6
"""Length below which the parts of a query leave nothing of each other."""


@dataclass(frozen=True)
class Blend:
    """How much each comparison of a query with a record counts, by the query's window.

    Attributes:
        cross: learned vectors against those of another window of the record, by that window.
        learned: learned vectors against those of the same window.
        raw: sentences against sentences, profiles against profiles.
        like: keys of an example's own vectors against the same keys of a record, by window or key; where the
            index has none of them, all of its keys count alike.
        negative: weight of each part that counts against a record, where the query does not say.

    How ``like`` and ``negative`` were chosen (``benchmarks/queries.py``, 917 validation records of AMCSD):
    for 'garnet not iron', the average precision of finding the records of a title word that are free of what
    is avoided (an element, a crystal system, another title word) is highest at 0.4. For ``like``, three
    examples of a title word or of a structure type found the others best by structures and sentences
    together. ``unlike`` never raised average precision: 0.2 is the weight that takes out most of what is not
    wanted among the first ten for at most 2 % of it.
    """

    cross: Mapping[str, Mapping[str, float]]
    learned: Mapping[str, float]
    raw: Mapping[str, float]
    like: Mapping[str, float] = field(default_factory=lambda: {"structure": 1.0, "sentence": 1.0})
    negative: Mapping[str, float] = field(default_factory=lambda: {"not_text": 0.4, "unlike": 0.2})


_OTHERS = ("image", "dos", "phonon_dos", "charge_density", "properties")

DEFAULT_BLEND = Blend(
    cross={
        "text": {"structure": 1.0},
        "xrd": {},
        "structure": {},
        **{w: {"structure": 1.0} for w in _OTHERS},
    },
    learned={"text": 0.0, "xrd": 0.5, "structure": 1.0, **dict.fromkeys(_OTHERS, 0.5)},
    raw={"text": 1.0, "xrd": 1.0, "structure": 0.0, **dict.fromkeys(_OTHERS, 0.0)},
)
"""Words are compared with structures and with the record's own words, a pattern with patterns, a structure
with structures. A record in an index has its simulated pattern: on validation crystals with distorted
patterns, pattern against pattern found more than pattern against structure, and profile and learned vector
together most. Any other window is compared with structures and, where records have it, with its like.
"""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One part of a query against one key of an index.

    Attributes:
        part: of the query: a window, ``not_text``, ``like`` or ``unlike``.
        key: of the index.
        vector: mean of the part's unit vectors (several words to avoid, several examples), so that its
            product with a record's unit vector is the mean cosine.
        share: how much it counts within its part; the shares of a part add up to 1.
        weight: of the part, negative where it counts against a record.
    """

    part: str
    key: str
    vector: Float[np.ndarray, " dim"]
    share: float
    weight: float


def compare(prismat: Prismat, index: SearchIndex, query: Query, blend: Blend) -> list[Comparison]:
    """Every comparison that a resolved query asks for.

    Args:
        prismat: embeds the parts.
        index: holds the examples.
        query: with its files read.
        blend: weights of the comparisons.

    Raises:
        BadInputError: a part that the model cannot read, or an example that the index does not have.
    """
    found = []
    for part, (window, vectors) in _embedded(prismat, query).items():
        found += _shared(part, _comparisons(prismat, window, vectors, blend), query, blend)
    for part in ("like", "unlike"):
        if ids := getattr(query.steer, part):
            found += _shared(part, _examples(index, ids, blend), query, blend)
    return found


def _shared(
    part: str, rows: list[tuple[str, np.ndarray, float]], query: Query, blend: Blend
) -> list[Comparison]:
    """Comparisons of one part whose shares add up to 1."""
    sign, usual = (-1.0, blend.negative[part]) if part in NEGATIVE else (1.0, 1.0)
    weight = sign * query.weights.get(part, usual)
    total = sum(share for _, _, share in rows)
    return [Comparison(part, key, vector, share / total, weight) for key, vector, share in rows if share > 0]


def _embedded(prismat: Prismat, query: Query) -> dict[str, tuple[str, Vectors]]:
    """Window and unit vectors of every part that the model has to read."""
    found: dict[str, tuple[str, Vectors]] = {}
    if query.text is not None:
        found["text"] = ("text", prismat.embed(texts=[query.text]))
    if isinstance(query.structure, Crystal):
        found["structure"] = ("structure", prismat.embed(structures=[query.structure]))
    if isinstance(query.xrd, Pattern):
        found["xrd"] = ("xrd", prismat.embed(patterns=[query.xrd]))
    for window, data in query.measured.items():
        found[window] = (window, prismat.embed(**{window: [data]}))  # ty: ignore[invalid-argument-type]
    if query.steer.not_text:
        found["not_text"] = ("text", prismat.embed(texts=list(query.steer.not_text)))
    return found


def _comparisons(
    prismat: Prismat, window: str, vectors: Vectors, blend: Blend
) -> list[tuple[str, np.ndarray, float]]:
    """(key of the index, query vector, weight) of every comparison that a window takes part in."""
    others = [other for other in prismat.recipe.windows if other != window]
    raw = [key for key in (SENTENCE, PROFILE) if key in vectors]
    own = sorted({prismat.key(window, other) for other in others})
    # Texts without a frozen embedding are compared by what was learned.
    learned = blend.learned[window] if raw or blend.learned[window] else blend.raw[window]
    cross = blend.cross[window]
    rows = [(prismat.key(o, window), prismat.key(window, o), cross.get(o, 0.0)) for o in others]
    rows += [(key, key, learned / len(own)) for key in own]
    rows += [(key, key, blend.raw[window]) for key in raw]
    return [(key, _mean(vectors[name]), weight) for key, name, weight in rows if weight > 0]


def _mean(vectors: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " dim"]:
    """Mean of unit vectors."""
    rows = np.asarray(vectors, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)


def _examples(index: SearchIndex, ids: Sequence[str], blend: Blend) -> list[tuple[str, np.ndarray, float]]:
    """(key, mean of the examples' own vectors, weight) for every key that counts and that one of them has."""
    for name in ids:
        index.record(name)
    shares = like_shares(list(index.keys), blend)
    found = []
    for key, share in shares.items():
        vectors, present = index.vectors_of(key, list(ids))
        if present.any():
            found.append((key, _mean(np.asarray(vectors)[present]), share))
    if not found:
        raise BadInputError(
            "the examples have none of the windows that they are compared by",
            field="steer",
            remedy="Give other records.",
        )
    return found


def like_shares(keys: Sequence[str], blend: Blend) -> dict[str, float]:
    """Weight of each key of an index when records are compared with examples."""
    windows = [key.partition("@")[0] for key in keys]
    shares = {
        key: blend.like.get(window, 0.0) / windows.count(window)
        for key, window in zip(keys, windows, strict=True)
    }
    return {k: w for k, w in shares.items() if w > 0} or dict.fromkeys(keys, 1.0)


@dataclass(frozen=True, eq=False)
class Combined:
    """All comparisons by key, as an index takes them.

    Attributes:
        vectors: sum of the weighted vectors, of unit length.
        weights: length of that sum.
        shares: sum of the absolute weights: what the score is divided by.
    """

    vectors: dict[str, Float[np.ndarray, " _"]]
    weights: dict[str, float]
    shares: dict[str, float]


def combine(comparisons: Sequence[Comparison]) -> Combined:
    """Adds what looks at one key, so that score = Σ w cos / Σ |w| over all comparisons that a record has.

    Raises:
        BadInputError: the parts cancel out.
    """
    sums: dict[str, np.ndarray] = {}
    shares: dict[str, float] = {}
    for one in comparisons:
        weight = one.weight * one.share
        sums[one.key] = sums.get(one.key, 0.0) + weight * one.vector
        shares[one.key] = shares.get(one.key, 0.0) + abs(weight)
    lengths = {key: float(np.linalg.norm(vector)) for key, vector in sums.items()}
    used = [key for key in sums if lengths[key] > _CANCELLED * shares[key]]
    if not used:
        raise BadInputError(
            "the parts of the query cancel out",
            field="query",
            remedy="Do not ask for what is to be avoided, or give them other weights.",
        )
    vectors = {key: sums[key] / lengths[key] for key in used}
    return Combined(vectors, {k: lengths[k] for k in used}, {k: shares[k] for k in used})


def part_scores(
    comparisons: Sequence[Comparison], index: SearchIndex, ids: Sequence[str]
) -> list[dict[str, float]]:
    """Score that each part alone would give each record: its mean cosine over the keys the record has."""
    names = dict.fromkeys(one.part for one in comparisons)
    total, weight = ({part: np.zeros(len(ids)) for part in names} for _ in range(2))
    for key in dict.fromkeys(one.key for one in comparisons):
        vectors, present = index.vectors_of(key, list(ids))
        rows = np.asarray(vectors, dtype=np.float64)
        for one in comparisons:
            if one.key == key:
                total[one.part] += one.share * np.where(present, rows @ one.vector, 0.0)
                weight[one.part] += one.share * present
    return [
        {part: float(total[part][i] / weight[part][i]) for part in names if weight[part][i] > 0}
        for i in range(len(ids))
    ]
