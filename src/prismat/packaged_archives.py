"""Wheels and source archives from the package index, read without running any of their code."""

import logging
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from prismat.errors import BadInputError

logger = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT = 900.0
"""Seconds that pip may take; the largest wheel is 91 MB."""

_BACKEND = '''"""Answers pip's question for name and version in place of the archive's own build."""

from pathlib import Path
from typing import IO, Any


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = Path(metadata_directory) / "{stem}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return folder.name


class __legacy__:
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
'''


@dataclass(frozen=True)
class Sdist:
    """A source archive, for data that no wheel holds.

    Attributes:
        sha256: hash of the whole archive, which pip checks before it opens it.
        backend: module that the archive names for its build, which is never loaded.
    """

    sha256: str
    backend: str = "setuptools.build_meta"


@dataclass(frozen=True)
class Archive:
    """An open archive.

    Attributes:
        name: of the file.
        sizes: bytes of each regular file by its path; in a source archive without the leading folder.
        open: a stream of one of them.
    """

    name: str
    sizes: dict[str, int]
    open: Callable[[str], IO[bytes]]


def fetch_archive(distribution: str, version: str, folder: Path, sdist: Sdist | None = None) -> Path:
    """Lets pip download one archive into a folder, with the index and the certificates it is set up for.

    pip asks a source archive for its name and version, which would run the archive's own build. A module of
    the build's name that comes first in the search path answers instead: only what is in this file is run.

    Args:
        distribution: name on the package index.
        version: the exact version.
        folder: an empty folder.
        sdist: the source archive wanted; the wheel when None.

    Raises:
        BadInputError: pip is absent or fails.
    """
    requirement = f"{distribution}=={version}"
    if find_spec("pip") is None:
        raise _failed(f"cannot download {requirement}: this Python has no pip", requirement, sdist)
    logger.info("downloading %s from the package index", requirement)
    received = folder / "received"
    received.mkdir()
    command, environment = _command(distribution, version, folder, sdist)
    try:
        subprocess.run(  # noqa: S603
            command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, env=environment
        )
    except (subprocess.SubprocessError, OSError) as error:
        problem = f"pip could not download {requirement} ({_reason(error)})"
        raise _failed(problem, requirement, sdist) from error
    archives = sorted(received.glob("*.whl" if sdist is None else "*.tar.gz"))
    if len(archives) != 1:
        kind = "wheels" if sdist is None else "source archives"
        raise _failed(f"pip left {len(archives)} {kind} for {requirement}", requirement, sdist)
    return archives[0]


def _command(
    distribution: str, version: str, folder: Path, sdist: Sdist | None
) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of pip."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(folder / "received")]
    environment = dict(os.environ)
    if sdist is None:
        return [*command, "--only-binary", ":all:", f"{distribution}=={version}"], environment
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{distribution}=={version} --hash=sha256:{sdist.sha256}\n", encoding="utf-8")
    # Versions of pip before 25.3 run setup.py themselves unless they are told to ask the build module.
    environment["PIP_USE_PEP517"] = "1"
    environment["PYTHONPATH"] = str(_stand_in(distribution, version, sdist, folder / "build"))
    return [*command, "--no-binary", ":all:", "--no-build-isolation", "-r", str(wanted)], environment


def _stand_in(distribution: str, version: str, sdist: Sdist, folder: Path) -> Path:
    """A folder with a module of the build's name; ``distribution`` and ``version`` are our own pins."""
    *packages, module = sdist.backend.split(".")
    inner = folder.joinpath(*packages)
    inner.mkdir(parents=True)
    for depth in range(1, len(packages) + 1):
        folder.joinpath(*packages[:depth], "__init__.py").touch()
    stem = distribution.replace("-", "_")
    text = _BACKEND.format(name=distribution, stem=stem, version=version)
    (inner / f"{module}.py").write_text(text, encoding="utf-8")
    return folder


def _failed(problem: str, requirement: str, sdist: Sdist | None) -> BadInputError:
    ways = f"pip install --no-deps {requirement}" if sdist is None else "the same command again"
    return BadInputError(problem, field=requirement, remedy=f"Run: {ways}, or pass a path of your own.")


def _reason(error: Exception) -> str:
    """The line of pip's output that says what went wrong."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {error.timeout:.0f} s"
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    said = [line for line in lines if line.lower().startswith("error")]
    return (said or lines or [type(error).__name__])[-1]


@contextmanager
def open_archive(path: Path) -> Generator[Archive]:
    """Opens a wheel or a gzipped source archive for reading; nothing is unpacked.

    Raises:
        BadInputError: it is neither, or it is damaged.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                sizes = {entry.filename: entry.file_size for entry in wheel.infolist() if not entry.is_dir()}
                yield Archive(path.name, sizes, wheel.open)
        else:
            with tarfile.open(path, "r:gz") as archive:
                yield _source_archive(path, archive)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise BadInputError(
            f"the archive cannot be read ({error})", record=path.name, remedy="Run again."
        ) from error


def _source_archive(path: Path, archive: tarfile.TarFile) -> Archive:
    # Regular files only: links in it lead nowhere here.
    members = {m.name.partition("/")[2]: m for m in archive.getmembers() if m.isreg() and "/" in m.name}

    def stream(name: str) -> Any:
        found = archive.extractfile(members[name])
        if found is None:
            raise BadInputError(f"{name} is no file", record=path.name)
        return found

    return Archive(path.name, {name: member.size for name, member in members.items()}, stream)
