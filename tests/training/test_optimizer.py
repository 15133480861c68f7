"""AdamW with its settings, frozen parameters, and the average of the weights."""

import pytest
import torch
from torch import nn

from prismat.errors import BadInputError
from prismat.training.optimizer import MovingAverage, OptimizerConfig, build_optimizer, freeze


def model(seed=0):
    torch.manual_seed(seed)
    first = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    parts = {"structure": first, "text": nn.Linear(3, 2)}
    return nn.ModuleDict({"encoders": nn.ModuleDict(parts), "projections": nn.Linear(2, 2)}).double()


def test_a_step_is_that_of_adamw_with_these_betas():
    """Written out (Loshchilov & Hutter, ICLR 2019, algorithm 2), decay on matrices only."""
    one = nn.Linear(3, 2).double()
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.3, betas=(0.7, 0.9))
    optimizer = build_optimizer([one], config)
    expected = {k: p.detach().clone() for k, p in one.named_parameters()}
    first, second = ({k: torch.zeros_like(p) for k, p in expected.items()} for _ in range(2))
    for step in (1, 2, 3):
        for name, p in one.named_parameters():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step), dtype=p.dtype)
            first[name] = 0.7 * first[name] + 0.3 * p.grad
            second[name] = 0.9 * second[name] + 0.1 * p.grad**2
            decay = 0.1 * 0.3 * expected[name] if name == "weight" else 0
            moved = (first[name] / (1 - 0.7**step)) / ((second[name] / (1 - 0.9**step)).sqrt() + 1e-8)
            expected[name] = expected[name] - decay - 0.1 * moved
        optimizer.step()
    for name, p in one.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), []),
        (("projections.bias",), ["projections.bias"]),
        (("encoders.text.*",), ["encoders.text.weight", "encoders.text.bias"]),
        (("*.bias", "projections.*"), ["encoders.structure.0.bias", "encoders.structure.1.bias",
         "encoders.structure.2.bias", "encoders.text.bias", "projections.weight", "projections.bias"]),
    ],
)  # fmt: skip
def test_names_are_frozen(patterns, expected):
    one = model()
    found = freeze(one, patterns)
    assert list(dict.fromkeys(found)) == sorted(set(found), key=found.index)
    still = [n for n, p in one.named_parameters() if not p.requires_grad]
    assert sorted(still) == sorted(set(found)) == sorted(expected)
    trained = {id(p) for g in build_optimizer([one], OptimizerConfig()).param_groups for p in g["params"]}
    assert trained == {id(p) for n, p in one.named_parameters() if n not in expected}


@pytest.mark.parametrize("pattern", ["encoders.image.*", "Encoders.text.*", ""])
def test_a_name_that_fits_nothing_is_refused(pattern):
    one = model()
    with pytest.raises(
        BadInputError,
        match=r"optimizer\.freeze: no parameter is called '.*'\. Name some of these: "
        r"encoders\.structure\.\*, encoders\.text\.\*, projections\.bias\.\*, projections\.weight\.\*",
    ):
        freeze(one, ("encoders.text.*", pattern))


def test_the_average_is_the_one_by_hand():
    one = model()
    average, start = MovingAverage(one, 0.9), {k: v.detach().clone() for k, v in one.named_parameters()}
    expected = dict(start)
    for step in range(1, 101):
        with torch.no_grad():
            for name, p in one.named_parameters():
                p.copy_(start[name] + torch.sin(torch.tensor(float(step))) + 0.01 * step)
        average.update(one, step)
        # β rises from 2/11 to 0.9, which it reaches at step 81.
        decay = min(0.9, (1 + step) / (10 + step))
        expected = {
            k: decay * v + (1 - decay) * dict(one.named_parameters())[k].detach() for k, v in expected.items()
        }
        if step == 1:
            assert decay == pytest.approx(2 / 11)
    for name, value in average.weights.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-12)
    assert decay == 0.9


def test_swapping_twice_is_nothing_and_buffers_stay():
    one, other = model(), model(1)
    average = MovingAverage(other, 0.9)
    one["encoders"]["structure"][1].running_mean.fill_(0.5)
    before = {k: v.clone() for k, v in one.state_dict().items()}
    kept = {k: v.clone() for k, v in average.weights.items()}
    average.swap(one)
    assert all(torch.equal(p, kept[k]) for k, p in one.named_parameters())
    assert all(torch.equal(average.weights[k], before[k]) for k in kept)
    assert set(one["encoders"]["structure"][1].running_mean.tolist()) == {0.5}
    average.swap(one)
    assert all(torch.equal(v, before[k]) for k, v in one.state_dict().items())
    assert all(torch.equal(v, kept[k]) for k, v in average.weights.items())


def test_the_average_is_apart_from_the_model():
    one = model()
    average = MovingAverage(one, 0.5)
    before = {k: v.clone() for k, v in average.weights.items()}
    with torch.no_grad():
        one["projections"].weight.add_(1)
    assert all(torch.equal(v, before[k]) for k, v in average.weights.items())
