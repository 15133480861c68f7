"""Densities of states and charge densities with Abinit: what a campaign took, and known gaps.

``campaign`` reads a folder of ``prismat compute``: results, failures by reason, times by number of atoms,
convergence, and then computes crystals whose gap in the local density approximation is published, with the
settings of that folder. ``cutoffs`` measures the plane-wave cutoff of every pseudopotential, which is
``src/prismat/data/hgh.csv``.

Usage: python abinit.py campaign --computed FOLDER [--attached STORE]
       python abinit.py cutoffs
"""

import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from _machine import write

from prismat.compute.abinit_output import read_text
from prismat.compute.calculation import compute_crystal
from prismat.compute.plan import HARTREE, make_plan
from prismat.compute.program import find_program
from prismat.compute.pseudopotentials import Pseudopotentials, choices
from prismat.compute.results import read_facts, read_failures, read_measurements, result_path
from prismat.compute.sandbox import Limits, run_limited
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.crystal import Crystal, element_site
from prismat.elements import SYMBOLS
from prismat.measurements import ChargeDensity, Dos
from prismat.store import Store

FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
REFERENCES = {
    "Si": (5.430, ("Si", "Si"), 0.25, 0.47),
    "C": (3.567, ("C", "C"), 0.25, 4.11),
    "AlP": (5.463, ("Al", "P"), 0.25, 1.46),
    "GaAs": (5.648, ("Ga", "As"), 0.25, 0.30),
    "MgO": (4.207, ("Mg", "O"), 0.5, 4.70),
}
"""Edge in Å, elements, place of the second atom, and the gap in eV of the local density approximation in
table I of Tran & Blaha, Phys. Rev. Lett. 102, 226401 (2009)."""
LADDER = (10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100)
TOP = 120
TOLERANCE_EV = 0.15
LEAST = 15


@dataclass(frozen=True)
class Campaign:
    """What a campaign took.

    Attributes:
        computed: folder of ``prismat compute``.
        attached: a store prepared with it, for its size.
    """

    computed: Path
    attached: Path | None = None

    def run(self) -> None:
        """Writes results/abinit.json."""
        job = json.loads((self.computed / "job.json").read_text(encoding="utf-8"))
        facts = list(read_facts(self.computed).values())
        payload = {
            "job": job,
            **figures(self.computed, facts),
            "checks": checks(self.computed, facts),
            "references": references(AbinitSettings(**job["settings"])),
            "bytes": sizes(self.computed, facts, self.attached),
        }
        print(json.dumps(payload, indent=2, ensure_ascii=False))
        print(write("abinit", payload))


def figures(folder: Path, facts: list[dict]) -> dict:
    failures = read_failures(folder).values()
    by_atoms = {n: [f for f in facts if f["n_atoms"] == n] for n in sorted({f["n_atoms"] for f in facts})}
    return {
        "computed": len(facts),
        "converged": len(facts),
        "failed": len(failures),
        "failures": dict(Counter(f.kind for f in failures)),
        "failure_list": [
            {"id": f.id, "kind": f.kind, "reason": f.reason, "seconds": f.seconds} for f in failures
        ],
        "second_attempts": sum(f["attempts"] > 1 for f in facts),
        "metals": sum(bool(f.get("metal")) for f in facts),
        "elements": len({e for f in facts for e in re.findall("[A-Z][a-z]?", f["formula"])}),
        "formulas": len({f["formula"] for f in facts}),
        "seconds": spread([f["seconds"] for f in facts]),
        "cpu_seconds_of_the_last_attempt": spread([f["cpu_seconds"] for f in facts]),
        "by_atoms": {
            str(n): {
                "seconds": spread([f["seconds"] for f in group]),
                "cpu_seconds_of_the_last_attempt": spread([f["cpu_seconds"] for f in group]),
            }
            for n, group in by_atoms.items()
        },
        "steps": spread([f["steps"] for f in facts]),
    }


def spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    return {
        "count": len(values),
        "median": round(float(np.median(values)), 2),
        "p90": round(float(np.percentile(values, 90)), 2),
        "max": round(float(np.max(values)), 2),
    }


def checks(folder: Path, facts: list[dict]) -> dict[str, float]:
    """How far densities and densities of states are from the number of electrons, at worst."""
    density, dos = [], []
    for told in facts:
        found = read_measurements(folder, told)
        if isinstance(grid := found.get("charge_density"), ChargeDensity):
            density.append(abs(grid.electrons - told["electrons"]))
        if isinstance(states := found.get("dos"), Dos):
            dos.append(abs(_states_below_zero(states) - told["electrons"]))
    return {
        "worst_electrons_of_a_density": round(max(density, default=0.0), 6),
        "worst_electrons_below_zero_of_a_dos": round(max(dos, default=0.0), 4),
        "median_electrons_below_zero_of_a_dos": round(float(np.median(dos)) if dos else 0.0, 4),
    }


