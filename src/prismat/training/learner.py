"""The gradient of one batch: at once, in chunks with cached gradients, and over the ranks of a cluster.

**Cached gradients** (Gao et al., RepL4NLP 2021). A contrastive loss needs all embeddings of a batch, not all
activations. The batch is embedded chunk by chunk without keeping activations; the loss of all embeddings
gives dL/dz; each chunk is embedded again, with the generator state that it had, and dL/dz is carried into the
weights. Peak memory is that of one chunk and of the loss; the price is one more forward pass.

**What is equal to the plain batch and what is not.** Encoders whose output for a record does not depend on
the other records (layer norms, convolutions, attention) give the same gradient to rounding, dropout included,
for a chunk's draws are replayed. *Which* draws a record gets depends on the chunks, so with dropout a chunked
batch equals the same chunks embedded together, not an unchunked batch of the same seed. Batch normalisation
in training mode normalises over a chunk (over a rank), so its gradient is that of another network; with
frozen statistics it is equal. Running statistics are updated once per chunk, in the second pass only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int

from prismat.device import moved
from prismat.embedded import Embedded
from prismat.model import JointModel
from prismat.objectives.base import Loss, Objective
from prismat.training.auxiliary import Auxiliary, Term
from prismat.training.distributed import World
from prismat.training.replay import Randomness, buffers_kept, own_streams, seeded
from prismat.training.watch import warnings_for

Rows = Int[np.ndarray, " n"]


@runtime_checkable
class Data(Protocol):
    """What a learner needs of the data."""

    def batches(
        self, rows: Rows, rng: np.random.Generator | None, windows: Sequence[str] | None = None
    ) -> dict[str, object]:
        """Batches of all or some windows; training views where a generator is given."""
        ...

    def same(self, rows: Rows) -> Bool[torch.Tensor, "n n"]:
        """Records that are no negatives of each other."""
        ...


@runtime_checkable
class Learner(Protocol):
    """What the loop needs of a way to learn."""

    world: World

    @property
    def model(self) -> torch.nn.Module:
        """What a run gives."""
        ...

    def modules(self) -> dict[str, torch.nn.Module]:
        """Everything that is trained, by name; ``model`` is what a run gives."""
        ...

    def backward(self, rows: Rows, rng: np.random.Generator, step: "Step") -> Loss:
        """Adds the gradient of one batch to the parameters."""
        ...

    def reduce(self) -> None:
        """Makes the gradients of all ranks those of the whole batch."""
        ...

    def watch(self, score: float) -> tuple[dict[str, float], list[str]]:
        """Measures of the last batch, and warnings."""
        ...


@dataclass(frozen=True)
class Step:
    """Where in the training a batch stands.

    Attributes:
        share: factor on the gradient: one over the batches that a step averages.
        weights: λ of pairs, from a curriculum.
        seed: of what an objective draws, where all ranks must draw alike.
    """

    share: float = 1.0
    weights: Mapping[str, float] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Chunk:
    """A part of a batch, ready to embed.

    Attributes:
        batches: by window.
        second: a second view of the windows that the objective compares with themselves.
    """

    batches: dict[str, Any]
    second: dict[str, Any]


@dataclass(frozen=True)
class Output:
    """What a chunk becomes: embeddings without ``same``, and sums of auxiliary losses."""

    embedded: Embedded
    terms: dict[str, Term]


class ContrastiveLearner:
    """A joint model, its objective and its data.

    Args:
        model: trained in place.
        objective: the loss, with its own learned scalars.
        data: windows of all records.
        chunk: records embedded at once; 0 for the whole batch.
        auxiliary: losses of single windows, such as masked language modelling.
        world: the ranks that share a batch.
        bf16: mixed precision; None for where the device gains from it.
    """

    def __init__(
        self,
        model: JointModel,
        objective: Objective,
        data: Data,
        chunk: int = 0,
        auxiliary: Auxiliary | None = None,
        world: World = World(),
        bf16: bool | None = None,
    ) -> None:
        self._model, self.objective, self.data = model, objective, data
        self.chunk, self.auxiliary, self.world = chunk, auxiliary or Auxiliary(), world
        self.bf16 = torch.device(world.device).type == "cuda" if bf16 is None else bf16

    @property
    def model(self) -> JointModel:
        """The joint model."""
        return self._model

    def modules(self) -> dict[str, torch.nn.Module]:
        """Model, objective and the heads of auxiliary losses."""
        found = {"model": self.model, "objective": self.objective, "auxiliary": self.auxiliary}
        return {name: module for name, module in found.items() if name != "auxiliary" or len(self.auxiliary)}

    def backward(self, rows: Rows, rng: np.random.Generator, step: Step) -> Loss:
        """Adds the gradient of ``step.share`` × the loss over the rows of all ranks.

        Args:
            rows: of the whole batch; each rank embeds its own part of them.
            rng: of the training views.
            step: share of the gradient and pair weights.
        """
        self.model.train()
        world = self.world
        own = world.share(rows)
        if world.size > 1:
            rng, seed = own_streams(rng, world.rank)
            step = replace(step, seed=seed)
        chunks = self._chunks(own, rng)
        same = self.data.same(rows).to(world.device)
        return self._plain(chunks[0], same, step) if len(chunks) == 1 else self._cached(chunks, same, step)

    def _chunks(self, rows: Rows, rng: np.random.Generator) -> list[Chunk]:
        size = self.chunk or len(rows)
        parts = np.split(rows, range(size, len(rows), size))
        return [self._chunk(part, rng) for part in parts]

    def _chunk(self, rows: Rows, rng: np.random.Generator) -> Chunk:
        device, views = self.world.device, self.objective.views
        first = {w: moved(b, device) for w, b in self.data.batches(rows, rng).items()}
        if not views:
            return Chunk(first, {})
        again = self.data.batches(rows, rng, views)
        return Chunk(first, {w: moved(again[w], device) for w in views})

    def embed(self, chunk: Chunk) -> Output:
        """Embeds a chunk under the precision of the training."""
        with torch.autocast(torch.device(self.world.device).type, torch.bfloat16, enabled=self.bf16):
            embedded = self.model(chunk.batches)
            views = {w: self.model.embed(w, batch)[w] for w, batch in chunk.second.items()}
            terms = self.auxiliary.terms(self.model, chunk.batches)
        return Output(replace(embedded, views=views), terms)

    def _plain(self, chunk: Chunk, same: Bool[torch.Tensor, "n n"], step: Step) -> Loss:
        """One pass: activations of the whole batch are kept."""
        output = self.embed(chunk)
        totals = {k: self.world.total(t.count) for k, t in output.terms.items()}
        auxiliary = {k: self._whole(t, totals[k]) for k, t in output.terms.items()}
        loss = self._loss(replace(output.embedded, auxiliary=auxiliary), same, step)
        # A batch without two complete records of any pair teaches nothing.
        if loss.total.requires_grad:
            (loss.total * step.share).backward()
        return loss

    def _whole(self, term: Term, total: float) -> torch.Tensor:
        """Mean over all ranks of an auxiliary loss, with the gradient of this rank's part."""
        own = term.sum / max(1.0, total)
        if self.world.size == 1:
            return own
        return own + (self.world.total(own) - own.detach())

    def _cached(self, chunks: Sequence[Chunk], same: Bool[torch.Tensor, "n n"], step: Step) -> Loss:
        """Two passes: activations of one chunk are kept at a time."""
        device, states, outputs = self.world.device, [], []
        with torch.no_grad(), buffers_kept(self.model):
            for chunk in chunks:
                states.append(Randomness.now(device))
                outputs.append(self.embed(chunk))
        leaves = _join(outputs)
        names = outputs[0].terms
        sums = {k: torch.stack([o.terms[k].sum for o in outputs]).sum().requires_grad_() for k in names}
        totals = {k: self.world.total(sum(o.terms[k].count for o in outputs)) for k in names}
        auxiliary = {k: self._whole(Term(sums[k], totals[k]), totals[k]) for k in names}
        loss = self._loss(replace(leaves, auxiliary=auxiliary), same, step)
        if loss.total.requires_grad:
            (loss.total * step.share).backward()
            after = Randomness.now(device)
            self._again(chunks, states, leaves, {k: v.grad for k, v in sums.items()})
            after.restore(device)
        return loss

    def _again(
        self,
        chunks: Sequence[Chunk],
        states: Sequence[Randomness],
        leaves: Embedded,
        auxiliary: dict[str, torch.Tensor | None],
    ) -> None:
        """Embeds every chunk once more and carries the embeddings' gradients into the weights."""
        start = 0
        gradients = {key: leaf.grad for key, leaf in leaves.tensors().items() if leaf.grad is not None}
        for chunk, state in zip(chunks, states, strict=True):
            state.restore(self.world.device)
            output = self.embed(chunk)
            tensors = output.embedded.tensors()
            stop = start + len(next(iter(tensors.values())))
            carried = [(tensors[key] * g[start:stop]).sum() for key, g in gradients.items()]
            carried += [output.terms[k].sum * g for k, g in auxiliary.items() if g is not None]
            # Where every parameter is frozen there is nothing to carry them into.
            if carried and (total := torch.stack(carried).sum()).requires_grad:
                total.backward()
            start = stop

    def _loss(self, own: Embedded, same: Bool[torch.Tensor, "n n"], step: Step) -> Loss:
        everyone = replace(self.world.gather(own), same=same)
        self.last = everyone
        if self.world.size == 1:
            return self.objective(everyone, step.weights)
        # What the objective itself draws has to be alike on all ranks.
        with seeded(step.seed, self.world.device):
            return self.objective(everyone, step.weights)

    def reduce(self) -> None:
        """Makes every rank's gradients those of the whole batch; once, after all batches of a step."""
        summed = [*self.model.parameters(), *self.auxiliary.parameters()]
        self.world.reduce_gradients(summed, self.objective.parameters())

    def watch(self, score: float) -> tuple[dict[str, float], list[str]]:
        """Effective rank, mean cosine and the gap to validation of the last batch."""
        present = self.last.present
        vectors = {f"{a}@{b}": v[present[a]].detach() for (a, b), v in self.last.toward.items()}
        vectors |= {name: v[present[name]].detach() for name, v in self.last.embeddings.items()}
        return warnings_for(vectors, batch_recall(self.last), score)


def _join(outputs: Sequence[Output]) -> Embedded:
    """The embeddings of all chunks as leaves that collect gradients."""
    parts = [o.embedded.tensors() for o in outputs]
    leaves = {key: torch.cat([p[key] for p in parts]).requires_grad_() for key in parts[0]}
    present = {w: torch.cat([o.embedded.present[w] for o in outputs]) for w in outputs[0].embedded.present}
    return outputs[0].embedded.with_tensors(leaves, present)


def batch_recall(embedded: Embedded) -> float:
    """Mean recall@1 inside a training batch, over pairs."""
    hits = []
    for a, b in embedded.pairs:
        keep = embedded.present[a] & embedded.present[b]
        left, right = (v[keep].detach() for v in embedded.pair(a, b))
        if len(left):
            own = torch.arange(len(left), device=left.device)
            hits.append(float(((left @ right.T).argmax(1) == own).float().mean()))
    return float(np.mean(hits)) if hits else 0.0
