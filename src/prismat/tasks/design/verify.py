"""A design checked by first principles: the DOS of its first small crystals computed and compared."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.compute.campaign import Campaign, run_campaign
from prismat.compute.failure import CalculationError
from prismat.compute.plan import make_plan
from prismat.compute.program import find_program
from prismat.compute.pseudopotentials import Pseudopotentials
from prismat.compute.results import read_facts, read_measurements
from prismat.compute.selection import Task
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Dos
from prismat.modalities.dos import DosModality, DosSettings
from prismat.tasks.design.candidates import Candidates
from prismat.tasks.design.spectra import dos_error

AMONG = 200
"""Candidates from the top of a ranking among which small ones are looked for."""


@dataclass(frozen=True)
class VerifyConfig:
    """What is computed.

    Attributes:
        count: crystals from the top, and as many drawn at random from all that pass.
        suitable: size of the primitive cell.
        without: records that are not computed, such as the target's own crystal.
        workers: runs of Abinit at a time.
        seed: of the random crystals.
    """

    count: int = 3
    suitable: Suitable = field(default_factory=lambda: Suitable(4, 24))
    without: tuple[str, ...] = ()
    workers: int = 1
    seed: int = 0


def verify(
    pool: Candidates,
    order: Int[np.ndarray, " passing"],
    target: Dos,
    folder: Path,
    config: VerifyConfig,
    told: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Computes the first small crystals of a ranking, and random ones, and their DOS errors. Resumes.

    Args:
        pool: the candidates.
        order: those that pass, best first.
        target: the DOS that was wanted.
        folder: of the calculations.
        config: how many, and which.
        told: called with finished and all calculations.

    Returns:
        ``hits`` and ``random``: {id, formula, rank, error or failure} each; their mean errors.

    Raises:
        BadInputError: no candidate is small enough, or the target cannot be binned as the model's DOS are.
        MissingExtraError: Abinit or its pseudopotentials are not installed.
    """
    files, settings = Pseudopotentials(), AbinitSettings(quantity="dos")
    planned = _Plans(pool, files, settings, config)
    hits = planned.first(order[:AMONG], config.count, ())
    drawn = np.random.default_rng(config.seed).permutation(order)[:AMONG]
    others = planned.first(drawn, config.count, {task.id for task in hits})
    if not hits:
        raise BadInputError(
            f"none of the first {AMONG} candidates has a cell that can be computed",
            field="verify",
            remedy="Screen smaller cells: --n-sites 1 4.",
        )
    campaign = Campaign(folder, settings, find_program(), files)
    outcome = run_campaign(campaign, [*hits, *others], config.workers, progress=told)
    facts, bins = read_facts(folder), pool.prismat.recipe.measured.dos
    wanted = _binned(target, bins)
    ranks = {pool.ids[row]: place for place, row in enumerate(order.tolist(), start=1)}
    found: dict[str, Any] = {"method": next((f["method"] for f in facts.values()), "")}
    for name, tasks in (("hits", hits), ("random", others)):
        lines = []
        for task in tasks:
            line = {"id": task.id, "formula": task.plan.crystal.formula, "rank": ranks[task.id]}
            if task.id in facts:
                dos = read_measurements(folder, facts[task.id])["dos"]
                line["error"] = float(dos_error(wanted, _binned(dos, bins)[None])[0])
            else:
                line["failure"] = outcome.failed[task.id].reason
            lines.append(line)
        errors = np.array([line.get("error", np.nan) for line in lines], dtype=np.float64)
        known = errors[np.isfinite(errors)]
        found[name] = lines
        found[f"mean_{name}"] = float(known.mean()) if len(known) else None
    return found


def _binned(dos: Any, settings: DosSettings) -> Float[np.ndarray, " bins"]:
    """States per bin of the model's grid."""
    features = DosModality(settings, "dos").featurize(Material("verified", measurements={"dos": dos}))
    if features is None or settings.resample != "grid":
        raise BadInputError("no DOS on a grid", field="verify", remedy="Use a model that bins its DOS.")
    return features["dos.density"].astype(np.float64)


class _Plans:
    """Calculations of candidates that can be computed."""

    def __init__(
        self, pool: Candidates, files: Pseudopotentials, settings: AbinitSettings, config: VerifyConfig
    ) -> None:
        self.pool, self.files, self.settings, self.config = pool, files, settings, config
        self.bounds = np.cumsum([0, *(len(rows) for rows in pool.rows)])

    def first(self, rows: Int[np.ndarray, " n"], count: int, taken: Collection[str]) -> list[Task]:
        """The first so many of some candidates, one of every formula."""
        tasks: list[Task] = []
        for row in rows.tolist():
            name = self.pool.ids[row]
            if len(tasks) == count:
                break
            if name in taken or name in self.config.without:
                continue
            store = int(np.searchsorted(self.bounds, row, side="right")) - 1
            own = self.pool.rows[store][row - self.bounds[store] : row - self.bounds[store] + 1]
            crystal = self.pool.opened[store].prepared.store.crystals(own)[0]
            try:
                if crystal is None or crystal.formula in {t.plan.crystal.formula for t in tasks}:
                    continue
                plan = make_plan(crystal, self.files, self.settings, self.config.suitable)
            except CalculationError:
                # Too large, disordered or without a pseudopotential: the next one is tried.
                continue
            tasks.append(Task(name, plan))
        return tasks


def read_computed_dos(path: Path) -> tuple[str, Dos]:
    """Id and DOS of one result of ``prismat compute``, ``results/NAME.json``.

    Raises:
        BadInputError: not a result, or one without a DOS.
    """
    folder = path.parent.parent
    known = read_facts(folder) if path.is_file() and path.parent.name == "results" else {}
    facts = next((f for f in known.values() if path.stem.startswith(f"{f['id']}-")), None)
    found = read_measurements(folder, facts).get("dos") if facts else None
    if not isinstance(found, Dos) or facts is None:
        raise BadInputError(
            "not a result with a DOS",
            record=str(path),
            field="dos",
            remedy="Give computed/results/NAME.json.",
        )
    return facts["id"], found
