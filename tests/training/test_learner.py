"""Cached gradients against the plain gradient of a batch, in float64."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import helpers_training as toys
from helpers_training import DETERMINED, Toy, gradients, learner
from prismat.encoders.masked_language import MaskingConfig
from prismat.encoders.properties_encoder import PropertiesEncoder, PropertiesEncoderConfig
from prismat.modalities.properties import PropertiesBatch
from prismat.objectives.config import ObjectiveConfig
from prismat.objectives.infonce import InfoNceConfig
from prismat.objectives.jsd import JsdConfig
from prismat.objectives.tensor_clip import TensorClipConfig
from prismat.training.learner import Step, _join, batch_recall

ROWS = np.array([3, 0, 2, 1, 4, 7, 6, 5, 11, 8, 10, 9])
LACKING = {"xrd": (0, 1, 2, 3, 4), "text": (2, 7, 11)}
LABELS = (0, 1, 2, 3, 3, 5, 1, 7, 8, 0, 10, 11)
JSD = ObjectiveConfig("jsd", jsd=JsdConfig(hidden=8))
OBJECTIVES = {
    "infonce": (ObjectiveConfig(), "pair"),
    "infonce, anchor, one scale": (
        ObjectiveConfig(anchor="text", infonce=InfoNceConfig(shared=True)),
        "shared",
    ),
    "infonce in blocks": (ObjectiveConfig(infonce=InfoNceConfig(chunk=5)), "pair"),
    "cosface": (ObjectiveConfig("cosface"), "pair"),
    "siglip": (ObjectiveConfig("siglip", weights={"structure-xrd": 0.3}), "pair"),
    "triplet": (ObjectiveConfig("triplet"), "shared"),
    "jsd between": (ObjectiveConfig("jsd", jsd=JsdConfig(intra=0.0, prior=0.0)), "pair"),
    "jsd": (JSD, "shared"),
    "tensor_clip": (ObjectiveConfig("tensor_clip", tensor_clip=TensorClipConfig(0.2, True, 5)), "shared"),
    "barlow": (ObjectiveConfig("barlow"), "shared"),
}
STEP = Step(share=0.5, weights=None, seed=4)


def stepped(toy, chunk, step=STEP, rows=ROWS):
    """A learner after one backward pass, and its loss."""
    one = learner(toy, chunk)
    return one, one.backward(rows, np.random.default_rng(0), step)


def together(toy, chunk, rows=ROWS, step=STEP):
    """A learner whose chunks were embedded one after the other, each once, in one graph."""
    one = learner(toy, chunk)
    one.model.train()
    outputs = [one.embed(part) for part in one._chunks(rows, np.random.default_rng(0))]
    tensors = [o.embedded.tensors() for o in outputs]
    joined = {key: torch.cat([t[key] for t in tensors]) for key in tensors[0]}
    whole = outputs[0].embedded.with_tensors(joined, _join(outputs).present)
    auxiliary = {
        name: sum(o.terms[name].sum for o in outputs) / max(1, sum(o.terms[name].count for o in outputs))
        for name in outputs[0].terms
    }
    loss = one.objective(replace(whole, same=one.data.same(rows), auxiliary=auxiliary))
    (loss.total * step.share).backward()
    return one, loss


def difference(found, expected):
    """Largest difference of a gradient, relative to the largest entry of its parameter."""
    found, expected = gradients(found), gradients(expected)
    assert found.keys() == expected.keys()
    return max(float((found[k] - v).abs().max() / v.abs().max().clamp_min(1e-3)) for k, v in expected.items())


def is_trained(one):
    """Every encoder, every learned scalar and every head has a gradient that is not zero."""
    found = gradients(one)
    learned = {
        f"{n}.{k}" for n, m in one.modules().items() for k, p in m.named_parameters() if p.requires_grad
    }
    # Biases may well be at rest.
    kept = [k for k in learned if k.endswith(("weight", "scale"))]
    return all(found[k].abs().max() > 1e-7 for k in kept)


@pytest.mark.parametrize("chunk", [1, 4, 5, 11])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_chunks_give_the_gradient_of_the_batch(name, chunk):
    objective, heads = OBJECTIVES[name]
    toy = Toy(objective, heads, absent=LACKING, labels=LABELS)
    (plain, told), (cached, again) = stepped(toy, 0), stepped(toy, chunk)
    assert again.total.item() == pytest.approx(told.total.item(), rel=1e-12)
    assert again.parts == pytest.approx(told.parts, rel=1e-12)
    assert difference(cached, plain) < 1e-10
    assert is_trained(plain)


@settings(max_examples=20)
@given(
    chunk=st.integers(1, 13),
    absent=st.dictionaries(st.sampled_from(toys.NAMES), st.lists(st.integers(0, 11), max_size=12).map(tuple)),
    labels=st.tuples(*[st.integers(0, 8)] * 12),
    rows=st.permutations(range(12)).flatmap(lambda p: st.integers(2, 12).map(lambda n: p[:n])),
    heads=st.sampled_from(["pair", "shared"]),
)
def test_whatever_is_missing_or_equal(chunk, absent, labels, rows, heads):
    toy = Toy(heads=heads, absent=absent, labels=labels)
    (plain, told), (cached, again) = (stepped(toy, c, rows=np.array(rows)) for c in (0, chunk))
    assert again.total.item() == pytest.approx(told.total.item(), rel=1e-12)
    assert difference(cached, plain) < 1e-10


@pytest.mark.parametrize("chunk", [1, 5, 7])
def test_masked_language_modelling_adds_up_over_chunks(chunk):
    """Texts hide unequal numbers of tokens: a mean of the chunks' means would be another number."""
    objective = ObjectiveConfig(auxiliary={"masked_language": 0.3})
    toy = Toy(objective, absent=LACKING, labels=LABELS, masking=DETERMINED)
    (plain, told), (cached, again) = stepped(toy, 0), stepped(toy, chunk)
    assert told.parts["masked_language"] > 1
    assert again.parts == pytest.approx(told.parts, rel=1e-12)
    assert difference(cached, plain) < 1e-10
    assert is_trained(plain)


