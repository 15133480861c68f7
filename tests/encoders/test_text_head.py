from dataclasses import replace

import pytest
import torch

from prismat.encoders.text_head import ClaspHead, TextHead, TextHeadConfig, text_head
from prismat.errors import BadInputError
from prismat.modalities.text import FrozenTextBatch


def frozen(rows=5, embedding=6, chemistry=4):
    torch.manual_seed(1)
    return FrozenTextBatch(
        torch.randn(rows, embedding), torch.rand(rows, chemistry), torch.ones(rows, dtype=torch.bool)
    )


HEAD = TextHeadConfig(embedding=6, chemistry=4, hidden=16, out=3, dropout=0.5)


def test_head_uses_both_parts():
    head = TextHead(HEAD)
    batch = frozen()
    head(batch).pow(2).sum().backward()
    assert head(batch).shape == (5, head.width)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_head_is_blind_to_the_scale_of_its_parts():
    head = TextHead(HEAD).eval()
    batch = frozen()
    scaled = FrozenTextBatch(batch.embedding * 100, batch.chemistry * 100, batch.present)
    torch.testing.assert_close(head(scaled), head(batch), atol=1e-2, rtol=1e-2)


def test_head_rows_are_independent_and_dropout_is_for_training():
    head = TextHead(HEAD).eval()
    batch = frozen()
    one = FrozenTextBatch(batch.embedding[2:3], batch.chemistry[2:3], batch.present[2:3])
    torch.testing.assert_close(head(batch)[2:3], head(one))
    head.train()
    assert not torch.equal(head(batch), head(batch))


@pytest.mark.parametrize("part", ["embedding", "chemistry"])
def test_head_without_a_part_ignores_it(part):
    head = TextHead(
        TextHeadConfig(**{"embedding": 6, "chemistry": 4, "hidden": 16, "out": 3, part: 0})
    ).eval()
    batch = frozen()
    changed = {"embedding": batch.embedding, "chemistry": batch.chemistry, part: torch.randn(5, 7)}
    assert torch.equal(head(FrozenTextBatch(**changed, present=batch.present)), head(batch))


def test_head_needs_a_part():
    with pytest.raises(BadInputError, match="needs the embedding or the element channel"):
        TextHead(TextHeadConfig(embedding=0, chemistry=0))


def test_kinds():
    assert isinstance(text_head(HEAD), TextHead)
    head = text_head(replace(HEAD, kind="clasp"))
    assert isinstance(head, ClaspHead)
    assert [tuple(p.shape) for p in head.mlp.net.parameters() if p.ndim == 2] == [(16, 6), (16, 16), (3, 16)]


def test_clasp_reads_the_embedding_of_those_present():
    head = text_head(replace(HEAD, kind="clasp")).train()
    batch = frozen()
    present = torch.tensor([True, True, False, True, False])
    some = FrozenTextBatch(batch.embedding, batch.chemistry, present)
    expected = head.mlp(batch.embedding, present)
    assert head(some).shape == (5, head.width)
    assert torch.equal(head(some), expected)
    assert torch.equal(head(FrozenTextBatch(batch.embedding, batch.chemistry * 9, present)), expected)
    head(some).pow(2).sum().backward()
    assert all(p.grad is not None for p in head.parameters())


def test_clasp_needs_the_embedding():
    with pytest.raises(BadInputError, match=r"CLaSP's head reads the embedding.*width above 0"):
        text_head(replace(HEAD, kind="clasp", embedding=0))
