"""The pattern encoder: shapes, independence of records, and sensitivity to where peaks are."""

import pytest
import torch

from prismat.encoders.xrd_cnn import XrdCnn, XrdCnnConfig
from prismat.errors import BadInputError
from prismat.modalities.profile import XrdBatch

SMALL = XrdCnnConfig(points=256, channels=(8, 16), bottleneck=8, hidden=32, out=16)


def batch(profile: torch.Tensor) -> XrdBatch:
    return XrdBatch(profile, torch.ones(len(profile), dtype=torch.bool))


def peaks(*places: int, points: int = 256) -> torch.Tensor:
    """One peak per record, at its place."""
    x = torch.arange(points)
    return 10 * torch.exp(-(((x - torch.tensor(places)[:, None]) / 3.0) ** 2))


@pytest.mark.parametrize(
    "config", [SMALL, XrdCnnConfig(), XrdCnnConfig(channels=(16,)), XrdCnnConfig(1024, (8, 16, 24, 32))]
)
def test_shapes_and_gradients(config):
    model = XrdCnn(config)
    out = model(batch(torch.rand(3, config.points)))
    assert out.shape == (3, config.out)
    assert model.width == config.out
    out.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_records_are_independent_and_absent_ones_finite():
    torch.manual_seed(0)
    model = XrdCnn(SMALL).eval()
    profile = torch.rand(5, 256)
    profile[3] = 0
    whole = model(batch(profile))
    single = torch.cat([model(batch(row[None])) for row in profile])
    assert torch.allclose(whole, single, atol=1e-5)
    assert torch.isfinite(whole).all()
    model.train()
    model.readout[2].p = 0.0
    assert torch.allclose(model(batch(profile)), whole, atol=1e-5)


def test_position_is_learned_to_a_few_points():
    # One network with an average over the whole pattern could not tell these apart.
    torch.manual_seed(0)
    model = XrdCnn(SMALL)
    head = torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(150):
        places = torch.randint(20, 236, (64,), generator=generator)
        error = head(model(batch(peaks(*places.tolist()))))[:, 0] - places / 128 + 1
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    model.eval()
    places = torch.arange(30, 226, 7)
    with torch.no_grad():
        found = (head(model(batch(peaks(*places.tolist()))))[:, 0] + 1) * 128
    assert (found - places).abs().mean() < 8


def test_bad_sizes():
    with pytest.raises(BadInputError, match="profiles of 128 points, the network reads 256"):
        XrdCnn(SMALL)(batch(torch.rand(2, 128)))
    with pytest.raises(BadInputError, match="multiples of 8"):
        XrdCnnConfig(channels=(8, 12))
    with pytest.raises(BadInputError, match="multiples of 8"):
        XrdCnnConfig(channels=())
    with pytest.raises(BadInputError, match="1000 points cannot be halved by 3 stages"):
        XrdCnnConfig(points=1000)
