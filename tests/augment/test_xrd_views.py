"""Views of powder patterns against the laws of Scherrer, Williamson and Hall, and Dollase."""

import numpy as np
import pytest
import torch
from pymatgen.analysis.diffraction.xrd import WAVELENGTHS, XRDCalculator
from pymatgen.core import Lattice, Structure

from prismat.augment.xrd import (
    MAX_ANGLE,
    TUBES,
    InstrumentViews,
    SampleViews,
    different_materials,
    draw_tubes,
    unpack_lines,
    with_tubes,
)
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.profile import XrdModality
from prismat.modalities.rendering import ProfileNoise, ProfileSettings, render
from prismat.modalities.texture import texture_coefficients
from prismat.modalities.xrd import CU_K_ALPHA, XrdSettings, powder_lines
from prismat.ragged import Packed, pack

QUIET = {
    "zero_shift": 0.0,
    "strain": 0.0,
    "width": (1.0, 1.0),
    "texture": 0.0,
    "noise": 0.0,
    "background": 0.0,
}
FINE = ProfileSettings(points=4096, lorentzian=0.0)
SETTINGS = ProfileSettings()


def lines(*records: tuple[list[float], list[float]]) -> Packed:
    """Packed lines from (q, intensity) of each record."""
    angles = [2 * np.degrees(np.arcsin(np.array(q) * CU_K_ALPHA / (4 * np.pi))) for q, _ in records]
    return {
        "xrd.two_theta": pack([a.astype(np.float64) for a in angles]),
        "xrd.intensity": pack([np.array(y, dtype=np.float32) for _, y in records]),
    }


def noise(sample: SampleViews = SampleViews(), instrument: InstrumentViews = InstrumentViews(), **others):
    return ProfileNoise(**{**QUIET, **others}, sample=sample, instrument=instrument)


def drawn(packed: Packed, given: ProfileNoise, settings=SETTINGS, seed: int = 0, **others) -> np.ndarray:
    """Intensities: squares of the rendered profiles."""
    made = render(packed, settings, given, torch.Generator().manual_seed(seed), **others)
    return made.double().square().numpy()


def fwhm(intensity: np.ndarray, grid: np.ndarray) -> float:
    """Full width at half maximum of the highest peak, flanks interpolated."""
    top = int(intensity.argmax())
    half = intensity[top] / 2
    left = np.interp(half, intensity[: top + 1], grid[: top + 1])
    return float(np.interp(-half, -intensity[top:], grid[top:]) - left)


PLACES = np.linspace(1.0, 5.0, 9)


def widths(sample: SampleViews, settings: ProfileSettings = FINE) -> np.ndarray:
    """Width in q of a single peak at each of ``PLACES``."""
    packed = lines(*(([q], [100.0]) for q in PLACES))
    return np.array([fwhm(row, settings.grid) for row in drawn(packed, noise(sample), settings)])


@pytest.mark.parametrize("size", [60.0, 100.0, 300.0])
def test_size_broadening_is_scherrers(size):
    """A Lorentzian of FWHM 0.9 λ / (L cos θ) in 2θ over a narrow instrument."""
    settings = ProfileSettings(points=8192, fwhm=0.0021, lorentzian=1.0)
    found = widths(SampleViews(size=(size, size)), settings)
    theta = np.arcsin(PLACES * CU_K_ALPHA / (4 * np.pi))
    in_angle = 0.9 * CU_K_ALPHA / (size * np.cos(theta))
    # Widths of Lorentzians add up.
    wanted = in_angle * 2 * np.pi * np.cos(theta) / CU_K_ALPHA + 0.0021
    assert found == pytest.approx(wanted, rel=0.02)
    assert found.std() < 0.01 * found.mean()


