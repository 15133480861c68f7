"""Several processes that compute one gradient: the exact gradient of one loss over their joint batch.

Under ``torchrun`` every rank embeds its own share of the batch, gathers the embeddings of all, and computes
the full loss L on them. In the gathered tensors its own rows carry their graph and the others' rows are
constants. With z_r the rows of rank r, the local backward pass gives (∂L/∂z_r)(∂z_r/∂θ), and by the chain
rule

    dL/dθ = Σ_r (∂L/∂z_r)(∂z_r/∂θ).

So the gradient of an encoder's parameter is the *sum* over ranks of what they hold, and nothing needs to be
communicated in the backward pass. The parameters of the objective (temperatures, discriminators) enter the
same loss on every rank, so their gradients are equal already; they are averaged, against drift from
rounding. This holds for every objective, whether or not it is a sum over records, as long as all ranks
compute the same L: one that draws random numbers has to draw the same on all of them.

Relation to others. Under ``DistributedDataParallel`` gradients are averaged: with this gather an encoder's
gradient comes out 1/W of the true one on W ranks, unless the loss is multiplied by W, which in turn makes
that of the temperature W times too large. In open_clip's terms (Ilharco et al. 2021, ``ClipLoss``) this is
the default mode, which puts the rank's own features back in place, with the factor mended.
``gather_with_grad`` lets gradients flow through the gather instead; each rank then has W times its exact
share, which the mean of DDP undoes, at the cost of communication in the backward pass. ``local_loss`` has
every rank compare its own rows with all only: less arithmetic, but for losses that are a mean over rows, and
exact only together with ``gather_with_grad`` and equal shares.

What is not equal to one process: batch normalisation in training mode sees the records of its rank only, and
so do running statistics until ``average_buffers``; dropout draws its own numbers on each rank; and sums are
taken in another order.

No collective here pickles: what is not a tensor travels as JSON.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, overload

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Int
from torch import nn

from prismat.embedded import Embedded
from prismat.encoders.properties_encoder import MaskedStandardisation
from prismat.errors import BadInputError

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others: they wait while rank 0 validates."""

BUCKET_BYTES = 25 * 2**20
"""Gradients travel together in pieces of about this size."""

DTYPES = {str(d): d for d in (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64)}

Key = tuple[str, ...]
"""Name of one tensor of a batch: its field and its key there, ``("toward", "structure", "text")``."""


