"""A fingerprint of a crystal that does not depend on cell, origin, orientation or order of atoms.

A radial distribution, after Valle & Oganov, Acta Cryst. A 66, 507 (2010), on reduced and logarithmic
distances: a homogeneous strain moves every peak alike and by little, so that one width serves all of them.
Elements are in the composition alone: weighing neighbours by element as well proposed no fewer pairs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from prismat.crystal import Crystal
from prismat.elements import MAX_Z
from prismat.neighbors import neighbor_pairs

_CUTOFF = 2.5
"""Longest distance, in units of (volume / atom)^⅓."""
_BINS = 96
_FROM = 0.25
_STEP = float(np.log(_CUTOFF / _FROM)) / _BINS
_WIDTH = 0.06
"""Standard deviation of a peak: 6 % of its distance."""


class Fingerprints(NamedTuple):
    """Fingerprints of n crystals.

    Attributes:
        fractions: atomic fractions by atomic number.
        volume: Å³ per atom.
        radial: smoothed radial distribution of all atoms, whatever their element.
        known: rows with a periodic crystal; all others are zero.
    """

    fractions: Float[np.ndarray, "n elements"]
    volume: Float[np.ndarray, " n"]
    radial: Float[np.ndarray, "n bins"]
    known: Int[np.ndarray, " known"]


def fingerprints(crystals: Sequence[Crystal | None]) -> Fingerprints:
    """Fingerprints of crystals, in order; molecules and records without a structure have none."""
    n = len(crystals)
    fractions, volume = np.zeros((n, MAX_Z + 1)), np.zeros(n)
    counted = np.zeros((n, _BINS))
    known = []
    for row, crystal in enumerate(crystals):
        if crystal is None or not crystal.periodic:
            continue
        known.append(row)
        total = sum(crystal.composition.values())
        fractions[row, list(crystal.composition)] = np.array(list(crystal.composition.values())) / total
        volume[row] = crystal.volume / total
        counted[row] = _counts(crystal, total)
    return Fingerprints(fractions, volume, _smooth(counted), np.array(known, dtype=np.int64))


def _counts(crystal: Crystal, total: float) -> Float[np.ndarray, " bins"]:
    """Weight of neighbours per atom in bins of the logarithm of the reduced distance."""
    unit = (crystal.volume / total) ** (1 / 3)
    pairs = neighbor_pairs(crystal.lattice, crystal.frac, _CUTOFF * unit)
    occupancy = np.array([sum(x for _, x in site) for site in crystal.sites])
    at = np.log(np.maximum(pairs.distance / unit, _FROM) / _FROM) / _STEP
    low = np.minimum(at.astype(np.int64), _BINS - 1)
    # A neighbour is shared between the two nearest bins, so that no border makes a difference.
    upper = at - low
    both, share = np.concatenate([low, np.minimum(low + 1, _BINS - 1)]), np.concatenate([1 - upper, upper])
    weight = np.tile(occupancy[pairs.i] * occupancy[pairs.j], 2) * share
    return np.bincount(both, weight, minlength=_BINS) / total


def _smooth(counted: Float[np.ndarray, "n bins"]) -> Float[np.ndarray, "n bins"]:
    """Each peak a Gaussian, fading out towards the cutoff.

    Neighbours are divided by their distance. By its cube, as in a pair correlation function, the shortest
    bonds would decide alone: of what was proposed in AMCSD such that 99 % of the same crystals are there,
    68 % was the same, against 76 %.
    """
    centre = np.arange(_BINS) * _STEP
    distance = _FROM * np.exp(centre)
    kernel = np.exp(-0.5 * ((centre[:, None] - centre) / _WIDTH) ** 2)
    fade = 0.5 * (1 + np.cos(np.pi * distance / _CUTOFF))
    return (counted / distance) @ kernel * fade


def distances(
    first: Float[np.ndarray, "pairs bins"], second: Float[np.ndarray, "pairs bins"]
) -> Float[np.ndarray, " pairs"]:
    """How unlike radial distributions are: 0 for equal ones, 1 and above for strangers."""
    difference = np.linalg.norm(first - second, axis=1)
    size = np.linalg.norm(first, axis=1) + np.linalg.norm(second, axis=1)
    return 2 * difference / np.maximum(size, 1e-12)
