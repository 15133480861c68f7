"""Names of clusters from the words of their titles, without a language model.

Words are weighted by the log-odds ratio of a cluster against all others with an informative Dirichlet prior:
Monroe, Colaresi and Quinn, "Fightin' words", Political Analysis 16 (2008) 372. The prior is the corpus
itself, so that a word seldom seen must be much more frequent here than elsewhere to count.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prismat.maps.words import counts_by_cluster

PRIOR = 500.0
"""Weight of the prior, in terms."""
_FEWEST = 3


@dataclass(frozen=True)
class Name:
    """What a cluster is called.

    Attributes:
        text: two or three words or pairs of words, joined by dots.
        words: the most telling terms, the best first.
    """

    text: str
    words: tuple[str, ...]


def log_odds(
    counts: Sequence[Counter[str]], prior: float = PRIOR
) -> tuple[list[str], Float[np.ndarray, "_ _"]]:
    """z-scores of each term in each cluster against the rest.

    δ = log (y_c + a) / (n_c + a₀ − y_c − a) − log (y_r + a) / (n_r + a₀ − y_r − a), and
    z = δ / √(1/(y_c + a) + 1/(y_r + a)), with a = a₀ · share of the term in the corpus.

    Args:
        counts: of terms, by cluster.
        prior: a₀.

    Returns:
        The terms in order of the alphabet, and z of shape (clusters, terms).
    """
    vocabulary = sorted(set().union(*counts))
    if not vocabulary:
        return [], np.zeros((len(counts), 0))
    here = np.array([[c[t] for t in vocabulary] for c in counts], dtype=np.float64)
    total = here.sum(axis=0)
    rest, share = total - here, prior * total / total.sum()
    n_here, n_rest = here.sum(axis=1, keepdims=True), rest.sum(axis=1, keepdims=True)

    def odds(found: np.ndarray, size: np.ndarray) -> np.ndarray:
        return np.log((found + share) / np.maximum(size + prior - found - share, 1e-9))

    variance = 1 / (here + share) + 1 / (rest + share)
    return vocabulary, (odds(here, n_here) - odds(rest, n_rest)) / np.sqrt(variance)


def name_clusters(
    titles: Sequence[str], labels: Sequence[int], clusters: int, shown: int = 3, kept: int = 12
) -> list[Name]:
    """A name for each cluster.

    Args:
        titles: of the records, empty where unknown.
        labels: cluster of each record.
        clusters: their number.
        shown: terms in a name.
        kept: terms told beside it.
    """
    counts = counts_by_cluster(titles, labels, clusters)
    vocabulary, z = log_odds(counts)
    names = []
    for number, (count, scores) in enumerate(zip(counts, z, strict=True)):
        order = np.argsort(-scores, kind="stable")
        # Of a small cluster even the best terms stand in few titles.
        least = min(_FEWEST, max(count.values(), default=0))
        best = [vocabulary[i] for i in order if scores[i] > 0 and count[vocabulary[i]] >= least]
        words = _without_overlap(best, kept)
        names.append(Name(" · ".join(words[:shown]) or f"cluster {number + 1}", tuple(words)))
    return names


def _without_overlap(terms: Sequence[str], limit: int) -> list[str]:
    """The first terms that share no word with one before them."""
    kept: list[str] = []
    seen: set[str] = set()
    for term in terms:
        words = set(term.split())
        if not (words & seen or any(_alike(w, s) for w in words for s in seen)):
            kept.append(term)
            seen |= words
        if len(kept) == limit:
            break
    return kept


def _alike(a: str, b: str) -> bool:
    """Whether one word begins with the other: pyroxene and pyroxenes, zeolite and zeolitic."""
    short, long = sorted((a, b), key=len)
    return len(short) >= 5 and long.startswith(short[: max(5, len(short) - 2)])