@pytest.mark.parametrize("strain", [0.002, 0.005])
def test_strain_broadening_has_the_slope_of_williamson_and_hall(strain):
    """FWHM(2θ) cos θ against sin θ has the slope 4 ε; Gaussians add in squares."""
    found = widths(SampleViews(microstrain=(strain, strain)))
    own = np.sqrt(found**2 - widths(SampleViews()) ** 2)
    theta = np.arcsin(PLACES * CU_K_ALPHA / (4 * np.pi))
    in_angle = own * CU_K_ALPHA / (2 * np.pi * np.cos(theta))
    slope, offset = np.polyfit(np.sin(theta), in_angle * np.cos(theta), 1)
    assert slope == pytest.approx(4 * strain, rel=0.02)
    assert abs(offset) < 0.03 * slope
    assert own == pytest.approx(2 * strain * PLACES, rel=0.03)


def test_size_and_strain_are_told_apart():
    """Through the angle at which lines widen: strain leaves those at low angles alone."""
    base = widths(SampleViews())
    size = widths(SampleViews(size=(150.0, 150.0))) - base
    strain = widths(SampleViews(microstrain=(0.005, 0.005))) - base
    assert size[-1] / size[0] == pytest.approx(1, abs=0.05)
    assert strain[-1] / strain[0] > 10


def test_strained_profiles_keep_area_and_match_a_sum_of_gaussians():
    packed = lines((PLACES.tolist(), [30.0, 80, 10, 100, 50, 60, 20, 90, 40]))
    found = drawn(packed, noise(SampleViews(microstrain=(0.004, 0.004))), FINE)[0]
    wide = np.sqrt(FINE.fwhm**2 + (0.008 * PLACES) ** 2)
    x = (FINE.grid[:, None] - PLACES) / wide
    exact = (np.exp(-4 * np.log(2) * x**2) / wide) @ packed["xrd.intensity"].values
    exact /= exact.mean()
    assert np.abs(found - exact).max() < 0.01 * exact.max()


def test_sizes_and_strains_are_drawn_from_their_ranges():
    packed = lines(*[([4.0], [100.0])] * 300)
    spread = drawn(packed, noise(SampleViews(size=(50.0, 800.0))), FINE)
    wide = np.array([fwhm(row, FINE.grid) for row in spread])
    assert 0.026 < wide.min() < 0.035
    # 2π · 0.9 / 50 over the instrument's 0.025.
    assert 0.10 < wide.max() < 0.13
    spread = drawn(packed, noise(SampleViews(microstrain=(0.0, 0.005))), FINE)
    wide = np.array([fwhm(row, FINE.grid) for row in spread])
    assert wide.min() == pytest.approx(0.025, rel=0.02)
    assert wide.max() == pytest.approx(np.hypot(0.025, 0.04), rel=0.03)


MOLYBDENITE = Structure.from_spacegroup(
    194, Lattice.hexagonal(3.16, 12.30), ["Mo", "S"], [[1 / 3, 2 / 3, 0.25], [1 / 3, 2 / 3, 0.621]]
)
QUARTZ = Structure.from_spacegroup(
    154, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 2 / 3], [0.4135, 0.2669, 0.7858]]
)


def material(name: str, structure: Structure) -> Material:
    sites = tuple(((s.specie.Z, 1.0),) for s in structure)
    return Material(name, Crystal(structure.lattice.matrix.copy(), structure.frac_coords.copy(), sites))


def packed_of(*structures: Structure, texture: bool = True) -> tuple[XrdModality, Packed]:
    modality = XrdModality(lines=XrdSettings(texture=texture))
    rows = [modality.featurize(material(f"record {i}", s)) for i, s in enumerate(structures)]
    return modality, pack_features(modality.columns, rows)


