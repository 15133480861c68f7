"""Memory and time of the losses: cached gradients against plain ones, chunks against all at once, open_clip.

Run from anywhere: ``python benchmarks/objectives.py --store PATH`` with a prepared AMCSD store. Peak memory
is what a step adds to a child process, one per case, whose address space is limited to the memory that is
free: a case that does not fit says so. Times of cheap cases are taken in turns in one process.
``pip install --no-deps open_clip_torch`` brings the peer without touching the installed torch.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import tyro
from _data import SEED, interleaved, medians
from _machine import write
from _memory import available_mib, measured

from prismat.api import Prismat, Shapes
from prismat.duplicates import same_matrix
from prismat.embedded import Embedded
from prismat.objectives.barlow import BarlowTwins
from prismat.objectives.base import Objective
from prismat.objectives.build import build_objective
from prismat.objectives.config import ObjectiveConfig
from prismat.objectives.infonce import InfoNceConfig
from prismat.objectives.jsd import JsdConfig
from prismat.objectives.tensor_clip import TensorClipConfig
from prismat.recipes.base import Job
from prismat.recipes.build import build_model, recipe_objective
from prismat.recipes.scale import at_laptop_scale, with_structure, with_windows
from prismat.recipes.systems import PLAIN
from prismat.store import Store
from prismat.training.learner import ContrastiveLearner, Step
from prismat.training.optimizer import build_optimizer
from prismat.training.session import TextSide, open_prepared, store_data

DIM, WARM, ROUNDS = 128, 64, 7
WINDOWS = ("structure", "xrd", "text")
MEASURES = ("seconds", "cpu_user_s", "cpu_system_s", "added_mib")


@dataclass(frozen=True)
class Case:
    """What one child measures.

    Attributes:
        kind: ``step`` for a training step, ``same`` for the mask of equal records, else an objective's name.
        records: batch.
        chunk: records embedded at once (``step``), or rows of the loss at once (others); 0 for all.
        loss_chunk: rows of the loss at once in a ``step``.
    """

    kind: str
    records: int
    chunk: int = 0
    loss_chunk: int = 0


@dataclass(frozen=True)
class Options:
    """Where the data is.

    Attributes:
        store: a prepared AMCSD store.
        large: batch of the large step.
        small: batch of the step that fits everywhere.
        rounds: repeats of the small step, the variants in turns.
        child: a case in JSON; internal.
    """

    store: Path = Path(__file__).parent / "../runs/systems/store"
    large: int = 16_384
    small: int = 4_096
    rounds: int = 2
    child: str = ""


def step_call(case: Case, folder: Path, records: int) -> Callable[[], float]:
    """One optimiser step of the laptop CGCNN against powder patterns; all but ``chunk`` is equal."""
    store = Store(folder)
    prepared = open_prepared(store, Job().split)
    job = at_laptop_scale(
        replace(
            Job(), recipe=with_structure(with_windows(Job().recipe, ("structure", "xrd"), store), "cgcnn")
        )
    )
    recipe = replace(
        job.recipe,
        projection=replace(job.recipe.projection, dim=DIM, heads="shared"),
        objective=ObjectiveConfig("infonce", infonce=InfoNceConfig(chunk=case.loss_chunk)),
        views=PLAIN,
    )
    torch.manual_seed(SEED)
    model, objective = build_model(recipe, 0, 0), recipe_objective(recipe)
    data = store_data(prepared, Prismat(model, recipe, None, Shapes()), TextSide(None, None, Shapes()))
    model.train()
    learner = ContrastiveLearner(model, objective, data, case.chunk)
    optimizer = build_optimizer(list(learner.modules().values()), job.train.optimizer)
    rng = np.random.default_rng(SEED)
    train = prepared.rows["train"]
    # Rows are repeated where there are not enough; those are marked as equal, so no negatives.
    rows = np.concatenate([rng.permutation(train) for _ in range(1 + records // len(train))])[:records]

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = learner.backward(rows, rng, Step())
        learner.reduce()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.total.detach())

    return step


def same_call(records: int, folder: Path) -> Callable[[], float]:
    """The mask of equal records alone, which every step makes."""
    store = Store(folder)
    prepared = open_prepared(store, Job().split)
    labels = [prepared.records.text_label, prepared.records.structure_label]
    rows = np.random.default_rng(SEED).choice(prepared.rows["train"], records)
    return lambda: float(same_matrix(*(label[rows] for label in labels))[0, 0])


def objective_of(kind: str, chunk: int) -> Objective:
    """A loss of two windows, or three where it takes or is meant for three."""
    config = ObjectiveConfig(
        kind,  # ty: ignore[invalid-argument-type]
        infonce=InfoNceConfig(chunk=chunk),
        tensor_clip=TensorClipConfig(chunk=chunk),
        jsd=JsdConfig(inter=1.0, intra=0.0, prior=0.0),
    )
    torch.manual_seed(SEED)
    windows = WINDOWS if kind in ("tensor_clip", "barlow") else WINDOWS[:2]
    return build_objective(config, windows, DIM)


def embedded(windows: tuple[str, ...], records: int) -> Embedded:
    """Random unit vectors, those of one record close to each other, as leaves."""
    generator = torch.Generator().manual_seed(SEED)
    base = torch.randn(records, DIM, generator=generator)
    vectors = {}
    for name in windows:
        noisy = base + torch.randn(records, DIM, generator=generator)
        vectors[name] = torch.nn.functional.normalize(noisy, dim=1).requires_grad_()
    there = torch.ones(records, dtype=torch.bool)
    return Embedded(vectors, dict.fromkeys(windows, there))


def both_ways(objective: Objective, batch: Embedded) -> float:
    """Loss and gradient; the value of the loss."""
    for vectors in batch.embeddings.values():
        vectors.grad = None
    objective.zero_grad(set_to_none=True)
    total = objective(batch).total
    total.backward()
    return float(total.detach())


def child(case: Case, folder: Path) -> dict:
    """Runs in a process of its own."""
    torch.set_num_threads(1)
    if case.kind == "step":
        step_call(case, folder, WARM)()
        return measured(step_call(case, folder, case.records))
    if case.kind == "same":
        return measured(same_call(case.records, folder))
    objective = objective_of(case.kind, case.chunk)
    both_ways(objective, embedded(objective.windows, WARM))
    return measured(partial(both_ways, objective, embedded(objective.windows, case.records)))


def in_child(case: Case, options: Options) -> dict:
    """Measures a case in a fresh process; a child that the system ended for its memory did not fit."""
    free = available_mib()
    command = [sys.executable, __file__, "--store", str(options.store), "--child", json.dumps(asdict(case))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    if done.returncode in (-9, -6, 137, 134):
        found: dict = {"fits": False, "free_mib": free, "ended_by_signal": True}
    elif done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    else:
        found = json.loads(done.stdout.splitlines()[-1])
    print(asdict(case), found, flush=True)
    return {**asdict(case), **found}


def steps(options: Options) -> dict:
    """The large step once per variant, the small one in turns."""
    large = [(0, 0), (512, 0), (512, 512), (1024, 1024)]
    small = [(0, 0), (512, 512), (1024, 1024)]
    rounds = [
        [in_child(Case("step", options.small, *variant), options) for variant in small]
        for _ in range(options.rounds)
    ]
    merged = [merge([turn[i] for turn in rounds]) for i in range(len(small))]
    mask = in_child(Case("same", options.large), options)
    found = [in_child(Case("step", options.large, *variant), options) for variant in large]
    return {
        "large": found,
        "small": merged,
        "mask_of_equal_records_alone": mask,
        "ratios_large": ratios(found),
        "ratios_small": ratios(merged),
    }


def merge(repeats: list[dict]) -> dict:
    """Repeats of one case: medians of time and memory, and every time."""
    if not all(r["fits"] for r in repeats):
        return repeats[0]
    medians_of = {k: float(np.median([r[k] for r in repeats])) for k in MEASURES}
    return {**repeats[0], **medians_of, "seconds_all": [r["seconds"] for r in repeats]}


def ratios(found: list[dict]) -> list[dict]:
    """Each variant over the first, the plain one; empty where that one did not fit."""
    plain = found[0]
    if not plain["fits"]:
        return []
    return [
        {
            "chunk": r["chunk"],
            "loss_chunk": r["loss_chunk"],
            "time_over_plain": r["seconds"] / plain["seconds"],
            "cpu_time_over_plain": cpu_s(r) / cpu_s(plain),
            "plain_memory_over_this": plain["added_mib"] / r["added_mib"],
        }
        for r in found[1:]
        if r["fits"]
    ]


def cpu_s(found: dict) -> float:
    """CPU seconds, which other work on the machine lengthens less than those of the clock."""
    return found["cpu_user_s"] + found["cpu_system_s"]


def losses(options: Options) -> list[dict]:
    """Losses alone, memory and one time each."""
    cases = [Case("infonce", options.large, chunk) for chunk in (0, 512, 1024)]
    cases += [Case("tensor_clip", n, chunk) for n in (256, 512) for chunk in (0, 16)]
    cases += [Case(kind, options.small) for kind in ("infonce", "barlow", "siglip", "jsd")]
    return [in_child(case, options) for case in cases]


def open_clip_loss() -> ModuleType | None:
    """The peer's file of losses alone; None where it is not installed."""
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        return None
    # The package as a whole wants torchvision, which this file does not.
    path = Path(spec.submodule_search_locations[0]) / "loss.py"
    own = spec_from_file_location("open_clip_loss", path)
    if own is None or own.loader is None:
        return None
    module = module_from_spec(own)
    own.loader.exec_module(module)
    return module


