"""Rendering of lines against a loop over peaks, and the distortions against what they promise."""

import numpy as np
import pytest
import torch

from prismat.errors import BadInputError
from prismat.modalities.profile import Cleaning, ProfileNoise, ProfileSettings, render
from prismat.ragged import Packed, pack

SETTINGS = ProfileSettings()
CLEAN = {
    "zero_shift": 0.0,
    "strain": 0.0,
    "width": (1.0, 1.0),
    "texture": 0.0,
    "noise": 0.0,
    "background": 0.0,
}


def two_theta_of(q: np.ndarray, wavelength: float = 1.54184) -> np.ndarray:
    return np.degrees(2 * np.arcsin(q * wavelength / (4 * np.pi)))


def lines(*records: tuple[list[float], list[float]]) -> Packed:
    """Packed lines from (q, intensity) of each record."""
    angles = [two_theta_of(np.array(q)).astype(np.float32) for q, _ in records]
    return {
        "xrd.two_theta": pack(angles),
        "xrd.intensity": pack([np.array(y, dtype=np.float32) for _, y in records]),
    }


def naive(q: list[float], intensity: list[float], settings: ProfileSettings) -> np.ndarray:
    """Pseudo-Voigt peaks added up one by one."""
    total = np.zeros(settings.points)
    w = settings.fwhm
    for centre, height in zip(q, intensity, strict=True):
        x = settings.grid - centre
        gauss = np.exp(-4 * np.log(2) * (x / w) ** 2) * 2 * np.sqrt(np.log(2) / np.pi) / w
        lorentz = w / (2 * np.pi) / (x**2 + w**2 / 4)
        total += height * (settings.lorentzian * lorentz + (1 - settings.lorentzian) * gauss)
    root = np.sqrt(total)
    return root / np.sqrt((root**2).mean())


@pytest.mark.parametrize("lorentzian", [0.0, 0.5, 1.0])
def test_matches_a_loop_over_peaks(lorentzian):
    settings = ProfileSettings(lorentzian=lorentzian)
    rng = np.random.default_rng(0)
    q, y = np.sort(rng.uniform(1, 5, 12)).tolist(), rng.uniform(5, 100, 12).tolist()
    profile = render(lines((q, y), ([2.0], [1.0])), settings).numpy()
    # Spreading a line over two points widens it a little; a Lorentzian's far tails wrap around.
    assert np.abs(profile[0] - naive(q, y, settings)).max() < 0.03 * profile[0].max()
    assert np.abs(profile[1] - naive([2.0], [1.0], settings)).max() < 0.03 * profile[1].max()


def test_peak_lies_at_its_scattering_vector():
    centres = [0.5, 1.234, 2.7182, 5.5]
    profile = render(lines(*(([q], [100.0]) for q in centres))).square()
    near = torch.from_numpy(np.abs(SETTINGS.grid[None] - np.array(centres)[:, None]) < 0.1)
    weight = profile * near
    centroid = (weight * torch.from_numpy(SETTINGS.grid)).sum(1) / weight.sum(1)
    assert centroid.numpy() == pytest.approx(centres, abs=2e-4)


