"""The density encoder: published sizes, periodicity, the lattice, and independence of records."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helpers_crystals import random_rotation
from prismat.encoders.resnext3d import ResNext3d, ResNext3dConfig
from prismat.errors import BadInputError
from prismat.modalities.charge_density import DensityBatch, shifted

TINY = ResNext3dConfig(
    cardinality=2, group_width=4, depths=(1, 2), stem=8, stem_kernel=5, stem_pool=False, out=16
)
CELL = torch.tensor([[4.1, 0.2, -0.3], [0.9, 5.2, 0.4], [-0.7, 1.1, 6.3]])


def batch_of(values, lattice=CELL, present=None):
    n = len(values)
    present = torch.ones(n, dtype=torch.bool) if present is None else present
    lattice = lattice.expand(n, 3, 3).clone()
    return DensityBatch(values, lattice, values.mean((1, 2, 3)), present.long(), present)


def fields(n, shape=(16, 16, 16), seed=0):
    """Smooth random densities."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 1, 4, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, size=shape, mode="trilinear")[:, 0]


def model_of(config, seed=0):
    """A network whose running statistics have seen something."""
    torch.manual_seed(seed)
    model = ResNext3d(config)
    model(batch_of(fields(4, seed=9)))
    return model.eval()


def test_the_published_network():
    config = ResNext3dConfig(periodic=False, lattice=False)
    model = ResNext3d(config)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv3d)]
    shortcuts = [m for block in model.stages for m in block.shortcut.modules() if isinstance(m, nn.Conv3d)]
    # One stem, three in each of 16 blocks and the linear layer make 50.
    assert len(convolutions) - len(shortcuts) + 1 == 50
    assert model.stem.weight.shape == (64, 1, 7, 7, 7)
    assert model.stem.stride == (2, 2, 2)
    grouped = [m for m in convolutions if m.groups > 1]
    assert {m.groups for m in grouped} == {32}
    assert [m.out_channels for m in grouped] == [128] * 3 + [256] * 4 + [512] * 6 + [1024] * 3
    assert model.head.weight.shape == (128, 2048)
    assert config.stride == 32
    # 2D ResNeXt-50 has 25,028,904 parameters with 1,000 classes; kernels of 3×3 and 7×7 gain an axis.
    planar = 25_028_904 - (2048 + 1) * 1000 - 3 * 64 * 49
    grouped_parameters = sum(m.weight.numel() for m in grouped)
    expected = planar + grouped_parameters * 2 // 3 + 64 * 343 + (2048 + 1) * 128
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model(batch_of(fields(2, (32, 32, 32)))).shape == (2, 128)


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, periodic=False),
        replace(TINY, norm="group", lattice=False),
        replace(TINY, stem_pool=True, stem_kernel=7),
        ResNext3dConfig.small(),
    ],
)
@pytest.mark.parametrize("shape", [(16, 16, 16), (7, 9, 12), (4, 5, 6)])
def test_shapes_and_gradients(config, shape):
    model = ResNext3d(config)
    out = model(batch_of(fields(3, shape)))
    assert out.shape == (3, model.width) == (3, config.out)
    out.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("config", [TINY, replace(TINY, stem_pool=True), replace(TINY, norm="group")])
def test_shifts_by_the_stride_are_exact(config):
    model = model_of(config)
    batch = batch_of(fields(4))
    whole = model(batch)
    step = config.stride
    shift = torch.tensor([[step, 0, 0], [0, -step, step], [step, step, 0], [2 * step, 0, step]])
    moved = shifted(batch, shift)
    assert torch.allclose(model(moved), whole, atol=1e-5)
    # Published padding sees the border of the cell.
    bordered = model_of(replace(config, periodic=False))
    assert (bordered(moved) - bordered(batch)).abs().max() > 1e-3


def test_other_shifts_are_close():
    """Nearer to the density that was moved than others are on average, and not equal to it."""
    model = model_of(TINY)
    batch = batch_of(fields(6))
    whole = model(batch)
    for shift in ([1, 0, 0], [1, 1, 1], [0, 2, 3]):
        distance = torch.cdist(model(shifted(batch, torch.tensor([shift] * 6))), whole)
        own = distance.diagonal()
        assert 1e-4 < own.mean() < 0.9 * (distance.sum() - own.sum()) / 30


