import numpy as np
import pytest

import helpers_crystals as real
from helpers_hygiene import polymorph
from prismat.crystal import Crystal
from prismat.hygiene.candidates import Likeness, find_candidates
from prismat.hygiene.fingerprint import distances, fingerprints


def writings(crystal):
    rng = np.random.default_rng(1)
    ways = (real.rotated, real.translated, real.reordered, real.other_axes, real.mirrored, real.inverted)
    return [crystal, *(way(crystal, rng) for way in ways), real.supercell(crystal, (2, 1, 3))]


@pytest.mark.parametrize("name", list(real.PUBLISHED))
def test_equal_however_the_crystal_is_written(name):
    found = fingerprints(writings(real.crystals()[name]))
    assert np.allclose(found.radial, found.radial[0], atol=1e-6 * np.abs(found.radial).max())
    assert np.allclose(found.volume, found.volume[0])
    assert np.allclose(found.fractions, found.fractions[0])


def test_a_small_strain_changes_it_little_and_another_phase_much():
    quartz = real.crystals()["quartz"]
    strained = Crystal(quartz.lattice * np.array([1.008, 1.008, 0.995])[:, None], quartz.frac, quartz.sites)
    found = fingerprints([quartz, strained, polymorph("coesite-like stishovite")]).radial
    strain, phase = distances(found[[0, 0]], found[[1, 2]])
    assert 0 < strain < 0.1
    assert phase > 0.5


def test_a_homogeneous_change_of_scale_changes_the_volume_alone():
    crystal = real.crystals()["rutile"]
    found = fingerprints([crystal, Crystal(crystal.lattice * 1.02, crystal.frac, crystal.sites)])
    assert np.allclose(found.radial[0], found.radial[1], atol=1e-9)
    assert found.volume[1] / found.volume[0] == pytest.approx(1.02**3)


def test_molecules_and_absent_structures_have_none():
    water = Crystal.molecule(np.eye(3), tuple(((z, 1.0),) for z in (8, 1, 1)))
    found = fingerprints([None, water, real.crystals()["NaCl"]])
    assert found.known.tolist() == [2]
    assert not found.radial[:2].any()


def naive(prints, likeness, side=None):
    rows = prints.known.tolist()
    return {
        (i, j)
        for i in rows
        for j in rows
        if i < j
        and np.abs(prints.fractions[i] - prints.fractions[j]).max() <= likeness.composition
        and max(prints.volume[[i, j]]) <= (1 + likeness.volume) * min(prints.volume[[i, j]])
        and distances(prints.radial[[i]], prints.radial[[j]])[0] <= likeness.radial
        and (side is None or side[i] != side[j])
    }


@pytest.mark.parametrize("sided", [False, True])
def test_candidates_equal_a_plain_double_loop(sided, monkeypatch):
    # Several chunks, as with many crystals.
    monkeypatch.setattr("prismat.hygiene.candidates._PAIRS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    crystals = [None]
    for name in ("NaCl", "diamond", "rutile", "quartz", "spinel", "graphite", "cristobalite"):
        for scale in 1 + 0.04 * rng.normal(size=6):
            c = polymorph(name)
            crystals.append(
                Crystal(c.lattice * scale, c.frac + 0.01 * rng.normal(size=c.frac.shape), c.sites)
            )
    prints = fingerprints(crystals)
    side = rng.random(len(crystals)) < 0.5 if sided else None
    found = find_candidates(prints, Likeness(), side)
    expected = naive(prints, Likeness(), side)
    assert {tuple(p) for p in found.pairs.tolist()} == expected
    assert len(found) == len(expected) > 20
    assert (np.diff(found.distance) >= -1e-8).all()


def test_no_crystals_no_candidates():
    assert len(find_candidates(fingerprints([None, None]), Likeness())) == 0
