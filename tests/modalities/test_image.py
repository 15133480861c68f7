"""The image window from material to batch."""

import io

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from prismat.crystal import Crystal, element_site
from prismat.errors import BadInputError
from prismat.formats_image import parse_image
from prismat.material import Material
from prismat.measurements import Image, Pattern
from prismat.modalities.base import Modality, pack_features
from prismat.modalities.image import (
    MAX_ASPECT,
    MEAN,
    STD,
    ImageModality,
    ImageSettings,
    square,
    standardise,
)
from prismat.modalities.image_views import ImageViews
from prismat.modalities.profile import ProfileNoise, XrdModality

CRYSTAL = Crystal(
    np.eye(3) * 4.11, np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]), (element_site("Cs"), element_site("Cl"))
)


def smooth(height=60, width=80):
    y, x = np.mgrid[:height, :width]
    return (127 + 60 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)


def shown(pixels, id="a"):
    return Material(id, measurements={"image": Image(pixels)})


def batch(modality, *materials, **others):
    packed = pack_features(modality.columns, [modality.featurize(m) for m in materials])
    return modality.collate(packed, **others)


@pytest.mark.parametrize("source", ["image", "xrd"])
def test_is_a_modality(source):
    modality = ImageModality(ImageSettings(source=source))
    assert isinstance(modality, Modality)
    assert all(name.startswith("image.") for name in modality.columns)


@pytest.mark.parametrize(("height", "width"), [(300, 300), (240, 320), (500, 300)])
def test_resize_agrees_with_pillow(height, width):
    given = smooth(height, width)
    edge = min(given.shape)
    left, top = (width - edge) // 2, (height - edge) // 2
    part = Pillow.fromarray(given).crop((left, top, left + edge, top + edge))
    wanted = part.resize((96, 96), Pillow.Resampling.BILINEAR)
    found = square(given, 96, 1)[0]
    assert np.abs(found.astype(int) - np.asarray(wanted).astype(int)).max() <= 1


def test_shrinking_averages_a_checkerboard():
    board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(square(board, 64, 1).astype(int)[:, 2:-2, 2:-2] - 127.5).max() <= 1.5


def test_colour_to_grey_and_back():
    colour = np.stack([smooth(64, 64), smooth(64, 64).T, 255 - smooth(64, 64)], axis=2)
    grey = square(colour, 64, 1)
    assert (
        np.abs(grey[0].astype(int) - np.asarray(Pillow.fromarray(colour).convert("L")).astype(int)).max() <= 1
    )
    assert np.array_equal(square(colour, 64, 3), colour.transpose(2, 0, 1))
    three = square(smooth(64, 64), 64, 3)
    assert three.shape == (3, 64, 64)
    assert (three == three[0]).all()


def test_floats_and_bytes_of_one_picture_agree():
    given = smooth()
    as_float = square(given.astype(np.float32) / 255, 48, 1).astype(int)
    assert np.abs(as_float - square(given, 48, 1)).max() <= 1


def test_sixteen_bit_file_to_features():
    stream = io.BytesIO()
    Pillow.fromarray((smooth().astype(np.uint16) << 8) | 255).save(stream, "PNG")
    image = parse_image(stream.getvalue())
    found = ImageModality(ImageSettings(48)).featurize(Material("a", measurements={"image": image}))
    assert found["image.pixels"].dtype == np.uint8
    assert np.abs(found["image.pixels"][0].astype(int) - square(smooth(), 48, 1)).max() <= 1


def test_features_match_the_columns():
    modality = ImageModality(ImageSettings(32, 3))
    features = modality.featurize(shown(smooth()))
    ((name, (dtype, shape)),) = modality.columns.items()
    assert features[name].dtype == dtype
    assert features[name].shape == (1, *shape)
    assert modality.featurize(Material("b", texts={"title": "words"})) is None


def test_absent_records_are_zero_and_leave_the_others_alone():
    modality = ImageModality(ImageSettings(32))
    alone = batch(modality, shown(smooth()))
    found = batch(modality, Material("b"), shown(smooth()), Material("c"))
    assert found.present.tolist() == [False, True, False]
    assert found.pixels.dtype == torch.float32
    assert torch.equal(found.pixels[1], alone.pixels[0])
    assert found.pixels[[0, 2]].abs().max() == 0
    nothing = batch(modality, Material("b"), Material("c"))
    assert nothing.pixels.shape == (2, 1, 32, 32)
    assert not nothing.present.any()