@pytest.mark.parametrize("r", [0.5, 0.7, 1.4, 2.0])
def test_march_dollase_views_are_the_textured_lines(r):
    """From the half precision of a store."""
    modality, packed = packed_of(MOLYBDENITE, QUARTZ)
    found = modality.collate(packed, noise(SampleViews(march_dollase=(r, r)))).profile
    exact = []
    for structure in (MOLYBDENITE, QUARTZ):
        made = powder_lines(material("", structure).structure, XrdSettings(texture=True))
        factor = 1 + made.texture @ texture_coefficients(torch.tensor([r], dtype=torch.float64))[0].numpy()
        exact.append((made.two_theta, (made.intensity * factor).clip(0)))
    wanted = render(
        {"xrd.two_theta": pack([a for a, _ in exact]), "xrd.intensity": pack([y for _, y in exact])}
    )
    assert (found - wanted).abs().max() < 0.01 * wanted.max()
    assert (found - render(packed)).abs().max() > 0.1 * wanted.max()


def test_plates_show_their_basal_planes():
    modality, packed = packed_of(MOLYBDENITE)
    basal = abs(SETTINGS.grid - 2 * np.pi / 6.15) < 0.1
    share = [
        float(drawn(packed, noise(SampleViews(march_dollase=(r, r))))[0][basal].sum())
        for r in (0.6, 1.0, 1.6)
    ]
    assert share[0] > 1.5 * share[1]
    assert share[1] > 1.5 * share[2]
    assert modality.columns["xrd.texture"] == (np.dtype(np.float16), packed["xrd.texture"].values.shape[1:])


def test_a_store_without_texture_is_refused_by_views_that_need_it():
    modality, packed = packed_of(QUARTZ, texture=False)
    assert "xrd.texture" not in packed
    with pytest.raises(
        BadInputError, match=r"xrd\.texture: March–Dollase .* Prepare the store with --settings\.xrd\.texture"
    ):
        modality.collate(packed, noise(SampleViews(march_dollase=(0.6, 1.6))))


def test_measured_records_keep_their_place_beside_textured_ones():
    modality = XrdModality(lines=XrdSettings(texture=True))
    nothing = Material("words", texts={"title": "Quartz"})
    rows = [modality.featurize(m) for m in (nothing, material("q", QUARTZ), nothing)]
    packed = pack_features(modality.columns, rows)
    found = modality.collate(packed, noise(SampleViews(march_dollase=(0.6, 0.6), impurity=1.0)))
    assert found.present.tolist() == [False, True, False]
    assert found.profile[[0, 2]].abs().max() == 0
    assert torch.isfinite(found.profile).all()


def share_beyond(intensity: np.ndarray, q: float) -> np.ndarray:
    above = SETTINGS.grid > q
    return intensity[:, above].sum(1) / intensity.sum(1)


def test_impurity_has_its_share_and_its_lines():
    gaussian = ProfileSettings(lorentzian=0.0)
    packed = lines(([1.0, 2.0], [100.0, 50.0]), ([4.0, 4.5, 5.0], [10.0, 100.0, 30.0]))
    share = 0.15
    found = drawn(packed, noise(SampleViews(impurity=1.0, impurity_share=(share, share))), gaussian)
    assert share_beyond(found, 3.0) == pytest.approx([share, 1 - share], abs=1e-3)
    # The ratio of the guest's lines is its own.
    guest = found[0]
    areas = [guest[abs(SETTINGS.grid - q) < 0.2].sum() for q in (4.0, 4.5, 5.0)]
    assert np.array(areas) / areas[1] == pytest.approx([0.1, 1, 0.3], abs=2e-3)


def test_impurities_come_as_often_as_asked_from_other_materials_only():
    records = [([1.0], [100.0])] * 200 + [([4.0, 5.0], [100.0, 50.0])] * 200
    found = drawn(lines(*records), noise(SampleViews(impurity=0.3, impurity_share=(0.1, 0.2))))
    foreign = share_beyond(found, 2.5)[:200] - share_beyond(drawn(lines(records[0]), noise()), 2.5)
    assert (foreign > 0.05).mean() == pytest.approx(0.3, abs=0.08)
    assert 0.09 < foreign[foreign > 0.05].min() < foreign.max() < 0.21


