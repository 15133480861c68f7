"""What the processes of test_distributed.py run: training steps, and what each rank sees of the others.

Run as ``torchrun helpers_distributed.py FOLDER``; gradients and findings are written there by rank.
"""

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from jaxtyping import install_import_hook
from safetensors.torch import save_file
from torch import nn

# The processes check shapes and types as pytest does.
main = __name__ == "__main__"
with install_import_hook("prismat", "beartype.beartype") if main else nullcontext():
    from prismat.embedded import Embedded
    from prismat.encoders.properties_encoder import MaskedStandardisation
    from prismat.errors import BadInputError
    from prismat.model import JointModel, ProjectionConfig
    from prismat.objectives.build import build_objective
    from prismat.objectives.config import ObjectiveConfig
    from prismat.training.distributed import World, join_world, leave_world

NAMES = ("structure", "text", "xrd")
UNEQUAL = {1: (8,), 2: (5, 3), 3: (4, 1, 3)}
# Batch normalisation needs two records.
EVEN = {1: (8,), 2: (4, 4), 3: (3, 3, 2)}
PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Rows:
    values: torch.Tensor
    present: torch.Tensor


@dataclass(frozen=True)
class Scenario:
    """One training step.

    ``absent`` names records without a window; a rank of which all lack it has no batch of it at all.
    """

    objective: str = "infonce"
    heads: str = "pair"
    absent: dict[str, tuple[int, ...]] = field(default_factory=dict)
    labels: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
    batch_norm: bool = False
    frozen: bool = False
    mean_of_all: bool = False
    ddp: bool = False


# Records 0 to 4 are those of rank 0 of two, and of ranks 0 and 1 of three.
LACKING = {"xrd": (0, 1, 2, 3, 4), "text": (2, 7)}
# Records 1 and 6 are equal, and so are 3 and 4: across ranks of two, and of three.
LABELS = (0, 1, 2, 3, 3, 5, 1, 7)
SCENARIOS = {
    "pair heads": Scenario(),
    "shared heads": Scenario(heads="shared"),
    "missing": Scenario(absent=LACKING),
    "equal records": Scenario(labels=LABELS),
    "everything": Scenario(absent=LACKING, labels=LABELS),
    "tensor_clip": Scenario("tensor_clip", "shared", {"xrd": (0, 5)}, LABELS),
    "barlow": Scenario("barlow", "shared", {"text": (4,)}),
    "jsd": Scenario("jsd", "shared", LACKING, LABELS),
    "siglip": Scenario("siglip", "pair", LACKING, LABELS),
    "batch norm in training": Scenario(batch_norm=True),
    "batch norm frozen": Scenario(batch_norm=True, frozen=True),
    "mean over ranks": Scenario(mean_of_all=True),
    "DistributedDataParallel": Scenario(ddp=True),
}


class Encoder(nn.Module):
    """Two layers with a norm that sees one record, or one that sees the batch."""

    width = 6

    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(7) if batch_norm else nn.LayerNorm(7)
        self.net = nn.Sequential(nn.Linear(5, 7), norm, nn.GELU(), nn.Linear(7, 6))

    def forward(self, batch: Rows) -> torch.Tensor:
        return self.net(batch.values)


