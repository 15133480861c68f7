"""The machine a figure was measured on, and the one way benchmark results are written."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
PACKAGES = (
    "prismat",
    "numpy",
    "scipy",
    "torch",
    "pymatgen",
    "pymatgen-core",
    "gemmi",
    "moyopy",
    "vesin",
    "torch_geometric",
)


def _cpu_model() -> str:
    """The processor's name as the kernel gives it, else as Python's platform module does."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    """Physical memory in GiB, or None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of the working tree, ``-dirty`` where it was changed; None outside of git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return None
    return done.stdout.strip() or None


def describe() -> dict:
    """CPU, cores, memory, system, Python and package versions, time and commit of this run."""
    affinity = getattr(os, "sched_getaffinity", None)
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu_model(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "load_average_1min": round(load[0], 2) if load else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(name: str, payload: dict) -> Path:
    """Writes ``results/<name>.json`` atomically, the machine's description beside the figures."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = json.dumps({"machine": describe(), **payload}, indent=2, ensure_ascii=False, allow_nan=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)
    return path