@dataclass(frozen=True)
class World:
    """The processes that train together, seen from one of them; by default this one alone.

    Every method but ``share`` is collective: all ranks must call it, in the same order.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        device: where this process computes: ``cpu`` or ``cuda:0``, ``cuda:1``, ….
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_main(self) -> bool:
        """Whether this is the process that validates, writes and reports."""
        return self.rank == 0

    def share(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " own"]:
        """This rank's contiguous part; parts differ by one row at most.

        Raises:
            BadInputError: there are fewer rows than ranks.
        """
        if len(rows) < self.size:
            raise BadInputError(
                f"{len(rows)} records cannot be shared among {self.size} processes",
                field="batch",
                remedy="Give a larger batch or start fewer processes.",
            )
        return np.array_split(rows, self.size)[self.rank]

    def gather_rows(self, rows: Int[np.ndarray, " own"]) -> Int[np.ndarray, " n"]:
        """The rows of all ranks, in rank order."""
        if self.size == 1:
            return rows
        own = torch.from_numpy(rows.astype(np.int64))
        parts = _gather_padded(self, own, _gather_counts(self, len(own)))
        return torch.cat(parts).cpu().numpy().astype(rows.dtype)

    def gather(self, embedded: Embedded) -> Embedded:
        """The batch of all ranks, in rank order; gradients flow into this rank's rows only.

        A window that some ranks lack has zeros and is marked absent there. ``same`` is None, for the caller
        to fill from the gathered rows. ``auxiliary`` stays this rank's own: in the summed gradient each
        rank's term counts in full, so scale it by its share (``total``) where a mean over all is meant.
        Alone, the batch is returned as it is.

        Raises:
            BadInputError: the ranks' embeddings differ in width or type, or a rank has no window at all.
        """
        if self.size == 1:
            return embedded
        own = _tensors(embedded)
        rows = len(next(iter(own.values()))) if own else 0
        columns = [[list(key), v.shape[1], str(v.dtype)] for key, v in own.items()]
        headers = _gather_json(self, {"rows": rows, "columns": columns})
        layout = _merged_layout([h["columns"] for h in headers])
        some = next(iter(own.values()))
        own = {key: own.get(key, some.new_zeros(rows, n, dtype=t)) for key, (n, t) in layout.items()}
        wide = torch.float64 if any(v.dtype == torch.float64 for v in own.values()) else torch.float32
        packed = torch.cat([v.detach().to(self.device, wide) for v in own.values()], dim=1)
        received = _gather_padded(self, packed, [h["rows"] for h in headers])
        widths = [n for n, _ in layout.values()]
        split = [dict(zip(layout, part.split(widths, dim=1), strict=True)) for part in received]
        return _batch_of(embedded, {key: self._joined(own[key], key, split) for key in layout})

    def _joined(self, own: torch.Tensor, key: Key, split: list[dict[Key, torch.Tensor]]) -> torch.Tensor:
        """One tensor of all ranks: this rank's with its graph, the others' as constants."""
        return torch.cat([own if r == self.rank else part[key].to(own) for r, part in enumerate(split)])

    @overload
    def total(self, value: int | float) -> float: ...
    @overload
    def total(self, value: torch.Tensor) -> torch.Tensor: ...
    def total(self, value: int | float | torch.Tensor) -> float | torch.Tensor:
        """Sum over ranks of a number or a tensor of equal shape; carries no gradient."""
        plain = torch.as_tensor(value, dtype=None if isinstance(value, torch.Tensor) else torch.float64)
        summed = plain.detach().to(self.device, copy=True)
        if self.size > 1:
            dist.all_reduce(summed)
        return summed.to(plain.device) if isinstance(value, torch.Tensor) else float(summed)

    @torch.no_grad()
    def reduce_gradients(self, summed: Iterable[nn.Parameter], averaged: Iterable[nn.Parameter] = ()) -> None:
        """Makes the gradients of all ranks those of the joint loss, in place.

        Where a parameter has no gradient on some ranks it counts as zero there; without one on any rank it
        stays without. Every rank must pass the same parameters in the same order.

        Args:
            summed: parameters of encoders and projections, which each rank applies to its own records.
            averaged: parameters of the objective, which every rank applies to all records.

        Raises:
            BadInputError: a parameter is in both.
        """
        groups = (list(dict.fromkeys(summed)), list(dict.fromkeys(averaged)))
        if set(groups[0]) & set(groups[1]):
            raise BadInputError(
                "a parameter is to be summed and averaged",
                field="gradients",
                remedy="Count parameters that model and objective share as the model's.",
            )
        everything = groups[0] + groups[1]
        if self.size == 1 or not everything:
            return
        used = torch.tensor([p.grad is not None for p in everything], dtype=torch.int32, device=self.device)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        kept = {p for p, flag in zip(everything, used.tolist(), strict=True) if flag}
        for group, divisor in zip(groups, (1, self.size), strict=True):
            for bucket in _buckets([p for p in group if p in kept]):
                _reduce_bucket(bucket, divisor, self.device)

    def agree(self, value: object) -> Any:
        """Rank 0's value on every rank, as it comes back from JSON: tuples are lists, keys are strings.

        Raises:
            BadInputError: rank 0's value is not made of numbers, strings, lists and dictionaries.
        """
        content = _to_bytes(value if self.is_main else None).to(self.device)
        if self.size > 1:
            length = torch.tensor([len(content)], device=self.device)
            dist.broadcast(length, 0)
            content = content if self.is_main else content.new_empty(int(length))
            dist.broadcast(content, 0)
        return _from_bytes(content)

    @torch.no_grad()
    def average_buffers(self, module: nn.Module) -> None:
        """Gives all ranks the same running statistics; before validating and saving.

        Those of batch normalisation (buffers named ``running_…``) become the mean over ranks. Those of
        ``MaskedStandardisation`` are pooled by how many values each rank saw, so that they are the
        statistics of all values. Other buffers, which are constants, are left alone.
        """
        if self.size == 1:
            return
        for part in module.modules():
            if isinstance(part, MaskedStandardisation):
                self._pool(part)
            for name, buffer in part.named_buffers(recurse=False):
                if name.startswith("running_"):
                    buffer.copy_(self.total(buffer) / self.size)

    def _pool(self, part: MaskedStandardisation) -> None:
        """Mean and variance over the values of all ranks; ``count`` becomes its mean, the weight of each."""
        count = self.total(part.count)
        share = part.count / count.clamp_min(1)
        mean = self.total(share * part.mean)
        var = self.total(share * (part.var + (part.mean - mean).square()))
        part.mean.copy_(mean)
        part.var.copy_(var)
        part.count.copy_(count / self.size)

    def barrier(self) -> None:
        """Waits for all ranks."""
        if self.size > 1:
            index = torch.device(self.device).index
            dist.barrier(device_ids=None if index is None else [index])


def join_world(device: str = "auto", timeout: timedelta = TIMEOUT) -> World:
    """The processes that ``torchrun`` started; without it this process alone.

    Reads ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK`` and ``LOCAL_WORLD_SIZE``. Ranks talk through gloo on CPUs
    and NCCL on GPUs.

    Args:
        device: ``cpu``; ``cuda``, the GPU whose number is the process's on its machine; ``cuda:N``, one GPU;
            or ``auto``, ``cuda`` where there is one and else ``cpu``.
        timeout: how long a rank waits for another before it gives up with an error.

    Raises:
        BadInputError: the device is unknown or missing, or the variables are not those of ``torchrun``.
    """
    if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
        return World(device=_device(device, 0, 1))
    rank, size = _variable("RANK"), _variable("WORLD_SIZE")
    if not 0 <= rank < size:
        raise BadInputError(
            f"RANK={rank} is not below WORLD_SIZE={size}", remedy="Start the processes with torchrun."
        )
    if size > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
        raise BadInputError(
            "MASTER_ADDR and MASTER_PORT are not set", remedy="Start the processes with torchrun."
        )
    local, siblings = _variable("LOCAL_RANK", rank), _variable("LOCAL_WORLD_SIZE", size)
    world = World(rank, size, _device(device, local, siblings))
    if world.device != "cpu":
        torch.cuda.set_device(world.device)
    if size > 1:
        place = None if world.device == "cpu" else torch.device(world.device)
        backend = "gloo" if place is None else "nccl"
        dist.init_process_group(backend, rank=rank, world_size=size, timeout=timeout, device_id=place)
    return world


def leave_world(world: World) -> None:
    """Ends the connections that ``join_world`` opened; waits for nobody, so that an error can end a rank."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def _variable(name: str, default: int | None = None) -> int:
    text = os.environ.get(name, "" if default is None else str(default))
    if not text.isdecimal():
        raise BadInputError(
            f"the environment variable {name} is {text!r}, not a number",
            remedy="Start the processes with torchrun, or unset RANK and WORLD_SIZE for one process.",
        )
    return int(text)


