"""The property encoder: exact masked statistics, and a target that is a query like any other."""

import numpy as np
import pytest
import torch

from prismat.encoders.properties_encoder import (
    MaskedStandardisation,
    PropertiesEncoder,
    PropertiesEncoderConfig,
    hide_entries,
)
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertiesBatch

SMALL = PropertiesEncoderConfig(entries=4, hidden=32, out=16)
SCALE, SHIFT = torch.tensor([1.0, 50.0, 1e-3, 300.0]), torch.tensor([1.0, 200.0, 5.0, -3000.0])


def batch(records: int = 64, seed: int = 0, given: float = 0.6) -> PropertiesBatch:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(records, 4, generator=generator) * SCALE + SHIFT
    mask = torch.rand(records, 4, generator=generator) < given
    return PropertiesBatch(torch.where(mask, values, 0), mask, mask.any(1))


def query(**entries: float) -> PropertiesBatch:
    values, mask = torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.bool)
    for name, value in entries.items():
        values[0, int(name[1:])], mask[0, int(name[1:])] = value, True
    return PropertiesBatch(values, mask, mask.any(1))


def trained(config: PropertiesEncoderConfig = SMALL) -> PropertiesEncoder:
    torch.manual_seed(0)
    model = PropertiesEncoder(config)
    for seed in range(3):
        model(batch(seed=seed))
    return model.eval()


def test_statistics_are_those_of_all_given_values():
    layer = MaskedStandardisation(4)
    batches = [batch(n, seed) for seed, n in enumerate([64, 1, 7, 300])]
    for b in batches:
        layer(b.values, b.mask)
    values = np.concatenate([b.values.double().numpy() for b in batches])
    mask = np.concatenate([b.mask.numpy() for b in batches])
    for entry in range(4):
        column = values[mask[:, entry], entry]
        assert layer.mean[entry].item() == pytest.approx(column.mean(), rel=1e-5)
        assert layer.var[entry].sqrt().item() == pytest.approx(column.std(), rel=1e-3)
        assert layer.count[entry].item() == len(column)
    standard = layer.eval()(batches[3].values, batches[3].mask)
    assert standard[batches[3].mask].std().item() == pytest.approx(1, abs=0.1)
    assert (standard[~batches[3].mask] == 0).all()


def test_order_and_size_of_batches_do_not_matter():
    whole, parts = MaskedStandardisation(4), MaskedStandardisation(4)
    b = batch(120)
    whole(b.values, b.mask)
    for values, mask in zip(b.values.split(17), b.mask.split(17), strict=True):
        parts(values, mask)
    assert torch.allclose(whole.mean, parts.mean, rtol=1e-5)
    assert torch.allclose(whole.var, parts.var, rtol=1e-3)


def test_memory_is_bounded_and_evaluation_learns_nothing():
    layer = MaskedStandardisation(1, memory=100)
    ones = torch.ones(100, 1, dtype=torch.bool)
    layer(torch.randn(100, 1), ones)
    for _ in range(40):
        layer(torch.randn(100, 1) + 7, ones)
    assert layer.count.item() == 100
    assert layer.mean.item() == pytest.approx(7, abs=0.3)
    before = layer.mean.clone()
    layer.eval()(torch.randn(100, 1), ones)
    assert torch.equal(layer.mean, before)


def test_a_query_is_the_same_alone_and_in_any_batch():
    model, many = trained(), batch(9, seed=5)
    whole = model(many)
    for n in range(9):
        row = slice(n, n + 1)
        alone = PropertiesBatch(many.values[row], many.mask[row], many.present[row])
        assert torch.allclose(model(alone), whole[row], atol=1e-6)
    assert torch.isfinite(whole).all()
    target = query(e0=1.4, e1=250.0)
    beside = PropertiesBatch(
        torch.cat([many.values, target.values]), torch.cat([many.mask, target.mask]), torch.ones(10).bool()
    )
    assert torch.allclose(model(beside)[9:], model(target), atol=1e-6)


def test_missing_is_not_the_mean():
    model = trained()
    mean = model.standardisation.mean[0].item()
    assert (model(query(e1=250.0)) - model(query(e1=250.0, e0=mean))).abs().max() > 1e-3


