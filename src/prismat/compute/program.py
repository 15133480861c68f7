"""Where Abinit is on this machine, and which version."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from prismat.errors import BadInputError, MissingExtraError, PrismatError

OLDEST = (9, 0)
"""Input given as an argument and results as YAML are understood from this version on."""

INSTALL = (
    "Install Abinit, which no Python package brings (extra 'dft'): on Debian and Ubuntu "
    "'apt install abinit abinit-data', elsewhere 'conda install -c conda-forge abinit' or https://abinit.org"
)
_VERSION = re.compile(r"^\s*(\d+)\.(\d+)(?:\.\d+)*\s*$", re.MULTILINE)


class MissingProgramError(MissingExtraError):
    """A program or data that come from the system and not from a Python package."""

    def __init__(self, what: str) -> None:
        PrismatError.__init__(self, f"{what}. {INSTALL}.")


@dataclass(frozen=True)
class Program:
    """One installed Abinit.

    Attributes:
        path: the executable.
        version: as it tells itself, such as ``9.6.2``.
    """

    path: Path
    version: str


def find_program(path: Path | None = None) -> Program:
    """Abinit on the search path, or the executable given.

    Raises:
        MissingProgramError: there is none.
        BadInputError: what is there does not tell a version, or one older than ``OLDEST``.
    """
    found = shutil.which("abinit" if path is None else str(path))
    if found is None:
        raise MissingProgramError("No program 'abinit' was found" if path is None else f"No program {path}")
    remedy = "Give the executable of Abinit 9 or newer."
    try:
        done = subprocess.run(  # noqa: S603
            [found, "--version"], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInputError(f"{found} does not start ({error})", field="program", remedy=remedy) from error
    told = _VERSION.search(done.stdout)
    if told is None:
        raise BadInputError(f"{found} tells no version", field="program", remedy=remedy)
    if (int(told[1]), int(told[2])) < OLDEST:
        raise BadInputError(
            f"Abinit {told[0].strip()} is older than {'.'.join(map(str, OLDEST))}",
            field="program",
            remedy=remedy,
        )
    return Program(Path(found).resolve(), told[0].strip())
