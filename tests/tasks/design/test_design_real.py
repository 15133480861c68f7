"""Formation energies of real crystals (MP-2018), predicted and searched from their compositions."""

import numpy as np
import pytest

from helpers_shared import shared_rows
from prismat.elements import MAX_Z
from prismat.heads.composition import COMPOSITION
from prismat.heads.features import composition_features
from prismat.tasks.active.campaign import CampaignConfig, Pool, simulate
from prismat.tasks.active.curves import curves, summarise
from prismat.tasks.active.goals import Goal
from prismat.tasks.design.estimate import estimate
from prismat.tasks.design.parts import predicted_part
from prismat.tasks.design.wants import Want


@pytest.fixture(scope="module")
def real():
    """Composition features and formation energies, in random order."""
    rows = shared_rows("mp2018.parquet", 500)
    fractions = np.stack([np.bincount(r["numbers"], minlength=MAX_Z + 1) / len(r["numbers"]) for r in rows])
    order = np.random.default_rng(0).permutation(len(rows))
    energies = np.array([r["formation_energy_per_atom"] for r in rows], dtype=np.float64)
    return composition_features(fractions).vectors[COMPOSITION].astype(np.float64)[order], energies[order]


def test_predicted_energies_are_honest(real):
    x, y = real
    found = estimate(x[:300], y[:300], x[300:])
    error = np.abs(found.mean - y[300:])
    assert error.mean() < 0.7 * np.abs(y[300:] - y[:300].mean()).mean()
    inside = (error < 1.645 * found.deviation).mean()
    assert 0.8 < inside <= 1.0


def test_the_first_of_a_wanted_range_lie_in_it(real):
    x, y = real
    found = estimate(x[:300], y[:300], x[300:])
    want = Want("formation_energy_per_atom", low=-2.5, high=-1.5, unit="eV/atom")
    first = np.argsort(-predicted_part(want, found.mean, found.deviation).scores)[:10]
    right = want.distance(y[300:]) == 0
    assert right[first].mean() > 2 * right.mean()


def test_a_campaign_finds_the_lowest_energies_sooner_than_chance(real, tmp_path):
    x, y = real
    pool = Pool([str(i) for i in range(len(y))], y, {"composition": x})
    config = CampaignConfig(("random", "expected_improvement"), 10, 10, 4, 2, 0.03)
    goal = Goal("minimise")
    found = summarise(curves(simulate(pool, goal, config, tmp_path), pool, goal, config), pool, goal, config)
    assert found["curves"]["expected_improvement"]["enrichment"][0] > 3
