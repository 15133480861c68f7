import pytest
import torch
from torch import nn

from prismat.encoders.clasp_mlp import ClaspMlp, ClaspMlpConfig

CONFIG = ClaspMlpConfig(embedding=5, hidden=7, out=3)
EVERY = torch.ones(6, dtype=torch.bool)
SOME = torch.tensor([True, False, True, True, False, True])


def made(training=True):
    torch.manual_seed(0)
    mlp = ClaspMlp(CONFIG).double().train(training)
    for norm in (m for m in mlp.modules() if isinstance(m, nn.BatchNorm1d)):
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.uniform_(norm.bias, -1.0, 1.0)
        norm.running_mean.uniform_(0.0, 1.0)
        norm.running_var.uniform_(0.5, 2.0)
    return mlp


def features():
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def plainly(mlp, x):
    """Linear, ReLU and normalisation over rows, twice, then linear, written out."""
    weights = [m for m in mlp.net if isinstance(m, nn.Linear)]
    norms = [m for m in mlp.net if isinstance(m, nn.BatchNorm1d)]
    for linear, norm in zip(weights[:2], norms, strict=True):
        x = torch.clamp(x @ linear.weight.T + linear.bias, min=0)
        if mlp.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
        else:
            mean, var = norm.running_mean, norm.running_var
        x = (x - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias
    return x @ weights[2].weight.T + weights[2].bias


@pytest.mark.parametrize("training", [True, False])
def test_equation(training):
    mlp, x = made(training), features()
    expected = plainly(mlp, x)
    torch.testing.assert_close(mlp(x, EVERY), expected, rtol=0, atol=1e-12)
    assert mlp(x, EVERY).shape == (6, mlp.width)


def test_published_widths():
    linears = [m for m in ClaspMlp().net if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linears] == [(768, 768)] * 3


@pytest.mark.parametrize("training", [True, False])
def test_absent_records_leave_the_others_alone(training):
    mlp, x = made(training), features()
    alone = made(training)
    expected = alone(x[SOME], torch.ones(4, dtype=torch.bool))
    wild = torch.where(SOME[:, None], x, torch.nan)
    found = mlp(wild, SOME)
    assert torch.equal(found[SOME], expected)
    assert not found[~SOME].any()
    assert all(torch.equal(v, alone.state_dict()[k]) for k, v in mlp.state_dict().items())


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_records_for_statistics(count):
    mlp, x = made().train(), features().requires_grad_()
    before = {k: v.clone() for k, v in mlp.state_dict().items()}
    present = torch.arange(6) < count
    out = mlp(x, present)
    torch.testing.assert_close(out, made(False)(x, present), rtol=0, atol=1e-12)
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in mlp.parameters())
    assert all(torch.equal(v, before[k]) for k, v in mlp.state_dict().items())


def test_mixed_precision():
    mlp = ClaspMlp(CONFIG)
    x = features().float()
    with torch.autocast("cpu", torch.bfloat16):
        out = mlp(x, SOME)
    assert torch.isfinite(out).all()
    out.float().sum().backward()
    assert {p.grad.dtype for p in mlp.parameters()} == {torch.float32}