def test_never_seen_constant_and_far_away_entries_are_harmless():
    model = PropertiesEncoder(SMALL)
    b = batch()
    values, mask = b.values.clone(), b.mask.clone()
    mask[:, 2] = False
    mask[:, 3] = True
    values[:, 2], values[:, 3] = 0, 1234.567
    for _ in range(3):
        model(PropertiesBatch(values, mask, mask.any(1)))
    model.eval()
    # An entry that training never saw changes nothing.
    assert torch.equal(model(query(e0=1.0, e2=1e14)), model(query(e0=1.0)))
    assert torch.equal(model(query(e0=1.0, e2=-7.0)), model(query(e0=1.0)))
    standard = model.standardisation
    assert standard(values, mask)[:, 3].abs().max() < 1
    far = standard(query(e0=1e15, e3=-1e15).values, query(e0=1.0, e3=1.0).mask)
    assert far.tolist() == [[10, 0, 0, -10]]
    assert torch.isfinite(PropertiesEncoder(SMALL).eval()(query(e0=1e15))).all()


def test_absent_records_are_finite_and_change_no_statistics():
    b = batch(20)
    nobody = PropertiesBatch(torch.zeros(3, 4), torch.zeros(3, 4, dtype=torch.bool), torch.zeros(3).bool())
    with_them = PropertiesBatch(
        torch.cat([b.values, nobody.values]),
        torch.cat([b.mask, nobody.mask]),
        torch.cat([b.present, nobody.present]),
    )
    one, two = MaskedStandardisation(4), MaskedStandardisation(4)
    one(b.values, b.mask)
    two(with_them.values, with_them.mask)
    assert torch.allclose(one.mean, two.mean)
    assert torch.allclose(one.var, two.var)
    model = PropertiesEncoder(SMALL)
    out = model(nobody)
    assert out.shape == (3, 16)
    assert torch.isfinite(out).all()
    assert model.standardisation.count.sum() == 0


def test_hidden_entries():
    torch.manual_seed(0)
    mask = torch.rand(5000, 4) < 0.7
    hidden = hide_entries(mask, 0.4)
    assert not (hidden & ~mask).any()
    assert torch.equal(hidden.any(1), mask.any(1))
    full = mask.all(1)
    # Each of four stays with 0.6, and one always: 0.6 + 0.4⁴ / 4.
    assert hidden[full].float().mean().item() == pytest.approx(0.6 + 0.4**4 / 4, abs=0.03)
    single = mask.sum(1) == 1
    assert torch.equal(hidden[single], mask[single])


def test_dropout_is_for_training_only_and_leaves_the_statistics():
    model, plain = PropertiesEncoder(SMALL), MaskedStandardisation(4)
    b = batch()
    model(b)
    plain(b.values, b.mask)
    assert torch.equal(model.standardisation.mean, plain.mean)
    assert not torch.equal(model(b), model(b))
    model.eval()
    assert torch.equal(model(b), model(b))


def test_partial_targets_find_what_they_ask_for():
    # Trained with hidden entries, the features of a target that names one property tell that property.
    torch.manual_seed(0)
    model, head = PropertiesEncoder(SMALL), torch.nn.Linear(16, 4)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=5e-3)
    for step in range(120):
        b = batch(64, step + 10)
        standard = model.standardisation(b.values, b.mask)
        error = (head(model(b)) - standard).square() * b.mask
        optimizer.zero_grad()
        (error.sum() / b.mask.sum()).backward()
        optimizer.step()
    model.eval()
    for value in (-0.5, 1.0, 2.0):
        assert head(model(query(e0=value)))[0, 0].item() == pytest.approx(value - 1, abs=0.35)


def test_gradients_shapes_and_low_precision():
    model = trained()
    out = model.train()(batch())
    assert out.shape == (64, model.width)
    out.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    exact = model(batch())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(model(batch()).float(), exact, atol=0.05)
    assert {"standardisation.mean", "standardisation.var", "standardisation.count"} <= set(model.state_dict())


def test_bad_sizes():
    with pytest.raises(BadInputError, match="4 properties, the encoder reads 1"):
        PropertiesEncoder()(batch())
    with pytest.raises(BadInputError, match=r"PropertiesEncoderConfig: sizes \(0, 256"):
        PropertiesEncoderConfig(entries=0)
    with pytest.raises(BadInputError, match=r"entry dropout of 1\.0"):
        PropertiesEncoderConfig(entry_dropout=1.0)
