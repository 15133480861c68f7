"""CrysMMNet on four hosts: formation energy on validation with and without text, and other fusions.

Every network has the same rows, batches, steps and seed. Nothing is chosen by epoch: the figure is that of
the last step. The test part of MP-2018 is not read. Texts are the template descriptions of the store, and
the text encoder is the one named in the results. Mean absolute errors come with bootstrap intervals over
groups of one composition, and with paired differences on the same records.

Usage: python crysmmnet.py --store ../runs/formation_energy/store [--names crysmmnet-alignn] [--threads 1]

The store is the one that formation_energy.py prepares. Networks that are trained already are kept.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import tyro
from _machine import write

from prismat.recipes.crysmmnet import (
    PredictorJob,
    PredictorName,
    composition_baseline,
    laptop_predictor,
    predictor_job,
)
from prismat.splits import Split, group_records
from prismat.store import Store
from prismat.tasks.bootstrap import paired_difference
from prismat.tasks.prediction import label, target_of, train_predictor
from prismat.tasks.regression import regression_metrics
from prismat.training.records import read_records
from prismat.training.session import Prepared
from prismat.training.supervised import predict_rows

TARGET = "formation_energy_per_atom"
BASE = "composition"


@dataclass(frozen=True)
class Options:
    """What to train and for how long.

    Attributes:
        store: with parts ``train`` and ``val``.
        out: folder of the runs.
        names: recipes besides the composition-only baseline.
        steps: optimiser steps.
        threads: of torch; 0 for its own choice.
        seed: of weights and batches.
    """

    store: Path = Path("../runs/formation_energy/store")
    out: Path = Path("../runs/crysmmnet")
    names: tuple[PredictorName, ...] = field(default_factory=lambda: get_args(PredictorName))
    steps: int = 400
    threads: int = 1
    seed: int = 0


def main(options: Options) -> None:
    """Trains one network after the other; finished ones are kept."""
    torch.set_num_threads(options.threads or torch.get_num_threads())
    prepared = opened(Store(options.store))
    for name in (BASE, *options.names):
        path = options.out / name / "validation.npz"
        if not path.is_file():
            measure(prepared, job_of(prepared, name, options), path)
        publish(prepared, options)


def opened(store: Store) -> Prepared:
    """The store under its own division, of which there is no test part here."""
    records = read_records(store)
    parts = [
        tuple(i for i, p in zip(records.ids, records.parts, strict=True) if p == q) for q in ("train", "val")
    ]
    split = Split(*parts, (), {"given": True, "store": store.hash})
    return Prepared(store, records, split, split.rows(records.ids))


def job_of(prepared: Prepared, name: str, options: Options) -> PredictorJob:
    """The recipe at laptop scale, validated at its end only."""
    target = target_of(prepared.store, TARGET)
    if name == BASE:
        job = composition_baseline(laptop_predictor(predictor_job("crysmmnet-alignn", target)))
    else:
        job = laptop_predictor(predictor_job(name, target))
    train = replace(
        job.train, steps=options.steps, evaluate_every=options.steps, seed=options.seed, device="cpu"
    )
    return replace(job, train=train)


def measure(prepared: Prepared, job: PredictorJob, path: Path) -> None:
    """Trains, and keeps the predictions for the validation part."""
    trained = train_predictor(prepared, job, path.parent)
    labelled = label(prepared, job.target)
    rows, predictor = labelled.rows["val"], trained.predictor
    found = predictor.target.restored(predict_rows(predictor.model, trained.data, rows))
    text = json.dumps(predictor.reader.describe() if predictor.reader else None)
    np.savez(
        path,
        predicted=found,
        truth=labelled.values[rows],
        seconds=trained.outcome.seconds,
        parameters=predictor.model.n_parameters,
        text=text,
    )
    print(f"{job.recipe.name:<26}{trained.validation['mae']:.4f} {trained.outcome.seconds:.0f} s", flush=True)


def publish(prepared: Prepared, options: Options) -> None:
    """Writes the table of all networks that are there."""
    names = [n for n in (BASE, *get_args(PredictorName)) if (options.out / n / "validation.npz").is_file()]
    there = {n: np.load(options.out / n / "validation.npz", allow_pickle=False) for n in names}
    labelled = label(prepared, target_of(prepared.store, TARGET))
    val = labelled.rows["val"]
    groups = group_records(prepared.records.fractions[val], (), 0.0)
    error = {n: np.abs(f["predicted"] - f["truth"]) for n, f in there.items()}
    rows = {}
    for name, found in there.items():
        measured = regression_metrics(found["truth"], found["predicted"], groups)
        rows[name] = {
            **{k: [round(x, 5) for x in v] for k, v in measured.items()},
            "parameters": int(found["parameters"]),
            "seconds": round(float(found["seconds"]), 1),
        }
        for other in against(name):
            if other in error:
                difference = paired_difference(error[name], error[other], groups)
                rows[name][f"mae_minus_{other}"] = [round(x, 5) for x in difference]
    texts = {t for f in there.values() if (t := str(f["text"])) != "null"}
    truth = labelled.values
    median = float(np.median(truth[labelled.rows["train"]]))
    settings = {k: getattr(options, k) for k in ("steps", "threads", "seed")}
    settings |= {"batch": 64, "learning_rate": 2e-3}
    write(
        "crysmmnet",
        {
            "data": "MP-2018.6.1, official split, re-relaxed crystals; 4,000 training rows, validation part",
            "target": f"{TARGET} in {labelled.target.unit}",
            "settings": settings | {"train_rows": len(labelled.rows["train"]), "val_rows": len(val)},
            "text_encoder": [json.loads(t) for t in sorted(texts)],
            "text": "template: formula, elements, crystal system, space group",
            "median_predictor_mae": round(float(np.abs(truth[val] - median).mean()), 5),
            "networks": rows,
        },
    )


def against(name: str) -> list[str]:
    """What a network is compared with, record by record."""
    if name == BASE:
        return []
    words = name.split("-")
    plain = "-".join(words[:2])
    # Host with text against the host alone; other fusions against concatenation.
    other = [f"{plain}-graph"] if len(words) == 2 and words[1] != "text" else []
    return [BASE, *other, *([plain] if words[-1] in ("sum", "average") else [])]


if __name__ == "__main__":
    main(tyro.cli(Options))
