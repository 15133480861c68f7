"""Many trials, each in a process of its own: as many at once as wanted, none brought down by another."""

import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from prismat.errors import PrismatError
from prismat.store import Store
from prismat.studies.trial import RECORD, Trial, failed, run_trial
from prismat.tasks.quickstart import Talk

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Runner:
    """How trials are run.

    Attributes:
        workers: trials at a time, each in a process of its own; 0 for one after the other in this process,
            whose peak memory is then that of all together.
        threads: of torch in each trial. Sums depend on it, so a study keeps the number it began with, and its
            results are the same whatever ``workers`` is.
        retry: whether trials that failed before are tried again.
    """

    workers: int = 1
    threads: int = 1
    retry: bool = False

    def run(
        self, store: Store, trials: Sequence[Trial], part: str = "val", talk: Talk = Talk()
    ) -> list[dict[str, Any]]:
        """The records of all trials, in their order; finished ones are kept as they are.

        A trial that fails is recorded with its reason, and the others go on.
        """
        waiting = [t for t in trials if not self._is_settled(t, part)]
        for trial in waiting:
            (trial.folder / RECORD[part]).unlink(missing_ok=True)
        done = len(trials) - len(waiting)
        talk.bar("trials", done, len(trials), {})
        for number, _ in enumerate(self._finish(store, waiting, part, talk), start=done + 1):
            talk.bar("trials", number, len(trials), {})
        return [t.record(part) or failed(t, part, "left no record") for t in trials]

    def _is_settled(self, trial: Trial, part: str) -> bool:
        found = trial.record(part)
        return found is not None and (found["state"] == "done" or not self.retry)

    def _finish(self, store: Store, trials: Sequence[Trial], part: str, talk: Talk) -> Iterator[Trial]:
        """Trials as they end."""
        if self.workers:
            yield from self._apart(store.folder, trials, part)
            return
        with _torch_threads(self.threads):
            for trial in trials:
                _attempt(store, trial, part, talk)
                yield trial

    def _apart(self, store: Path, trials: Sequence[Trial], part: str) -> Iterator[Trial]:
        """Each trial in a new process: a crash is its own, and so is its peak memory."""
        context, waiting, running = get_context("spawn"), list(trials), {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    trial = waiting.pop(0)
                    task = (store, trial, part, os.getpid())
                    process = context.Process(target=_enter, args=task, daemon=True)
                    with _thread_variables(self.threads):
                        process.start()
                    running[process.sentinel] = (process, trial)
                for sentinel in connection.wait(list(running)):
                    process, trial = running.pop(sentinel)
                    process.join()
                    if trial.record(part) is None:
                        failed(trial, part, f"its process ended with code {process.exitcode}")
                    yield trial
        finally:
            for process, _ in running.values():
                process.terminate()
                process.join()


def _enter(store: Path, trial: Trial, part: str, parent: int) -> None:
    """What a process does: one trial, for as long as the study that started it lives."""
    # An interruption is the study's to handle: it ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def bar(*_: object) -> None:
        if os.getppid() != parent:
            # The study was killed; another one may already go on from this trial's checkpoint.
            os._exit(1)

    _attempt(Store(store), trial, part, Talk(bar=bar))


def _attempt(store: Store, trial: Trial, part: str, talk: Talk) -> None:
    """Runs a trial; what goes wrong in it is recorded, an interruption is not."""
    try:
        run_trial(store, trial, part, talk)
    except PrismatError as error:
        failed(trial, part, str(error))
    except (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        failed(trial, part, f"{type(error).__name__}: {error}")


@contextmanager
def _thread_variables(threads: int) -> Generator[None]:
    """What a new process reads before it loads torch."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextmanager
def _torch_threads(threads: int) -> Generator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
