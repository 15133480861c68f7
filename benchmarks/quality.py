"""How well does the default space order crystals it has not seen?

Needs a finished quickstart. The same figures as ``prismat quality``; the composition-only baseline and raw
element fractions stand beside.

Usage: python quality.py --run ../runs/quickstart
"""

import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from _machine import write

from prismat.store import Store
from prismat.tasks.opened import open_run
from prismat.tasks.quality.study import read_spaces, study
from prismat.tasks.report import to_plain


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        run: a quickstart folder.
        store: the store it was trained on; that of the quickstart folder where not given.
    """

    run: Path = Path("../runs/quickstart")
    store: Path | None = None


def main(options: Options) -> None:
    """Measures everything once."""
    started = time.monotonic()
    opened = open_run(options.run, Store(options.store or options.run / "store"))
    result = study(opened, read_spaces(opened, options.run))
    write("quality", to_plain({**result, "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    main(tyro.cli(Options))
