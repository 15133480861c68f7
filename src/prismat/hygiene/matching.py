"""Whether two crystals are the same, asked of pymatgen's StructureMatcher, many pairs in several processes.

The matcher maps sites of one crystal onto those of another: Ong et al., Comput. Mater. Sci. 68, 314 (2013).
"""

import logging
import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from prismat.crystal import Crystal
from prismat.errors import PrismatError

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure_matcher import StructureMatcher

SAME, OTHER, UNDECIDED = 1, 0, -1
"""Answers: the same crystal, another one, and not decided within the time."""
_CHUNK = 32
"""Pairs sent to a process at once."""
_MOST_CELLS = 4
"""A primitive cell of more sites than this many of another one's is a superstructure: a phase of its own."""
_WORTH_A_POOL = 64
"""With fewer pairs the start of processes costs more than it saves."""


@dataclass(frozen=True)
class Matching:
    """When two crystals count as the same; the tolerances are pymatgen's own.

    Attributes:
        lengths: relative difference of cell edges.
        sites: largest displacement of a site, in units of (volume / site)^⅓.
        angles: difference of cell angles in degrees.
        occupancy: largest difference in the occupancy of a site by any element.
        symprec: Å, within which atoms repeat when the primitive cell is sought.
        seconds: of processor time for one pair; then it stays undecided.
        workers: processes; 0 for one per processor, 1 for none but this one.
    """

    lengths: float = 0.2
    sites: float = 0.3
    angles: float = 5.0
    occupancy: float = 0.05
    symprec: float = 0.1
    seconds: float = 5.0
    workers: int = 0


def match_pairs(
    crystals: Sequence[Crystal | None], pairs: Int[np.ndarray, "pairs 2"], matching: Matching
) -> Int[np.ndarray, " pairs"]:
    """``SAME``, ``OTHER`` or ``UNDECIDED`` for every pair.

    Args:
        crystals: all of them.
        pairs: rows of two periodic crystals.
        matching: tolerances, time for a pair, processes.
    """
    with Matcher(matching) as matcher:
        return matcher.match(crystals, pairs)


class Matcher:
    """Answers for pairs, keeping its processes between calls.

    Args:
        matching: tolerances, time for a pair, processes.
    """

    def __init__(self, matching: Matching) -> None:
        self.matching = matching
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Matcher":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def match(
        self, crystals: Sequence[Crystal | None], pairs: Int[np.ndarray, "pairs 2"]
    ) -> Int[np.ndarray, " pairs"]:
        """``SAME``, ``OTHER`` or ``UNDECIDED`` for every pair."""
        # Neighbours in this order share a crystal, whose reduced cell is then at hand.
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        chunks = [pairs[order[k : k + _CHUNK]] for k in range(0, len(order), _CHUNK)]
        jobs = [
            [(_crystal(crystals, i), _crystal(crystals, j)) for i, j in chunk.tolist()] for chunk in chunks
        ]
        answers = np.zeros(len(pairs), dtype=np.int64)
        found = [answer for chunk in self._map(jobs, len(pairs)) for answer in chunk]
        answers[order] = found
        return answers

    def _map(self, jobs: list[list[tuple[Crystal, Crystal]]], count: int) -> Iterator[list[int]]:
        settings = [self.matching] * len(jobs)
        # The alarm that ends a pair reaches only the first thread of a process.
        is_first = threading.current_thread() is threading.main_thread()
        if is_first and (self.matching.workers == 1 or (count < _WORTH_A_POOL and self._pool is None)):
            return map(match_chunk, jobs, settings)
        self._pool = self._pool or ProcessPoolExecutor(
            self.matching.workers or None, mp_context=get_context("spawn"), initializer=_start_worker
        )
        return self._pool.map(match_chunk, jobs, settings)


def _crystal(crystals: Sequence[Crystal | None], row: int) -> Crystal:
    found = crystals[row]
    if found is None or not found.periodic:
        raise ValueError(f"row {row} is no periodic crystal")
    return found


def _start_worker() -> None:
    """Workers leave Ctrl-C to the parent, and keep quiet."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("moyo").setLevel(logging.ERROR)


def match_chunk(pairs: Sequence[tuple[Crystal, Crystal]], matching: Matching) -> list[int]:
    """The answers for some pairs, in this process."""
    matcher, reduced = _matcher(matching), {}
    with warnings.catch_warnings():
        # Pymatgen tells of every rounded coordinate.
        warnings.simplefilter("ignore")
        return [_answer(first, second, matcher, matching, reduced) for first, second in pairs]


def _answer(
    first: Crystal,
    second: Crystal,
    matcher: "StructureMatcher",
    matching: Matching,
    reduced: dict[int, "Structure"],
) -> int:
    try:
        with _time_limit(matching.seconds):
            one, other = (_reduced(crystal, matching.symprec, reduced) for crystal in (first, second))
            if max(len(one), len(other)) > _MOST_CELLS * min(len(one), len(other)):
                return OTHER
            return SAME if matcher.fit(one, other, skip_structure_reduction=True) else OTHER
    except _OutOfTimeError:
        return UNDECIDED


def _reduced(crystal: Crystal, symprec: float, known: dict[int, "Structure"]) -> "Structure":
    """The Niggli cell for pymatgen, of the primitive cell that moyo finds in far less time than pymatgen."""
    from prismat.modalities.standard_cell import standardize

    if id(crystal) not in known:
        primitive = standardize(crystal, symprec).primitive.to_pymatgen()
        known[id(crystal)] = primitive.get_reduced_structure()
    return known[id(crystal)]


def _matcher(matching: Matching) -> "StructureMatcher":
    from pymatgen.core.structure_matcher import StructureMatcher

    from prismat.hygiene.occupancy import tolerant_comparator

    return StructureMatcher(
        ltol=matching.lengths,
        stol=matching.sites,
        angle_tol=matching.angles,
        primitive_cell=False,
        attempt_supercell=True,
        comparator=tolerant_comparator(matching.occupancy),
    )


class _OutOfTimeError(PrismatError):
    """A pair took longer than its time."""


@contextmanager
def _time_limit(seconds: float) -> Generator[None]:
    """Ends the block with an error when its time is up, in the first thread of a process.

    Time of the processor, not of the clock: a busy machine changes no answer.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise _OutOfTimeError("out of time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