def _states_below_zero(dos: Dos) -> float:
    """States in the intervals below 0, whose middles are the energies."""
    step = dos.energy[-1] - dos.energy[-2]
    share = np.clip((0.5 * step - dos.energy) / step, 0, 1)
    return float((dos.density * step * share).sum())


def references(settings: AbinitSettings) -> list[dict]:
    """Gaps of well-known crystals."""
    found = []
    for name, (edge, elements, place, published) in REFERENCES.items():
        crystal = Crystal(
            edge * FCC, np.array([[0.0] * 3, [place] * 3]), tuple(element_site(e) for e in elements)
        )
        plan = make_plan(crystal, Pseudopotentials(), settings, Suitable())
        result = compute_crystal(plan, settings, find_program(), Limits(seconds=1800.0))
        told = result.facts
        found.append(
            {
                "crystal": name,
                "gap_ev": told.get("gap_ev", 0.0),
                "published_lda_gap_ev": published,
                "electrons": told["electrons"],
                "electrons_of_the_density": round(result.density.electrons, 6) if result.density else None,
                "seconds": told["seconds"],
                "cpu_seconds": told["cpu_seconds"],
            }
        )
        print(found[-1])
    return found


def sizes(folder: Path, facts: list[dict], attached: Path | None) -> dict[str, int]:
    """Bytes of the results, of the arrays alone as float16 on 32³ points, and of a store with them."""
    files = [result_path(folder, f["id"]).with_suffix(".npz") for f in facts]
    found = {"results": sum(path.stat().st_size for path in files)}
    if attached is not None:
        store = Store(attached)
        columns = store.take(np.arange(len(store)), ["charge_density.values", "dos.density"])
        with tempfile.TemporaryDirectory() as temporary:
            packed = Path(temporary) / "packed.npz"
            arrays = {name: column.values.astype(np.float16) for name, column in columns.items()}
            np.savez_compressed(packed, **arrays)
            found["float16_zipped"] = packed.stat().st_size
        found["store"] = sum(p.stat().st_size for p in attached.rglob("*") if p.is_file())
    return found


@dataclass(frozen=True)
class Cutoffs:
    """Measures the cutoff of every pseudopotential and prints rows of hgh.csv."""

    def run(self) -> None:
        """One atom in a face-centred lattice, one general k point, levels up the ladder."""
        files, program = Pseudopotentials(), find_program()
        for z, (electrons, kept) in choices().items():
            highest = levels(files, program.path, z, TOP)
            off = {ec: _off(levels(files, program.path, z, ec), highest) for ec in LADDER}
            bad = [ec for ec in LADDER if off[ec] > TOLERANCE_EV]
            good = [ec for ec in LADDER if ec > max(bad, default=0)]
            print(f"{z},{SYMBOLS[z]},{electrons},{max(LEAST, min(good, default=TOP))}", f"kept: {kept:g}")


def _off(found: np.ndarray, highest: np.ndarray) -> float:
    return float(np.abs(found - highest).max() * HARTREE)


def levels(files: Pseudopotentials, program: Path, z: int, cutoff: float) -> np.ndarray:
    """Occupied levels and the next one in Ha."""
    potential = files.of(z)
    # Manganese's d levels jump between solutions with less smearing.
    smearing = 0.05 if z == SYMBOLS.index("Mn") else 0.01
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "1.hgh").write_bytes(potential.path.read_bytes())
        (folder / "run.abi").write_text(
            f'pseudos "1.hgh"\necut {cutoff}\nacell 3*8.8\nrprim 0 .5 .5 .5 0 .5 .5 .5 0\nntypat 1\n'
            f"znucl {z}\nnatom 1\ntypat 1\nxred 0 0 0\nnband {potential.electrons // 2 + 5}\nnbdbuf 2\n"
            f"nstep 40\noccopt 7\ntsmear {smearing}\nkptopt 0\nnkpt 1\nkpt .25 .25 .25\ntoldfe 1e-5\n"
            "prtden 0\nprtwf 0\nprteig 1\noptforces 0\noptstress 0\n"
        )
        run_limited([str(program), "run.abi"], folder, Limits(seconds=600.0))
        text = read_text(folder / "runo_EIG")
    values = [float(word) for line in text.splitlines()[2:] for word in line.split()]
    return np.array(values[: (potential.electrons + 1) // 2 + 1])


if __name__ == "__main__":
    campaign = Annotated[Campaign, tyro.conf.subcommand("campaign")]
    cutoffs = Annotated[Cutoffs, tyro.conf.subcommand("cutoffs")]
    tyro.cli(campaign | cutoffs).run()
