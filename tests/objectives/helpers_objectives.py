"""Batches for the tests of losses, and what every loss must satisfy."""

import math

import torch
from hypothesis import strategies as st

from prismat.objectives.base import Embedded


def unit(n, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64), dim=1)


def whole(names, n, dim=5, **others):
    """A batch with every window present."""
    vectors = {k: unit(n, dim, seed=i) for i, k in enumerate(names)}
    return Embedded(vectors, dict.fromkeys(names, torch.ones(n) > 0), **others)


@st.composite
def batches(draw, names, dim=4, smallest=2, largest=6, views=()):
    """Batches of any size, masks and equal records; what absent records hold is not a number."""
    n, seed = draw(st.integers(smallest, largest)), draw(st.integers(0, 99))
    flags = st.lists(st.sampled_from([True, True, True, False]), min_size=n, max_size=n)
    present = {k: torch.tensor(draw(flags)) for k in names}
    labels = torch.tensor(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    same = (labels[:, None] == labels) if draw(st.booleans()) else None

    def garbled(k, shift):
        vectors = unit(n, dim, seed=seed + shift)
        vectors[~present[k]] = math.nan
        return vectors.requires_grad_()

    embeddings = {k: garbled(k, i) for i, k in enumerate(names)}
    second = {k: garbled(k, 50 + i) for i, k in enumerate(views)}
    return Embedded(embeddings, present, views=second, same=same)


def is_same(batch, i, j):
    """Whether two records are one, or marked equal."""
    return i == j or (batch.same is not None and bool(batch.same[i, j]))


def complete(batch, *names):
    return [i for i in range(len(batch.present[names[0]])) if all(batch.present[k][i] for k in names)]


def dot(x, y):
    return sum(float(p) * float(q) for p, q in zip(x.tolist(), y.tolist(), strict=True))


def check_gradients(batch, loss):
    """Every gradient is finite, and that of an absent record is 0."""
    if not loss.total.requires_grad:
        return
    loss.total.backward()
    for vectors in (batch.embeddings, batch.views):
        for name, value in vectors.items():
            if value.grad is not None:
                assert torch.isfinite(value.grad).all()
                assert not value.grad[~batch.present[name]].any()


def permuted(batch, order):
    """The same records in another order."""
    same = None if batch.same is None else batch.same[order][:, order]
    return Embedded(
        {k: v[order] for k, v in batch.embeddings.items()},
        {k: v[order] for k, v in batch.present.items()},
        views={k: v[order] for k, v in batch.views.items()},
        same=same,
    )


def peak_bytes(function):
    """Most memory that tensors made by a call hold at once."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as found:
        function()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
