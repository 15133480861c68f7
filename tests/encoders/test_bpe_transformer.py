import math
from dataclasses import replace

import pytest
import torch

from prismat.encoders.bpe_transformer import BpeTransformer, BpeTransformerConfig
from prismat.errors import BadInputError
from prismat.modalities.text import pad_tokens

CONFIG = BpeTransformerConfig(
    vocab_size=30, width=8, layers=2, heads=1, hidden=12, max_tokens=16, dropout=0.1
)
ROWS = [[1, 5, 6, 7, 5], [1, 9], [1, 29, 3, 4, 8, 8, 8]]


def make(config=CONFIG):
    torch.manual_seed(0)
    return BpeTransformer(config).double().eval()


def batch_of(rows):
    return pad_tokens(rows, [True] * len(rows))


def layer_norm(x, norm):
    mean = sum(x) / len(x)
    var = sum((v - mean) ** 2 for v in x) / len(x)
    return [
        (v - mean) / math.sqrt(var + norm.eps) * w + b
        for v, w, b in zip(x, norm.weight, norm.bias, strict=True)
    ]


def times(x, linear):
    """x W (+ b) as plain sums, with W = linear.weightᵀ."""
    bias = linear.bias if linear.bias is not None else torch.zeros(linear.out_features, dtype=torch.float64)
    return [
        sum(a * w for a, w in zip(x, row, strict=True)) + b
        for row, b in zip(linear.weight, bias, strict=True)
    ]


def gelu(v):
    return v * 0.5 * (1 + math.erf(float(v) / math.sqrt(2)))


def naive_layer(xs, layer, heads):
    """The layer's equations token by token, without tensors."""
    width, size = len(xs[0]), len(xs[0]) // heads
    queries, keys = [times(x, layer.query) for x in xs], [times(x, layer.key) for x in xs]
    out = []
    for x, q in zip(xs, queries, strict=True):
        mixed = list(x)
        for h in range(heads):
            part = range(h * size, (h + 1) * size)
            scores = [math.exp(float(sum(q[c] * k[c] for c in part)) / math.sqrt(size)) for k in keys]
            for c in part:
                mixed[c] = mixed[c] + sum(s * other[c] for s, other in zip(scores, xs, strict=True)) / sum(
                    scores
                )
        normed = layer_norm(times(mixed, layer.value), layer.norm)
        inner = [gelu(v) for v in times(normed, layer.feed_forward[0])]
        out.append(times(inner, layer.feed_forward[3]))
    assert len(out[0]) == width
    return out


@pytest.mark.parametrize("heads", [1, 2])
def test_equations_against_plain_loops(heads):
    model = make(replace(CONFIG, heads=heads))
    with torch.no_grad():
        got = model(batch_of(ROWS))
        for row, ids in enumerate(ROWS):
            xs = [list(model.token.weight[t] + model.position.weight[i]) for i, t in enumerate(ids)]
            for layer in model.layers:
                xs = naive_layer(xs, layer, heads)
            expected = torch.tensor([float(v) for v in xs[0]], dtype=torch.float64)
            torch.testing.assert_close(got[row], expected, rtol=0, atol=1e-12)


def test_batch_equals_single():
    model = make()
    together = model(batch_of(ROWS))
    alone = torch.cat([model(batch_of([row])) for row in ROWS])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_what_stands_at_padding_does_not_matter():
    model = make()
    batch = batch_of(ROWS)
    other = replace(batch, ids=torch.where(batch.mask, batch.ids, 17))
    torch.testing.assert_close(model(batch), model(other), rtol=0, atol=1e-12)


def test_attention_rows_sum_to_one_over_tokens():
    model = make(replace(CONFIG, heads=2))
    batch = batch_of(ROWS)
    alpha = model.layers[0].attention(model.token(batch.ids), batch.mask)
    torch.testing.assert_close(alpha.sum(dim=3), torch.ones_like(alpha.sum(dim=3)))
    assert not alpha.masked_select(~batch.mask[:, None, None, :]).any()


def test_order_of_tokens_matters():
    model = make()
    assert not torch.allclose(model(batch_of([[1, 5, 6]])), model(batch_of([[1, 6, 5]])))


def test_missing_text_gives_finite_features_and_gradients():
    model = make().train()
    batch = pad_tokens([[1, 5], []], [True, False])
    features = model(batch)
    assert features.shape == (2, model.width)
    features.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_every_weight_learns():
    model = make().train()
    (model(batch_of(ROWS)) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_errors():
    with pytest.raises(BadInputError, match="width 8 is no multiple of 3 heads"):
        BpeTransformer(replace(CONFIG, heads=3))
    with pytest.raises(BadInputError, match="17 tokens are more than 16 positions"):
        make()(batch_of([[1] * 17]))