def test_masked_language_modelling_is_the_sum_over_all_hidden_tokens():
    toy = Toy(ObjectiveConfig(), absent=LACKING, masking=DETERMINED)
    one, loss = stepped(toy, 5)
    batch = one.data.batches(ROWS, None)["text"]
    head, encoder = one.auxiliary.masked_language, one.model.encoders["text"]
    expected = head.double()(encoder, batch, torch.Generator())
    assert loss.parts["masked_language"] == pytest.approx(expected.item(), rel=1e-6)


def test_the_gradient_is_added_and_shared():
    toy = Toy(masking=DETERMINED)
    once, twice = learner(toy, 5), learner(toy, 5)
    once.backward(ROWS, np.random.default_rng(0), Step())
    for _ in range(2):
        twice.backward(ROWS, np.random.default_rng(0), Step(share=0.5))
    assert difference(twice, once) < 1e-10


@pytest.mark.parametrize("name", ["infonce", "jsd"])
@pytest.mark.parametrize("chunk", [3, 5])
def test_dropout_is_that_of_the_same_chunks_embedded_together(name, chunk):
    objective, heads = OBJECTIVES[name]
    objective = replace(objective, jsd=replace(objective.jsd, intra=0.0))
    toy = Toy(objective, heads, dropout=0.3, absent=LACKING, masking=MaskingConfig(share=0.5))
    cached, told = stepped(toy, chunk)
    state = torch.get_rng_state()
    expected, loss = together(toy, chunk)
    # Every number was drawn once, and the next one is the same.
    assert torch.equal(state, torch.get_rng_state())
    assert told.parts == pytest.approx(loss.parts, rel=1e-12)
    assert difference(cached, expected) < 1e-10
    # Which draws a record gets depends on the chunks.
    assert difference(stepped(toy, 0)[0], cached) > 1e-3


def test_dropout_of_the_second_views_is_replayed_too():
    toy = Toy(JSD, "shared", dropout=0.3)
    assert difference(stepped(toy, 5)[0], together(toy, 5)[0]) < 1e-10


def test_frozen_batch_statistics_are_exact_and_those_of_a_chunk_are_not():
    frozen, training = Toy(norm="frozen"), Toy(norm="batch")
    assert difference(stepped(frozen, 4)[0], stepped(frozen, 0)[0]) < 1e-10
    assert difference(stepped(training, 4)[0], stepped(training, 0)[0]) > 1e-2
    # It is the gradient of chunks that are normalised one by one.
    assert difference(stepped(training, 4)[0], together(training, 4)[0]) < 1e-10


def test_running_statistics_see_every_chunk_once():
    toy = Toy(norm="batch", dropout=0.2)
    cached, expected = (dict(f(toy, 5)[0].model.named_buffers()) for f in (stepped, together))
    counts = {int(v) for k, v in cached.items() if k.endswith("num_batches_tracked")}
    assert counts == {3}
    assert all(torch.equal(v, expected[k]) for k, v in cached.items())
    assert float(cached["encoders.xrd.net.1.running_mean"].abs().max()) > 0.01


def test_running_statistics_of_properties_see_every_value_once():
    values = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) < 0.7

    def made(chunk):
        one = learner(Toy(heads="shared", dropout=0.2), chunk)
        torch.manual_seed(5)
        one.model.encoders["xrd"] = PropertiesEncoder(PropertiesEncoderConfig(3, 8, 6)).double()
        batches = one.data.batches

        def with_properties(rows, rng, windows=None):
            own = torch.from_numpy(rows)
            batch = PropertiesBatch(values[own] * mask[own], mask[own], mask[own].any(1))
            return {**batches(rows, rng, windows), "xrd": batch}

        one.data.batches = with_properties
        return one

    one = made(5)
    one.backward(ROWS, np.random.default_rng(0), STEP)
    found = one.model.encoders["xrd"].standardisation
    assert found.count.tolist() == mask.sum(0).tolist()
    expected = torch.stack([values[mask[:, k], k].mean() for k in range(3)])
    torch.testing.assert_close(found.mean.float(), expected)


