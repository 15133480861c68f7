"""Merged edges against a dictionary of edges, and the Bessel basis against its formula."""

from collections import defaultdict
from dataclasses import replace
from math import pi, sin

import pytest
import torch

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.bessel import BesselBasis, cosine_cutoff
from prismat.encoders.segment import group_sum
from prismat.encoders.shells import Shells
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings


def collate(crystals, reduced=True):
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    return collate(real.crystals().values(), request.param)


def test_shells_are_the_edges_of_equal_ends_and_length(batch):
    shells, wanted = Shells.of(batch), defaultdict(list)
    ends = zip(batch.receiver.tolist(), batch.sender.tolist(), batch.distance.tolist(), strict=True)
    for edge, key in enumerate(ends):
        wanted[key].append(edge)
    found = defaultdict(list)
    for edge, shell in enumerate(shells.edges.index.tolist()):
        key = (shells.receiver.index[shell].item(), shells.sender.index[shell].item())
        found[(*key, batch.distance[edge].item())].append(edge)
    assert found == wanted
    assert sorted(shells.count.tolist()) == sorted(float(len(v)) for v in wanted.values())
    assert bool((shells.receiver.index.diff() >= 0).all())
    mean = torch.stack([batch.distance[shells.edges.index == s].mean() for s in range(len(shells.count))])
    torch.testing.assert_close(shells.distance, mean)


def test_shells_count_every_edge_of_the_full_graph_once(batch):
    shells = Shells.of(batch)
    assert shells.count.sum() == len(batch.receiver)
    assert shells.atoms.sum() == batch.multiplicity[batch.receiver].sum()


def test_rock_salt_has_one_shell_of_chlorine_and_one_of_sodium():
    shells = Shells.of(collate([real.crystals()["NaCl"]]))
    assert len(shells.count) == 4
    assert sorted(shells.count.tolist()) == [6, 6, 12, 12]


def test_lengths_that_differ_in_single_precision_stay_apart():
    batch = collate([real.crystals()["NaCl"]])
    other = batch.distance.clone()
    other[0] = torch.nextafter(other[0], torch.tensor(100.0))
    assert len(Shells.of(replace(batch, distance=other)).count) == 5


def test_no_edges_make_no_shells():
    helium = Crystal(torch.eye(3).double().numpy() * 150, real.crystals()["diamond"].frac[:1], (((2, 1.0),),))
    batch = collate([helium])
    shells = Shells.of(batch)
    assert len(batch.receiver) == len(shells.count) == 0
    assert group_sum(torch.zeros(0, 2), shells.receiver).tolist() == [[0.0, 0.0]]


def test_bessel_functions_equal_their_formula():
    basis = BesselBasis(5.0, 4).double()
    found = basis(torch.tensor([0.7, 2.5, 5.0], dtype=torch.float64))
    wanted = [[sin(n * pi * d / 5) / d for n in range(1, 5)] for d in (0.7, 2.5, 5.0)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    at_zero = basis(torch.zeros(1, dtype=torch.float64))[0]
    torch.testing.assert_close(at_zero, basis.frequencies, rtol=1e-6, atol=0)


def test_cosine_cutoff_falls_from_one_to_zero_and_stays():
    found = cosine_cutoff(torch.tensor([0.0, 2.0, 4.0, 9.0]), 4.0)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5, 0.0, 0.0]), rtol=0, atol=1e-7)
