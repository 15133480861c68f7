"""GATGNN against its equations as loops over edges, in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.gatgnn import Gatgnn, GatgnnConfig
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings, composition_of

WIDTH, HEADS = 4, 3
CONFIG = GatgnnConfig(width=WIDTH, layers=2, heads=HEADS, out=5, centers=7)
NAMES = ("NaCl", "rutile", "quartz", "spinel")


def collate(crystals, reduced=True):
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    made = collate([real.crystals()[name] for name in NAMES], request.param)
    names = ("distance", "occupancy", "multiplicity")
    return replace(made, **{name: getattr(made, name).double() for name in names})


def made(training):
    torch.manual_seed(0)
    model = Gatgnn(CONFIG).double().train(training)
    for layer, norm in zip(model.layers, model.norms, strict=True):
        for part in (layer.norm.weight, norm.weight, layer.norm.running_var, norm.running_var):
            nn.init.uniform_(part, 0.5, 1.5)
        for part in (layer.bias, layer.norm.bias, norm.bias):
            nn.init.normal_(part, 0, 0.2)
    return model


def normalised(layer, rows, times, training):
    """Batch normalisation over rows written out as often as they count."""
    if not training:
        mean, var = layer.running_mean, layer.running_var
    else:
        out = torch.repeat_interleave(rows, times.long(), dim=0)
        mean, var = out.mean(0), out.var(0, unbiased=False)
    return (rows - mean) / (var + layer.eps).sqrt() * layer.weight + layer.bias


def attend(layer, x, e, batch, training):
    """One layer, head by head and edge by edge."""
    softplus = nn.functional.softplus
    weights = torch.cat([layer.atom.weight, layer.edge.weight], dim=1).view(HEADS, WIDTH, 2 * WIDTH)
    ends = list(zip(batch.receiver.tolist(), batch.sender.tolist(), strict=True))
    scores, senders = [], []
    for k, (i, j) in enumerate(ends):
        a_i = [softplus(w @ torch.cat([x[i], e[k]])) for w in weights]
        a_j = [softplus(w @ torch.cat([x[j], e[k]])) for w in weights]
        pairs = zip(layer.score, a_i, a_j, strict=True)
        scores.append(torch.stack([softplus(a @ torch.cat([p, q])) for a, p, q in pairs]))
        senders.append(torch.stack(a_j))
    counted = batch.multiplicity[batch.receiver]
    scores = softplus(normalised(layer.norm, torch.stack(scores), counted, training))
    rows = []
    for n in range(batch.n_nodes):
        here = [k for k, (i, _) in enumerate(ends) if i == n]
        alpha = scores[here].softmax(0)
        sums = [sum(alpha[m, h] * senders[k][h] for m, k in enumerate(here)) for h in range(HEADS)]
        rows.append(torch.stack(sums).mean(0) + layer.bias)
    return torch.stack(rows)


def loops(model, batch, training):
    centers = torch.linspace(0, CONFIG.cutoff, CONFIG.centers, dtype=torch.float64)
    step = CONFIG.cutoff / (CONFIG.centers - 1)
    radial = torch.exp(-(((batch.distance[:, None] - centers) / step) ** 2))
    e = nn.functional.leaky_relu(radial @ model.edge.weight.t() + model.edge.bias, 0.2)
    x = model.embedding(batch)
    for layer, norm in zip(model.layers, model.norms, strict=True):
        x = attend(layer, x, e, batch, training)
        x = nn.functional.softplus(normalised(norm, x, batch.multiplicity, training))
    matrix = torch.cat([model.atom_score.weight, model.composition_score.weight], dim=1)
    graphs = []
    for g, composition in enumerate(composition_of(batch)):
        nodes = torch.nonzero(batch.node_graph == g)[:, 0]
        atoms = torch.repeat_interleave(x[nodes], batch.multiplicity[nodes].long(), dim=0)
        hidden = [matrix @ torch.cat([a, composition]) + model.atom_score.bias for a in atoms]
        scores = torch.stack([model.score(nn.functional.softplus(h)) for h in hidden])
        graphs.append((scores.softmax(0) * atoms).sum(0))
    return model.head(torch.stack(graphs))


@pytest.mark.parametrize("training", [True, False])
def test_output_and_gradients_equal_loops_over_edges(batch, training):
    model = made(training)
    wanted = loops(model, batch, training)
    found = model(batch)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found.sin().sum(), parameters)
    plain = torch.autograd.grad(wanted.sin().sum(), parameters)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_every_parameter_receives_a_gradient(batch):
    model = made(training=False)
    model(batch).sin().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_an_atom_alone_has_features_and_gradients(training):
    helium = Crystal(np.eye(3) * 150.0, np.zeros((1, 3)), (((2, 1.0),),))
    batch, model = collate([helium]), made(training).float()
    assert len(batch.receiver) == 0
    found = model(batch)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_autocast_agrees_with_single_precision(training):
    torch.manual_seed(0)
    model = Gatgnn().train(training)
    batch = collate([real.crystals()[name] for name in NAMES])
    wanted = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    assert (found.float() - wanted).norm() < 5e-2 * wanted.norm()
    assert all(b.dtype == torch.float32 for b in model.buffers() if b.is_floating_point())
    found.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
