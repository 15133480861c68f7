"""Masked language modelling beside the alignment, as sums and counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers_training import DETERMINED, Toy, learner
from prismat.encoders.masked_language import MaskingConfig
from prismat.modalities.text import TokenBatch
from prismat.training.auxiliary import Auxiliary
from prismat.training.learner import Step

ROWS = np.arange(12)


def made(masking=DETERMINED, **options):
    one = learner(Toy(masking=masking, **options))
    return one, one.data.batches(ROWS, None)


def test_no_heads_no_terms():
    one, batches = made()
    assert len(Auxiliary()) == 0
    assert Auxiliary().terms(one.model, batches) == {}
    assert list(Auxiliary().parameters()) == []
    assert len(one.auxiliary) == 1
    assert one.auxiliary.terms(one.model, {"xrd": batches["xrd"]}) == {}


def test_the_sum_is_over_the_hidden_tokens_of_texts_that_are_there():
    """Against the cross-entropy of every ordinary token, text by text."""
    one, batches = made(absent={"text": (0, 7)})
    term, text = one.auxiliary.terms(one.model, batches)["masked_language"], batches["text"]
    head, encoder = one.auxiliary.masked_language, one.model.encoders["text"]
    total, count = 0.0, 0
    for row in range(12):
        ids = text.ids[row][text.mask[row]]
        if not text.present[row]:
            continue
        hidden = torch.where(ids >= 5, head.config.vocabulary.mask, ids)[None]
        batch = TokenBatch(hidden, torch.ones_like(hidden) > 0, torch.tensor([True]))
        logits = head.logits(encoder.tokens(batch)[0], encoder.token.weight)
        told = ids >= 5
        total -= float(logits.log_softmax(1)[told, ids[told]].sum().detach())
        count += int(told.sum())
    assert term.count == count > 20
    assert isinstance(term.count, float)
    assert term.sum.item() == pytest.approx(total, rel=1e-10)


def test_parts_of_a_batch_add_up():
    one, batches = made(absent={"text": (4,)})
    whole = one.auxiliary.terms(one.model, batches)["masked_language"]
    parts = [one.data.batches(rows, None) for rows in np.split(ROWS, [5, 6])]
    terms = [one.auxiliary.terms(one.model, p)["masked_language"] for p in parts]
    assert sum(t.count for t in terms) == whole.count
    assert sum(t.sum.item() for t in terms) == pytest.approx(whole.sum.item(), rel=1e-12)
    means = [t.sum.item() / t.count for t in terms]
    assert np.mean(means) != pytest.approx(whole.sum.item() / whole.count, rel=1e-4)


def test_what_is_hidden_comes_from_the_default_generator():
    one, batches = made(MaskingConfig(share=0.5))
    counts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        term = one.auxiliary.terms(one.model, batches)["masked_language"]
        counts.append((term.count, term.sum.item()))
    assert counts[0] == counts[1] != counts[2]


def test_nothing_hidden_is_a_sum_of_zero_over_nothing():
    one, batches = made(MaskingConfig(share=0.0))
    term = one.auxiliary.terms(one.model, batches)["masked_language"]
    assert (term.sum.item(), term.count) == (0.0, 0.0)
    loss = learner(replace(Toy(), masking=MaskingConfig(share=0.0)), 5)
    told = loss.backward(ROWS, np.random.default_rng(0), Step())
    assert told.parts["masked_language"] == 0.0
