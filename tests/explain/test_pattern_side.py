import numpy as np
import pytest
import torch

import helpers_small as small
from prismat.explain.attribution import integrated_gradients, leave_one_out
from prismat.explain.pattern_side import PatternSide, angles, peak_segments
from prismat.explain.side import Comparison, Target, score_kept
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.profile import ProfileSettings, XrdBatch


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


@pytest.fixture(scope="module")
def profile(prismat):
    modality = prismat.modalities["xrd"]
    features = modality.featurize(Material("halite", small.crystal("rock_salt_Na-Cl")))
    return modality.collate(pack_features(modality.columns, [features])).profile[0].numpy()


@pytest.fixture(scope="module")
def side(prismat, profile):
    return PatternSide(prismat, profile)


@pytest.fixture(scope="module")
def target(prismat):
    found = prismat.embed(structures=[small.crystal("rock_salt_Na-Cl")])
    return Target([Comparison("xrd@structure", "structure@xrd", found["structure@xrd"][0], 1.0)])


def test_peaks_lie_where_braggs_law_says(side):
    items = side.items(np.zeros(len(side)))
    a, wavelength = 5.64, side.wavelength
    for hkl in ((2, 0, 0), (2, 2, 0), (4, 2, 0)):
        d = a / np.linalg.norm(hkl)
        expected = 2 * np.degrees(np.arcsin(wavelength / (2 * d)))
        # The grid of this small model has points 0.3° apart.
        assert min(abs(item.x - expected) for item in items) < 0.35
    assert all(item.low <= item.x <= item.high for item in items)


def test_angles_are_told_at_the_wavelength_of_the_pattern(prismat, profile):
    copper, molybdenum = PatternSide(prismat, profile), PatternSide(prismat, profile, 0.7107)
    zero = np.zeros(len(copper))
    for a, b in zip(copper.items(zero), molybdenum.items(zero), strict=True):
        d = copper.wavelength / (2 * np.sin(np.radians(a.x / 2)))
        assert b.x == pytest.approx(2 * np.degrees(np.arcsin(0.7107 / (2 * d))), abs=1e-6)


def test_no_angle_where_the_radiation_does_not_reach():
    found = angles(ProfileSettings(), 5.0)
    assert (found[-10:] == 180).all()
    assert found[0] < 20


def test_stretches_cover_the_grid_and_hold_one_top_each(side, profile):
    assert (np.diff(side.segment) >= 0).all()
    np.testing.assert_array_equal(np.unique(side.segment), np.arange(len(side)))
    np.testing.assert_array_equal(side.segment[side.tops], np.arange(len(side)))
    for number, top in enumerate(side.tops):
        assert profile[top] == profile[side.segment == number].max()


def test_cuts_lie_at_the_lowest_point_between_two_peaks():
    corners = [0, 20, 30, 40, 60, 80, 99]
    profile = np.interp(np.arange(100), corners, [0.5, 3.0, 1.0, 5.0, 0.2, 4.0, 0.5])
    tops, segment = peak_segments(profile)
    np.testing.assert_array_equal(tops, [20, 40, 80])
    np.testing.assert_array_equal(np.flatnonzero(np.diff(segment)), [30, 60])
    assert (segment[0], segment[99]) == (0, 2)


def test_only_so_many_peaks_are_parts():
    wavy = 1 + np.sin(np.linspace(0, 200 * np.pi, 4000)) * np.linspace(0.2, 1, 4000)
    tops, segment = peak_segments(wavy, most=7)
    assert len(tops) == 7
    assert segment.max() == 6
    assert wavy[tops].min() > 1.8


def test_a_flat_pattern_is_one_part():
    tops, segment = peak_segments(np.ones(64))
    assert len(tops) == 1
    assert (segment == 0).all()


def test_nothing_taken_away_is_what_the_model_embeds(prismat, side, profile):
    found = side.embed(np.ones((1, len(side)), dtype=bool))
    batch = XrdBatch(torch.from_numpy(profile)[None], torch.ones(1, dtype=torch.bool))
    for key, vectors in prismat.embed_batch("xrd", batch).items():
        np.testing.assert_allclose(found[key][0].detach().numpy(), vectors[0], atol=2e-6)


def test_leaving_a_peak_out_against_a_loop(prismat, side, profile, target):
    values = leave_one_out(side, target)
    (one,) = target.comparisons
    whole = score_kept(side, target, np.ones((1, len(side)), dtype=bool))[0]
    for number in range(len(side)):
        flat = np.where(side.segment == number, 0, profile).astype(np.float32)
        flat = flat / np.sqrt((flat**2).mean())
        batch = XrdBatch(torch.from_numpy(flat)[None], torch.ones(1, dtype=torch.bool))
        score = prismat.embed_batch("xrd", batch)[one.key][0] @ one.other
        assert values[number] == pytest.approx(whole - score, abs=2e-6)


def test_integrated_gradients_are_complete_on_the_model(side, target):
    values, complete = integrated_gradients(side, target, steps=48)
    assert complete.gap == pytest.approx(0, abs=2e-3)
    assert values.sum() == pytest.approx(complete.sum)


def test_the_pattern_told_is_the_profile_squared(side, profile):
    data = side.data
    assert max(data["intensity"]) == pytest.approx(100)
    np.testing.assert_allclose(data["intensity"], 100 * (profile / profile.max()) ** 2, atol=1e-3)
    assert data["two_theta"] == sorted(data["two_theta"])