def test_normalised_and_independent_of_scale_and_batch():
    a, b = ([1.0, 2.0], [100.0, 30.0]), ([1.5], [7.0])
    both = render(lines(a, b))
    assert both.square().mean(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(both[0], render(lines(a))[0], atol=1e-5)
    assert torch.allclose(both[0], render(lines((a[0], [10.0, 3.0])))[0], atol=1e-4)


def test_area_of_a_peak_is_its_intensity():
    profile = render(lines(([1.0, 3.0], [100.0, 25.0])), ProfileSettings(lorentzian=0.0))[0].square()
    middle = SETTINGS.grid.searchsorted(2.0)
    assert float(profile[:middle].sum() / profile[middle:].sum()) == pytest.approx(4, rel=1e-3)


def test_no_lines_and_lines_off_the_grid_give_zeros():
    profile = render(lines(([], []), ([7.5], [100.0]), ([1.0], [100.0])))
    assert profile[0].abs().max() == 0
    assert profile[1].abs().max() == 0
    assert profile[2].max() > 1
    assert render(lines(([], []))).shape == (1, SETTINGS.points)


def test_a_line_just_outside_shows_its_flank():
    profile = render(lines(([SETTINGS.q_max + 0.01, 3.0], [100.0, 100.0])))[0]
    assert profile[-1] > 0.5 * profile.max()


def test_settings_wavelength_reads_the_lines():
    settings = ProfileSettings(wavelength=0.71073)
    packed = {
        "xrd.two_theta": pack([two_theta_of(np.array([2.0]), 0.71073)]),
        "xrd.intensity": pack([np.array([100.0])]),
    }
    assert settings.grid[int(render(packed, settings)[0].argmax())] == pytest.approx(2, abs=0.003)


def test_no_noise_is_the_clean_profile_and_seeds_repeat():
    packed = lines(([1.0, 2.0, 4.0], [100.0, 30.0, 50.0]))
    assert torch.allclose(render(packed, noise=ProfileNoise(**CLEAN)), render(packed), atol=1e-5)
    first, again, other = (
        render(packed, noise=ProfileNoise(), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.1)
    assert first.square().mean().item() == pytest.approx(1, abs=1e-5)
    assert first.min() >= 0


def test_without_generator_torch_draws():
    packed = lines(([1.0], [100.0]))
    torch.manual_seed(3)
    first = render(packed, noise=ProfileNoise())
    torch.manual_seed(3)
    assert torch.equal(first, render(packed, noise=ProfileNoise()))


def drawn(copies: int = 400, q: tuple[float, ...] = (2.0,), **values) -> torch.Tensor:
    record = (list(q), [100.0] * len(q))
    noise = ProfileNoise(**{**CLEAN, **values})
    return render(lines(*[record] * copies), noise=noise, generator=torch.Generator().manual_seed(0))


def centroids(profile: torch.Tensor) -> np.ndarray:
    weight = profile.square()
    return ((weight * torch.from_numpy(SETTINGS.grid)).sum(1) / weight.sum(1)).numpy()


def test_strain_and_zero_shift_move_peaks_by_what_they_say():
    assert centroids(drawn(strain=0.01)).std() == pytest.approx(0.02, rel=0.15)
    slope = 2 * np.pi / 1.54184 * np.cos(np.radians(two_theta_of(np.array(2.0))) / 2) * np.pi / 180
    assert centroids(drawn(zero_shift=0.5)).std() == pytest.approx(0.5 * slope, rel=0.15)


def test_width_factor_widens():
    narrow, wide = drawn(1, width=(0.5, 0.5)), drawn(1, width=(2.0, 2.0))
    half = [(p.square() > p.square().max() / 2).sum().item() for p in (narrow, wide)]
    assert half[1] / half[0] == pytest.approx(4, rel=0.25)


def test_texture_noise_and_background_change_what_they_should():
    texture = drawn(q=(1.5, 4.0), texture=0.3).square()
    middle = SETTINGS.grid.searchsorted(2.75)
    ratio = torch.log(texture[:, :middle].sum(1) / texture[:, middle:].sum(1))
    assert ratio.std().item() == pytest.approx(0.3 * np.sqrt(2), rel=0.15)
    clean = drawn(1)
    # Uniform levels up to 0.2, cut at zero: √(0.2² / 3 / 2) = 0.082 of the strongest point.
    noisy = drawn(400, noise=0.2)
    level = (noisy[:, middle:].square().mean() / noisy.amax(dim=1).square().mean()).sqrt().item()
    assert 0.04 < level < 0.1
    assert clean[:, middle:].max() < 0.04 * clean.max()
    hill = drawn(50, background=0.05)
    assert hill.median() > 2 * clean.median()
    # A background is smooth: neighbours hardly differ away from the peak.
    assert hill[:, middle:].diff(dim=1).abs().max() < 0.02 * hill.max()


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ProfileSettings, {"q_min": 6.0}, "a grid of 1024 points from 6.0 to 5.6"),
        (ProfileSettings, {"points": 10}, "at least 64 points"),
        (ProfileSettings, {"fwhm": 0.001}, "peaks 0.001 Å⁻¹ wide"),
        (ProfileSettings, {"lorentzian": 1.5}, "the Lorentzian share 0 to 1"),
        (ProfileNoise, {"noise": -0.1}, "values ≥ 0"),
        (ProfileNoise, {"width": (2.0, 1.0)}, "0 < low ≤ high"),
        (Cleaning, {"background_window": 0.0}, "a window > 0"),
    ],
)
def test_bad_settings(kind, values, message):
    with pytest.raises(BadInputError, match=message):
        kind(**values)