class Box:
    def __init__(self, tensor):
        self.tensor = tensor


class Kept:
    """Bytes that a graph keeps for its backward pass, parameters left out, now and at most."""

    def __init__(self, model):
        self.now = self.most = 0
        self.constant = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(self, tensor):
        if tensor.untyped_storage().data_ptr() in self.constant:
            return tensor
        size, box = tensor.numel() * tensor.element_size(), Box(tensor)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(box, self.drop, size)
        return box

    def drop(self, size):
        self.now -= size

    def unpack(self, box):
        return box.tensor if isinstance(box, Box) else box


def test_activations_of_one_chunk_are_kept_at_a_time():
    toy, rows, most = Toy(records=96, hidden=2000), np.arange(96), {}
    for chunk in (0, 24, 12):
        one = learner(toy, chunk)
        kept = Kept(one.model)
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
            one.backward(rows, np.random.default_rng(0), STEP)
        assert kept.now == 0
        most[chunk] = kept.most
    assert most[24] < 0.35 * most[0]
    assert most[12] < 0.6 * most[24]


def test_an_encoder_at_rest_is_no_obstacle():
    """With nothing but the temperatures left to train."""
    made = []
    for chunk in (0, 5):
        one = learner(Toy(norm="batch"), chunk)
        one.model.requires_grad_(False)
        one.backward(ROWS, np.random.default_rng(0), STEP)
        assert {int(v) for k, v in one.model.named_buffers() if "tracked" in k} == {3 if chunk else 1}
        made.append(one)
    frozen = learner(Toy(), 5)
    frozen.model.encoders["xrd"].requires_grad_(False)
    frozen.backward(ROWS, np.random.default_rng(0), STEP)
    found = gradients(frozen)
    assert all(not v.any() for k, v in found.items() if k.startswith("model.encoders.xrd"))
    expected = gradients(stepped(Toy(), 0)[0])
    trained = [k for k in found if not k.startswith("model.encoders.xrd")]
    assert all(torch.allclose(found[k], expected[k], rtol=1e-9, atol=1e-13) for k in trained)


def test_a_batch_that_teaches_nothing_costs_nothing():
    everyone = {"text": tuple(range(12)), "xrd": tuple(range(12))}
    for chunk in (0, 5):
        one, loss = stepped(Toy(absent=everyone), chunk)
        assert (loss.total.item(), loss.parts) == (0.0, {})
        assert not any(v.any() for v in gradients(one).values())


def test_weights_of_a_curriculum_reach_the_loss():
    weights = {"structure-text": 0.0, "text-xrd": 2.0}
    for chunk in (0, 5):
        _, loss = stepped(Toy(), chunk, Step(weights=weights))
        assert set(loss.parts) == {"structure-xrd", "text-xrd"}
        expected = loss.parts["structure-xrd"] + 2 * loss.parts["text-xrd"]
        assert loss.total.item() == pytest.approx(expected, rel=1e-9)


def test_half_precision_reaches_the_encoders_and_not_the_loss():
    for chunk in (0, 5):
        one = learner(Toy(), chunk)
        one.bf16 = True
        one.model.float()
        seen = []
        one.model.encoders["xrd"].net[0].register_forward_hook(lambda *a, seen=seen: seen.append(a[2].dtype))
        one.data.values = one.data.values.float()
        assert one.backward(ROWS, np.random.default_rng(0), STEP).total.isfinite()
        assert set(seen) == {torch.bfloat16}
        assert one.last.toward["xrd", "text"].dtype == torch.float32


def test_what_is_trained_has_a_name():
    assert set(learner(Toy()).modules()) == {"model", "objective"}
    assert set(learner(Toy(masking=DETERMINED)).modules()) == {"model", "objective", "auxiliary"}


def test_recall_inside_a_batch():
    one, _ = stepped(Toy(absent=LACKING), 5)
    hits = []
    for a, b in (("structure", "text"), ("structure", "xrd"), ("text", "xrd")):
        keep = one.last.present[a] & one.last.present[b]
        left, right = (v[keep].detach().numpy() for v in one.last.pair(a, b))
        hits.append(np.mean((left @ right.T).argmax(1) == np.arange(len(left))))
    assert batch_recall(one.last) == pytest.approx(np.mean(hits))
    measured, _ = one.watch(0.25)
    assert measured["recall_gap"] == pytest.approx(np.mean(hits) - 0.25)
