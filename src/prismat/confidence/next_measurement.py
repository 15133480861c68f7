"""Which measurement to take next: expected information about the answer, from candidates that are in doubt.

Expected information gain of Lindley (Ann. Math. Stat. 27, 986 (1956)) over the entries of the gallery. What a
further measurement of entry i would show is taken from the gallery: its own vector in that window, its
elements, its crystal system, its density; what each outcome would say of every other entry j is the softmax
likelihood of the two windows, at the temperature of validation, or whether the facts agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from prismat.confidence.gallery import Facts
from prismat.confidence.likelihood import entropy_bits

DENSITY_ERROR = 0.02
"""Relative standard error of a measured density."""
MISREAD = 0.02
"""Chance that elements or crystal system are read wrongly, or stand wrongly in the record."""
CONSIDERED = 64
"""Candidates over which the expectation is taken."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Further windows of the entries of a gallery.

    Attributes:
        measured: by window, its vectors toward the gallery's window, shape (entries, dim).
        known: by window, which entries have it.
        compared: by window, the gallery's own vectors toward that window.
        temperatures: by window, of the softmax over the gallery.
    """

    measured: Mapping[str, Float[np.ndarray, "entries _"]]
    known: Mapping[str, Bool[np.ndarray, " entries"]]
    compared: Mapping[str, Float[np.ndarray, "entries _"]]
    temperatures: Mapping[str, float]


def window_evidence(
    vectors: Float[np.ndarray, "outcomes dim"],
    compared: Float[np.ndarray, "entries dim"],
    temperature: float,
) -> Float[np.ndarray, "outcomes entries"]:
    """Log of the likelihood of every entry for each measured vector, up to a constant: cosine / T."""
    return (vectors @ compared.T).astype(np.float64) / temperature


def fact_evidence(name: str, outcomes: Facts, entries: Facts) -> Float[np.ndarray, "outcomes entries"]:
    """Log of the likelihood of every entry for each measured fact, up to a constant.

    Args:
        name: ``elements`` from sodium up, ``crystal system`` or ``density``.
        outcomes: what was measured.
        entries: of the gallery. A fact that is unknown on either side says nothing.
    """
    if name == "density":
        a, b = outcomes.density[:, None], entries.density[None, :]
        known = np.isfinite(a) & np.isfinite(b)
        deviation = np.where(known, a - b, 0.0) / (DENSITY_ERROR * np.where(a > 0, a, 1.0))
        # A wrong entry in the data is rare, not impossible.
        return np.where(known, np.logaddexp(-0.5 * deviation**2, np.log(MISREAD)), 0.0)
    if name == "elements":
        left, right = outcomes.elements.astype(np.float32), entries.elements.astype(np.float32)
        common = left @ right.T
        same = (common == left.sum(1)[:, None]) & (common == right.sum(1)[None, :])
        return np.where(same, 0.0, np.log(MISREAD))
    same = outcomes.systems[:, None] == entries.systems[None, :]
    unknown = (outcomes.systems < 0)[:, None] | (entries.systems < 0)[None, :]
    return np.where(unknown | same, 0.0, np.log(MISREAD))


FACTS = ("elements", "crystal system", "density")
"""What may be known of a sample besides the windows; a fact that no candidate has gains nothing."""


@dataclass(frozen=True)
class Recommendation:
    """One measurement and what it is worth.

    Attributes:
        name: of the measurement.
        gain_bits: expected fall of the entropy over the candidates.
        remaining_bits: entropy that is expected after it.
    """

    name: str
    gain_bits: float
    remaining_bits: float


def recommend(
    log_p: Float[np.ndarray, " entries"],
    windows: Windows,
    facts: Facts,
    considered: int = CONSIDERED,
) -> list[Recommendation]:
    """Measurements by expected information, the best first.

    I(m) = H(p) − Σ_i p_i H(p | outcome of entry i under m), over the ``considered`` most probable entries.

    Args:
        log_p: log-probability of every entry after the query.
        windows: further windows of the entries.
        facts: about the entries.
        considered: entries over which p is cut off and normalised again.
    """
    rows = np.argsort(-log_p, kind="stable")[:considered]
    prior, here = log_softmax(log_p[rows]), facts.take(rows)
    before = float(entropy_bits(prior[None])[0])
    found = []
    for name in (*windows.measured, *FACTS):
        evidence, told = _among(name, windows, here, rows)
        posterior = log_softmax(prior[None] + evidence * told[:, None], axis=1)
        after = float(np.exp(prior) @ entropy_bits(posterior))
        found.append(Recommendation(name, before - after, after))
    return sorted(found, key=lambda r: -r.gain_bits)


def _among(
    name: str, windows: Windows, here: Facts, rows: Int[np.ndarray, " some"]
) -> tuple[Float[np.ndarray, "some some"], Bool[np.ndarray, " some"]]:
    """Evidence that each candidate's outcome would give of each candidate, and whether it has an outcome."""
    if name in FACTS:
        return fact_evidence(name, here, here), np.ones(len(rows), dtype=bool)
    evidence = window_evidence(
        windows.measured[name][rows], windows.compared[name][rows], windows.temperatures[name]
    )
    return evidence, windows.known[name][rows]
