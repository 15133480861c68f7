"""A source of a few real crystals that worker processes can import."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import helpers_crystals as real
from prismat.material import Material, Property, Reject

NAMES = ("NaCl", "quartz", "spinel", "wuestite", "rutile", "calcite", "diamond", "diopside")


@dataclass(frozen=True)
class FewCrystals:
    """Rows made from real crystals: every fifth is a reject, every seventh has words only.

    Attributes:
        rows: number of rows.
        rejected: rows at the start that are all rejects.
        seconds: spent on each row, so that a test can interrupt.
        deadly: a file; the process that meets its row removes it and dies.
        label: part of the fingerprint.
    """

    rows: int = 24
    rejected: int = 0
    seconds: float = 0.0
    deadly: Path | None = None
    label: str = "a"

    name = "few"
    licence = "CC0"
    citation = "Nobody (2026)"

    def fingerprint(self):
        return f"{self.rows}-{self.rejected}-{self.label}"

    def __len__(self):
        return self.rows

    def read(self, start, stop):
        for row in range(start, min(stop, self.rows)):
            time.sleep(self.seconds)
            if row == 13 and self.deadly is not None and self.deadly.exists():
                self.deadly.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            yield self._row(row)

    def _row(self, row):
        if row < self.rejected or row % 5 == 4:
            return Reject(f"row-{row}", "illegible, as usual: “Å”")
        if row % 7 == 6:
            return Material(f"row-{row}", texts={"title": "Words alone"})
        name = NAMES[row % len(NAMES)]
        return Material(
            f"row-{row}",
            real.crystals()[name],
            texts={"title": f"The structure of {name}", "keywords": "crystal"},
            properties={"gap": Property(0.5 * row, "eV")},
            tags={"mineral": name},
        )
