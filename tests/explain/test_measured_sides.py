import numpy as np
import pytest
import torch

import helpers_windows as windows
from prismat.api import Prismat, Shapes
from prismat.explain.attribution import integrated_gradients, leave_one_out
from prismat.explain.density_side import DensitySide
from prismat.explain.side import Comparison, Target, score_kept
from prismat.explain.spectrum_side import SpectrumSide
from prismat.modalities.base import pack_features
from prismat.recipes.build import build_model


@pytest.fixture(scope="module")
def prismat():
    torch.manual_seed(0)
    recipe = windows.recipe("structure", "dos", "phonon_dos", "charge_density")
    return Prismat(build_model(recipe, 0, 0), recipe, None, Shapes())


def batch_of(prismat, window):
    modality = prismat.modalities[window]
    material = next(m for m in windows.materials() if {"dos", "phonon_dos"} <= set(m.measurements))
    return modality.collate(pack_features(modality.columns, [modality.featurize(material)]))


def side_of(prismat, window):
    batch = batch_of(prismat, window)
    if window == "charge_density":
        return DensitySide(prismat, batch, blocks=2)
    return SpectrumSide(prismat, window, batch, bands=6)


def towards(prismat, window):
    dim = prismat.recipe.projection.dim
    other = np.random.default_rng(0).normal(size=dim).astype(np.float32)
    key = prismat.key(window, "structure")
    return Target([Comparison(key, "structure", other / np.linalg.norm(other), 1.0)])


WINDOWS = ("dos", "phonon_dos", "charge_density")


@pytest.mark.parametrize("window", WINDOWS)
def test_nothing_taken_away_is_what_the_model_embeds(prismat, window):
    side = side_of(prismat, window)
    found = side.embed(np.ones((2, len(side)), dtype=bool))
    for key, vectors in prismat.embed_batch(window, batch_of(prismat, window)).items():
        np.testing.assert_allclose(found[key][1].detach().numpy(), vectors[0], atol=3e-6)


@pytest.mark.parametrize("window", WINDOWS)
def test_everything_taken_away_has_a_score(prismat, window):
    side = side_of(prismat, window)
    scores = score_kept(side, towards(prismat, window), np.zeros((1, len(side)), dtype=bool))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("window", WINDOWS)
def test_integrated_gradients_are_complete(prismat, window):
    side = side_of(prismat, window)
    values, complete = integrated_gradients(side, towards(prismat, window), steps=48)
    assert complete.gap == pytest.approx(0, abs=5e-3)
    assert values.sum() == pytest.approx(complete.sum)


def test_bands_are_masked_points(prismat):
    side, target = side_of(prismat, "dos"), towards(prismat, "dos")
    values = leave_one_out(side, target)
    (one,) = target.comparisons
    whole = score_kept(side, target, np.ones((1, len(side)), dtype=bool))[0]
    batch = batch_of(prismat, "dos")
    for number, item in enumerate(side.items(values)):
        energy = side.energy
        mask = batch.mask & ~torch.from_numpy((energy >= item.low) & (energy < item.high))[None]
        cut = type(batch)(batch.energy * mask, batch.density * mask, mask, batch.spin, batch.present)
        score = prismat.embed_batch("dos", cut)[one.key][0] @ one.other
        assert values[number] == pytest.approx(whole - score, abs=3e-6)


def test_bands_of_a_dos_lie_in_its_window(prismat):
    side = side_of(prismat, "dos")
    items = side.items(np.zeros(len(side)))
    assert items[0].low == -10
    assert items[-1].high == 10
    assert items[0].label.endswith("eV")
    assert len(side.data["energies"]) == len(side.data["densities"]) == 24
    phonons = side_of(prismat, "phonon_dos")
    assert phonons.items(np.zeros(len(phonons)))[0].label.endswith("cm⁻¹")


def test_a_block_is_set_to_the_mean(prismat):
    side, target = side_of(prismat, "charge_density"), towards(prismat, "charge_density")
    assert len(side) == 8
    values = leave_one_out(side, target)
    (one,) = target.comparisons
    batch = batch_of(prismat, "charge_density")
    whole = prismat.embed_batch("charge_density", batch)[one.key][0] @ one.other
    for number, item in enumerate(side.items(values)):
        start = [int(p * 8 - 2) for p in item.position]
        changed = batch.values.clone()
        x, y, z = (slice(a, a + 4) for a in start)
        changed[0, x, y, z] = batch.values.mean()
        moved = type(batch)(changed, batch.lattice, batch.electrons, batch.kind, batch.present)
        score = prismat.embed_batch("charge_density", moved)[one.key][0] @ one.other
        assert values[number] == pytest.approx(whole - score, abs=3e-6)
