"""A toy in float64 whose trainings can be compared to the last digits, alone and over ranks.

Run as ``torchrun helpers_training.py FOLDER`` it is what the processes of test_distributed_training.py do.
"""

import json
import sys
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
    from prismat.encoders.bpe_transformer import BpeTransformer, BpeTransformerConfig
    from prismat.encoders.masked_language import MaskingConfig, masked_language_head
    from prismat.modalities.text import TokenBatch
    from prismat.model import JointModel, ProjectionConfig
    from prismat.objectives.build import build_objective
    from prismat.objectives.config import ObjectiveConfig
    from prismat.training.auxiliary import Auxiliary
    from prismat.training.distributed import World, join_world, leave_world
    from prismat.training.learner import ContrastiveLearner
    from prismat.training.loop import TrainConfig, Trainer
    from prismat.training.optimizer import OptimizerConfig
    from prismat.training.tracking import Tracker

NAMES = ("structure", "text", "xrd")
ENTRIES = 24
DETERMINED = MaskingConfig(share=1.0, masked=1.0, random=0.0)
"""Every ordinary token is hidden: nothing is left to be drawn."""


@dataclass(frozen=True)
class Rows:
    values: torch.Tensor
    present: torch.Tensor


@dataclass(frozen=True)
class Toy:
    """What is trained.

    ``masking`` adds masked language modelling; ``absent`` names the records that lack a window.
    """

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    heads: str = "pair"
    norm: str = "layer"
    dropout: float = 0.0
    absent: dict[str, tuple[int, ...]] = field(default_factory=dict)
    labels: tuple[int, ...] = ()
    records: int = 12
    masking: MaskingConfig | None = None
    hidden: int = 7