class Sphere(nn.Module):
    """A projection that keeps double precision."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.net(features), dim=1)


def parts(scenario: Scenario) -> tuple[JointModel, nn.Module]:
    """Model and objective, equal on all ranks."""
    torch.manual_seed(0)
    encoders = {name: Encoder(scenario.batch_norm) for name in NAMES}
    model = JointModel(encoders, ProjectionConfig(dim=4, hidden=5, dropout=0.0, heads=scenario.heads))
    model.projections = nn.ModuleDict({k: Sphere(p.net) for k, p in model.projections.items()})
    objective = build_objective(ObjectiveConfig(scenario.objective), NAMES, 4)
    return model.double().train(not scenario.frozen), objective.double()


def batches(scenario: Scenario, rows: np.ndarray) -> dict[str, Rows]:
    """The windows of some of the eight records."""
    values = torch.randn(8, 5, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    made = {}
    for shift, name in enumerate(NAMES):
        present = torch.from_numpy(~np.isin(rows, scenario.absent.get(name, ())))
        if present.any():
            own = (values.roll(shift, 1)[torch.from_numpy(rows)] + shift) * present[:, None]
            made[name] = Rows(own, present)
    return made


def step(world: World, scenario: Scenario) -> dict[str, torch.Tensor]:
    """Gradients of all parameters after one step over eight records, and the loss."""
    model, objective = parts(scenario)
    bounds = np.cumsum((EVEN if scenario.batch_norm else UNEQUAL)[world.size])[:-1]
    rows = np.split(np.array([3, 0, 2, 1, 4, 7, 6, 5]), bounds)[world.rank]
    wrapped = nn.parallel.DistributedDataParallel(model) if scenario.ddp and world.size > 1 else model
    embedded = wrapped(batches(scenario, rows))
    if objective.views:
        views = {name: vectors.roll(1, 1) * vectors for name, vectors in embedded.embeddings.items()}
        embedded = replace(embedded, views=views)
    gathered = world.gather(embedded)
    labels = np.array(scenario.labels)[world.gather_rows(rows)]
    gathered = replace(gathered, same=torch.from_numpy(labels[:, None] == labels))
    # Objectives that draw must draw the same on all ranks.
    torch.manual_seed(1)
    loss = objective(gathered).total
    (loss * world.size if scenario.ddp else loss).backward()
    reduce(world, scenario, list(model.parameters()), list(objective.parameters()))
    found = {f"model.{k}": p.grad for k, p in model.named_parameters() if p.grad is not None}
    found |= {f"objective.{k}": p.grad for k, p in objective.named_parameters() if p.grad is not None}
    return {k: v.clone() for k, v in found.items()} | {"loss": loss.detach()}


def reduce(world: World, scenario: Scenario, model: list, objective: list) -> None:
    """As the scenario has it: the right way, or what DistributedDataParallel does."""
    if scenario.mean_of_all:
        world.reduce_gradients([], model + objective)
    elif not scenario.ddp:
        world.reduce_gradients(model, objective)


def unused(world: World) -> dict:
    """Gradients that only some ranks have, of unlike types, and more of them than one bucket holds."""
    double = torch.float64
    names = ("everywhere", "last rank", "nowhere", "large", "larger", "single", "mean")
    sizes = (3, 2, 2, 2 * 10**6, 2 * 10**6, 4, 2)
    values = {
        k: nn.Parameter(torch.zeros(n, dtype=torch.float32 if k == "single" else double))
        for k, n in zip(names, sizes, strict=True)
    }
    for name, parameter in values.items():
        if name != "nowhere" and (name != "last rank" or world.rank == world.size - 1):
            parameter.grad = torch.full_like(parameter, world.rank + 1)
    averaged = [values.pop("mean")]
    world.reduce_gradients([*values.values(), values["everywhere"]], averaged)
    found = {k: None if p.grad is None else sorted(set(p.grad.tolist())) for k, p in values.items()}
    return found | {"mean": averaged[0].grad.tolist()}


def gathered(world: World) -> dict:
    """A batch whose windows, types and rows differ between ranks, after the gather."""
    n = world.rank + 2
    own = {"a": torch.full((n, 2), world.rank + 1 / 3), "b": torch.full((n, 2), 1 / 7, dtype=torch.float64)}
    own = own if world.rank else {"b": own["b"]}
    views = {"b": torch.full((n, 2), world.rank + 0.5, dtype=torch.bfloat16, requires_grad=True)}
    present = {name: torch.arange(n) > 0 for name in own}
    toward = {("b", "a"): torch.full((n, 2), -1.0 * world.rank)}
    same = torch.eye(n, dtype=torch.bool)
    batch = Embedded(own, present, toward, views, "b", same, {"mlm": torch.tensor(float(world.rank))})
    found = world.gather(batch)
    weights = torch.arange(1.0, len(found.views["b"]) + 1, dtype=torch.bfloat16)
    (found.views["b"][:, 0] * weights).sum().backward()
    return {
        "a": found.embeddings["a"].tolist(),
        "b": found.embeddings["b"].tolist(),
        "present": {k: v.tolist() for k, v in found.present.items()},
        "toward": found.toward["b", "a"].tolist(),
        "views": found.views["b"][:, 0].tolist(),
        "types": [str(v.dtype) for v in (*found.embeddings.values(), found.views["b"])],
        "gradient": views["b"].grad[:, 0].tolist(),
        "rest": [found.anchor, found.same is None, float(found.auxiliary["mlm"])],
    }


def refused(world: World) -> list[str]:
    """What ranks that do not fit together are told."""
    dims = Embedded({"a": torch.zeros(2, 3 if world.is_main else 4)}, {"a": torch.ones(2) > 0})
    empty = Embedded({}, {}) if world.is_main else dims
    said = []
    for batch in (dims, empty):
        try:
            world.gather(batch)
        except BadInputError as error:
            said.append(str(error))
    return said


def statistics(world: World) -> dict:
    """Running statistics after each rank has seen values of its own, twice."""
    norm, pooled = nn.BatchNorm1d(2), MaskedStandardisation(3).double()
    constant = nn.Module()
    constant.register_buffer("table", torch.tensor([0.1 * (world.rank + 1)]))
    module = nn.ModuleList([norm, pooled, constant])
    norm.running_mean.fill_(world.rank)
    norm.running_var.fill_(1 + world.rank)
    for part in (0, 1):
        values, mask = property_values(world.rank, part)
        pooled.update(values, mask)
        world.average_buffers(module)
    return {k: v.tolist() for k, v in module.state_dict().items()}


def property_values(rank: int, part: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some values of three properties, of which rank 0 never sees the last; unequal in number."""
    generator = torch.Generator().manual_seed(10 * part + rank)
    values = torch.randn(3 + 2 * rank, 3, generator=generator, dtype=torch.float64) + rank
    mask = torch.rand(values.shape, generator=generator) < 0.7
    mask[:, 2] &= rank > 0
    return values, mask


