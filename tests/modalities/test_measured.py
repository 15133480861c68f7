"""Measured patterns: made from known peaks, background and noise, they must give the peaks back."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.modalities.measured import background, check_pattern, noise_level, scattering_vector
from prismat.modalities.profile import ProfileSettings, from_measured, render
from prismat.ragged import pack

SETTINGS = ProfileSettings()
ANGLES = np.linspace(5, 90, 8501)
PEAKS = np.array([12.0, 27.3, 35.1, 48.8, 49.6, 77.0])
HEIGHTS = np.array([300.0, 1000.0, 120.0, 400.0, 200.0, 90.0])


def pattern(hill: float = 0.0, noise: float = 0.0, fwhm: float = 0.15, x: np.ndarray = ANGLES) -> Pattern:
    y = (HEIGHTS * np.exp(-4 * np.log(2) * ((x[:, None] - PEAKS) / fwhm) ** 2)).sum(1)
    y = y + hill * (1 + np.exp(-x / 30) + np.exp(-(((x - 25) / 12) ** 2)))
    return Pattern(x, y + noise * np.random.default_rng(0).normal(size=len(x)))


def rendered() -> np.ndarray:
    columns = {"xrd.two_theta": pack([PEAKS]), "xrd.intensity": pack([HEIGHTS])}
    return render(columns, SETTINGS)[0].numpy()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_clean_pattern_matches_its_own_lines():
    profile = from_measured(pattern())
    assert profile.shape == (SETTINGS.points,)
    assert profile.dtype == np.float32
    assert np.sqrt((profile**2).mean()) == pytest.approx(1, abs=1e-5)
    assert cosine(profile, rendered()) > 0.9
    for q in scattering_vector(PEAKS, 1.54184):
        near = np.abs(SETTINGS.grid - q) < 0.02
        assert np.abs(SETTINGS.grid[near][profile[near].argmax()] - q) < 0.004


@pytest.mark.parametrize(("hill", "noise"), [(200.0, 0.0), (0.0, 10.0), (500.0, 5.0)])
def test_background_and_noise_hardly_matter(hill, noise):
    dirty = pattern(hill, noise)
    untreated = np.sqrt(np.interp(SETTINGS.grid, scattering_vector(ANGLES, 1.54184), np.abs(dirty.intensity)))
    clean = from_measured(pattern())
    assert cosine(from_measured(dirty), clean) > 0.85
    assert cosine(untreated, clean) < 0.65


def test_scale_offset_and_sampling_do_not_matter():
    plain = from_measured(pattern(500.0))
    louder = pattern(500.0)
    scaled = Pattern(louder.two_theta, louder.intensity * 1e-4 + 3)
    assert np.allclose(from_measured(scaled), plain, atol=0.02 * plain.max())
    coarse = from_measured(pattern(500.0, x=np.linspace(5, 90, 2551)))
    assert cosine(coarse, plain) > 0.98


def test_wavelength_is_taken_out():
    q = scattering_vector(ANGLES, 1.54184)
    other = np.degrees(2 * np.arcsin(q * 0.71073 / (4 * np.pi)))
    copper = pattern(200.0)
    molybdenum = Pattern(other, copper.intensity, 0.71073)
    assert cosine(from_measured(molybdenum), from_measured(copper)) > 0.99


def test_areas_are_kept_between_angle_and_scattering_vector():
    settings = ProfileSettings()
    profile = from_measured(pattern(fwhm=0.3), settings) ** 2
    q = scattering_vector(PEAKS[[0, 5]], 1.54184)
    low, high = (profile[np.abs(settings.grid - c) < 0.06].sum() for c in q)
    assert low / high == pytest.approx(HEIGHTS[0] / HEIGHTS[5], rel=0.1)


def test_no_peak_appears_where_the_measurement_starts_or_ends():
    x = np.linspace(15, 70, 5501)
    profile = from_measured(pattern(500.0, x=x))
    q = scattering_vector(np.array([15.0, 70.0]), 1.54184)
    assert profile[(SETTINGS.grid < q[0]) | (SETTINGS.grid > q[1])].max() == 0
    edge = (np.abs(SETTINGS.grid - q[0]) < 0.1) | (np.abs(SETTINGS.grid - q[1]) < 0.1)
    assert profile[edge].max() < 0.05 * profile.max()


def test_background_stays_below_and_follows_a_hill():
    x = np.linspace(0, 1, 2000)
    hill = 100 + 50 * np.sin(3 * x)
    peaks = sum(h * np.exp(-(((x - c) / 0.003) ** 2)) for h, c in ((500, 0.2), (40, 0.5), (200, 0.8)))
    found = background(hill + peaks, 25)
    assert (found <= hill + peaks + 1e-6).all()
    assert np.abs(found - hill).max() < 3
    shifted = background(hill + peaks - 1000, 25)
    assert np.allclose(shifted, found - 1000, atol=1e-6)


def test_noise_level_is_that_of_the_smoothed_noise():
    rng = np.random.default_rng(0)
    y = 5 + 0.3 * rng.normal(size=4000) + 100 * np.exp(-(((np.arange(4000) - 2000) / 10) ** 2))
    width = 8.0
    smooth = gaussian_filter1d(0.3 * rng.normal(size=100_000), width / 2.3548)
    assert np.median(noise_level(y, width)) == pytest.approx(smooth.std(), rel=0.1)
    assert noise_level(y, width).max() < 2 * smooth.std()
    assert np.median(noise_level(y, 0.0)) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:10], y[:10]), "10 angles and 10 intensities"),
        (lambda x, y: (x, np.where(x > 50, np.nan, y)), "NaN or infinity"),
        (lambda x, y: (np.where(x > 50, np.inf, x), y), "NaN or infinity"),
        (lambda x, y: (x[::-1].copy(), y), "do not ascend"),
        (lambda x, y: (np.repeat(x, 2), np.repeat(y, 2)), "merge repeated angles"),
        (lambda x, y: (x * 3, y), r"within 0° to 180° \(first 15, last 270\)"),
        (lambda x, y: (x * 1e300, y), "do not ascend within"),
        (lambda x, y: (x / 10, y), "too little of the grid's 0.35 to 5.6"),
        (lambda x, y: (x, np.zeros_like(y)), "nothing but background"),
        (lambda x, y: (x, np.full_like(y, 7.0)), "nothing but background"),
        (lambda x, y: (x, np.full_like(y, -7.0)), "nothing but background"),
    ],
)
def test_bad_patterns(change, message):
    good = pattern()
    with pytest.raises(BadInputError, match=message):
        from_measured(Pattern(*change(good.two_theta, good.intensity)))


def test_lengths_that_differ():
    bad = pattern()
    object.__setattr__(bad, "intensity", bad.intensity[:-1])
    with pytest.raises(BadInputError, match="8501 angles and 8500 intensities"):
        from_measured(bad)


def test_bad_wavelengths():
    good = pattern()
    with pytest.raises(BadInputError, match=r"a wavelength of 154\.0 Å"):
        check_pattern(Pattern(good.two_theta, good.intensity, 154.0), SETTINGS)
    with pytest.raises(BadInputError, match="Check the wavelength"):
        check_pattern(Pattern(good.two_theta, good.intensity, 9.0), SETTINGS)
