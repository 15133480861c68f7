"""Properties and classes from the frozen windows of a trained model, beside the formula alone.

Needs a run (``prismat quickstart``) and two prepared stores: MP-2018 with its published division, and the
refractive indices of the Materials Project. One open store serves all its targets; a target that is done is
not done again. Writes ``results/property.json``.

Run: python benchmarks/property.py --run runs/quickstart --mp2018 stores/mp2018 --dielectric stores/dielectric
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import _machine
import torch

from prismat.heads.config import FitConfig, HeadConfig, TuneConfig
from prismat.recipes.serial import to_json
from prismat.store import Store
from prismat.tasks.opened import open_run
from prismat.tasks.property.config import LimitedConfig, PropertyConfig
from prismat.tasks.property.experiment import run_property
from prismat.tasks.property.page import write_property

FIT = FitConfig(members=3)
SOME = LimitedConfig(most=4000)
MODULI = LimitedConfig(most=0, curve=(20, 50, 100, 500, 2000))
BAND_GAP = PropertyConfig(target="band_gap", limited=SOME, fit=FIT)
MP2018 = {
    "band_gap": BAND_GAP,
    "bulk_modulus": PropertyConfig(target="bulk_modulus_vrh", log=True, limited=MODULI, fit=FIT),
    "shear_modulus": PropertyConfig(target="shear_modulus_vrh", log=True, limited=MODULI, fit=FIT),
    "metal": replace(BAND_GAP, classes=(0.0,)),
    "formation_energy": replace(BAND_GAP, target="formation_energy_per_atom"),
    "band_gap_tuned": replace(BAND_GAP, tune=TuneConfig(steps=200)),
    "band_gap_fused": replace(BAND_GAP, windows=("structure", "xrd"), head=HeadConfig(fusion="gated")),
    "bulk_modulus_20_10_10": PropertyConfig(
        target="bulk_modulus_vrh", log=True, limited=LimitedConfig(shares=(0.2, 0.1, 0.1)), fit=FIT
    ),
    "shear_modulus_20_10_10": PropertyConfig(
        target="shear_modulus_vrh", log=True, limited=LimitedConfig(shares=(0.2, 0.1, 0.1)), fit=FIT
    ),
    "formation_energy_linear": replace(
        BAND_GAP, target="formation_energy_per_atom", head=HeadConfig(kind="linear")
    ),
}
BESIDE = ("structure", "composition")
MP2018 |= {
    f"{name}_with_formula": replace(MP2018[name], windows=BESIDE)
    for name in ("band_gap", "formation_energy", "bulk_modulus", "shear_modulus", "metal")
}
DIELECTRIC = {
    "refractive_index": PropertyConfig(
        target="refractive_index", log=True, limited=LimitedConfig(most=0), fit=FIT
    ),
    "refractive_index_with_formula": PropertyConfig(
        target="refractive_index", log=True, limited=LimitedConfig(most=0), fit=FIT, windows=BESIDE
    ),
    "refractive_linear": PropertyConfig(
        target="refractive_index", head=HeadConfig(kind="linear"), limited=LimitedConfig(curve=(20, 100, 500))
    ),
}
KEPT = (
    "target",
    "config",
    "metrics",
    "baselines",
    "differences",
    "coverage",
    "coverage_by_interval",
    "curve",
    "cost",
)


def run_all(run: Path, store: Path, cases: dict[str, PropertyConfig], out: Path, only: list[str]) -> None:
    """Every case that is wanted and not done; one open store for all."""
    todo = {n: c for n, c in cases.items() if (not only or n in only) and not _done(out / n, c)}
    if not todo:
        return
    opened = open_run(run, Store(store))
    for name, config in todo.items():
        started = time.monotonic()
        write_property(out / name, run_property(opened, config, out / name, out / "features"))
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


def _done(folder: Path, config: PropertyConfig) -> bool:
    path = folder / "property.json"
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["config"] == to_json(config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--mp2018", type=Path, default=Path("stores/mp2018"))
    parser.add_argument("--dielectric", type=Path, default=Path("stores/dielectric"))
    parser.add_argument("--out", type=Path, default=Path("runs/property"))
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    run_all(options.run, options.mp2018, MP2018, options.out, options.only)
    run_all(options.run, options.dielectric, DIELECTRIC, options.out, options.only)
    found = {}
    for folder in sorted(options.out.iterdir()):
        if (folder / "property.json").is_file():
            report = json.loads((folder / "property.json").read_text(encoding="utf-8"))
            counts = {k: v for k, v in report["dataset"].items() if k != "split"}
            found[folder.name] = {"dataset": counts} | {k: report[k] for k in KEPT}
    print(_machine.write("property", {"cases": found}))


if __name__ == "__main__":
    main()
