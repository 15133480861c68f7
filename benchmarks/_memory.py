"""What a call adds to this process's memory at most, within the memory that is free (Linux)."""

import gc
import resource
import time
from collections.abc import Callable
from pathlib import Path


def status(field: str) -> float:
    """A field of the kernel's account of this process, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def available_mib() -> float:
    """Memory that can be had without pushing out what others use, in MiB."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / 1024


def measured(call: Callable[[], float]) -> dict[str, float | bool]:
    """Wall seconds of a call, the resident MiB it adds at most, and its value; or that it did not fit."""
    gc.collect()
    limit = available_mib() - 1024
    # The peak starts anew here (Linux, proc(5)).
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    ceiling = int((status("VmSize") + limit) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    before, start, used = status("VmRSS"), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    try:
        value = call()
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        return {"fits": False, "free_mib": limit}
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "fits": True,
        "seconds": seconds,
        "cpu_user_s": after.ru_utime - used.ru_utime,
        "cpu_system_s": after.ru_stime - used.ru_stime,
        "added_mib": status("VmHWM") - before,
        "loss": value,
    }
