"""Defects on electroluminescence images of solar cells: frozen and tuned, two and four classes (P9).

python benchmarks/defects.py --store runs/windows/image/store --run runs/windows/image --out runs/defects
"""

import argparse
from pathlib import Path
from typing import Any

import _machine
import torch

from prismat.store import Store
from prismat.tasks.defects.identify import identify_defects
from prismat.tasks.defects.systems import DefectsConfig

CASES = {
    "two_classes_frozen": DefectsConfig(threshold=0.5, mode="frozen"),
    "two_classes_tuned": DefectsConfig(threshold=0.5, mode="tuned"),
    "four_classes_frozen": DefectsConfig(mode="frozen"),
}
KEPT = ("accuracy", "f1", "roc_auc", "average_precision", "log_loss", "calibration_error")


def main() -> None:
    """Runs every case and writes results/defects.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--store", type=Path, default=Path("runs/windows/image/store"))
    arguments.add_argument("--run", type=Path, default=Path("runs/windows/image"))
    arguments.add_argument("--out", type=Path, default=Path("runs/defects"))
    arguments.add_argument("--cases", nargs="*", default=list(CASES))
    given = arguments.parse_args()
    torch.set_num_threads(2)
    found = {
        name: summary(identify_defects(Store(given.store), CASES[name], given.out / name, given.run))
        for name in given.cases
    }
    print(_machine.write("defects", {"cases": found}))


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """What is published of one case."""
    systems = {**result["metrics"], **result["baselines"]}
    return {
        "classes": result["classes"],
        "system": result["system"],
        "figures": {name: {k: values[k] for k in KEPT} for name, values in systems.items()},
        "differences": {name: {k: values[k] for k in KEPT} for name, values in result["differences"].items()},
        "confusion": result["metrics"][result["system"]]["confusion"],
        "dataset": {k: v for k, v in result["dataset"].items() if k != "citation"},
        "model": result["model"],
        "cost": result["cost"],
    }


if __name__ == "__main__":
    main()
