"""Which crystals of a store are computed, and in what order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from prismat.compute.failure import CalculationError
from prismat.compute.plan import Plan, make_plan
from prismat.compute.pseudopotentials import Pseudopotentials
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.crystal import Crystal
from prismat.elements import atomic_number
from prismat.errors import BadInputError
from prismat.store import Store

_BLOCK = 1024
_PARTICULAR = re.compile(r"^\d+ |: [A-Z][a-z]?$")


@dataclass(frozen=True)
class Choice:
    """Which crystals are computed.

    Attributes:
        suitable: size of the primitive cell.
        elements: only crystals of these elements; of any where empty.
        distinct: one crystal, the first, of every formula and space group.
        limit: the cheapest so many; 0 for all.
        sample: of those so many, spread evenly from the cheapest to the dearest; 0 for all.
    """

    suitable: Suitable = field(default_factory=Suitable)
    elements: tuple[str, ...] = ()
    distinct: bool = True
    limit: int = 0
    sample: int = 0


@dataclass(frozen=True, eq=False)
class Task:
    """A crystal to compute.

    Attributes:
        id: of its record.
        plan: how.
    """

    id: str
    plan: Plan


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a choice leaves.

    Attributes:
        tasks: cheapest first.
        left_out: number of crystals left out, by reason.
    """

    tasks: list[Task]
    left_out: dict[str, int]


def choose(
    store: Store, pseudopotentials: Pseudopotentials, settings: AbinitSettings, choice: Choice
) -> Chosen:
    """Plans every crystal of a store that the choice admits.

    Raises:
        BadInputError: an element that is none; the store has no crystals.
    """
    allowed = {atomic_number(symbol) for symbol in choice.elements}
    seen: set[tuple[str, int]] = set()
    chosen = Chosen([], {})
    for identifier, group, crystal in _crystals(store):
        try:
            if crystal is None:
                raise CalculationError("unsuitable", "no structure")
            if allowed and not allowed.issuperset(crystal.composition):
                raise CalculationError("unsuitable", "elements that were not asked for")
            plan = make_plan(crystal, pseudopotentials, settings, choice.suitable)
            if choice.distinct and (crystal.formula, group) in seen:
                raise CalculationError("unsuitable", "formula and space group of another")
        except CalculationError as error:
            # What differs from crystal to crystal is left out of the reason: numbers, and elements.
            reason = _PARTICULAR.sub("", error.reason)
            chosen.left_out[reason] = chosen.left_out.get(reason, 0) + 1
            continue
        seen.add((crystal.formula, group))
        chosen.tasks.append(Task(identifier, plan))
    return _cheapest(chosen, choice, store)


def _crystals(store: Store) -> Iterator[tuple[str, int, Crystal | None]]:
    """Id, space group and primitive cell of every record, a block of them in memory."""
    groups = store.column("spacegroup_number")
    for start in range(0, len(store), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(store)))
        for row, crystal in zip(rows.tolist(), store.crystals(rows), strict=True):
            yield store.ids[row], groups[row], crystal


def _cheapest(chosen: Chosen, choice: Choice, store: Store) -> Chosen:
    chosen.tasks.sort(key=lambda task: (task.plan.cost, task.id))
    there = len(chosen.tasks)
    if 0 < choice.limit < len(chosen.tasks):
        del chosen.tasks[choice.limit :]
    if 0 < choice.sample < len(chosen.tasks):
        kept = np.linspace(0, len(chosen.tasks) - 1, choice.sample).round().astype(int).tolist()
        chosen.tasks[:] = [chosen.tasks[number] for number in kept]
    if len(chosen.tasks) < there:
        chosen.left_out["beyond the limit, or not of the sample"] = there - len(chosen.tasks)
    if not chosen.tasks:
        raise BadInputError(
            "no crystal to compute", record=str(store.folder), remedy="Admit larger cells or other elements."
        )
    return chosen
