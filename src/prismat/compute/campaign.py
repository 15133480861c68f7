"""Many crystals into one folder: resumable, several at a time, every failure listed.

Layout::

    job.json           settings, program and pseudopotentials; a folder is never gone on with under others
    results/           for each crystal NAME.npz (arrays) and NAME.json, see ``results``
    failures.jsonl     id, kind, reason, seconds and time of every failure
    scratch/           folders of the runs that are going on
"""

import json
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from prismat.compute.calculation import Computed, compute_crystal
from prismat.compute.failure import CalculationError, StoppedError
from prismat.compute.program import Program
from prismat.compute.pseudopotentials import NAME, Pseudopotentials
from prismat.compute.results import (
    FOLDER,
    Failure,
    append_failure,
    mend_failures,
    read_failures,
    result_path,
    write_result,
)
from prismat.compute.sandbox import Limits
from prismat.compute.selection import Task
from prismat.compute.settings import AbinitSettings
from prismat.errors import BadInputError, PrismatError
from prismat.files import digest, write_json

Progress = Callable[[int, int], None]

_JOB = "job.json"
_SCRATCH = "scratch"
_LOCK = ".lock"


@dataclass(frozen=True)
class Campaign:
    """What is the same for all crystals of a folder.

    Attributes:
        folder: receives the results.
        settings: accuracy.
        program: Abinit.
        pseudopotentials: files.
        limits: of one run; may change from one start to the next.
    """

    folder: Path
    settings: AbinitSettings
    program: Program
    pseudopotentials: Pseudopotentials
    limits: Limits = field(default_factory=Limits)

    def job(self) -> dict:
        """What results depend on."""
        return {
            "settings": asdict(self.settings),
            "program": f"Abinit {self.program.version}",
            "pseudopotentials": {"name": NAME, "fingerprint": self.pseudopotentials.fingerprint()},
        }


@dataclass(frozen=True)
class Outcome:
    """How a campaign ended.

    Attributes:
        computed: results made now.
        there: results that were there.
        failed: failures by id, those of earlier starts included.
        seconds: spent on each crystal computed now, by id.
    """

    computed: int
    there: int
    failed: dict[str, Failure]
    seconds: dict[str, float]


def run_campaign(
    campaign: Campaign,
    tasks: Sequence[Task],
    workers: int = 1,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Computes every crystal that has neither a result nor a failure.

    What is done is on disk the moment it is done: a kill repeats at most the runs that were going on.

    Args:
        campaign: folder and settings.
        tasks: crystals.
        workers: Abinit processes at a time, of one thread each.
        retry_failed: compute those that failed before as well.
        progress: told (done, of all).

    Raises:
        BadInputError: the folder belongs to other settings, is something else, or is being written by
            another process; two tasks of one id; less than one worker.
    """
    if workers < 1:
        raise BadInputError(f"{workers} workers", field="workers", remedy="Give at least 1.")
    if len({task.id for task in tasks}) < len(tasks):
        raise BadInputError("two crystals of one id", field="id", remedy="Give every crystal once.")
    _claim(campaign.folder, campaign.job())
    with _alone(campaign.folder):
        _clean(campaign.folder)
        there = {t.id for t in tasks if result_path(campaign.folder, t.id).is_file()}
        failed = set() if retry_failed else set(read_failures(campaign.folder))
        todo = [t for t in tasks if t.id not in there and t.id not in failed]
        seconds: dict[str, float] = {}
        done = len(tasks) - len(todo)
        if progress:
            progress(done, len(tasks))
        for task, computed in _all(campaign, todo, workers):
            if computed is not None:
                seconds[task.id] = computed.facts["seconds"]
            done += 1
            if progress:
                progress(done, len(tasks))
    mine = {task.id for task in tasks}
    failures = {name: f for name, f in read_failures(campaign.folder).items() if name in mine}
    return Outcome(len(seconds), len(there), failures, seconds)


def _claim(folder: Path, job: dict) -> None:
    """Marks the folder with the job."""
    mark = folder / _JOB
    if mark.is_file():
        if digest(json.loads(mark.read_text(encoding="utf-8"))) != digest(job):
            raise BadInputError(
                f"{folder} holds results of other settings, another Abinit or other pseudopotentials",
                remedy="Give another folder.",
            )
    elif folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise BadInputError(f"{folder} is not empty and holds no results", remedy="Give another folder.")
    else:
        write_json(mark, job)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keeps a second process out of the folder; the system lets go of the lock however this one ends."""
    # Not there on Windows, where the command line has to start nonetheless.
    import fcntl

    with (folder / _LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInputError(
                f"another process is computing into {folder}", remedy="Wait for it, or give another folder."
            ) from error
        yield


def _clean(folder: Path) -> None:
    """Removes what a killed process left."""
    shutil.rmtree(folder / _SCRATCH, ignore_errors=True)
    (folder / _SCRATCH).mkdir()
    (folder / FOLDER).mkdir(exist_ok=True)
    for stale in (folder / FOLDER).glob(".*.tmp"):
        stale.unlink()
    mend_failures(folder)


def _all(campaign: Campaign, todo: Sequence[Task], workers: int) -> Iterator[tuple[Task, Computed | None]]:
    """Computes in threads, each of which waits for a process, and writes here, one result at a time."""
    stop, settings = threading.Event(), digest(campaign.job())
    with ThreadPoolExecutor(workers) as pool:
        try:
            for task, found in _in_turn(pool, campaign, todo, workers, stop):
                if isinstance(found, Failure):
                    append_failure(campaign.folder, found)
                    yield task, None
                else:
                    write_result(campaign.folder, task.id, task.plan.crystal, found, settings)
                    yield task, found
        finally:
            stop.set()


def _in_turn(
    pool: ThreadPoolExecutor, campaign: Campaign, todo: Sequence[Task], workers: int, stop: threading.Event
) -> Iterator[tuple[Task, Computed | Failure]]:
    """Results as they come; no more is begun than there are workers, so that nothing waits in memory."""
    waiting = iter(todo)
    going: dict[Future, Task] = {}
    while True:
        for task in waiting:
            going[pool.submit(_one, campaign, task, stop)] = task
            if len(going) >= workers:
                break
        if not going:
            return
        done, _ = wait(going, return_when=FIRST_COMPLETED)
        for future in done:
            yield going.pop(future), future.result()


def _one(campaign: Campaign, task: Task, stop: threading.Event) -> Computed | Failure:
    started = time.monotonic()
    try:
        return compute_crystal(
            task.plan,
            campaign.settings,
            campaign.program,
            campaign.limits,
            campaign.folder / _SCRATCH,
            stop,
        )
    except StoppedError:
        raise
    except CalculationError as error:
        kind, reason = error.kind, error.reason
    except PrismatError as error:
        kind, reason = "output", str(error)
    spent = round(time.monotonic() - started, 2)
    return Failure(task.id, kind, reason, spent, datetime.now(UTC).isoformat(timespec="seconds"))
