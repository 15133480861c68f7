"""Becomes another program under resource limits; run as a script, with the standard library only.

``python limited_exec.py '{"RLIMIT_CPU": 60}' PARENT PROGRAM ARGUMENT …``. Limits are set here and not between
fork and exec of the caller, where Python code may lock up a process that runs threads.
"""

import ctypes
import json
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def limit(name: str, value: int) -> None:
    """Sets a limit, or the one that already holds where it is lower."""
    number = getattr(resource, name)
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # A second above the soft limit of processor time, whose signal tells the cause; the hard one's is a kill.
    above = value + 1 if hard == resource.RLIM_INFINITY else min(value + 1, hard)
    resource.setrlimit(number, (value, above if name == "RLIMIT_CPU" else value))


def die_with(parent: int) -> None:
    """Has Linux kill this process when the one that started it ends, however it ends."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def main(limits: str, parent: str, *command: str) -> None:
    """Never returns: this process becomes ``command``."""
    die_with(int(parent))
    for name, value in json.loads(limits).items():
        limit(name, value)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
