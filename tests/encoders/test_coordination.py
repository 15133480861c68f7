import pytest
import torch

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.coordination import CoordinationEmbedding, effective_coordination
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, strained


def batch_of(*crystals):
    modality = StructureModality()
    rows = [modality.featurize(Material("x", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("NaCl", [6.0, 6.0]), ("diamond", [4.0]), ("wuestite", [6.0, 6.0]), ("spinel", [4.0, 6.0, 4.0])],
)
def test_numbers_that_everyone_knows(name, wanted):
    found = effective_coordination(batch_of(real.crystals()[name]))
    assert sorted(found.tolist()) == pytest.approx(sorted(wanted), abs=0.15)


def test_against_a_loop():
    batch = batch_of(real.crystals()["kyanite"], real.crystals()["calcite"])
    found = effective_coordination(batch)
    for node in range(batch.n_nodes):
        d = batch.distance[batch.receiver == node].double()
        weight = torch.exp(1 - (d / d.min()) ** 6)
        mean = (d * weight).sum() / weight.sum()
        assert float(found[node]) == pytest.approx(float(torch.exp(1 - (d / mean) ** 6).sum()), rel=1e-4)


def test_scale_does_not_matter_and_a_lone_atom_has_none():
    batch = batch_of(real.crystals()["quartz"])
    grown = strained(batch, torch.tensor([1.1]))
    torch.testing.assert_close(effective_coordination(grown), effective_coordination(batch))
    atom = Crystal.molecule(torch.zeros(1, 3).numpy().astype(float), (((2, 1.0),),))
    alone = batch_of(atom)
    assert effective_coordination(alone).tolist() == [0.0]
    assert torch.isfinite(CoordinationEmbedding(4)(alone)).all()