def test_standardise_against_numpy():
    given = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    wanted = (given.numpy() - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    assert np.allclose(standardise(given, "imagenet"), wanted, atol=1e-5)
    grey = standardise(given[:, :1], "imagenet").numpy()
    assert np.allclose(grey, (given[:, :1].numpy() - np.mean(MEAN)) / np.mean(STD), atol=1e-5)
    own = standardise(given, "own")
    assert torch.allclose(own.mean(dim=(1, 2, 3)), torch.zeros(4), atol=1e-5)
    assert torch.allclose(own.square().mean(dim=(1, 2, 3)), torch.ones(4), atol=1e-4)
    assert standardise(torch.full((1, 1, 8, 8), 0.5), "own").abs().max() == 0


def test_own_standardisation_forgets_exposure_and_the_default_keeps_it():
    dark, bright = smooth(64, 64) // 2, smooth(64, 64)
    own = batch(ImageModality(ImageSettings(64, standardise="own")), shown(dark), shown(bright))
    kept = batch(ImageModality(ImageSettings(64)), shown(dark), shown(bright))
    assert (own.pixels[0] - own.pixels[1]).abs().max() < 0.05
    assert float(kept.pixels[1].mean() - kept.pixels[0].mean()) > 0.9


def test_views_follow_the_generator_and_keep_their_form():
    modality = ImageModality(ImageSettings(32))
    materials = [shown(smooth()), Material("b"), shown(smooth().T)]
    draws = [
        batch(modality, *materials, views=ImageViews(), generator=torch.Generator().manual_seed(s))
        for s in (1, 1, 2)
    ]
    assert torch.equal(draws[0].pixels, draws[1].pixels)
    assert not torch.equal(draws[0].pixels, draws[2].pixels)
    assert draws[0].pixels.shape == (3, 1, 32, 32)
    assert draws[0].pixels[1].abs().max() == 0


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((20, 20, 4), np.uint8), r"shape \(20, 20, 4\).*height, width, 3"),
        (np.zeros((8, 20), np.uint8), r"20 × 8 pixels.*at least 16"),
        (np.zeros((20, int(20 * MAX_ASPECT) + 1), np.uint8), r"81 × 20 pixels.*ratio is at most 4"),
        (np.full((20, 20), 1.5), r"float64 outside 0 … 1.*uint8, or floats"),
        (np.full((20, 20), np.nan), r"not finite"),
        (np.zeros((20, 20), np.uint16), r"type uint16"),
    ],
)
def test_arrays_that_are_no_picture(pixels, message):
    with pytest.raises(BadInputError, match=rf"record 'odd', image: .*{message}"):
        ImageModality().featurize(shown(pixels, "odd"))


def test_another_measurement_in_the_place_of_an_image():
    pattern = Pattern(np.arange(3.0), np.arange(3.0))
    with pytest.raises(BadInputError, match=r"a Pattern where a Image belongs"):
        ImageModality().featurize(Material("a", measurements={"image": pattern}))


def test_store_of_another_size():
    packed = pack_features(ImageModality(ImageSettings(32)).columns, [None])
    with pytest.raises(BadInputError, match=r"1 × 32 × 32 where the settings say 1 × 64 × 64.*Prepare"):
        ImageModality(ImageSettings(64)).collate(packed)


@pytest.mark.parametrize("wrong", [{"size": 8}, {"channels": 2}])
def test_settings_out_of_range(wrong):
    # Past the type checker of the tests, as from a file of settings.
    settings = ImageSettings()
    for name, value in wrong.items():
        object.__setattr__(settings, name, value)
    with pytest.raises(BadInputError, match="at least 16 pixels, and 1 or 3 channels"):
        settings.__post_init__()


PICTURES = hnp.arrays(
    np.uint8, st.tuples(st.integers(16, 40), st.integers(16, 40)), elements=st.integers(0, 255)
)


@hypothesis.settings(max_examples=30)
@hypothesis.given(PICTURES, st.integers(16, 48), st.sampled_from([1, 3]))
def test_any_picture_stays_within_its_own_range(pixels, size, channels):
    found = square(pixels, size, channels)
    assert found.shape == (channels, size, size)
    assert found.min() >= pixels.min()
    assert found.max() <= pixels.max()
    assert np.array_equal(found, square(pixels, size, channels))


def test_patterns_as_pictures():
    modality = ImageModality(ImageSettings(64, 3, "xrd"))
    halite = Material("a", CRYSTAL)
    found = batch(modality, halite, Material("b", texts={"title": "no structure"}))
    assert found.pixels.shape == (2, 3, 64, 64)
    assert found.present.tolist() == [True, False]
    assert found.pixels[1].abs().max() == 0
    profiles = batch(XrdModality(), halite).profile[0]
    peaks = torch.nn.functional.adaptive_max_pool1d(profiles[None], 64)[0]
    ink = found.pixels[0, 0].sum(dim=0)
    assert torch.corrcoef(torch.stack([peaks, ink]))[0, 1] > 0.999


def test_views_of_a_drawn_pattern_are_those_of_the_instrument():
    modality = ImageModality(ImageSettings(64, source="xrd"))
    quiet = ImageViews(noise=ProfileNoise(0.0, 0.0, (1.0, 1.0), 0.0, 0.0, 0.0))
    clean = batch(modality, Material("a", CRYSTAL))
    assert torch.allclose(
        batch(modality, Material("a", CRYSTAL), views=quiet).pixels, clean.pixels, atol=1e-4
    )
    generator = torch.Generator().manual_seed(0)
    noisy = batch(modality, Material("a", CRYSTAL), views=ImageViews(), generator=generator)
    assert (noisy.pixels - clean.pixels).abs().max() > 0.1