def test_a_supercell_is_the_same_density():
    """Wrapping is right in every layer: without the lattice, cells side by side change nothing."""
    model = model_of(replace(TINY, lattice=False, stem_pool=True))
    values = fields(2)
    assert torch.allclose(model(batch_of(values.tile(1, 2, 1, 3))), model(batch_of(values)), atol=1e-5)


def test_axis_permutation_of_grid_and_kernels():
    model = model_of(replace(TINY, lattice=False))
    values = fields(3, (8, 12, 16))
    expected = model(batch_of(values))
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            module.weight.data = module.weight.data.permute(0, 1, 4, 2, 3).contiguous()
    assert torch.allclose(model(batch_of(values.permute(0, 3, 1, 2))), expected, atol=1e-5)


def test_lattice_gives_the_scale_and_not_the_orientation():
    model, blind = model_of(TINY), model_of(replace(TINY, lattice=False))
    values = fields(2)
    turned = CELL @ torch.from_numpy(random_rotation(np.random.default_rng(0))).float()
    expected = model(batch_of(values))
    assert torch.allclose(model(batch_of(values, turned)), expected, atol=1e-5)
    assert (model(batch_of(values, CELL * 1.3)) - expected).abs().max() > 1e-3
    assert torch.equal(blind(batch_of(values, CELL * 1.3)), blind(batch_of(values)))
    other_kind = replace(batch_of(values), kind=torch.tensor([2, 2]))
    assert (model(other_kind) - expected).abs().max() > 1e-3


def test_one_by_one_is_the_batch():
    model = model_of(TINY)
    values = fields(4)
    single = torch.cat([model(batch_of(row[None])) for row in values])
    assert torch.allclose(model(batch_of(values)), single, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_absent_records_leave_no_trace(training):
    values = fields(4)
    present = torch.tensor([True, False, True, True])
    one, two = model_of(TINY).train(training), model_of(TINY).train(training)
    spoiled = values.clone()
    spoiled[1] = 1e6
    found = one(batch_of(spoiled, present=present))
    assert torch.allclose(found[present], two(batch_of(values[present])), atol=1e-6)
    assert not found[1].any()
    for a, b in zip(one.buffers(), two.buffers(), strict=True):
        assert torch.allclose(a, b)
    nothing = one(batch_of(values, present=torch.zeros(4, dtype=torch.bool)))
    assert nothing.shape == (4, 16)
    assert not nothing.any()


def test_one_record_of_one_voxel_trains():
    config = replace(TINY, stem_pool=True)
    out = ResNext3d(config)(batch_of(fields(1, (8, 8, 8))))
    out.sum().backward()
    assert torch.isfinite(out).all()


def test_same_seed_same_numbers_and_autocast():
    batch = batch_of(fields(2))
    a, b = model_of(TINY, 3), model_of(TINY, 3)
    assert torch.equal(a(batch), b(batch))
    with torch.autocast("cpu", torch.bfloat16):
        out = a(batch)
    assert torch.allclose(out.float(), b(batch), atol=0.1, rtol=0.1)


def test_it_learns_the_scale_of_a_cell():
    torch.manual_seed(0)
    model = ResNext3d(TINY)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(1)
    values = fields(16, (8, 8, 8))
    errors = []
    for _ in range(40):
        scale = 0.7 + 0.8 * torch.rand(16, generator=generator)
        batch = replace(batch_of(values), lattice=CELL * scale[:, None, None])
        error = (model(batch)[:, 0] - scale).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    # Guessing the mean leaves 0.053.
    assert np.mean(errors[-5:]) < 0.02


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": ()}, "at least one stage"),
        ({"stem_kernel": 4}, "an odd kernel"),
        ({"cardinality": 0}, "positive sizes"),
    ],
)
def test_bad_sizes(changes, message):
    with pytest.raises(BadInputError, match=message):
        replace(TINY, **changes)


def test_bad_norm():
    class Unchecked(ResNext3dConfig):
        """Past the type checks that are on in tests only."""

        def __init__(self):
            object.__setattr__(self, "norm", "layer")
            self.__post_init__()

    with pytest.raises(BadInputError, match="Choose batch or group"):
        Unchecked()


def test_grid_under_the_kernel():
    with pytest.raises(BadInputError, match=r"a grid of \(2, 8, 8\) points under a kernel of 7"):
        ResNext3d(replace(TINY, stem_kernel=7))(batch_of(torch.rand(1, 2, 8, 8)))
