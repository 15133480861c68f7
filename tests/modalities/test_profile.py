"""The diffraction window from material to batch."""

import numpy as np
import pytest
import torch

from prismat.crystal import Crystal, element_site
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Pattern
from prismat.modalities.base import pack_features
from prismat.modalities.profile import ProfileNoise, ProfileSettings, XrdModality, from_measured, render
from prismat.modalities.xrd import XrdSettings, powder_lines

MODALITY = XrdModality()
CRYSTAL = Crystal(
    np.eye(3) * 4.11, np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]), (element_site("Cs"), element_site("Cl"))
)


def measured(scale: float = 1.0) -> Pattern:
    lines = powder_lines(CRYSTAL)
    x = np.linspace(5, 90, 4000)
    peaks = np.exp(-(((x[:, None] - lines.two_theta) / 0.1) ** 2)) @ lines.intensity
    return Pattern(x, scale * (peaks + 5 + np.exp(-x / 20)))


STRUCTURE_ONLY = Material("a", CRYSTAL)
MEASURED_ONLY = Material("b", measurements={"xrd": measured()})
BOTH = Material("c", CRYSTAL, measurements={"xrd": measured()})
NEITHER = Material("d", texts={"title": "Caesium chloride"})


def batch(*materials: Material, **others):
    packed = pack_features(MODALITY.columns, [MODALITY.featurize(m) for m in materials])
    return MODALITY.collate(packed, **others)


def test_featurize_gives_what_there_is():
    lines = powder_lines(CRYSTAL)
    only = MODALITY.featurize(STRUCTURE_ONLY)
    assert set(only) == set(MODALITY.columns)
    assert np.array_equal(only["xrd.two_theta"], lines.two_theta.astype(np.float32))
    assert np.array_equal(only["xrd.intensity"], lines.intensity.astype(np.float32))
    assert only["xrd.profile"].shape == (0,)
    both = MODALITY.featurize(BOTH)
    assert np.array_equal(both["xrd.profile"], from_measured(measured()))
    assert len(both["xrd.two_theta"]) == len(lines)
    assert len(MODALITY.featurize(MEASURED_ONLY)["xrd.two_theta"]) == 0
    assert MODALITY.featurize(NEITHER) is None
    for features in (only, both):
        assert all(features[name].dtype == dtype for name, (dtype, _) in MODALITY.columns.items())


def test_collate_prefers_what_was_measured():
    found = batch(STRUCTURE_ONLY, NEITHER, BOTH, MEASURED_ONLY)
    assert found.profile.shape == (4, 1024)
    assert found.profile.dtype == torch.float32
    assert found.present.tolist() == [True, False, True, True]
    assert found.profile[1].abs().max() == 0
    assert torch.equal(found.profile[2], found.profile[3])
    assert np.array_equal(found.profile[2].numpy(), from_measured(measured()))
    packed = pack_features(MODALITY.columns, [MODALITY.featurize(STRUCTURE_ONLY)])
    assert torch.allclose(found.profile[0], render(packed)[0], atol=1e-5)


def test_simulated_and_measured_profile_of_one_crystal_agree():
    found = batch(STRUCTURE_ONLY, MEASURED_ONLY)
    cosine = torch.nn.functional.cosine_similarity(found.profile[0], found.profile[1], dim=0)
    assert cosine > 0.9


def test_noise_changes_rendered_profiles_only():
    clean = batch(STRUCTURE_ONLY, MEASURED_ONLY)
    noisy = batch(
        STRUCTURE_ONLY, MEASURED_ONLY, noise=ProfileNoise(), generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(clean.profile[1], noisy.profile[1])
    assert not torch.allclose(clean.profile[0], noisy.profile[0], atol=0.1)


def test_a_batch_without_any_pattern():
    found = batch(NEITHER, NEITHER)
    assert not found.present.any()
    assert found.profile.abs().max() == 0


def test_errors_name_the_material():
    bad = measured()
    bad.intensity[7] = np.nan
    with pytest.raises(BadInputError, match="record 'bad', xrd: NaN or infinity"):
        MODALITY.featurize(Material("bad", measurements={"xrd": bad}))
    flat = Crystal(np.ones((3, 3)), CRYSTAL.frac, CRYSTAL.sites)
    with pytest.raises(BadInputError, match="record 'flat', lattice"):
        MODALITY.featurize(Material("flat", flat))


def test_settings_must_fit_each_other_and_the_store():
    with pytest.raises(BadInputError, match=r"computed with 0.71073 Å but read as 1.54184 Å"):
        XrdModality(ProfileSettings(), XrdSettings(wavelength=0.71073))
    packed = pack_features(MODALITY.columns, [MODALITY.featurize(BOTH)])
    with pytest.raises(BadInputError, match=r"profiles of \[1024\] points where the settings say 2048"):
        XrdModality(ProfileSettings(points=2048)).collate(packed)
