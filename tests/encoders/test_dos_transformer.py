"""MultiMat's transformer: against an independent reading of it, and what must not matter to it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from prismat.encoders.dos_transformer import DosTransformer, DosTransformerConfig
from prismat.errors import BadInputError
from prismat.modalities.dos import DosBatch

SMALL = DosTransformerConfig(width=32, depth=2, heads=4, head_width=8, hidden=48)


def batch(records: int = 3, points: int = 40, seed: int = 0) -> DosBatch:
    generator = torch.Generator().manual_seed(seed)
    return DosBatch(
        energy=torch.linspace(-2, 2, points).repeat(records, 1),
        density=3 * torch.rand(records, points, generator=generator),
        mask=torch.ones(records, points, dtype=torch.bool),
        spin=torch.zeros(records, dtype=torch.int64),
        present=torch.ones(records, dtype=torch.bool),
    )


def padded(given: DosBatch, more: int, fill: float = 0.0) -> DosBatch:
    def wide(x: torch.Tensor, value: float) -> torch.Tensor:
        return nn.functional.pad(x, (0, more), value=value)

    return replace(
        given,
        energy=wide(given.energy, fill),
        density=wide(given.density, fill),
        mask=nn.functional.pad(given.mask, (0, more), value=False),
    )


def made(config: DosTransformerConfig = SMALL) -> DosTransformer:
    torch.manual_seed(0)
    model = DosTransformer(config).eval()
    nn.init.normal_(model.spin.weight[1:].data)
    return model


class Reference(nn.Module):
    """The published network out of torch's own transformer layers, written from its description."""

    def __init__(self, model: DosTransformer) -> None:
        super().__init__()
        c = model.config
        self.model = model
        self.layers = nn.ModuleList()
        for ours in model.layers:
            layer = nn.TransformerEncoderLayer(
                c.width, c.heads, c.hidden, 0.0, "gelu", batch_first=True, norm_first=True
            )
            layer.self_attn.in_proj_weight.data = ours.qkv.weight.data
            layer.self_attn.in_proj_bias.data.zero_()
            layer.self_attn.out_proj = ours.project
            layer.norm1, layer.norm2 = ours.attention_norm, ours.norm
            layer.linear1, layer.linear2 = ours.expand, ours.contract
            self.layers.append(layer)

    def forward(self, given: DosBatch) -> torch.Tensor:
        energy = self.model.energy(given.energy[:, :, None])
        density = self.model.density(given.density[:, :, None])
        x = self.model.mix(torch.cat([energy, density], dim=2))
        # In training mode torch takes the written-out path; there is no dropout.
        for layer in self.layers.train():
            x = layer(x, src_key_padding_mask=~given.mask)
        means = [row[mask].mean(0) for row, mask in zip(x, given.mask, strict=True)]
        return torch.stack(means)


@pytest.mark.parametrize("config", [SMALL, DosTransformerConfig(heads=2)])
def test_agrees_with_torchs_own_layers(config):
    model = made(config)
    given = batch(points=30)
    assert torch.allclose(model(given), Reference(model)(given), atol=1e-5)
    given.mask[1, 20:] = False
    given.mask[2, ::3] = False
    assert torch.allclose(model(given), Reference(model)(given), atol=1e-5)


def test_published_size():
    model = DosTransformer()
    # 4 layers of Q, K, V (128 × 1536), projection, feed-forward and two norms; three maps of the tokens.
    layer = 128 * 1536 + 512 * 128 + 128 + 128 * 512 + 512 + 512 * 128 + 128 + 4 * 128
    assert sum(p.numel() for p in model.layers.parameters()) == 4 * layer
    tokens = [p for m in (model.energy, model.density, model.mix) for p in m.parameters()]
    assert sum(p.numel() for p in tokens) == 2 * 256 + 256 * 128 + 128
    assert model.width == 128
    assert model(batch(1, 601)).shape == (1, 128)


def test_order_of_the_tokens_does_not_matter():
    model, given = made(), batch()
    given.mask[1, 25:] = False
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    shuffled = replace(
        given, energy=given.energy[:, order], density=given.density[:, order], mask=given.mask[:, order]
    )
    assert torch.allclose(model(given), model(shuffled), atol=1e-5)
    # But which density belongs to which energy does.
    other = replace(given, density=given.density[:, order])
    assert (model(given) - model(other)).abs().max() > 1e-3


@pytest.mark.parametrize("fill", [0.0, 37.0, -1e4])
def test_padding_does_not_matter(fill):
    model, given = made(), batch()
    assert torch.allclose(model(given), model(padded(given, 13, fill)), atol=1e-5)


def test_records_are_independent_and_absent_ones_finite():
    model, given = made(), batch(4)
    given.mask[1] = False
    given.present[1] = False
    given.mask[3, 11:] = False
    whole = model(given)
    assert torch.isfinite(whole).all()
    for n in range(4):
        row = slice(n, n + 1)
        alone = DosBatch(
            given.energy[row], given.density[row], given.mask[row], given.spin[row], given.present[row]
        )
        assert torch.allclose(model(alone), whole[row], atol=1e-5)
    nobody = replace(given, mask=torch.zeros_like(given.mask), present=torch.zeros(4, dtype=torch.bool))
    assert model(nobody).abs().max() == 0


def test_gradients_reach_every_parameter_and_no_padding():
    model, given = made().train(), padded(batch(), 5, 1.0)
    given.density.requires_grad_()
    given.spin[:] = torch.tensor([0, 1, 2])
    given.mask[0] = False
    model(given).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert all(p.grad.abs().max() > 0 for p in model.parameters())
    assert (given.density.grad[~given.mask] == 0).all()
    assert (given.density.grad[given.mask] != 0).any()


def test_label_of_the_spin():
    model, given = made(), batch(1)
    up = replace(given, spin=torch.tensor([1]))
    assert (model(given) - model(up)).abs().max() > 1e-3
    fresh = DosTransformer(SMALL).eval()
    assert torch.equal(fresh(given), fresh(up))


def test_doubles_and_low_precision():
    model, given = made(), batch(2, 300)
    exact = model(given)
    assert torch.allclose(model.double()(given).float(), exact, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.float()(given)
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, atol=0.05, rtol=0.05)


def test_dropout_is_for_training_only():
    model = made(replace(SMALL, dropout=0.3))
    given = batch()
    assert torch.equal(model(given), model(given))
    model.train()
    assert not torch.equal(model(given), model(given))


def test_finds_where_a_peak_lies():
    torch.manual_seed(0)
    model, head = DosTransformer(SMALL), nn.Linear(32, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    energy = torch.linspace(-2, 2, 32)

    def drawn(records: int) -> tuple[DosBatch, torch.Tensor]:
        place = 3 * torch.rand(records, generator=generator) - 1.5
        density = 3 * torch.exp(-(((energy - place[:, None]) / 0.3) ** 2))
        return replace(batch(records, 32), density=density), place

    for _ in range(120):
        given, place = drawn(32)
        optimizer.zero_grad()
        (head(model(given))[:, 0] - place).square().mean().backward()
        optimizer.step()
    given, place = drawn(200)
    with torch.no_grad():
        assert (head(model(given))[:, 0] - place).abs().mean() < 0.2


def test_bad_sizes():
    with pytest.raises(BadInputError, match=r"DosTransformerConfig: sizes .*Give sizes from 1"):
        DosTransformerConfig(depth=0)
    with pytest.raises(BadInputError, match=r"dropout 1\.0"):
        DosTransformerConfig(dropout=1.0)
    assert DosTransformerConfig.laptop().depth == 2