def _device(name: str, local_rank: int, local_size: int) -> str:
    """Device of a process among those on its machine."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    kind, _, number = name.partition(":")
    if name == "cpu" or (name == "auto" and count == 0):
        return "cpu"
    if name not in ("auto", "cuda") and not (kind == "cuda" and number.isdecimal()):
        raise BadInputError(f"unknown device {name!r}", field="device", remedy="Give auto, cpu or cuda.")
    wanted = int(number) if number else local_rank
    if number and local_size > 1:
        raise BadInputError(
            f"{local_size} processes cannot share {name}", field="device", remedy="Give cuda: one GPU each."
        )
    if max(wanted, local_size - 1) >= count:
        raise BadInputError(
            f"{name} needs GPU {max(wanted, local_size - 1)} of this machine, which has {count}",
            field="device",
            remedy=f"Start at most {count} processes per machine, or give cpu." if count else "Give cpu.",
        )
    return f"cuda:{wanted}"


def _to_bytes(value: object) -> torch.Tensor:
    try:
        content = json.dumps(value).encode()
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"this cannot be told to the other processes ({error})",
            remedy="Tell numbers, strings, lists and dictionaries.",
        ) from error
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _from_bytes(content: torch.Tensor) -> Any:
    return json.loads(content.cpu().numpy().tobytes())


def _gather_counts(world: World, count: int) -> list[int]:
    own = torch.tensor([count], device=world.device)
    found = [torch.empty_like(own) for _ in range(world.size)]
    dist.all_gather(found, own)
    return [int(n) for n in found]


def _gather_padded(world: World, own: torch.Tensor, counts: list[int]) -> list[torch.Tensor]:
    """The rows of each rank; all_gather wants equal shapes, so they travel padded to the longest."""
    padded = own.new_zeros((max(counts), *own.shape[1:]), device=world.device)
    padded[: len(own)] = own
    found = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(found, padded)
    return [part[:n] for part, n in zip(found, counts, strict=True)]


def _gather_json(world: World, value: object) -> list:
    """The values of all ranks, in rank order."""
    own = _to_bytes(value)
    parts = _gather_padded(world, own, _gather_counts(world, len(own)))
    return [_from_bytes(part) for part in parts]


def _tensors(embedded: Embedded) -> dict[Key, torch.Tensor]:
    """Every tensor with a row per record, each of shape (batch, columns)."""
    found: dict[Key, torch.Tensor] = {("present", k): v[:, None] for k, v in embedded.present.items()}
    found |= {("embeddings", k): v for k, v in embedded.embeddings.items()}
    found |= {("toward", a, b): v for (a, b), v in embedded.toward.items()}
    return found | {("views", k): v for k, v in embedded.views.items()}


def _batch_of(own: Embedded, tensors: dict[Key, torch.Tensor]) -> Embedded:
    """Inverse of ``_tensors``; the rest from this rank's batch."""

    def under(field: str) -> dict:
        return {key[1]: v for key, v in tensors.items() if key[0] == field}

    toward = {(key[1], key[2]): v for key, v in tensors.items() if key[0] == "toward"}
    present = {k: v[:, 0] for k, v in under("present").items()}
    return replace(
        own, embeddings=under("embeddings"), present=present, toward=toward, views=under("views"), same=None
    )


