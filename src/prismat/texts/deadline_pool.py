"""A pool of processes in which every task has a deadline: a worker that passes it is killed and replaced."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from prismat.errors import BadInputError, PrismatError

START_TIMEOUT = 300.0
"""Seconds that a worker may take to get ready."""


@dataclass(frozen=True)
class Outcome:
    """How one task ended.

    Attributes:
        index: of the task.
        result: what the function gave; None where it failed.
        reason: why it failed; empty where it did not.
        lasting: whether the same task would fail again; False for a deadline passed or a worker that died.
    """

    index: int
    result: Any = None
    reason: str = ""
    lasting: bool = False


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: int | None
    deadline: float


def run_with_deadline(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    timeout: float,
    workers: int = 0,
    prepare: Callable[[], object] | None = None,
) -> Iterator[Outcome]:
    """Runs a function on every task in spawned processes, and yields outcomes as they come.

    Args:
        function: importable by name, so that a new process finds it.
        tasks: arguments, one for each call.
        timeout: seconds for one task; its process is killed when they are over.
        workers: processes; 0 for one per processor.
        prepare: what a process does before its first task, such as slow imports; not counted in ``timeout``.

    Raises:
        PrismatError: a process cannot get ready.
    """
    queue = iter(range(len(tasks)))
    open_ = min(workers or os.cpu_count() or 1, len(tasks))
    pool = [_start(function, prepare) for _ in range(open_)]
    left = len(tasks)
    try:
        while left:
            for worker in _due(pool):
                outcome = _hear(worker, timeout)
                if outcome is not None:
                    left -= 1
                    yield outcome
                if not worker.process.is_alive() and worker.connection.closed:
                    pool.remove(worker)
                    if left >= len(pool) + 1:
                        pool.append(_start(function, prepare))
                    continue
                _feed(worker, queue, tasks, timeout)
    finally:
        for worker in pool:
            _kill(worker)


def _start(function: Callable[[Any], Any], prepare: Callable[[], object] | None) -> _Worker:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, function, prepare), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here, None, time.monotonic() + START_TIMEOUT)


def _due(pool: list[_Worker]) -> list[_Worker]:
    """Workers that said something, died, or passed their deadline; waits for the first."""
    rest = max(0.0, min(w.deadline for w in pool) - time.monotonic())
    spoke = wait([w.connection for w in pool], min(rest, 3600.0))
    now = time.monotonic()
    return [w for w in pool if w.connection in spoke or w.deadline <= now]


def _hear(worker: _Worker, timeout: float) -> Outcome | None:
    """What became of the worker's task; None where it just got ready. A lost worker is killed and closed."""
    task, worker.task, worker.deadline = worker.task, None, float("inf")
    try:
        result, reason = worker.connection.recv() if worker.connection.poll() else (None, None)
    except (EOFError, OSError):
        worker.process.join(10)
        code = worker.process.exitcode
        _kill(worker)
        if task is None:
            raise PrismatError(f"A worker died before its first task (exit code {code}).") from None
        return Outcome(task, reason=f"its process died (exit code {code}), perhaps for want of memory")
    if reason is None:
        _kill(worker)
        if task is None:
            raise PrismatError(f"A worker was not ready after {START_TIMEOUT:.0f} s.")
        return Outcome(task, reason=f"no result within {timeout:g} s")
    if task is None:
        if reason:
            raise PrismatError(f"A worker cannot get ready: {reason}")
        return None
    return Outcome(task, result, reason, lasting=bool(reason))


def _feed(worker: _Worker, queue: Iterator[int], tasks: Sequence[Any], timeout: float) -> None:
    task = next(queue, None)
    if task is None:
        return
    worker.task, worker.deadline = task, time.monotonic() + timeout
    try:
        worker.connection.send(tasks[task])
    except OSError:
        # It died meanwhile, which the next look at its connection tells.
        return


def _kill(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join(10)
    worker.connection.close()


def _work(
    connection: Connection, function: Callable[[Any], Any], prepare: Callable[[], object] | None
) -> None:
    """The loop of one process: answers each task with (result, reason)."""
    # Ctrl-C is for the parent, which kills its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _, problem = _attempt(lambda _: prepare() if prepare else None, None)
    # What it gave stays here: a module cannot be sent.
    connection.send((None, problem))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_attempt(function, task))


def _attempt(function: Callable[[Any], Any], task: Any) -> tuple[Any, str]:
    try:
        return function(task), ""
    except Exception as error:
        said = error.problem if isinstance(error, BadInputError) else f"{type(error).__name__}: {error}"
        return None, said[:500]


def _end_with_parent() -> None:
    """A worker whose parent was killed ends, even amid a long task."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
