from dataclasses import dataclass

import pytest
import torch
from torch import nn

from prismat.model import JointModel, Projection, ProjectionConfig, key_of


@dataclass(frozen=True)
class Rows:
    values: torch.Tensor
    present: torch.Tensor


class Encoder(nn.Module):
    width = 3

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, batch):
        return self.linear(batch.values)


def model(heads="pair", names=("structure", "text", "xrd"), **others):
    torch.manual_seed(0)
    return JointModel({n: Encoder() for n in names}, ProjectionConfig(dim=6, hidden=8, heads=heads, **others))


def batches(n=5):
    torch.manual_seed(1)
    return {
        name: Rows(torch.randn(n, 4), torch.arange(n) != i)
        for i, name in enumerate(("structure", "text", "xrd"))
    }


def test_pair_heads_give_a_vector_per_partner():
    joint = model().eval()
    found = joint(batches())
    assert set(found.toward) == {(a, b) for a in joint.modalities for b in joint.modalities if a != b}
    assert found.embeddings == {}
    assert len(found.pairs) == 3
    a, b = found.pair("text", "xrd")
    assert torch.equal(a, found.toward[("text", "xrd")])
    assert torch.equal(b, found.toward[("xrd", "text")])
    assert not torch.equal(found.toward[("text", "xrd")], found.toward[("text", "structure")])


def test_shared_heads_give_one_vector():
    found = model("shared").eval()(batches())
    assert set(found.embeddings) == {"structure", "text", "xrd"}
    assert found.toward == {}


@pytest.mark.parametrize("heads", ["pair", "shared"])
def test_vectors_are_of_unit_length_and_single_precision(heads):
    joint = model(heads).eval()
    for vectors in joint.embed("text", batches()["text"]).values():
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))


def test_present_and_same_are_handed_on():
    same = torch.eye(5, dtype=torch.bool)
    found = model()(batches(), same)
    assert found.present["text"].tolist() == [True, False, True, True, True]
    assert found.same is same


def test_a_batch_may_lack_a_modality():
    some = batches()
    del some["xrd"]
    found = model().eval()(some)
    assert list(found.present) == ["structure", "text"]
    assert found.pairs == [("structure", "text")]


def test_linear_projection():
    torch.manual_seed(0)
    projection = Projection(3, ProjectionConfig(dim=6, hidden=0))
    assert sum(p.numel() for p in projection.parameters()) == 3 * 6 + 6
    x = torch.randn(2, 3)
    expected = projection.net(x)
    torch.testing.assert_close(projection(x), expected / expected.norm(dim=1, keepdim=True))


def test_keys_and_partners():
    assert key_of("text", None) == "text"
    assert key_of("text", "xrd") == "text@xrd"
    assert model().partners("text") == ["structure", "xrd"]
    assert model("shared").partners("text") == [None]
    assert set(model().projections) == {
        f"{a}@{b}" for a in model().modalities for b in model().modalities if a != b
    }


def test_parameters_are_counted():
    one = 3 * 8 + 8 + 2 * 8 + 8 * 6 + 6
    assert model("shared").n_parameters == 3 * (4 * 3 + 3 + one)
    frozen = model("shared")
    frozen.encoders["text"].requires_grad_(False)
    assert frozen.n_parameters == 3 * (4 * 3 + 3 + one) - 15


class SelectiveEncoder(Encoder):
    def columns_for(self, partner):
        return [0, 2] if partner == "text" else [0, 1, 2]


def test_a_projection_sees_only_the_columns_meant_for_its_partner():
    torch.manual_seed(0)
    encoders = {"structure": SelectiveEncoder(), "text": Encoder(), "xrd": Encoder()}
    joint = JointModel(encoders, ProjectionConfig(dim=6, hidden=8)).eval()
    before = joint.embed("structure", batches()["structure"])
    with torch.no_grad():
        joint.encoders["structure"].linear.bias[1] += 3.0
    after = joint.embed("structure", batches()["structure"])
    assert torch.equal(before["structure@text"], after["structure@text"])
    assert not torch.equal(before["structure@xrd"], after["structure@xrd"])