def against_open_clip(records: int) -> dict | None:
    """Forward and backward, in turns; and whether value and gradients agree."""
    module = open_clip_loss()
    if module is None:
        return None
    ours, batch = objective_of("infonce", 0), embedded(WINDOWS[:2], records)
    chunked, peer = objective_of("infonce", 512), module.ClipLoss()
    left, right = batch.embeddings.values()
    log_scale = torch.nn.Parameter(torch.tensor(float(np.log(1 / 0.07))))

    def theirs() -> float:
        left.grad = right.grad = log_scale.grad = None
        total = peer(left, right, log_scale.exp())
        total.backward()
        return float(total.detach())

    value, gradient = theirs(), left.grad.clone()
    own = both_ways(ours, batch)
    difference = float((left.grad - gradient).abs().max() / gradient.abs().max())
    calls = {"open_clip": theirs, "ours": partial(both_ways, ours, batch)}
    calls["ours, chunk 512"] = partial(both_ways, chunked, batch)
    seconds = interleaved(calls, ROUNDS, 30.0)
    median = medians(seconds)
    return {
        "records": records,
        "value_ours": own,
        "value_open_clip": value,
        "largest_gradient_difference_relative": difference,
        "seconds_median": median,
        "ours_over_open_clip": median["ours"] / median["open_clip"],
        "ours_chunked_over_open_clip": median["ours, chunk 512"] / median["open_clip"],
        "seconds": seconds,
    }


