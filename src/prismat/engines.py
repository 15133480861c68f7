"""Where shards are made: in this process, in a pool of processes, or by Ray Data on a cluster."""

import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, runtime_checkable

from prismat.errors import MissingExtraError, PrismatError

EngineName = Literal["processes", "ray"]

LOCAL_CPUS = 2
LOCAL_OBJECT_STORE = 100_000_000
"""Bytes. Shards go to the folder and not through Ray, which moves only their names and sizes."""


@dataclass(frozen=True)
class ShardJob:
    """One shard to make: a call that may be repeated, since it replaces the shard as a whole.

    Attributes:
        make: writes the shard and returns its number of records; importable by its name.
        source: what is read; picklable.
        start: first row.
        folder: the shard's folder, on a file system that all workers share.
        settings: what ``make`` needs beside these.
    """

    make: Callable[[Any, int, Path, Any], int]
    source: Any
    start: int
    folder: Path
    settings: Any

    def __call__(self) -> int:
        """Makes the shard."""
        return self.make(self.source, self.start, self.folder, self.settings)


@runtime_checkable
class Engine(Protocol):
    """Runs jobs in any order."""

    def run(self, jobs: Sequence[ShardJob]) -> Iterator[int]:
        """Yields the size of each shard as it is done; the first failure ends all, as that job raised it.

        Raises:
            BrokenProcessPool: a worker died.
            PrismatError: Ray could not run a job for another reason.
        """
        ...


def make_engine(name: EngineName, workers: int) -> Engine:
    """The engine of a name.

    Args:
        name: ``processes``, or ``ray``.
        workers: shards at a time; 0 for one per processor. One process is this one.

    Raises:
        MissingExtraError: Ray is wanted and not installed.
    """
    if name == "ray":
        return RayEngine(workers)
    return Serial() if workers == 1 else Processes(workers)


class Serial:
    """One shard after the other, in this process."""

    def run(self, jobs: Sequence[ShardJob]) -> Iterator[int]:
        """Yields the size of each shard as it is done."""
        for job in jobs:
            yield job()


class Processes:
    """A pool of processes on this machine.

    Args:
        workers: processes; 0 for one per processor.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers

    def run(self, jobs: Sequence[ShardJob]) -> Iterator[int]:
        """Yields the size of each shard as it is done."""
        # Spawned, not forked: forking a process that runs threads can lock up the child.
        pool = ProcessPoolExecutor(
            self.workers or None, mp_context=get_context("spawn"), initializer=_start_worker
        )
        with pool:
            with _one_thread_each():
                running = [pool.submit(job) for job in jobs]
            try:
                for job in as_completed(running):
                    yield job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


class RayEngine:
    """Ray Data, on the cluster at ``RAY_ADDRESS`` or one that is started on this machine and shut down.

    A job whose worker died is repeated by Ray, up to three times. What Ray runs must be installed on the
    cluster, and the store's folder and the source's files must be reachable by the same paths there.

    Args:
        workers: shards at a time; 0 for as many as there are processors in the cluster.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, workers: int = 0) -> None:
        _import_ray()
        self.workers = workers

    def run(self, jobs: Sequence[ShardJob]) -> Iterator[int]:
        """Yields the size of each shard as it is done."""
        if not jobs:
            return
        ray = _import_ray()
        with _connected(ray, self.workers), closing(_rows(ray, jobs, self.workers)) as rows:
            try:
                for row in rows:
                    if row["failure"] is not None:
                        raise row["failure"]
                    yield row["records"]
            except _deaths(ray) as error:
                raise BrokenProcessPool(str(error)[:500]) from error
            except ray.exceptions.RayError as error:
                raise PrismatError(f"Ray could not run the job: {str(error)[:500]}") from error


def _import_ray() -> ModuleType:
    # Read when Ray is imported: no report of its use leaves this machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "scale") from error
    return ray


def _deaths(ray: Any) -> tuple[type[Exception], ...]:
    found = ray.exceptions
    return (
        found.WorkerCrashedError,
        found.OutOfMemoryError,
        found.NodeDiedError,
        found.LocalRayletDiedError,
        found.ObjectLostError,
    )


def _rows(ray: Any, jobs: Sequence[ShardJob], workers: int) -> Generator[dict[str, Any]]:
    """One row for each shard: how many records it has, or why it could not be made."""
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.ERROR)
    # The source and the settings travel once, not with every shard.
    shared = ray.put(jobs)
    numbers = ray.data.from_items(
        [{"number": number} for number in range(len(jobs))], override_num_blocks=len(jobs)
    )
    try:
        tasks = ray.data.TaskPoolStrategy(size=workers or None)
        yield from numbers.map(_RunOne(shared), num_cpus=1, compute=tasks).iter_rows()
    finally:
        context.enable_progress_bars = before[0]
        log.setLevel(before[1])


class _RunOne:
    """The function that Ray maps over the jobs' numbers.

    Args:
        shared: Ray's reference to the jobs.
    """

    def __init__(self, shared: Any) -> None:
        self.shared = shared

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Makes one shard; an error is a result like another, so that it arrives as it was raised."""
        import ray

        _quiet()
        try:
            return {"records": ray.get(self.shared)[row["number"]](), "failure": None}
        except Exception as error:
            return {"records": 0, "failure": error}


@contextmanager
def _connected(ray: Any, workers: int) -> Generator[None]:
    """A connection that is ended here if it was begun here; a cluster that is there is left running."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get("RAY_ADDRESS", "")
    # In the system's own folder: paths of sockets are limited to about 100 characters.
    scratch = None if address else tempfile.mkdtemp(prefix="prismat-ray-")
    try:
        if scratch is None:
            ray.init(address=address, **quiet)
        else:
            # Workers find what this process can import, as those of a pool do.
            with _one_thread_each(), _environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path))):
                ray.init(
                    address="local",
                    num_cpus=workers or LOCAL_CPUS,
                    object_store_memory=LOCAL_OBJECT_STORE,
                    include_dashboard=False,
                    _temp_dir=scratch,
                    **quiet,
                )
        yield
    finally:
        ray.shutdown()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _start_worker() -> None:
    """Workers leave Ctrl-C to the parent, which stops them, and keep quiet."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _quiet()


def _quiet() -> None:
    logging.getLogger("moyo").setLevel(logging.ERROR)


def _one_thread_each() -> AbstractContextManager[None]:
    """Processes started meanwhile run their linear algebra on one thread: there is one for each processor."""
    return _environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")


@contextmanager
def _environment(**variables: str) -> Generator[None]:
    """Environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