def test_no_record_is_an_impurity_of_its_own_material():
    a, strained, b = ([1.0, 2.0], [100.0, 30.0]), ([1.03, 2.06], [100.0, 30.0]), ([4.0], [100.0])
    sample = noise(SampleViews(impurity=1.0, impurity_share=(0.3, 0.3)))
    # Of two lattice strains of one crystal, neither is an impurity of the other: both stay pure.
    packed = lines(a, strained)
    assert drawn(packed, sample) == pytest.approx(drawn(packed, noise()), abs=1e-5)
    # Records that the caller knows to be one material.
    same = torch.tensor([[True, True], [True, True]])
    packed = lines(a, b)
    assert drawn(packed, sample, same=same) == pytest.approx(drawn(packed, noise()), abs=1e-5)
    assert np.abs(drawn(packed, sample) - drawn(packed, noise())).max() > 0.5
    allowed = different_materials(torch.tensor([2, 2, 1, 0]), torch.tensor([130.0, 130.0, 100.0, 0.0]))
    assert allowed.tolist() == [
        [False, False, True, False],
        [False, False, True, False],
        [True, True, False, False],
        [True, True, True, False],
    ]


def test_impurities_keep_the_lattice_strain_of_their_own_and_share_the_zero_error():
    packed = lines(*[([2.0], [100.0]), ([4.0, 4.001], [50.0, 50.0])] * 100)
    sample = SampleViews(impurity=1.0, impurity_share=(0.5, 0.5))
    near = [abs(SETTINGS.grid - q) < 0.4 for q in (2.0, 4.0)]

    def places(**others) -> np.ndarray:
        found = drawn(packed, noise(sample, **others), ProfileSettings(lorentzian=0.0))
        return np.stack([(found[:, n] * SETTINGS.grid[n]).sum(1) / found[:, n].sum(1) for n in near])

    strained, shifted = places(strain=0.01), places(zero_shift=0.5)
    assert abs(np.corrcoef(strained)[0, 1]) < 0.3
    assert np.corrcoef(shifted)[0, 1] > 0.95


def test_random_lines_of_an_impurity():
    packed = lines(*[([1.0], [100.0])] * 200)
    sample = SampleViews(impurity=0.5, impurity_share=(0.2, 0.2), impurity_lines="random")
    found = drawn(packed, noise(sample), ProfileSettings(lorentzian=0.0))
    around = abs(SETTINGS.grid - 1.0) < 0.1
    foreign = 1 - found[:, around].sum(1) / found.sum(1)
    drawn_ones = foreign > 0.02
    assert drawn_ones.mean() == pytest.approx(0.5, abs=0.1)
    assert np.median(foreign[drawn_ones]) == pytest.approx(0.2, abs=0.02)
    assert not np.allclose(found[drawn_ones][0], found[drawn_ones][1], atol=0.1)


def test_a_batch_of_one_or_of_nothing_stays_as_it_is():
    full = noise(
        SampleViews((50.0, 500.0), (0.0, 0.004), None, 1.0), InstrumentViews((5.0, 20.0), (60.0, 120.0))
    )
    alone = drawn(lines(([1.0, 3.0], [100.0, 50.0])), full)
    assert np.isfinite(alone).all()
    assert alone.mean() == pytest.approx(1, abs=1e-4)
    assert drawn(lines(([], []), ([], [])), full).max() == 0