class FrozenBatchNorm(nn.BatchNorm1d):
    """Its statistics stay as they are in training too."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        return super().train(False)


class Encoder(nn.Module):
    """Two layers with a norm that sees one record, or one that sees the batch."""

    width = 6

    def __init__(self, toy: Toy) -> None:
        super().__init__()
        norms = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d, "frozen": FrozenBatchNorm}
        norm, n = norms[toy.norm](toy.hidden), toy.hidden
        layers = (nn.Linear(5, n), norm, nn.GELU(), nn.Dropout(toy.dropout), nn.Linear(n, 6))
        self.net = nn.Sequential(*layers)

    def forward(self, batch: Rows) -> torch.Tensor:
        return self.net(batch.values)


class ToyData:
    """Vectors and token ids of some records; a second view is another function of the same record."""

    def __init__(self, toy: Toy) -> None:
        generator = torch.Generator().manual_seed(7)
        self.toy = toy
        self.values = torch.randn(toy.records, 5, generator=generator, dtype=torch.float64)
        self.ids = torch.randint(5, ENTRIES, (toy.records, 6), generator=generator)
        self.lengths = torch.randint(2, 7, (toy.records,), generator=generator)
        self.labels = np.array(toy.labels or range(toy.records))

    def batches(self, rows, rng, windows=None):
        made = {}
        for shift, name in enumerate(NAMES):
            if windows is None or name in windows:
                present = torch.from_numpy(~np.isin(rows, self.toy.absent.get(name, ())))
                made[name] = self.batch(name, shift, torch.from_numpy(rows), present, windows is not None)
        return made

    def batch(self, name, shift, rows, present, again):
        if name == "text" and self.toy.masking:
            lengths = torch.where(present, self.lengths[rows], 1)
            width = int(lengths.max())
            mask = torch.arange(width) < lengths[:, None]
            ids = self.ids[rows, :width] * mask * present[:, None]
            ids[:, 0] = 2
            return TokenBatch(ids, mask, present)
        own = (self.values.roll(shift, 1)[rows] + 0.3 * shift) * present[:, None]
        return Rows(own.flip(1) * 1.2 if again else own, present)

    def same(self, rows):
        labels = self.labels[rows]
        return torch.from_numpy(labels[:, None] == labels)


def learner(toy: Toy, chunk: int = 0, world: World = World(), seed: int = 0) -> ContrastiveLearner:
    """Model, objective and heads of equal weights on every call, in double precision."""
    torch.manual_seed(seed)
    encoders: dict[str, nn.Module] = {name: Encoder(toy) for name in NAMES}
    if toy.masking:
        size = BpeTransformerConfig(ENTRIES, 8, 1, 2, 16, 8, toy.dropout)
        encoders["text"] = BpeTransformer(size)
    projection = ProjectionConfig(dim=4, hidden=5, dropout=toy.dropout, heads=toy.heads)
    model = JointModel(encoders, projection).double()
    objective = build_objective(toy.objective, NAMES, 4).double()
    head = masked_language_head(encoders["text"], toy.masking).double() if toy.masking else None
    torch.manual_seed(1)
    return ContrastiveLearner(model, objective, ToyData(toy), chunk, Auxiliary(head), world)


def gradients(one: ContrastiveLearner) -> dict[str, torch.Tensor]:
    """Of everything that is trained; zero where nothing came."""
    named = {f"{n}.{k}": p for n, m in one.modules().items() for k, p in m.named_parameters()}
    return {k: torch.zeros_like(p) if p.grad is None else p.grad.clone() for k, p in named.items()}


# Twenty batches of eight make one pass: every number of ranks then sees the same batches.
TOY = Toy(
    objective=ObjectiveConfig(weights={"text-xrd": 0.5}, auxiliary={"masked_language": 0.1}),
    absent={"xrd": tuple(range(0, 160, 5)), "text": tuple(range(3, 160, 11))},
    labels=tuple(i // 2 if i % 7 == 0 else 1000 + i for i in range(160)),
    records=160,
    masking=DETERMINED,
)
DROPOUT = replace(TOY, dropout=0.2, masking=MaskingConfig(share=0.5))
SETTINGS = {"steps": 20, "batch": 8, "evaluate_every": 5, "seed": 3}
CASES: dict[str, tuple[Toy, dict]] = {
    "plain": (TOY, {}),
    "chunk": (TOY, {"chunk": 3}),
    "average": (TOY, {"optimizer": OptimizerConfig(ema=0.8, schedule="one_cycle", warmup=0.3)}),
    "micro": (TOY, {"micro_batches": 2, "steps": 10}),
    "dropout": (DROPOUT, {}),
    "broken": (DROPOUT, {}),
}


class Stopped(Exception):
    """A training is over before its end."""


def rising(model: nn.Module) -> dict[str, float]:
    """A score that the weights decide."""
    return {"score": float(sum(p.detach().abs().sum() for p in model.parameters())) / 1000}


def fit(folder: Path, name: str, world: World = World(), stop: int = 0) -> Trainer:
    """One training to its end, or to the moment at which all ranks are stopped."""
    toy, settings = CASES[name]
    config = TrainConfig(**{**SETTINGS, **settings})
    one = learner(toy, config.chunk, world)
    if stop:
        backward, left = one.backward, iter(range(stop))

        def stopping(*given):
            if next(left, None) is None:
                raise Stopped
            return backward(*given)

        one.backward = stopping
    trainer = Trainer(one, np.arange(toy.records), config)
    own = folder if world.is_main else folder / f"rank {world.rank}"
    trainer.fit(folder / "checkpoint", "job", rising, Tracker(own))
    return trainer


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Of everything that was trained, best and last."""
    found = {f"{n}/{k}": v for n, m in trainer.learner.modules().items() for k, v in m.state_dict().items()}
    for index, values in trainer.optimizer.state_dict()["state"].items():
        found |= {f"optimizer/{index}/{k}": v for k, v in values.items()}
    return {k: v.clone() for k, v in found.items()}


WRITES: list[str] = []


def watch_writes(event: str, arguments: tuple) -> None:
    """Remembers files that this process opens for writing, moves or removes."""
    opened = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if opened or event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        WRITES.append(f"{event} {arguments[0]}")


def measure(folder: Path) -> None:
    """Trains all cases and writes what came of them."""
    torch.set_num_threads(1)
    world = join_world("cpu", timedelta(seconds=60))
    sys.addaudithook(watch_writes)
    found = {}
    for name in CASES:
        if name == "broken":
            try:
                fit(folder / name, name, world, stop=13)
            except Stopped:
                found["stopped"] = name
        found[name] = weights(fit(folder / name, name, world))
    wrote = [w for w in WRITES if str(folder) in w]
    leave_world(world)
    stopped = found.pop("stopped")
    for name, tensors in found.items():
        save_file(tensors, folder / f"{name}-{world.rank}.safetensors")
    (folder / f"{world.rank}.json").write_text(json.dumps({"wrote": wrote, "stopped": stopped}))


if main:
    measure(Path(sys.argv[1]))