def tensor_clip(records: int) -> dict:
    """Dense and chunked in turns: value, gradient and time."""
    batch, made = embedded(WINDOWS, records), {c: objective_of("tensor_clip", c) for c in (0, 16)}
    values, gradients = {}, {}
    for chunk, objective in made.items():
        values[chunk] = both_ways(objective, batch)
        gradients[chunk] = torch.cat([v.grad for v in batch.embeddings.values()])
    calls = {f"chunk {c}": partial(both_ways, o, batch) for c, o in made.items()}
    seconds = interleaved(calls, 3, 30.0)
    largest = (gradients[0] - gradients[16]).abs().max() / gradients[0].abs().max()
    return {
        "records": records,
        "value_dense": values[0],
        "value_chunked": values[16],
        "largest_gradient_difference_relative": float(largest),
        "seconds_median": medians(seconds),
        "seconds": seconds,
    }


def each_objective(records: int) -> dict:
    """Time of every loss over pairs or triples at one batch, in turns."""
    kinds = ("infonce", "cosface", "siglip", "jsd", "triplet", "barlow")
    made = {kind: objective_of(kind, 0) for kind in kinds}
    made["barlow of two windows"] = BarlowTwins(WINDOWS[:2])
    calls = {k: partial(both_ways, o, embedded(o.windows, records)) for k, o in made.items()}
    seconds = interleaved(calls, ROUNDS, 60.0)
    return {"records": records, "seconds_median": medians(seconds), "seconds": seconds}


def main(options: Options) -> None:
    # Children first: the parent stays small meanwhile.
    started, free, memory, alone = time.perf_counter(), available_mib(), steps(options), losses(options)
    torch.set_num_threads(1)
    payload = {
        "seed": SEED,
        "threads": 1,
        "dim": DIM,
        "free_memory_mib_at_start": free,
        "training_step": memory,
        "losses_alone": alone,
        "open_clip_version": version("open_clip_torch") if find_spec("open_clip") else None,
        "against_open_clip": [against_open_clip(n) for n in (512, 4096)],
        "tensor_clip": [tensor_clip(n) for n in (256, 512)],
        "times": each_objective(4096),
        "notes": [
            "the machine was shared: other work ran on its second core during all measurements",
            "training_step: CGCNN (width 64, 3 convolutions, symmetry-reduced graphs) and the powder "
            "pattern CNN, InfoNCE of 128 dimensions; data, two encoders, loss, gradients and AdamW",
            "training_step: training records are repeated to fill the batch; repeats are marked as equal",
            "CGCNN normalises over batches, so that losses of different chunks differ a little",
            "steps and memory: one child after the other, on a machine whose load changed; read the CPU "
            "seconds, of which those of the system are for handing out memory",
            "added_mib: peak resident memory over what the process held just before the step",
            "fits false: the step needed more than the memory that was free, less 1 GiB",
        ],
        "seconds_in_all": time.perf_counter() - started,
    }
    print(write("objectives", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    chosen = tyro.cli(Options)
    if chosen.child:
        print(json.dumps(child(Case(**json.loads(chosen.child)), chosen.store)))
    else:
        main(chosen)