def _merged_layout(columns: list[list]) -> dict[Key, tuple[int, torch.dtype]]:
    """Width and type of every tensor any rank has, in the order of the rank that has most."""
    layout: dict[Key, tuple[int, torch.dtype]] = {}
    for key, width, dtype in (c for of_rank in sorted(columns, key=len, reverse=True) for c in of_rank):
        found = layout.setdefault(tuple(key), (width, DTYPES[dtype]))
        if found != (width, DTYPES[dtype]):
            raise BadInputError(
                f"{'/'.join(key)} has {found[0]} columns of {found[1]} in one process and {width} of "
                f"{dtype} in another",
                field="embeddings",
                remedy="Start every process with the same recipe.",
            )
    if not all(columns):
        raise BadInputError(
            "a process has a batch without any window",
            field="embeddings",
            remedy="Give every process at least one window.",
        )
    return layout


def _buckets(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Neighbours of one type, together up to ``BUCKET_BYTES``; one larger than that goes alone."""
    bucket, size = [], 0
    for parameter in parameters:
        more = parameter.numel() * parameter.element_size()
        if bucket and (parameter.dtype != bucket[0].dtype or size + more > BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += more
    if bucket:
        yield bucket


def _reduce_bucket(bucket: list[nn.Parameter], divisor: int, device: str) -> None:
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in bucket])
    flat = flat.to(device)
    dist.all_reduce(flat)
    flat /= divisor
    for parameter, gradient in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
        parameter.grad = gradient.view_as(parameter).to(parameter.device)
