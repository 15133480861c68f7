"""Text tasks with aligned and unaligned encoders: glass abstracts, MatScholar and SOFC-Exp entities (C6).

python benchmarks/text_tasks.py --data TEXT_TASKS --runs runs/systems --store runs/systems/store

The folder TEXT_TASKS holds glass_non_glass, NER_MATSCHOLAR and sofc-exp-corpus, which are not redistributed.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import _machine
import torch

from prismat.store import Store
from prismat.tasks.text_tasks.settings import TextTaskConfig, task_config
from prismat.tasks.text_tasks.task import run_text_task


def shorter(config: TextTaskConfig, steps: int) -> TextTaskConfig:
    """The task with another length of training, validated eight times."""
    return replace(config, train=replace(config.train, steps=steps, evaluate_every=steps // 8))


RUNS = {"clac": "clac-0", "trimodal": "trimodal-0", "default": "default-0"}
CASES: dict[str, tuple[str, str, TextTaskConfig]] = {
    "glass_clac": ("clac", "glass_non_glass", task_config("classify")),
    "glass_trimodal": ("trimodal", "glass_non_glass", task_config("classify")),
    "glass_default": ("default", "glass_non_glass", task_config("classify")),
    "matscholar_clac": ("clac", "NER_MATSCHOLAR", task_config("tokens")),
    "matscholar_trimodal": ("trimodal", "NER_MATSCHOLAR", task_config("tokens")),
    "matscholar_clac_tuned": ("clac", "NER_MATSCHOLAR", task_config("tokens", mode="tuned")),
    "sofc_slots_clac": ("clac", "sofc-exp-corpus", task_config("tokens", "sofc")),
    "sofc_slots_clac_tuned": (
        "clac",
        "sofc-exp-corpus",
        shorter(task_config("tokens", "sofc", "tuned"), 120),
    ),
    "sofc_entities_clac": (
        "clac",
        "sofc-exp-corpus",
        replace(task_config("tokens", "sofc"), level="entities"),
    ),
}
KEPT = {
    "classify": ("accuracy", "f1", "roc_auc", "log_loss", "calibration_error"),
    "tokens": ("micro_f1", "macro_f1", "micro_precision", "micro_recall"),
}


def main() -> None:
    """Runs every case and writes results/text_tasks.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--runs", type=Path, default=Path("runs/systems"))
    arguments.add_argument("--store", type=Path, default=Path("runs/systems/store"))
    arguments.add_argument("--out", type=Path, default=Path("runs/text_tasks"))
    arguments.add_argument("--cases", nargs="*", default=list(CASES))
    given = arguments.parse_args()
    torch.set_num_threads(2)
    store, found = Store(given.store), {}
    for name in given.cases:
        run, data, config = CASES[name]
        # Cases of one run share a folder, and with it the language model that stands beside.
        out = given.out / run / name
        result = run_text_task(given.runs / RUNS[run], given.data / data, config, out, store)
        found[name] = summary(result)
    print(_machine.write("text_tasks", {"cases": found}))


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """What is published of one case."""
    kept = KEPT[result["kind"]]
    systems = {**result["metrics"], **result["baselines"]}
    return {
        "figures": {name: {k: values[k] for k in kept} for name, values in systems.items()},
        "differences": {
            name: {k: values.get(k) for k in kept} for name, values in result["differences"].items()
        },
        "dataset": {k: v for k, v in result["dataset"].items() if k != "left_out_first"},
        "model": result["model"],
        "cost": result["cost"],
    }


if __name__ == "__main__":
    main()
