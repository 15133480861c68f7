"""One training of a study: an ordinary run folder with the record of what came out of it."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismat.files import digest, read_limited, write_json
from prismat.recipes.base import Job
from prismat.recipes.serial import to_json
from prismat.store import Store
from prismat.studies.measure import measure, save_measured
from prismat.studies.variant import AnyJob, Variant, seeded
from prismat.tasks.prediction import TrainedPredictor, train_predictor
from prismat.tasks.quickstart import Talk, train_recipe
from prismat.tasks.report import to_plain
from prismat.training.session import Trained, open_prepared, peak_memory_mb

RECORD = {"val": "trial.json", "test": "test.json"}
"""Name of the record of each part, inside the trial's folder."""
_LARGEST = 1 << 26


@dataclass(frozen=True)
class Trial:
    """A variant under one seed.

    Attributes:
        name: of the variant.
        seed: of weights, batches and views.
        job: what is trained, with that seed.
        folder: the run folder.
        settings: what differs from the base, as text by path.
    """

    name: str
    seed: int
    job: AnyJob
    folder: Path
    settings: dict[str, str]

    @property
    def identity(self) -> str:
        """Hash of the job."""
        return digest(to_json(self.job))

    def record(self, part: str = "val") -> dict[str, Any] | None:
        """What came out, or None where this job has not been finished here."""
        path = self.folder / RECORD[part]
        if not path.is_file():
            return None
        found = json.loads(read_limited(path, _LARGEST))
        return found if found.get("job") == self.identity else None


def trial_of(variant: Variant, seed: int, folder: Path) -> Trial:
    """The trial of a variant; its folder's name is made of letters and digits whatever the variant's is."""
    word = re.sub(r"[^A-Za-z0-9]+", "_", variant.name).strip("_") or "variant"
    # Two names may be one word: a few digits of the name's hash tell them apart.
    place = folder / "trials" / f"{word[:40]}_{digest(variant.name)[:4]}-{seed}"
    return Trial(variant.name, seed, seeded(variant.job, seed), place, variant.settings)


def run_trial(store: Store, trial: Trial, part: str, talk: Talk = Talk()) -> dict[str, Any]:
    """Trains a trial, or goes on with it, measures it on one part and writes its record.

    Args:
        store: the records.
        trial: what is trained, and where.
        part: ``val``, or ``test`` once all is chosen.
        talk: how progress is told.

    Returns:
        The record, as it is written.

    Raises:
        PrismatError: the job cannot be trained on this store.
    """
    wall, cpu = time.monotonic(), time.process_time()
    prepared = open_prepared(store, trial.job.split)
    trained: Trained | TrainedPredictor
    if isinstance(trial.job, Job):
        trained = train_recipe(prepared, trial.job, trial.folder, talk)
    else:
        trained = train_predictor(prepared, trial.job, trial.folder, talk)
    measured = measure(trained, prepared, part)
    save_measured(trial.folder / f"{part}.npz", measured)
    record = _record(trial, "done") | {
        "score": trained.validation["score"],
        "measures": {name: of.mean for name, of in measured.items()},
        "chance": {name: of.chance for name, of in measured.items()},
        "queries": {name: len(of.rows) for name, of in measured.items()},
        "cost": _cost(trained, trial)
        | {"wall_s": time.monotonic() - wall, "cpu_s": time.process_time() - cpu},
        "split": prepared.split.hash,
    }
    write_json(trial.folder / RECORD[part], to_plain(record))
    return to_plain(record)


def failed(trial: Trial, part: str, reason: str) -> dict[str, Any]:
    """Records that a trial could not be finished, and why."""
    record = _record(trial, "failed") | {"reason": reason}
    write_json(trial.folder / RECORD[part], record)
    return record


def _record(trial: Trial, state: str) -> dict[str, Any]:
    named = {"name": trial.name, "seed": trial.seed, "state": state}
    return {**named, "job": trial.identity, "settings": trial.settings}


def _cost(trained: Trained | TrainedPredictor, trial: Trial) -> dict[str, Any]:
    """Time of training over all sessions, peak memory of this process, size of the network."""
    import torch

    outcome = trained.outcome
    model = trained.prismat.model if isinstance(trained, Trained) else trained.predictor.model
    on_gpu = trial.job.train.device != "cpu" and torch.cuda.is_available()
    return {
        "train_s": outcome.seconds,
        "device": "cuda" if on_gpu else "cpu",
        "device_hours": outcome.seconds / 3600,
        "threads": torch.get_num_threads(),
        "peak_rss_mb": peak_memory_mb(),
        "peak_gpu_mb": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0,
        "parameters": model.n_parameters,
        "epochs": outcome.epochs,
        "best_step": outcome.best_step,
    }