def findings(world: World) -> dict:
    """What the collectives gave this rank."""
    rows = np.arange(7, dtype=np.int32) * 10
    own = world.share(rows)
    told = {"rank": world.rank, "of": (1, 2.5, None, "λ" * 99)} if world.is_main else object()
    world.barrier()
    return {
        "rank": [world.rank, world.size, world.device, world.is_main],
        "share": own.tolist(),
        "rows": world.gather_rows(own).tolist(),
        "row type": str(world.gather_rows(own).dtype),
        "number": world.total(world.rank + 0.5),
        "tensor": world.total(torch.tensor([1, world.rank])).tolist(),
        "told": world.agree(told),
        "nothing": world.agree(None),
        "unused": unused(world),
        "gathered": gathered(world),
        "refused": refused(world),
        "statistics": statistics(world),
    }


def measure(folder: Path) -> None:
    """Runs all scenarios and writes what came of them."""
    torch.set_num_threads(1)
    world = join_world("cpu", PATIENCE)
    for name, scenario in SCENARIOS.items():
        save_file(step(world, scenario), folder / f"{name}-{world.rank}.safetensors")
    (folder / f"{world.rank}.json").write_text(json.dumps(findings(world)))
    leave_world(world)


def wait() -> None:
    """Rank 1 says nothing; rank 0 waits for it for two seconds."""
    world = join_world("cpu", timedelta(seconds=2))
    if not world.is_main:
        time.sleep(60)
    started = time.monotonic()
    try:
        world.total(1)
    except RuntimeError:
        print(f"gave up after {time.monotonic() - started:.1f} s")  # noqa: T201
    leave_world(world)


if main:
    if sys.argv[1] == "wait":
        wait()
    else:
        measure(Path(sys.argv[1]))
