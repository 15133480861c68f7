"""Inverse design by screening, judged on the true values of held-out records.

``numbers`` draws ranges of properties of MP-2018 and asks how many of the first candidates truly lie in them;
``dos`` takes held-out densities of states as targets. Both through the code of ``prismat design --evaluate``.

Usage: python design.py --run RUN --store STORE --baseline RUN
       python design.py --dos-run RUN --dos-store STORE --dos-baseline RUN
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from _machine import write

from prismat.store import Store
from prismat.tasks.design.candidates import candidates
from prismat.tasks.design.judgement_pages import trials_page
from prismat.tasks.design.task import judge_dos, judge_pool
from prismat.tasks.design.trials import TrialConfig
from prismat.tasks.opened import open_beside, open_run
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result

TARGETS = (
    ("band_gap",),
    ("formation_energy_per_atom",),
    ("bulk_modulus_vrh",),
    ("band_gap", "formation_energy_per_atom"),
)


@dataclass(frozen=True)
class Options:
    """What is judged.

    Attributes:
        run: a model of structure and properties; left out where there is none.
        store: its records.
        baseline: the same trained on compositions.
        dos_run: a model of structure and phonon DOS.
        dos_store: its records.
        dos_baseline: the same trained on compositions.
        out: folder of pages.
        targets: random ranges for every set of properties.
    """

    run: Path | None = None
    store: Path = Path("stores/mp2018")
    baseline: Path | None = None
    dos_run: Path | None = None
    dos_store: Path = Path("stores/phonon_dos")
    dos_baseline: Path | None = None
    out: Path = Path("../runs/tasks/design")
    targets: int = 300


def numbers(options: Options) -> dict:
    """Random ranges of properties."""
    opened = open_run(options.run, Store(options.store))
    pool = candidates([opened], "test", fresh=True)
    other = open_beside(options.baseline, opened) if options.baseline else None
    composition = candidates([other], "test", fresh=True) if other else None
    found = {
        " and ".join(names): judge_pool(pool, TrialConfig(names, options.targets), composition)
        for names in TARGETS
    }
    print(write_result(options.out, "design_trials", found, trials_page(found)))
    return found


def main(options: Options) -> None:
    """Writes results/design.json."""
    start, payload = time.perf_counter(), {}
    if options.dos_run:
        payload["phonon_dos"], page = judge_dos(
            options.dos_run,
            Store(options.dos_store),
            "phonon_dos",
            options.out,
            (options.dos_baseline, 10, "test"),
        )
        print(page)
        payload["seconds_dos"] = round(time.perf_counter() - start, 1)
    if options.run:
        start = time.perf_counter()
        payload["numbers"] = numbers(options)
        payload["seconds_numbers"] = round(time.perf_counter() - start, 1)
    print(json.dumps(to_plain(payload), indent=1, ensure_ascii=False))
    print(write("design", to_plain(payload)))


if __name__ == "__main__":
    main(tyro.cli(Options))
