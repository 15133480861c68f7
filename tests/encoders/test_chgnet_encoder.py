from dataclasses import replace

import pytest
import torch

import helpers_crystals as real
from prismat.encoders.chgnet import FEATURES, Chgnet, ChgnetConfig
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality


@pytest.fixture
def plain_batch():
    modality = StructureModality()
    rows = [modality.featurize(Material("test", real.crystals()[n])) for n in ("NaCl", "rutile", "spinel")]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture
def batch(plain_batch):
    torch.manual_seed(0)
    known = torch.tensor([True, True, False])
    return replace(plain_batch, pretrained=torch.randn(3, FEATURES) * known[:, None], has_pretrained=known)


def model_of():
    torch.manual_seed(1)
    return Chgnet(ChgnetConfig(hidden=16, out=6)).eval()


def test_width_is_that_of_the_features():
    from prismat.modalities.chgnet_features import WIDTH

    assert WIDTH == FEATURES


def test_without_features_the_learned_vector_serves(batch):
    model = model_of()
    with torch.no_grad():
        before = model(batch)
        model.missing += 1.0
        after = model(batch)
        noise = replace(batch, pretrained=batch.pretrained + 5 * ~batch.has_pretrained[:, None])
        torch.testing.assert_close(model(noise), after)
    assert before.shape == (3, 6)
    assert torch.equal(before[:2], after[:2])
    assert not torch.equal(before[2], after[2])


def test_learned_vector_is_trained(batch):
    model = model_of()
    model(batch).square().sum().backward()
    assert model.missing.grad.abs().max() > 0


def test_scale_of_the_feature_does_not_matter(batch):
    """It is normalised over crystals, so that large features do not drown the learned vector."""
    torch.manual_seed(1)
    model = Chgnet(ChgnetConfig(hidden=16, out=6, dropout=0.0)).train()
    with torch.no_grad():
        found = model(replace(batch, pretrained=1000 * batch.pretrained))
        torch.testing.assert_close(found, model(batch), rtol=1e-2, atol=1e-2)


def test_statistics_are_those_of_crystals_that_have_a_feature(batch):
    torch.manual_seed(1)
    model = Chgnet(ChgnetConfig(hidden=16, out=6)).train()
    model(batch)
    known = batch.pretrained[batch.has_pretrained]
    torch.testing.assert_close(model.norm.running_mean, 0.1 * known.mean(0), rtol=1e-4, atol=1e-6)
    before = model.norm.running_mean.clone()
    model(replace(batch, has_pretrained=torch.zeros_like(batch.has_pretrained)))
    assert torch.equal(model.norm.running_mean, before)


def test_bf16_autocast(batch):
    model = model_of()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(model(batch)).all()


def test_batch_without_features_is_refused(plain_batch):
    with pytest.raises(
        BadInputError, match=r"structure\.chgnet: this encoder needs CHGNet.*extras=\('chgnet'"
    ):
        model_of()(plain_batch)
