"""Views of images: what they keep and what they change."""

import pytest
import torch

from prismat.errors import BadInputError
from prismat.modalities.image_views import ImageViews, draw_views

STILL = ImageViews(flips=False, rotation=0.0, crop=1.0, brightness=0.0, contrast=0.0)


def pictures(n=6, size=48, channels=1):
    x = torch.linspace(0, 3, size)
    wave = 0.5 + 0.4 * torch.sin(x[:, None] * 2) * torch.cos(x + torch.arange(n)[:, None, None])
    return wave[:, None].repeat(1, channels, 1, 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nothing_to_change_changes_nothing():
    given = pictures(channels=3)
    assert torch.allclose(draw_views(given, STILL, seeded()), given, atol=1e-5)


def test_mirror_images_are_exact_and_all_four_occur():
    given = pictures(40)
    found = draw_views(given, ImageViews(True, 0.0, 1.0, 0.0, 0.0), seeded())
    counts = []
    for axes in ((), (2,), (1,), (1, 2)):
        mirrored = given[:, 0].flip(axes) if axes else given[:, 0]
        counts.append(int((found[:, 0] - mirrored).abs().amax(dim=(1, 2)).lt(1e-5).sum()))
    assert sum(counts) >= 40
    assert min(counts) >= 3


def test_quarter_turn_agrees_with_rot90():
    given = pictures(200)
    turned = draw_views(given, ImageViews(False, 180.0, 1.0, 0.0, 0.0), seeded(1))
    angles = 180 * (2 * torch.rand(200, 8, generator=seeded(1)) - 1)[:, 0]
    quarter = int((angles.abs() - 90).abs().argmin())
    assert abs(abs(float(angles[quarter])) - 90) < 2
    found = turned[quarter, 0]
    near = [
        float((torch.rot90(given[quarter, 0], k)[8:-8, 8:-8] - found[8:-8, 8:-8]).abs().mean())
        for k in (1, 3)
    ]
    assert min(near) < 0.03
    assert max(near) > 2 * min(near)


def test_crop_magnifies():
    """A horizontal ramp cropped to half an edge rises at most at half the rate, and at least at that."""
    ramp = torch.linspace(0, 1, 64).repeat(50, 1, 64, 1)
    found = draw_views(ramp, ImageViews(False, 0.0, 0.5, 0.0, 0.0), seeded())
    slope = (found[:, 0, 32, -2] - found[:, 0, 32, 1]) * 63 / 61
    assert slope.min() > 0.45
    assert slope.max() < 1.01
    assert slope.std() > 0.05


def test_exposure_stays_in_range():
    found = draw_views(pictures(30), ImageViews(False, 0.0, 1.0, 0.3, 0.5), seeded())
    assert found.min() >= 0
    assert found.max() <= 1
    means = found.mean(dim=(1, 2, 3)) - pictures(30).mean(dim=(1, 2, 3))
    assert means.abs().max() < 0.31
    assert means.std() > 0.05


def test_same_seed_same_views():
    first, again, other = (draw_views(pictures(), ImageViews(), seeded(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [{"crop": 0.0}, {"crop": 1.5}, {"rotation": -1.0}, {"brightness": 2.0}])
def test_values_out_of_range(wrong):
    with pytest.raises(BadInputError, match=r"views of ImageViews.*Give a rotation of 0 to 180"):
        ImageViews(**wrong)
