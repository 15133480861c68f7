from dataclasses import dataclass

import pytest
import torch
from torch import nn

from prismat.encoders.fusion import FusionConfig, FusionNetwork, TextProjection, fuse
from prismat.errors import BadInputError
from prismat.modalities.text import FrozenTextBatch


@dataclass(frozen=True)
class Points:
    values: torch.Tensor
    present: torch.Tensor


class Graph(nn.Module):
    """Stands for a graph encoder: one linear layer."""

    width = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, batch):
        return self.layer(batch.values)


def batches(graph_there=(True, True, True), text_there=(True, True, True)):
    generator = torch.Generator().manual_seed(3)
    there = torch.tensor(text_there)
    embedding = torch.randn(3, 4, generator=generator) * there[:, None]
    return {
        "structure": Points(torch.randn(3, 2, generator=generator), torch.tensor(graph_there)),
        "text": FrozenTextBatch(embedding, torch.zeros(3, 0), there),
    }


def network(kind="concat", graph=True, embedding=4):
    torch.manual_seed(5)
    return FusionNetwork(
        FusionConfig(kind, text=2, text_hidden=5, hidden=6), Graph() if graph else None, embedding
    )


def test_fusions_by_hand():
    graph, text = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    there = [torch.tensor([True, True]), torch.tensor([True, False])]
    assert fuse([graph, text], there, "concat").tolist() == [[1, 2, 10, 20], [3, 4, 0, 0]]
    assert fuse([graph, text], there, "sum").tolist() == [[11, 22], [3, 4]]
    assert fuse([graph, text], there, "average").tolist() == [[5.5, 11], [3, 4]]


def test_an_absent_vector_that_is_not_finite_does_no_harm():
    vectors = [torch.tensor([[1.0], [torch.nan]]), torch.tensor([[2.0], [torch.inf]])]
    there = [torch.tensor([True, False])] * 2
    for kind in ("concat", "sum", "average"):
        assert fuse(vectors, there, kind)[1].abs().sum() == 0


def test_text_projection_is_equation_six():
    projection = TextProjection(4, 5, 2)
    z = torch.randn(3, 4)
    wanted = torch.relu(2.0 * z @ projection.first.weight.T) @ projection.second.weight.T
    assert torch.allclose(projection(z), wanted, atol=1e-6)
    assert torch.equal(projection(torch.zeros(1, 4)), torch.zeros(1, 2))


@pytest.mark.parametrize("kind", ["concat", "sum", "average"])
def test_the_network_is_the_equations(kind):
    one, given = network(kind), batches()
    z = torch.relu(2.0 * given["text"].embedding @ one.text.first.weight.T) @ one.text.second.weight.T
    g = one.graph.layer(given["structure"].values)
    fused = {"concat": lambda: torch.cat([g, z], 1), "sum": lambda: g + z, "average": lambda: (g + z) / 2}
    first, _, last = one.head
    wanted = torch.relu(fused[kind]() @ first.weight.T + first.bias) @ last.weight.T + last.bias
    assert torch.allclose(one(given), wanted[:, 0], atol=1e-5)


def test_published_widths():
    graph = Graph()
    graph.width = 256
    one = FusionNetwork(FusionConfig(), graph, 768)
    assert one.text.first.weight.shape == (128, 768)
    assert one.text.second.weight.shape == (64, 128)
    assert one.head[0].in_features == 256 + 64


def test_one_part_alone():
    given = batches()
    alone, text = network(graph=True, embedding=0), network(graph=False)
    assert alone.text is None
    assert text.graph is None
    assert torch.equal(alone({"structure": given["structure"]}), alone(given))
    assert torch.equal(text({"text": given["text"]}), text(given))
    assert text.head[0].in_features == network("sum", graph=False).head[0].in_features == 2


def test_a_missing_text_changes_no_other_record():
    one = network("average")
    whole, part = one(batches()), one(batches(text_there=(True, False, True)))
    assert torch.equal(whole[[0, 2]], part[[0, 2]])
    assert not torch.equal(whole[1], part[1])
    assert torch.isfinite(part).all()


def test_half_precision():
    with torch.autocast("cpu", torch.bfloat16):
        found = network("average")(batches())
    assert torch.isfinite(found).all()


def test_nothing_to_predict_from():
    with pytest.raises(BadInputError, match=r"needs a graph or a text.*Name one"):
        network(graph=False, embedding=0)
