"""Formation energy from every structure encoder: validation error after 3,000 steps on 4,000 crystals.

One linear layer over the encoder's feature predicts the standardised energy; loss L1, AdamW, one-cycle
rate, the same rows, batches, steps and seed for all. Nothing is chosen by epoch: the figure is
that of the last step. The test part of MP-2018 is not read, and nothing is chosen on the validation
part. Mean absolute errors come with bootstrap intervals over crystals, and with the paired difference to
the composition-only encoder.

Usage: python formation_energy.py --table mp2018.parquet [--encoders painn alignn] [--threads 2]
"""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from _machine import write
from torch import nn

from prismat.encoders.crystal import CrystalConfig, CrystalEncoder
from prismat.modalities.structure import StructureModality
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job, Recipe
from prismat.recipes.scale import Encoder, at_laptop_scale, with_structure
from prismat.sources.table import LAYOUTS, TableSource
from prismat.store import Store
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference

TARGET = "formation_energy_per_atom"
CHUNK = 256


@dataclass(frozen=True)
class Options:
    """What to train and for how long.

    Attributes:
        table: the Parquet table with a ``split`` column.
        out: folder for the prepared store and the predictions.
        encoders: names; all where left out.
        rows: training rows.
        steps: optimiser steps.
        batch: crystals per step.
        learning_rate: greatest rate of the one-cycle schedule.
        threads: of torch; 0 for its own choice.
        seed: of rows, weights and batches.
    """

    table: Path
    out: Path = Path("../runs/formation_energy")
    encoders: tuple[Encoder, ...] = field(default_factory=lambda: get_args(Encoder))
    rows: int = 4000
    steps: int = 3000
    batch: int = 32
    learning_rate: float = 4e-3
    threads: int = 0
    seed: int = 0


def main(options: Options) -> None:
    """Trains one encoder after the other; finished ones are kept."""
    torch.set_num_threads(options.threads or torch.get_num_threads())
    store = prepared(options)
    target, train, val = targets(store)
    for encoder in options.encoders:
        path = options.out / f"{encoder}.npz"
        if path.is_file():
            continue
        job = Training(
            (target, train, val), options.steps, options.batch, options.learning_rate, options.seed
        )
        found, seconds, parameters = predict(store, encoder, job)
        error = np.abs(found - target[val])
        np.savez(path, error=error, seconds=seconds, parameters=parameters)
        print(f"{encoder:<16}{error.mean():.4f} eV/atom  {seconds:.0f} s", flush=True)
    publish(options, len(train), len(val), target[train], target[val])


def prepared(options: Options) -> Store:
    """A store of the drawn training rows and of the whole validation part."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"rows-{options.rows}-{options.seed}.parquet"
    if not path.is_file():
        table = pq.read_table(options.table)
        split = np.array(table["split"].to_pylist())
        rng = np.random.default_rng(options.seed)
        train = rng.choice(np.flatnonzero(split == "train"), options.rows, replace=False)
        rows = np.sort(np.concatenate([train, np.flatnonzero(split == "val")]))
        pq.write_table(table.take(pa.array(rows)), path)
    settings = PrepareSettings()
    graph = replace(settings.structure, extras=("potentials", "chgnet"))
    source = TableSource(path, LAYOUTS["mp2018"])
    return prepare(source, options.out / "store", replace(settings, structure=graph))


def targets(store: Store) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies in eV/atom, and the rows of train and val."""
    rows = [{p["name"]: p["value"] for p in row} for row in store.column("properties")]
    target = np.array([row.get(TARGET, np.nan) for row in rows])
    part = np.array([dict(t)["split"] for t in store.column("tags")])
    known = np.isfinite(target)
    return target, np.flatnonzero((part == "train") & known), np.flatnonzero((part == "val") & known)


def structure_config(encoder: Encoder) -> tuple[CrystalConfig, StructureModality]:
    """The encoder at laptop scale, as ``prismat train --structure ENCODER --scale laptop`` builds it."""
    recipe = at_laptop_scale(Job(recipe=with_structure(Recipe(), encoder))).recipe
    return recipe.encoders.structure, StructureModality(recipe.graph)


class Regressor(nn.Module):
    """An encoder and one linear layer."""

    def __init__(self, config: CrystalConfig) -> None:
        super().__init__()
        self.encoder = CrystalEncoder(config)
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(self.encoder.width, 1))

    def forward(self, batch: object) -> torch.Tensor:
        """Standardised energies, shape (batch,)."""
        return self.head(self.encoder(batch))[:, 0]


@dataclass(frozen=True, eq=False)
class Training:
    """One training.

    Attributes:
        data: energies of all rows, rows to train on and rows to predict.
        steps: optimiser steps.
        batch: crystals per step.
        rate: greatest learning rate.
        seed: of weights and batches.
    """

    data: tuple[np.ndarray, np.ndarray, np.ndarray]
    steps: int
    batch: int
    rate: float
    seed: int


def predict(store: Store, encoder: Encoder, job: Training) -> tuple[np.ndarray, float, int]:
    """Energies of the last rows after training, the seconds it took, and the number of parameters."""
    target, train, val = job.data
    config, modality = structure_config(encoder)
    torch.manual_seed(job.seed)
    model = Regressor(config)
    mean, spread = target[train].mean(), target[train].std()
    optimizer = torch.optim.AdamW(model.parameters(), lr=job.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, job.rate, job.steps)
    rng, pool = np.random.default_rng(job.seed), np.zeros(0, np.int64)
    started = time.perf_counter()
    for _ in range(job.steps):
        if len(pool) < job.batch:
            pool = rng.permutation(train)
        rows, pool = pool[: job.batch], pool[job.batch :]
        batch = modality.collate(store.take(rows, list(modality.columns)))
        wanted = torch.from_numpy((target[rows] - mean) / spread).float()
        loss = nn.functional.l1_loss(model(batch), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - started
    model.eval()
    with torch.inference_mode():
        parts = [val[i : i + CHUNK] for i in range(0, len(val), CHUNK)]
        found = [model(modality.collate(store.take(p, list(modality.columns)))).numpy() for p in parts]
    count = sum(p.numel() for p in model.parameters())
    return np.concatenate(found).astype(np.float64) * spread + mean, seconds, count


def publish(options: Options, n_train: int, n_val: int, train: np.ndarray, val: np.ndarray) -> None:
    """Writes the table of all encoders that are there."""
    there = {p.stem: np.load(p) for p in sorted(options.out.glob("*.npz"))}
    base = there["composition"]["error"] if "composition" in there else None
    rows = {}
    for name, found in there.items():
        error = found["error"]
        low, high = interval(bootstrap_means(error[:, None])[:, 0])
        rows[name] = {
            "mae_ev_per_atom": round(float(error.mean()), 5),
            "interval": [round(low, 5), round(high, 5)],
            "parameters": int(found["parameters"]),
        }
        if base is not None and name != "composition":
            rows[name]["minus_composition"] = [round(x, 5) for x in paired_difference(error, base)]
    mean_predictor = float(np.abs(val - np.median(train)).mean())
    settings = {
        k: getattr(options, k) for k in ("rows", "steps", "batch", "learning_rate", "threads", "seed")
    }
    print(json.dumps(rows, indent=1))
    write(
        "formation_energy",
        {
            "data": "MP-2018.6.1, 74 % of the official split, re-relaxed structures; validation part",
            "settings": {**settings, "train_rows": n_train, "val_rows": n_val},
            "median_predictor_mae": round(mean_predictor, 5),
            "encoders": rows,
        },
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
