"""The verb that judges how well a trained space is ordered."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from prismat.commands.talk import Run, plain_table, talking
from prismat.store import Store
from prismat.tasks.opened import open_run, run_folder
from prismat.tasks.quality.page import class_rows, probe_rows, quality_page
from prismat.tasks.quality.study import read_spaces, study
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result


@dataclass(frozen=True)
class Quality:
    """Judge how a space orders held-out crystals: clusters, neighbours, linear probes, gaps, hubs.

    Attributes:
        run_folder: a finished run or quickstart folder.
        store: the store it was trained on; the one of the quickstart folder where not given.
        out: the folder; ``RUN/tasks/quality`` where not given.
        seed: of permutations, bootstraps and draws.
        json: print the figures as JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    store: Path | None = None
    out: Path | None = None
    seed: int = 0
    json: bool = False

    def run(self) -> None:
        """Measures and says what was written."""
        started = time.monotonic()
        opened = open_run(self.run_folder, Store(self.store or self.run_folder / "store"))
        with talking() as talk:
            talk.note(f"embedding {len(opened.records):,} records")
            spaces = read_spaces(opened, self.run_folder)
            result = study(opened, spaces, self.seed)
        result |= {"model_hash": opened.prismat.hash, "is_own": opened.is_own}
        result["seconds"] = time.monotonic() - started
        folder = self.out or run_folder(self.run_folder) / "tasks" / "quality"
        page = write_result(folder, "quality", result, quality_page(result))
        if self.json:
            print(json.dumps(to_plain(result), indent=2, ensure_ascii=False, allow_nan=False))
            return
        for way in ("crystal system", "chemistry"):
            if result["classes"].get(way):
                print(f"\n{way}, {result['records']:,} held-out records")
                print(plain_table(*class_rows(result["classes"][way])))
        print("\nlinear probes, accuracy on test")
        print(plain_table(*probe_rows(result["probes"])))
        print(f"\nReport: {page}")
        print(f"Next: prismat calibrate --run {self.run_folder}")