@pytest.mark.parametrize("anode", [None, "Mo", "Cr"])
def test_cropped_ranges_are_zero_outside_in_the_angles_of_the_tube(anode):
    wavelength = TUBES[anode] if anode else CU_K_ALPHA
    tubes = {anode: 1.0} if anode else {}
    packed = lines(*[(np.linspace(0.5, 5.4, 50).tolist(), [100.0] * 50)] * 40)
    scale = wavelength / CU_K_ALPHA
    view = InstrumentViews((20.0 * scale, 30.0 * scale), (50.0 * scale, 70.0 * scale), tubes)
    found = drawn(packed, noise(instrument=view, noise=0.05, background=0.02))
    q = [
        4 * np.pi / wavelength * np.sin(np.radians(np.array(a) / 2))
        for a in (view.first_angle, view.last_angle)
    ]
    seen = found > 0
    first, last = SETTINGS.grid[seen.argmax(1)], SETTINGS.grid[-1 - seen[:, ::-1].argmax(1)]
    step = 3 * SETTINGS.step
    assert q[0][0] - step < first.min() < first.max() < q[0][1] + step
    assert q[1][0] - step < last.min() < last.max() < q[1][1] + step
    assert first.std() > 0.05
    assert found.mean(1) == pytest.approx(1, abs=1e-4)


def test_a_range_that_would_show_nothing_is_not_cut():
    packed = lines(([1.0], [100.0]))
    gaussian = ProfileSettings(lorentzian=0.0)
    cut = drawn(packed, noise(instrument=InstrumentViews(first_angle=(40.0, 40.0))), gaussian)
    assert cut == pytest.approx(drawn(packed, noise(), gaussian), abs=1e-6)


@pytest.mark.parametrize("anode", ["Mo", "Co", "Cr"])
def test_another_tube_leaves_lines_where_they_are_and_gives_its_intensities(anode):
    """Against pymatgen's calculation with that wavelength."""
    ours = unpack_lines(packed_of(QUARTZ, texture=False)[1])
    moved = with_tubes(ours, CU_K_ALPHA, torch.tensor([TUBES[anode]], dtype=torch.float64))
    top = float(ours.two_theta.max())
    ends = np.sin(np.radians([top + 0.01, MAX_ANGLE]) / 2)
    sine = min(ends[0] * TUBES[anode] / CU_K_ALPHA, ends[1])
    theirs = XRDCalculator(wavelength=TUBES[anode]).get_pattern(
        QUARTZ, two_theta_range=(0.5, 2 * np.degrees(np.arcsin(sine)))
    )
    angle, height = moved.two_theta.numpy(), moved.intensity.numpy()
    seen = theirs.y > 0.5
    nearest = np.abs(angle[:, None] - theirs.x[seen]).argmin(0)
    assert angle[nearest] == pytest.approx(theirs.x[seen], abs=2e-3)
    assert height[nearest] / height.max() == pytest.approx(theirs.y[seen] / 100, abs=2e-4)
    assert (height[angle > MAX_ANGLE] == 0).all()


@pytest.mark.parametrize("anode", [None, "Mo", "Cr"])
def test_zero_errors_act_in_the_angles_of_the_tube(anode):
    """Δq = (2π/λ) cos θ Δ2θ."""
    wavelength = TUBES[anode] if anode else CU_K_ALPHA
    packed = lines(*[([3.0], [100.0])] * 300)
    view = InstrumentViews(tubes={anode: 1.0} if anode else {})

    def centroid(**others) -> np.ndarray:
        found = drawn(packed, noise(instrument=view, **others), ProfileSettings(lorentzian=0.0))
        return (found * SETTINGS.grid).sum(1) / found.sum(1)

    assert centroid() == pytest.approx(3.0, abs=1e-3)
    theta = np.arcsin(3.0 * wavelength / (4 * np.pi))
    wanted = 0.2 * 2 * np.pi / wavelength * np.cos(theta) * np.pi / 180
    assert centroid(zero_shift=0.2).std() == pytest.approx(wanted, rel=0.1)


def test_tubes_are_drawn_with_their_chances():
    views = InstrumentViews(tubes={"Mo": 0.2, "Cr": 0.3})
    found = draw_tubes(4000, 1.54056, views, torch.Generator().manual_seed(0))
    share = [(found == w).double().mean().item() for w in (TUBES["Mo"], TUBES["Cr"], 1.54056)]
    assert share == pytest.approx([0.2, 0.3, 0.5], abs=0.03)
    assert draw_tubes(3, 1.5, InstrumentViews()) is None


