"""Weighted pooling and normalisation against PyTorch's own on rows written out."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from prismat.crystal import Crystal
from prismat.elements import features
from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean, scatter_sum
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality


def batch_of(*crystals):
    modality = StructureModality()
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


def test_scatter_sum_equals_a_loop():
    values, index = torch.randn(30, 4, dtype=torch.float64), torch.randint(0, 6, (30,))
    naive = torch.stack([values[index == i].sum(0) for i in range(7)])
    torch.testing.assert_close(scatter_sum(values, index, 7), naive)


@pytest.fixture
def rows():
    torch.manual_seed(0)
    weight = torch.randint(1, 6, (40,))
    return torch.randn(40, 5, dtype=torch.float64) * 3 + 2, weight


def norms():
    ours, theirs = WeightedBatchNorm(5).double(), nn.BatchNorm1d(5).double()
    with torch.no_grad():
        for module in (ours, theirs):
            module.weight.copy_(torch.linspace(0.5, 2, 5))
            module.bias.copy_(torch.linspace(-1, 1, 5))
    return ours, theirs


def test_normalisation_equals_batch_norm_of_repeated_rows(rows):
    x, weight = rows
    ours, theirs = norms()
    written_out = torch.repeat_interleave(x, weight, dim=0)
    found = torch.repeat_interleave(ours(x, weight.double()), weight, dim=0)
    torch.testing.assert_close(found, theirs(written_out), rtol=1e-12, atol=1e-12)


def test_gradients_of_the_normalisation_equal_those_of_repeated_rows(rows):
    x, weight = rows
    ours, theirs = norms()
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    (ours(a, weight.double()).sin() * weight[:, None]).sum().backward()
    theirs(torch.repeat_interleave(b, weight, dim=0)).sin().sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-10, atol=1e-10)


def test_running_statistics_follow_mean_and_biased_variance(rows):
    x, weight = rows
    ours, theirs = norms()
    written_out = torch.repeat_interleave(x, weight, dim=0)
    for _ in range(3):
        ours(x, weight.double())
        theirs(written_out)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    # PyTorch stores n/(n − 1) times the variance; the biased one is what training itself divided by.
    kept = 0.9**3
    biased = kept + (1 - kept) * written_out.var(0, unbiased=False)
    torch.testing.assert_close(ours.running_var, biased)
    ours.eval()
    expected = (x - ours.running_mean) / (ours.running_var + 1e-5).sqrt() * ours.weight + ours.bias
    torch.testing.assert_close(ours(x, weight.double()), expected)


def test_evaluation_leaves_running_statistics_alone(rows):
    ours = norms()[0].eval()
    ours(rows[0], rows[1].double())
    assert not ours.running_mean.any()


@pytest.mark.parametrize("mean", [0.0, 10.0, 100.0, 1000.0])
def test_a_column_far_from_zero_is_normalised_in_single_precision(mean):
    torch.manual_seed(0)
    x = torch.randn(1000, 1) + mean
    found = WeightedBatchNorm(1)(x, torch.ones(1000))
    exact = nn.BatchNorm1d(1).double()(x.double())
    assert (found - exact).abs().max() < 3e-3


def test_no_rows_pass_through():
    norm = WeightedBatchNorm(5)
    assert norm(torch.zeros(0, 5), torch.zeros(0)).shape == (0, 5)
    assert torch.isfinite(norm.running_var).all()


def test_radial_basis_is_a_gaussian_per_centre():
    basis = RadialBasis(0.0, 8.0, 41)
    found = basis(torch.tensor([0.0, 2.03, 7.9]))
    naive = [[math.exp(-(((d - 0.2 * k) / 0.2) ** 2)) for k in range(41)] for d in (0.0, 2.03, 7.9)]
    torch.testing.assert_close(found, torch.tensor(naive), rtol=1e-4, atol=1e-6)


def test_pooling_weighs_atoms():
    perovskite = Crystal(
        np.eye(3) * 3.905,
        np.array([[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]),
        (((38, 1.0),), ((22, 1.0),)) + (((8, 1.0),),) * 3,
    )
    batch = batch_of(perovskite)
    assert sorted(batch.multiplicity.tolist()) == [1, 1, 3]
    nodes = batch.multiplicity[:, None].clone()
    assert pool_mean(nodes, batch).item() == pytest.approx((1 + 1 + 9) / 5)


def test_mixed_site_is_the_mean_of_its_elements_and_a_vacancy_counts_zero():
    torch.manual_seed(0)
    mixed = Crystal(np.eye(3) * 4.0, np.zeros((1, 3)), (((12, 0.3), (26, 0.5)),))
    embedding = AtomEmbedding(6)
    found = embedding(batch_of(mixed))
    table = torch.from_numpy(features()).float()
    magnesium, iron = (embedding.linear(table[z]) + embedding.learned.weight[z] for z in (12, 26))
    torch.testing.assert_close(found[0], 0.3 * magnesium + 0.5 * iron)
