"""A foreign program in a folder of its own, with limits on time, memory and files."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prismat.errors import BadInputError

LOG = "log"
"""File in the folder that receives what the program says."""
_TAIL = 65_536
_POLL_S = 0.1
_LAUNCHER = Path(__file__).with_name("limited_exec.py")

How = Literal["ended", "time", "memory", "size", "killed", "stopped"]
"""``ended`` by itself, over a limit, ``killed`` from outside, or ``stopped`` on the caller's demand."""


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        seconds: by the clock and of processor time; all its processes are killed then.
        memory_mb: address space.
        file_mb: size of any one file.

    Raises:
        BadInputError: a limit that is not positive.
    """

    seconds: float = 600.0
    memory_mb: int = 4096
    file_mb: int = 1024

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.memory_mb > 0 and self.file_mb > 0):
            raise BadInputError(
                f"{self.seconds:g} s, {self.memory_mb} MB, files of {self.file_mb} MB",
                field="limits",
                remedy="Give limits above 0.",
            )

    def resources(self) -> dict[str, int]:
        """For ``limited_exec``: by names of the module ``resource``."""
        return {
            "RLIMIT_CPU": int(self.seconds) + 1,
            "RLIMIT_AS": self.memory_mb << 20,
            "RLIMIT_FSIZE": self.file_mb << 20,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True)
class Finished:
    """How a program ended.

    Attributes:
        how: by itself or not.
        code: exit status; negative for the signal that ended it.
        seconds: by the clock.
        tail: end of what it said, at most 64 kB.
    """

    how: How
    code: int
    seconds: float
    tail: str


def run_limited(
    command: Sequence[str], folder: Path, limits: Limits, stop: threading.Event | None = None
) -> Finished:
    """Runs a program in a folder; no shell, no input, an empty environment, and one thread.

    The program and all it started are killed at the end of its time, when ``stop`` is set, and, on Linux,
    when this process ends.

    Args:
        command: an absolute path and arguments.
        folder: where it runs; also its home and its place for temporary files.
        limits: time, memory, file size.
        stop: ends the run early.

    Raises:
        BadInputError: the system has no resource limits, as Windows.
    """
    if os.name != "posix":
        raise BadInputError(
            "this system cannot limit time and memory of a program",
            field="limits",
            remedy="Use Linux or macOS, or the Windows Subsystem for Linux.",
        )
    launch = [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(limits.resources()), str(os.getpid())]
    started = time.monotonic()
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*launch, *command],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        ended = _wait(process, started + limits.seconds, stop)
    code, tail = process.returncode, _tail(folder / LOG)
    return Finished(ended or _how(code, tail), code, time.monotonic() - started, tail)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours but the places of programs and libraries."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | threads | {"HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C"}


def _wait(process: subprocess.Popen, deadline: float, stop: threading.Event | None) -> How | None:
    """Waits for the end; kills the process group at the deadline or on demand, and says which."""
    try:
        while True:
            try:
                process.wait(_POLL_S)
                return None
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    return "time"
                if stop is not None and stop.is_set():
                    return "stopped"
    finally:
        # Also what an ended program left running.
        _kill_group(process.pid)
        process.wait()


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


_MEMORY_WORDS = (
    "memoryerror",
    "out of memory",
    "cannot allocate memory",
    "failed to allocate",
    "memory allocation",
    "failed to map segment",
    "bad_alloc",
)
"""What Python, C, Fortran, the loader and Abinit say when there is no memory left."""


def _how(code: int, tail: str) -> How:
    if code == -signal.SIGXCPU:
        return "time"
    if code == -signal.SIGXFSZ or "file too large" in tail.lower():
        return "size"
    if code and any(word in tail.lower() for word in _MEMORY_WORDS):
        return "memory"
    return "killed" if code in (-signal.SIGKILL, -signal.SIGTERM) else "ended"


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL))
        return stream.read().decode("utf-8", errors="replace")