def test_wavelengths_of_the_tubes():
    for anode, wavelength in TUBES.items():
        assert wavelength == pytest.approx(WAVELENGTHS[f"{anode}Ka"], abs=1e-5)


EVERYTHING = ProfileNoise(
    sample=SampleViews((50.0, 800.0), (0.0, 0.005), (0.5, 2.0), 0.5),
    instrument=InstrumentViews((5.0, 20.0), (60.0, 120.0), {"Mo": 0.3, "Cr": 0.2}),
)


def test_everything_at_once_repeats_with_the_seed():
    _, packed = packed_of(QUARTZ, MOLYBDENITE, QUARTZ, MOLYBDENITE)
    first, again = (drawn(packed, EVERYTHING, seed=3) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()
    assert first.mean(1) == pytest.approx(1, abs=1e-4)
    assert not np.allclose(first, drawn(packed, EVERYTHING, seed=4), atol=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        # The background alone is rounded.
        assert drawn(packed, EVERYTHING, seed=3) == pytest.approx(first, abs=0.02)


def test_views_that_are_off_draw_nothing():
    """The state of the generator after the draws that noise has always made."""
    packed = lines(([1.0, 2.0], [100.0, 30.0]), ([3.0], [1.0]))
    found, by_hand = (torch.Generator().manual_seed(5) for _ in range(2))
    first = render(packed, SETTINGS, ProfileNoise(), found)
    for n in (2, 2, 3):
        torch.randn(n, generator=by_hand, dtype=torch.float64)
    torch.rand(2, 1, generator=by_hand)
    torch.randn(2, 8, generator=by_hand)
    torch.rand(2, 1, generator=by_hand)
    torch.rand(2, 1, generator=by_hand)
    torch.randn(2, SETTINGS.points, generator=by_hand)
    assert torch.equal(found.get_state(), by_hand.get_state())
    # Drawn by the version before there were any views.
    before = [0.3710716, 0.2469094, 0.6246408, 4.2184982, 0.5422709, 0.0, 0.4251616, 0.1822901]
    assert first[0, 100:700:75].tolist() == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SampleViews, {"size": (1.0, 100.0)}, r"size: .* 1 to 100\. Give crystallite sizes in Å, 10 ≤"),
        (SampleViews, {"size": (200.0, 100.0)}, "size: a range of 200 to 100"),
        (SampleViews, {"microstrain": (0.0, 0.2)}, "microstrain: a range of 0 to 0.2"),
        (SampleViews, {"march_dollase": (0.2, 1.0)}, "march_dollase: .*Give March's r, 0.5 ≤ low ≤ high ≤ 2"),
        (SampleViews, {"impurity": 1.5}, "impurity: .*Give a chance"),
        (SampleViews, {"impurity_share": (0.1, 1.0)}, "impurity_share: a range of 0.1 to 1"),
        (InstrumentViews, {"first_angle": (-1.0, 10.0)}, "first_angle: a range of -1 to 10"),
        (InstrumentViews, {"last_angle": (60.0, 200.0)}, "last_angle: a range of 60 to 200"),
        (
            InstrumentViews,
            {"first_angle": (5.0, 60.0), "last_angle": (50.0, 90.0)},
            "may begin at 60° and end at 50°. Give ranges that do not overlap",
        ),
        (InstrumentViews, {"tubes": {"Au": 0.1}}, "tubes: unknown anode 'Au'. Known: Ag, Mo, Cu"),
        (InstrumentViews, {"tubes": {"Mo": 0.7, "Cr": 0.6}}, "of at most 1 together"),
        (InstrumentViews, {"tubes": {"Mo": float("nan")}}, "of at most 1 together"),
        (SampleViews, {"size": (float("nan"), 100.0)}, "size: a range of nan"),
    ],
)
def test_bad_settings(kind, values, message):
    with pytest.raises(BadInputError, match=message):
        kind(**values)
