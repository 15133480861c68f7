import pytest
import torch
from torch import nn

from prismat.training.replay import Randomness, buffers_kept, seeded


def test_what_was_drawn_is_drawn_again():
    torch.manual_seed(3)
    torch.rand(5)
    state = Randomness.now("cpu")
    first = (torch.rand(7), torch.randn(3), nn.functional.dropout(torch.ones(50)))
    other = torch.rand(7)
    state.restore("cpu")
    again = (torch.rand(7), torch.randn(3), nn.functional.dropout(torch.ones(50)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(torch.rand(7), other)
    assert state.cuda is None


def test_a_state_may_be_restored_more_than_once():
    state = Randomness.now("cpu")
    first = torch.rand(4)
    for _ in range(3):
        state.restore("cpu")
        assert torch.equal(torch.rand(4), first)


def test_seeded_draws_leave_the_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(6)
    torch.manual_seed(1)
    found = [torch.rand(3)]
    with seeded(9, "cpu"):
        inside = torch.rand(4)
    again = []
    with pytest.raises(KeyError), seeded(9, "cpu"):
        again.append(torch.rand(4)) or {}["nothing"]
    found.append(torch.rand(3))
    assert torch.equal(torch.cat(found), expected)
    assert torch.equal(inside, again[0])
    torch.manual_seed(9)
    assert torch.equal(inside, torch.rand(4))


def test_buffers_come_back_whatever_happens():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2), nn.BatchNorm1d(2))
    values = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) + 5
    net(values)
    before = {k: v.clone() for k, v in net.named_buffers()}
    with buffers_kept(net):
        net(values * 3)
        assert not torch.equal(net[0].running_mean, before["0.running_mean"])
        assert int(net[0].num_batches_tracked) == 2
    with pytest.raises(RuntimeError), buffers_kept(net):
        # The norm at the start has seen the batch when the layer behind it refuses it.
        nn.Sequential(net[0], nn.Linear(4, 2))(values * 3)
    assert all(torch.equal(v, before[k]) for k, v in net.named_buffers())
    assert net[0].running_mean.abs().max() > 0.1
    weight = net[1].weight
    with buffers_kept(net), torch.no_grad():
        weight.add_(1)
    assert float((net[1].weight - weight).detach().abs().max()) == 0
