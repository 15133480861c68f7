"""Powder profiles drawn as pictures, against a plain loop."""

import numpy as np
import pytest
import torch

from prismat.modalities.xrd_image import LINE_WIDTH, draw_profiles


def peaks(points=1024):
    x = torch.linspace(0, 1, points)
    narrow = torch.exp(-(((x - 0.3) / 0.002) ** 2)) + 0.5 * torch.exp(-(((x - 0.7) / 0.01) ** 2))
    return torch.stack([narrow, torch.zeros(points), 3 * narrow.flip(0) + 0.2])


def test_filled_against_a_loop():
    profile, size = peaks(), 96
    found = draw_profiles(profile, size)
    assert found.shape == (3, size, size)
    for k in (0, 2):
        height = (profile[k] / profile[k].max()).numpy() * size
        for column in (0, 28, 29, 60, 67, 95):
            first, last = column * 1024 // size, -(-(column + 1) * 1024 // size)
            top = height[first:last].max()
            wanted = [min(max(top - (size - 1 - row), 0), 1) for row in range(size)]
            assert np.allclose(found[k, :, column], wanted, atol=1e-4)


@pytest.mark.parametrize("plot", ["filled", "line"])
def test_strongest_point_reaches_the_top_whatever_its_height(plot):
    profile = peaks()
    found = draw_profiles(profile, 224, plot)
    assert torch.allclose(found[[0, 2], 0].amax(dim=1), torch.ones(2), atol=1e-4)
    assert found[1].abs().max() == 0
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.allclose(draw_profiles(7 * profile, 224, plot), found, atol=1e-4)


def test_line_is_connected_and_as_thick_as_said():
    steps = torch.zeros(1, 64)
    steps[0, 20:40] = 1
    found = draw_profiles(steps, 64, "line")[0]
    assert torch.allclose(found[:, 5].sum(), torch.tensor(LINE_WIDTH), atol=1e-4)
    assert torch.allclose(found[:, 30].sum(), torch.tensor(LINE_WIDTH), atol=1e-4)
    for edge in (20, 39):
        assert found[:, edge].sum() > 63
    plain = draw_profiles(steps, 64)[0]
    assert found[:, 25:35].sum() < 0.1 * plain[:, 25:35].sum()


def test_small_and_large_pictures_of_the_same_profile():
    large = draw_profiles(peaks(256), 512)
    assert large.shape == (3, 512, 512)
    small = torch.nn.functional.avg_pool2d(large, 8)
    assert (
        torch.corrcoef(torch.stack([small[0].flatten(), draw_profiles(peaks(256), 64)[0].flatten()]))[0, 1]
        > 0.9
    )


def test_gradients_are_finite():
    profile = peaks().requires_grad_()
    draw_profiles(profile, 64).sum().backward()
    assert torch.isfinite(profile.grad).all()
    assert profile.grad[0].abs().sum() > 0
